"""The measured degradations and scores, against Pillow, scikit-image and formulas."""

import io

import numpy as np
import PIL.Image
import pytest
from skimage.metrics import structural_similarity

from pgtf.commands.restoration import ssim
from pgtf.restoration import evaluation
from tests.dataset import photographs

KINDS = PIL.Image.Resampling


@pytest.fixture
def crops(rng):
    """Three clean images."""
    tiles = photographs.tiles(64, 1, rng)
    return [next(tiles)[1] for _ in range(3)]


def jpeg_of_quality_20(image):
    buffer = io.BytesIO()
    PIL.Image.fromarray(image).save(buffer, "JPEG", quality=20, subsampling="4:2:0")
    return np.asarray(PIL.Image.open(buffer))


def resized(image, side, resampling=KINDS.BICUBIC):
    return np.asarray(PIL.Image.fromarray(image).resize((side, side), resampling))


DEGRADED = {"jpeg": jpeg_of_quality_20, "sr": lambda image: resized(image, 16)}
WAYS = {
    "jpeg": {"no restoration": lambda image: image},
    "sr": {
        "no restoration (pixels repeated)": lambda image: resized(image, 64, KINDS.NEAREST),
        "bicubic": lambda image: resized(image, 64, KINDS.BICUBIC),
        "Lanczos": lambda image: resized(image, 64, KINDS.LANCZOS),
    },
}


def decibels(image, clean):
    return 10 * np.log10(255**2 / np.mean((image.astype(float) - clean.astype(float)) ** 2))


def test_ten_levels_off_is_28_13_decibels_both_ways():
    dark, bright = np.full((4, 4, 3), 100, np.uint8), np.full((4, 4, 3), 110, np.uint8)
    for a, b in (dark, bright), (bright, dark):
        assert evaluation.psnr(a, b) == pytest.approx(20 * np.log10(25.5), rel=1e-12)
        assert round(evaluation.psnr(a, b), 2) == 28.13
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert evaluation.psnr(black, white) == evaluation.psnr(white, black) == 0
    assert evaluation.psnr(white, white) == 100


@pytest.mark.parametrize("task", DEGRADED)
def test_the_network_gets_what_pillow_makes_of_the_image(task, crops):
    given = []

    def restore(image):
        given.append(image)
        return crops[len(given) - 1]

    evaluation.evaluate(task, restore, crops, lambda a, b: 0.5)
    assert len(given) == len(crops)
    for image, clean in zip(given, crops, strict=True):
        assert np.array_equal(image, DEGRADED[task](clean))


@pytest.mark.parametrize("task", DEGRADED)
def test_rows_are_means_over_the_images(task, crops):
    def restore(image):  # inverts the image, which is far from both the clean one and the others
        return 255 - (image if task == "jpeg" else resized(image, 64))

    ways = WAYS[task] | {"network": restore}
    rows, _ = evaluation.evaluate(task, restore, crops, lambda a, b: float(a[0, 0, 0]) + b[9, 9, 2])
    assert [row.name for row in rows] == list(ways)
    for row, way in zip(rows, ways.values(), strict=True):
        restored = [way(DEGRADED[task](clean)) for clean in crops]
        pairs = list(zip(restored, crops, strict=True))
        assert row.psnr == pytest.approx(np.mean([decibels(a, b) for a, b in pairs]), rel=1e-9)
        expected = np.mean([float(a[0, 0, 0]) + b[9, 9, 2] for a, b in pairs])
        assert row.ssim == pytest.approx(expected, rel=1e-9)


def test_ssim_is_that_of_scikit_image(crops):
    for clean in crops:
        spoiled = jpeg_of_quality_20(clean)
        options = {"data_range": 255, "channel_axis": 2, "use_sample_covariance": False}
        expected = structural_similarity(
            spoiled, clean, gaussian_weights=True, sigma=1.5, **options
        )
        assert ssim(spoiled, clean) == pytest.approx(expected, rel=1e-6)
