"""Minibatches and reals of datasets that are not square or not of 8 bits."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf import images as images_lib
from pgtf.dataset import open_dataset, pipeline
from tests.dataset.test_grids_and_depth import noise, write


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("held", [True, False])
def test_minibatches_hold_the_values_of_the_records(dtype, held, tmp_path, monkeypatch):
    if not held:
        monkeypatch.setattr(pipeline, "HELD_BYTES", 0)
    levels = [noise(dtype, 4, 2, 5, 4), noise(dtype, 4, 2, 10, 8)]
    folder = write(tmp_path / "x", levels, grid=[5, 4], channels=2, dtype=dtype)
    dataset = open_dataset(folder)
    for channels_first in (False, True):
        stream = pipeline.batches(
            dataset, resolution_log2=3, minibatch=4, seed=0, channels_first=channels_first
        )
        ((images, _),) = stream.take(1).as_numpy_iterator()
        assert images.dtype == np.dtype(dtype)
        found = images if channels_first else images.transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(
            sorted(image.tolist() for image in found), sorted(levels[1].tolist())
        )


def test_reals_are_scaled_by_the_range_and_clipped_to_it():
    values = np.array([-2000, -1000, 0, 1000, 9000], np.float32).reshape(1, 1, 5, 1)
    reals = pipeline.process_reals(values, 1.0, value_range=(-1000, 1000))
    np.testing.assert_allclose(np.ravel(reals), [-1, -1, 0, 1, 1], atol=1e-7)


def test_reals_of_other_shapes_fade_into_their_box_averages():
    values = np.arange(2 * 10 * 8 * 3, dtype=np.uint16).reshape(2, 10, 8, 3)
    faded = pipeline.process_reals(values, 0.0, value_range=(0, 1000)).numpy()
    exact = images_lib.to_model(values, (0, 1000))
    blocks = exact.reshape(2, 5, 2, 4, 2, 3).mean((2, 4))
    np.testing.assert_allclose(faded, blocks.repeat(2, 1).repeat(2, 2), atol=1e-6)
    flipped = pipeline.process_reals(values, 1.0, [0.7, 0.2], value_range=(0, 1000)).numpy()
    np.testing.assert_array_equal(flipped[0], exact[0, :, ::-1])
    np.testing.assert_array_equal(flipped[1], exact[1])


@pytest.mark.parametrize("strict", [True, False])
def test_a_coarsest_level_of_odd_height_does_not_fade(strict):
    values = np.arange(20, dtype=np.uint8).reshape(1, 5, 4, 1)
    reals = pipeline.process_reals(values, 1.0, strict_uint8=strict)
    np.testing.assert_array_equal(reals, images_lib.to_float(values))


def test_tensors_are_converted_as_arrays_are():
    rng = np.random.default_rng(0)
    for dtype, value_range in (("uint8", (0, 255)), ("uint16", (99, 5000)), ("float32", (-3, 1))):
        stored = noise(dtype, 3, 4)
        images = rng.normal(0, 1, (3, 4)).astype(np.float32)
        np.testing.assert_array_equal(
            images_lib.tensor_to_model(tf.constant(stored), value_range),
            images_lib.to_model(stored, value_range),
        )
        np.testing.assert_array_equal(
            images_lib.tensor_from_model(tf.constant(images), value_range, dtype),
            images_lib.from_model(images, value_range, dtype),
        )
