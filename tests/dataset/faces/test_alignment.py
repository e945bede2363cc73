"""Faces have the geometry of CelebA-HQ; only the arithmetic of their pixels differs."""

import numpy as np
import pytest

from pgtf.dataset.celebahq import align as celebahq
from pgtf.dataset.celebahq.geometry import find_face
from pgtf.dataset.faces import alignment
from tests.dataset.celebahq.fixture import LANDMARKS, ROWS, photograph
from tests.dataset.faces import synthetic

INSIDE = 2  # idx of a photograph whose landmarks all lie in it


def test_the_result_is_celeba_hqs_but_for_rounding():
    landmarks = LANDMARKS[ROWS[INSIDE].orig_idx]
    exact = celebahq.align(photograph(INSIDE), landmarks).astype(int)
    ours = alignment.align(photograph(INSIDE), landmarks, 1024).astype(int)
    difference = np.abs(ours - exact)
    assert difference.mean() < 0.3  # grey levels; a shift by half a pixel gives 0.8
    assert np.quantile(difference, 0.99) <= 2


def test_another_size_shows_the_same(rng):
    photo = synthetic.photograph(rng, sizes=(300, 301))
    pixels = photo.pixels.transpose(2, 0, 1)
    large = alignment.align(pixels, photo.landmarks, 256).astype(int)
    small = alignment.align(pixels, photo.landmarks, 64).astype(int)
    assert np.abs(large.reshape(3, 64, 4, 64, 4).mean((2, 4)) - small).mean() < 2


def test_photographs_are_extended_where_the_square_leaves_them(rng):
    photo = synthetic.photograph(rng, sizes=(200, 201))
    x, y = (photo.landmarks.min(axis=0) - 2).astype(int)
    cut = photo.pixels[y:, x:].transpose(2, 0, 1)  # the square's corner is outside now
    image = alignment.align(cut, photo.landmarks - (x, y), 64)
    assert image[:, :8].std() > 1  # mirrored, neither black nor one color
    assert np.abs(image.astype(int).mean() - cut.mean()) < 60


@pytest.mark.parametrize(("scale", "zoomed"), [(4, True), (4, False), (1, True)])
def test_networks_are_asked_for_what_they_are_for(rng, scale, zoomed):
    photo = synthetic.photograph(rng, sizes=(100, 101))
    seen = []

    class Network:
        def __init__(self, scale):
            self.scale = scale

        def __call__(self, image):
            seen.append((self.scale, image.shape))
            return image.repeat(self.scale, axis=1).repeat(self.scale, axis=2)

    side = 256 if zoomed else 64  # the square has 84 pixels
    network = {"upscale": Network(4)} if scale == 4 else {"clean": Network(1)}
    pixels = photo.pixels.transpose(2, 0, 1)
    image = alignment.align(pixels, photo.landmarks, side, **network)
    assert [scale for scale, _ in seen] == ([scale] if zoomed or scale == 1 else [])
    expected = synthetic.expected_eyes(photo.landmarks, side)
    assert np.abs(synthetic.found_eyes(image, expected) - expected).max() < 0.01 * side


@pytest.mark.parametrize("axis", [0, 1], ids="xy")
def test_a_photograph_ends_half_a_pixel_beside_the_middles_of_its_outer_pixels(axis):
    face = np.array([[40, 40], [60, 40], [50, 50], [42, 60], [58, 60]], np.float32)
    size = [100, 120]
    for choose, edge, beyond in [(np.argmin, -0.5, -np.inf), (np.argmax, size[axis] - 0.5, np.inf)]:
        outermost = choose(face[:, axis]), axis
        landmarks = face.copy()
        landmarks[:, axis] += edge - face[outermost]
        alignment.check_landmarks(landmarks, *size)
        landmarks[outermost] = np.nextafter(np.float32(edge), np.float32(beyond))
        with pytest.raises(ValueError, match="lies outside the photograph, 100x120"):
            alignment.check_landmarks(landmarks, *size)


def test_a_face_of_exactly_the_least_size_is_large_enough(rng):
    photo = synthetic.photograph(rng, sizes=(100, 101))
    pixels = photo.pixels.transpose(2, 0, 1)
    size = 32 / find_face(pixels, photo.landmarks, 32).zoom
    assert alignment.align(pixels, photo.landmarks, 32, min_face=size).shape == (3, 32, 32)
    with pytest.raises(ValueError, match="the face is too small"):
        alignment.align(pixels, photo.landmarks, 32, min_face=np.nextafter(size, np.inf))
