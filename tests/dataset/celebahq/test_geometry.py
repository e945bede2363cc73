"""The geometry of a face is float32 and float64 exactly where the original's was."""

import math

import numpy as np
import pytest

from pgtf.dataset.celebahq.geometry import View, crop, enlarge, find_face, shrink

F32 = np.float32
IMAGE = np.zeros((3, 300, 400), np.uint8)


def plain_face(landmarks):
    """The specification with one float32 rounding per operation -> (corners, zoom)."""
    points = [[F32(value) for value in point] for point in landmarks]

    def each(function, *vectors):
        return [F32(function(*values)) for values in zip(*vectors, strict=True)]

    def middle(a, b):
        return each(lambda p, q: F32(F32(p + q) * F32(0.5)) + F32(0.5), a, b)

    def turned(a):
        return [F32(-a[1]), a[0]]

    def hyp(a):
        return float(F32(np.sqrt(np.float64(a[0]) ** 2 + np.float64(a[1]) ** 2)))

    def minus(a, b):
        return each(lambda p, q: p - q, a, b)

    def plus(a, b):
        return each(lambda p, q: p + q, a, b)

    eyes, mouth = middle(points[0], points[1]), middle(points[3], points[4])
    d, t = minus(points[1], points[0]), minus(mouth, eyes)
    x = minus(d, turned(t))
    length = F32(hyp(x))
    x = each(lambda p: p / length, x)
    size = F32(max(hyp(d) * 2.0, hyp(t) * 1.8))
    x = each(lambda p: p * size, x)
    y = turned(x)
    c = plus(eyes, each(lambda p: p * F32(0.1), t))
    corners = [
        minus(minus(c, x), y),
        plus(minus(c, x), y),
        plus(plus(c, x), y),
        minus(plus(c, x), y),
    ]
    return corners, 1024 / (hyp(x) * 2)


def random_landmarks(rng):
    eyes = rng.uniform(50, 300, 2)
    shape = np.array([[0, 0], [60, 5], [30, 30], [5, 60], [52, 66]]) * rng.uniform(0.3, 5)
    return (eyes + shape + rng.normal(0, 6, (5, 2))).round(rng.integers(0, 3)).astype(F32)


def test_random_faces_are_rounded_as_specified(rng):
    for _ in range(500):
        landmarks = random_landmarks(rng)
        view = find_face(IMAGE, landmarks)
        corners, zoom = plain_face(landmarks)
        assert view.quad.dtype == F32
        assert (view.quad == np.array(corners, F32)).all()
        assert view.zoom == zoom


@pytest.mark.parametrize("landmarks", [np.zeros((5, 2)), np.full((5, 2), np.nan)])
def test_landmarks_without_a_face_are_an_error(landmarks):
    with pytest.raises(ValueError, match="must span a face"):
        find_face(IMAGE, landmarks.astype(F32))


def view_of(side, image=IMAGE, corner=(100.0, 60.0)):
    """A view of a square with the given side and upper left corner."""
    square = np.array([[0, 0], [0, side], [side, side], [side, 0]]) + corner
    return View(image, square.astype(F32), 1024 / side)


@pytest.mark.parametrize(
    ("side", "factor", "border"),
    [(100, 1, 10), (4095, 1, 410), (4096, 2, 205), (6200, 3, 207), (20, 1, 3)],
)
def test_photographs_are_shrunk_from_4096_pixels_on(side, factor, border):
    before = view_of(side)
    after = shrink(before)
    assert after.size == (round(400 / factor), round(300 / factor))
    assert (after.quad == before.quad / F32(factor)).all()
    assert (after.zoom, after.border) == (before.zoom * factor, border)


@pytest.mark.parametrize(
    ("side", "factor"), [(1024, 1), (1023, 2), (512, 2), (511, 4), (100, 16), (2049, 1)]
)
def test_photographs_are_enlarged_to_at_least_1024_pixels(side, factor):
    before = view_of(side)
    after = enlarge(before)
    assert after.size == (400 * factor, 300 * factor)
    assert (after.quad == before.quad * F32(factor)).all()
    assert after.zoom == before.zoom / factor
    assert math.isclose(after.zoom, 1024 / side / factor)


def test_the_crop_keeps_the_border_and_ends_at_the_image(rng):
    image = rng.integers(0, 256, (3, 300, 400)).astype(np.uint8)
    view = shrink(view_of(100, image, (150.25, 100.5)))
    cropped = crop(view)
    assert (cropped.image == image[:, 90:211, 140:261]).all()
    assert (cropped.quad == view.quad - F32([140, 90])).all()
    at_the_corner = crop(shrink(view_of(100, image, (-4.0, 205.0))))
    assert (at_the_corner.image == image[:, 195:, :106]).all()
    assert crop(shrink(view_of(500, image, (-20.0, -50.0)))).image is image


def test_a_face_outside_the_image_is_an_error():
    with pytest.raises(ValueError, match="must lie in the image"):
        crop(shrink(view_of(50, corner=(900.0, 20.0))))
