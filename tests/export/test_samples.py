"""Latents as flags describe them, read in parts."""

import numpy as np
import pytest

from pgtf.export import samples
from pgtf.networks import latents_from_seeds
from tests import tiny


@pytest.mark.parametrize("latent_size", [3, 8])  # an odd number keeps half a pair of normals
@pytest.mark.parametrize("block", [1, 7, 1024])
def test_a_random_state_gives_its_rows_in_any_order_and_parts(monkeypatch, latent_size, block):
    monkeypatch.setattr(samples, "BLOCK", block)
    expected = np.random.RandomState(5).randn(40, latent_size).astype(np.float32)
    sampled = samples.from_random_state(latent_size, 5, num=40)
    assert len(sampled) == 40
    parts = [part.latents for part in sampled.batches(16)]
    assert [len(part) for part in parts] == [16, 16, 8]
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    chosen = samples.from_random_state(latent_size, 5, num=40, indices="38,2,39,2-4")
    assert list(chosen.names)[:2] == ["index0038", "index0002"]
    for size in (1, 6):
        found = np.concatenate([part.latents for part in chosen.batches(size)])
        np.testing.assert_array_equal(found, expected[[38, 2, 39, 2, 3, 4]])


def test_a_block_of_a_random_state_is_in_memory_whatever_the_number():
    sampled = samples.from_random_state(8, 5, num=samples.MAX_IMAGES)
    first = next(sampled.batches(16))
    np.testing.assert_array_equal(first.latents, np.random.RandomState(5).randn(16, 8).astype("f4"))
    assert sampled.sample._rows.shape == (samples.BLOCK, 8)


def test_parts_have_the_names_and_latents_of_their_seeds():
    sampled = samples.from_seeds(8, "7-9,3")
    assert list(sampled.names) == ["seed0007", "seed0008", "seed0009", "seed0003"]
    expected = latents_from_seeds([7, 8, 9, 3], 8)
    np.testing.assert_array_equal(sampled.latents, expected)
    for i, part in enumerate(sampled.batches(3)):
        np.testing.assert_array_equal(part.latents, expected[3 * i : 3 * i + 3])


def test_a_long_list_of_seeds_is_read():
    text = ",".join(map(str, range(100_000)))
    np.testing.assert_array_equal(samples.parse_numbers("--seeds", text), np.arange(100_000))
    with pytest.raises(ValueError, match="`--seeds` must be at most 1000000 numbers"):
        samples.parse_numbers("--seeds", "0-499999,0-500000")


@pytest.mark.parametrize("random_state", [-1, 2**32])
def test_a_random_state_that_numpy_does_not_have_is_refused(random_state):
    with pytest.raises(ValueError, match=f"`--random_state` must be .* Received: {random_state}"):
        samples.from_random_state(8, random_state)


def test_rows_of_a_file_keep_their_labels_in_parts(tmp_path, rng):
    latents, labels = rng.normal(size=[5, 8]).astype("f4"), rng.normal(size=[5, 3]).astype("f4")
    np.savez(tmp_path / "a.npz", latents=latents, labels=labels)
    sampled = samples.from_file(tiny.generator(label_size=3), tmp_path / "a.npz")
    parts = list(sampled.batches(2))
    assert [name for part in parts for name in part.names] == [f"latent000{i}" for i in range(5)]
    np.testing.assert_array_equal(np.concatenate([part.latents for part in parts]), latents)
    np.testing.assert_array_equal(np.concatenate([part.labels for part in parts]), labels)
