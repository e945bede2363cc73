"""Sets of images: folders, generators, mirrored datasets."""

import types

import numpy as np
import PIL.Image
import pytest

from pgtf.label_groups import one_class
from pgtf.metrics import datasets, image_sets
from tests import tiny


def all_of(image_set, num):
    return np.concatenate(list(image_set.batches(num)))


def test_a_folder_is_read_by_name_in_batches(tmp_path, rng):
    images = rng.integers(0, 256, (70, 8, 8, 3), np.uint8)
    for i, image in enumerate(images):
        PIL.Image.fromarray(image).save(tmp_path / f"img{i:04d}.png")
    found = image_sets.of_folder(tmp_path)
    assert (found.num_images, found.shape) == (70, (8, 8, 3))
    assert [len(batch) for batch in found.batches(70)] == [64, 6]
    np.testing.assert_array_equal(all_of(found, 70), images)
    shuffled = image_sets.in_random_order(found, seed=4, stream=1)
    order = np.random.RandomState([4, 1]).permutation(70)
    np.testing.assert_array_equal(all_of(shuffled, 70), images[order])


def test_the_order_follows_from_the_seed_and_shows_every_image_once():
    images = np.arange(1000).reshape(1000, 1, 1, 1)
    ordered = image_sets.of_array("classes", (images // 4).astype(np.uint8))  # sorted by class
    orders = []
    for seed, stream in ((1, 0), (1, 0), (2, 0), (1, 1)):
        found = image_sets.in_random_order(ordered, seed, stream)
        assert (found.name, found.shape, found.num_images) == ("classes", (1, 1, 1), 1000)
        orders.append(all_of(found, 1000).ravel())
        np.testing.assert_array_equal(np.sort(orders[-1]), images.ravel() // 4)
        # The mean of 250 draws has a standard deviation of 72 / sqrt(250) = 4.6, here a bit less.
        assert abs(all_of(found, 250).mean() - 124.5) < 4 * 4.6
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).mean() > 0.9
    assert (orders[0] != orders[3]).mean() > 0.9


def test_a_generator_keeps_its_order():
    fakes = image_sets.of_generator("G", flat_generator, 5, (8, 8, 2), seed=7)
    assert image_sets.in_random_order(fakes, seed=1) is fakes


def flat_generator(latents, labels):
    """An image of one value: the first latent, with a row of labels in the second channel."""
    labels = np.zeros((len(latents), 1)) if labels is None else labels
    x = np.stack([latents[:, 0], labels[:, 0]], axis=1).astype(np.float32)
    return np.tile(x[:, None, None, :], (1, 2, 2, 1)) / 4


def test_a_generator_gives_the_same_images_wherever_reading_begins():
    fakes = image_sets.of_generator("G", flat_generator, 5, (8, 8, 2), seed=7)
    first = all_of(fakes, 130)
    assert first.shape == (130, 8, 8, 2)
    np.testing.assert_array_equal(all_of(fakes, 130), first)
    np.testing.assert_array_equal(fakes.read(64, 128), first[64:128])
    assert len(np.unique(first[:, 0, 0, 0])) > 60
    other = image_sets.of_generator("G", flat_generator, 5, (8, 8, 2), seed=8)
    assert (all_of(other, 130) != first).any()


def test_latents_are_normal_and_rounded_images_follow_the_range():
    latents = np.random.RandomState([3, 0]).randn(64, 5).astype(np.float32)
    fakes = image_sets.of_generator("G", flat_generator, 5, (2, 2, 2), seed=3)
    expected = np.rint((latents[:, 0] / 4 + 1) * 127.5).clip(0, 255)
    np.testing.assert_allclose(fakes.read(0, 64)[:, 1, 1, 0], expected, atol=0)


def test_small_images_are_enlarged_by_repetition():
    def ramp(latents, labels):
        image = np.linspace(-1, 1, 4, dtype=np.float32).reshape(2, 2, 1)
        return np.tile(image, (len(latents), 1, 1, 1))

    image = image_sets.of_generator("G", ramp, 3, (4, 4, 1), seed=0).read(0, 1)[0, :, :, 0]
    np.testing.assert_array_equal(
        image, [[0, 0, 85, 85], [0, 0, 85, 85], [170, 170, 255, 255], [170, 170, 255, 255]]
    )


@pytest.mark.parametrize("made", [(4, 4, 3), (8, 8, 1), (3, 3, 1), (4, 2, 1)])
def test_images_that_cannot_be_enlarged_to_the_shape_are_refused(made):
    def run(latents, labels):
        return np.zeros((len(latents), *made), np.uint8)

    fakes = image_sets.of_generator("model", run, 3, (4, 4, 1), seed=0)
    with pytest.raises(ValueError, match=r"model: must make images of \[4, 4, 1\].*Received: \["):
        fakes.read(0, 2)


def test_images_that_are_not_finite_are_named_by_number():
    calls = []

    def broken(latents, labels):
        images = np.zeros((len(latents), 4, 4, 1), np.float32)
        calls.append(len(latents))
        images[3, 1, 2] = np.nan if len(calls) == 2 else 0
        return images

    fakes = image_sets.of_generator("step 5", broken, 3, (4, 4, 1), seed=0)
    with pytest.raises(ValueError, match="step 5: must make finite images.*in image 67"):
        all_of(fakes, 128)


def small_dataset(rng, label_size=0):
    images = rng.integers(0, 256, (20, 4, 4, 3), np.uint8)
    labels = rng.uniform(size=(20, label_size)).astype(np.float32)
    return types.SimpleNamespace(
        name="small",
        size=(4, 4),
        dtype=images.dtype,
        value_range=(0, 255),
        label_groups=one_class(label_size),
        num_channels=3,
        num_images=20,
        label_size=label_size,
        read_images=lambda indices: images[list(indices)],
        read_labels=lambda indices: labels[list(indices)],
    )


def test_a_dataset_is_read_in_order_and_mirrored_half_the_time(rng):
    dataset = small_dataset(rng)
    plain = image_sets.of_dataset(dataset).read(0, 20)
    np.testing.assert_array_equal(plain, dataset.read_images(range(20)))
    mirrored = image_sets.of_dataset(dataset, mirror_seed=1).read(0, 20)
    flipped = [np.array_equal(a, b[:, ::-1]) for a, b in zip(mirrored, plain, strict=True)]
    kept = [np.array_equal(a, b) for a, b in zip(mirrored, plain, strict=True)]
    assert image_sets.of_dataset(dataset, mirror_seed=1).mirror
    assert not image_sets.of_dataset(dataset).mirror
    assert all(a or b for a, b in zip(flipped, kept, strict=True))
    assert 4 < sum(flipped) < 16


def test_labels_of_fakes_are_rows_of_the_dataset(rng):
    assert datasets.labels_of(small_dataset(rng)) is None
    dataset = small_dataset(rng, label_size=2)
    drawn = datasets.labels_of(dataset)(np.random.RandomState(0), 50)
    rows = {tuple(row) for row in dataset.read_labels(range(20))}
    assert drawn.shape == (50, 2)
    assert {tuple(row) for row in drawn} <= rows
    assert len({tuple(row) for row in drawn}) > 10


def test_the_hash_follows_the_pixels_the_number_and_nothing_else(rng):
    images = rng.integers(0, 256, (70, 4, 4, 1), np.uint8)
    found = image_sets.of_array("a", images).sha256(70)
    assert image_sets.of_array("b", images.copy()).sha256(70) == found
    assert image_sets.of_array("a", images).sha256(69) != found
    assert image_sets.of_array("a", images.reshape(70, 2, 8, 1)).sha256(70) != found
    images[69, 3, 3] ^= 1
    assert image_sets.of_array("a", images).sha256(70) != found


@pytest.mark.parametrize("num", [1, 3, 4, 6, 15])
def test_the_label_head_reads_any_number_of_images(num, rng):
    options = {"label_size": 2, "mbstd_group_size": 4}
    D, Gs = tiny.discriminator(**options), tiny.generator(label_size=2)
    labels = np.eye(2, dtype=np.float32)[[0, 1] * 8]
    found = image_sets.of_network("fakes", Gs, 0, lambda first, end: labels[first:end], D=D)
    images = rng.integers(0, 256, (num, 16, 16, 3), np.uint8)
    whole = np.concatenate([images, images[: -num % min(num, 4)]])
    expected = D(whole.astype(np.float32) / 127.5 - 1, lod=D.lod)[1].numpy()[:num]
    tiny.assert_the_same_but_for_rounding(found.head(images), expected)
