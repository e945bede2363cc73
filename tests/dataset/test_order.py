"""The order of the records: a permutation per epoch, of seed and position alone."""

import itertools

import numpy as np
import pytest

from pgtf.dataset import open_dataset, order, pipeline
from pgtf.dataset.order import record_order
from tests.dataset import original

ORDER_OF_SEED_7 = [7, 8, 1, 3, 4, 2, 0, 9, 6, 5, 9, 8, 1, 0, 4, 7, 5, 2, 3, 6]
FAR_ORDER_OF_SEED_1000 = [3230, 9142, 24091, 28028]


@pytest.mark.parametrize("num_images", [1, 2, 3, 10, 257, 1000])
def test_every_epoch_shows_every_image_once(num_images):
    records = record_order(5, np.arange(3 * num_images), num_images).numpy()
    for epoch in records.reshape(3, num_images):
        assert sorted(epoch) == list(range(num_images))


def test_epochs_and_seeds_differ():
    orders = [record_order(seed, np.arange(2000), 1000).numpy() for seed in (0, 1)]
    epochs = [orders[0][:1000], orders[0][1000:], orders[1][:1000]]
    for a, b in itertools.combinations(epochs, 2):
        assert (a == b).mean() < 0.01  # one in 1000 by chance


def test_each_image_comes_at_each_place_equally_often():
    epochs = 4000
    records = record_order(3, np.arange(10 * epochs), 10).numpy().reshape(epochs, 10)
    counts = np.stack([(records == image).sum(0) for image in range(10)])
    chi_square = ((counts - epochs / 10) ** 2 / (epochs / 10)).sum()
    assert chi_square < 130  # 81 degrees of freedom: below 130 with probability 0.9996


def test_the_order_is_written_down():
    """A run is resumed by later versions too: these numbers never change."""
    assert record_order(7, np.arange(20), 10).numpy().tolist() == ORDER_OF_SEED_7
    far = record_order(1000, np.arange(4) + 12_345_678, 30_000)
    assert far.numpy().tolist() == FAR_ORDER_OF_SEED_1000


def test_the_stages_of_a_run_share_one_trace_of_the_order(monkeypatch):
    dataset = open_dataset(original.FULL / "hdf5", max_label_size="full")
    traced, permute = [], order._permute
    monkeypatch.setattr(order, "_permute", lambda *args: traced.append(1) or permute(*args))
    for position, minibatch, resolution_log2 in ((0, 4, 2), (8, 3, 2), (11, 2, 3)):
        options = {"resolution_log2": resolution_log2, "minibatch": minibatch, "seed": 20_261_130}
        next(iter(pipeline.batches(dataset, **options, position=position)))
    assert len(traced) == 1
