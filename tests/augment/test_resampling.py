import numpy as np
import pytest
import tensorflow as tf

from pgtf.augment import affine, interpolation, resampling
from tests.augment import oracle


def images_of(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


@pytest.fixture
def maps():
    scale = affine.scaled(tf.constant([1.0, 1.2, 0.8]), tf.constant([1.0, 0.7, 1.3]))
    move = affine.moved(tf.constant([0.25, 1.2, -9.3]), tf.constant([0.0, -4.0, 0.7]))
    return scale @ affine.rotated(tf.constant([0.0, 0.3, -2.0])) @ move


@pytest.mark.parametrize("form", [interpolation.gathered, interpolation.multiplied])
@pytest.mark.parametrize("shape", [(8, 12, 1), (10, 4, 5)], ids=str)
def test_warp_is_enlarge_interpolate_shrink_pixel_by_pixel(maps, shape, form, monkeypatch):
    monkeypatch.setattr(resampling, "BLOCK", 6)  # Several blocks, the last one smaller.
    images = images_of(np.random.default_rng(1), 3, *shape)
    found = resampling.warp(tf.constant(images), maps, form).numpy()
    for image, matrix, result in zip(images, maps.numpy(), found, strict=True):
        expected = oracle.warped(image.astype(float), matrix.astype(float), resampling.low_pass())
        np.testing.assert_allclose(result, expected, atol=2e-5)


def test_the_filter_passes_low_frequencies_and_stops_those_an_image_cannot_hold():
    taps = resampling.low_pass()
    assert taps[::2].sum() == pytest.approx(0.5, abs=1e-15)
    np.testing.assert_array_equal(taps, taps[::-1])
    response = np.abs(np.fft.rfft(taps, 1024))
    assert response[:128].min() > 0.998
    assert response[384:].max() < 0.08


@pytest.mark.parametrize("size", [2, 4, 16, 33])
def test_enlarging_and_shrinking_give_an_image_back(size):
    both = resampling.shrinking(size) @ resampling.enlarging(size)
    np.testing.assert_allclose(both, np.eye(size), atol=0.005)
    np.testing.assert_allclose(both.sum(axis=1), 1, atol=1e-6)


def test_images_that_are_not_selected_keep_every_bit(maps):
    images = tf.constant(images_of(np.random.default_rng(1), 3, 8, 12, 2))
    warped = resampling.warp(images, maps, interpolation.multiplied).numpy()
    for hits in ([False, True, True], [False] * 3):
        found = resampling.warp_some(images, maps, tf.constant(hits))
        for image, result, expected, is_hit in zip(images, found, warped, hits, strict=True):
            if is_hit:
                np.testing.assert_allclose(result, expected, atol=1e-6)
            else:
                np.testing.assert_array_equal(result, image)


@pytest.mark.parametrize("quarters", range(4))
def test_blit_turns_clockwise(quarters):
    image = images_of(np.random.default_rng(2), 1, 6, 6, 2)
    turned = resampling.blit(tf.constant(image), affine.turned(tf.constant([float(quarters)])))
    np.testing.assert_array_equal(turned[0], np.rot90(image[0], -quarters))


def test_blit_flips_and_moves_with_mirrored_edges():
    image = images_of(np.random.default_rng(3), 1, 5, 8, 2)
    maps = affine.scaled(tf.constant([-1.0]), tf.constant([1.0]))
    maps = maps @ affine.moved(tf.constant([3.0]), tf.constant([-2.0]))
    padded = np.pad(image[0, :, ::-1], [(2, 2), (3, 3), (0, 0)], mode="symmetric")
    np.testing.assert_array_equal(resampling.blit(tf.constant(image), maps)[0], padded[4:, :8])


def test_rotating_by_a_quarter_turn_is_turning_but_for_the_filter():
    smooth = np.cos(np.arange(16) / 2)[:, None] * np.sin(np.arange(16) / 3)[None]
    image = smooth[None, :, :, None].astype(np.float32)
    rotated = resampling.warp(tf.constant(image), affine.rotated(tf.constant([np.pi / 2])))
    np.testing.assert_allclose(rotated[0, ..., 0], np.rot90(smooth, -1), atol=0.02)


@pytest.mark.parametrize("form", [interpolation.gathered, interpolation.multiplied])
def test_a_gray_image_stays_gray_far_outside_of_its_edges(form):
    gray = tf.fill([1, 16, 16, 1], 0.5)
    far = affine.moved(tf.constant([1e4]), tf.constant([-3e3]))
    np.testing.assert_allclose(resampling.warp(gray, far, form), 0.5, atol=1e-6)
