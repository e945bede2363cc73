"""MS-SSIM: bounds, pairs, sensitivity. Its values: tests/reference/test_metrics.py."""

import numpy as np
import pytest

from pgtf.metrics.ms_ssim import MultiScaleSSIM, ms_ssim
from tests.metrics.pictures import blurred, waves


def test_equal_images_have_1_and_unrelated_ones_little():
    images = waves(8, 64, seed=0)
    np.testing.assert_allclose(ms_ssim(images, images), 1, atol=1e-12)
    assert 0 <= ms_ssim(images[:4], images[4:]).mean() < 0.3


def test_it_falls_with_blur_and_does_not_depend_on_the_order_of_a_pair():
    images = waves(4, 64, seed=0)
    slight, strong = (ms_ssim(images, blurred(images, sigma)).mean() for sigma in (0.5, 2))
    assert 1 > slight > strong > 0
    b = blurred(images, 1)
    np.testing.assert_allclose(ms_ssim(images, b), ms_ssim(b, images), rtol=1e-12)


def test_an_inverted_image_counts_as_0():
    images = waves(2, 64, seed=0)
    np.testing.assert_array_equal(ms_ssim(images, 255 - images), 0)


@pytest.mark.parametrize("sizes", [[12], [4, 4, 4], [3, 5, 1, 3], [1] * 12])
def test_pairs_are_the_same_however_images_are_fed(sizes):
    images = waves(12, 32, seed=0)
    metric, begin = MultiScaleSSIM(), 0
    for size in sizes:
        metric.feed(images[begin : begin + size])
        begin += size
    assert metric.result() == pytest.approx(ms_ssim(images[0::2], images[1::2]).mean(), rel=1e-12)


def test_images_larger_than_a_block_of_work_are_paired_too(monkeypatch):
    monkeypatch.setattr("pgtf.metrics.ms_ssim._BLOCK_PIXELS", 1000)
    images = waves(6, 32, seed=0)
    metric = MultiScaleSSIM()
    metric.feed(images)
    assert metric.result() == pytest.approx(ms_ssim(images[0::2], images[1::2]).mean(), rel=1e-12)


def test_bad_input_is_refused():
    images = waves(2, 16, seed=0)
    with pytest.raises(ValueError, match="two images or more"):
        MultiScaleSSIM().result()
    with pytest.raises(ValueError, match="5 scales needs images of 16 pixels"):
        ms_ssim(images[:, :8], images[:, :8])
    with pytest.raises(ValueError, match=r"one shape.*\[1, 16, 16, 3\]"):
        ms_ssim(images, images[:1])
