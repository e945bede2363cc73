"""Padding, compared with the specification computed by NumPy and SciPy on whole images."""

import numpy as np
import pytest
import scipy.ndimage

from pgtf.dataset.celebahq import depth_of_field
from pgtf.dataset.celebahq.depth_of_field import pad
from pgtf.dataset.celebahq.geometry import View

F32 = np.float32


def plain_pad(image, padding, sigma):
    """Steps 2 to 6 of the specification: uint8 [C, H, W] -> uint8 [C, h, w]."""
    left, top, right, bottom = padding
    padded = np.pad(image, ((0, 0), (top, bottom), (left, right)), "reflect").astype(F32)
    _, h, w = padded.shape
    y, x = np.arange(h, dtype=F32)[:, np.newaxis], np.arange(w, dtype=F32)
    before = np.minimum(x / F32(left), y / F32(top))
    after = np.minimum((F32(w - 1) - x) / F32(right), (F32(h - 1) - y) / F32(bottom))
    mask = F32(1) - np.minimum(before, after)
    blurred = np.stack([scipy.ndimage.gaussian_filter(plane, sigma) for plane in padded])
    padded += (blurred - padded) * np.clip(mask * F32(3) + F32(1), F32(0), F32(1))
    median = np.median(padded, axis=(1, 2))
    assert median.dtype == F32
    padded += (median[:, np.newaxis, np.newaxis] - padded) * np.clip(mask, F32(0), F32(1))
    return np.clip(np.rint(padded), 0, 255).astype(np.uint8)


def make_view(image, left, top, side, border, zoom):
    square = np.array([[0, 0], [0, side], [side, side], [side, 0]]) + (left, top)
    return View(image, square.astype(F32), zoom, border)


CASES = [  # height, width, left, top, side, border, zoom
    (120, 130, -5.5, 10.25, 100, 10, 10.0),
    (121, 131, 60.0, 40.0, 100, 10, 10.0),
    (60, 70, -30.0, -40.0, 160, 16, 6.4),  # more padding than image
    (301, 150, 20.0, 220.0, 100, 10, 12.0),
    (64, 64, -20.0, -20.0, 100, 10, 10.3),
]


@pytest.mark.parametrize(("height", "width", "left", "top", "side", "border", "zoom"), CASES)
@pytest.mark.parametrize("kind", ["noise", "dark", "half white"])
def test_padding_equals_the_specification(rng, kind, height, width, left, top, side, border, zoom):
    image = rng.integers(0, 256, (2, height, width))
    image = {"noise": image, "dark": image // 100, "half white": np.maximum(image, 128) * 2}[kind]
    image = image.clip(0, 255).astype(np.uint8)
    view = make_view(image, left, top, side, border, zoom)
    padded = pad(view)
    least = round(1024 * 0.3 / zoom)
    missing = (
        border - np.floor(left),
        border - np.floor(top),
        np.ceil(left + side) - width + border,
        np.ceil(top + side) - height + border,
    )
    padding = [max(int(pixels), least) for pixels in missing]
    assert (padded.image == plain_pad(image, padding, 1024 * 0.02 / zoom)).all()
    assert (padded.quad == view.quad + F32(padding[:2])).all()


def test_an_image_that_lacks_no_more_than_4_pixels_is_not_padded(rng):
    image = rng.integers(0, 256, (3, 120, 130)).astype(np.uint8)
    assert pad(make_view(image, 6.0, 10.0, 100, 10, 10.0)).image is image
    assert pad(make_view(image, 3.0, 10.0, 100, 10, 10.0)).image is not image


@pytest.mark.parametrize("size", [(50, 41), (50, 40)])
def test_medians_are_numpys(rng, size):
    for _ in range(20):
        inner = rng.integers(90, 120, (10, 7)).astype(np.uint8)
        blended = [rng.uniform(80, 130, size).astype(F32), rng.uniform(0, 255, (3, 9)).astype(F32)]
        counts = sum(np.bincount(part.astype(np.uint8).ravel(), minlength=256) for part in blended)
        everything = np.concatenate([inner.ravel().astype(F32), *map(np.ravel, blended)])
        median = depth_of_field._median(blended, inner, counts)
        assert median.dtype == F32
        assert median == np.median(everything)
