"""The search for the latent vector of an image."""

import argparse
import os

import numpy as np
import PIL.ExifTags
import PIL.Image
import pytest
import tensorflow as tf

from pgtf import images
from pgtf.commands import generate
from pgtf.export import projection
from pgtf.export.source import Source
from tests import tiny


@pytest.fixture
def few(monkeypatch):
    """The number of random latents, lowered to save time."""
    monkeypatch.setattr(projection, "NUM_CANDIDATES", 64)
    return projection.NUM_CANDIDATES


def test_the_loss_is_the_mean_over_halved_resolutions(rng):
    fakes, target = rng.normal(size=[2, 16, 16, 3]), rng.normal(size=[16, 16, 3])
    difference, expected = fakes - target, []
    for _ in range(3):  # 16, 8, 4
        expected.append(np.mean(difference**2, axis=(1, 2, 3)))
        half = difference.shape[1] // 2
        difference = difference.reshape(2, half, 2, half, 2, 3).mean(axis=(2, 4))
    assert projection.multi_scale_loss(fakes, target).numpy() == pytest.approx(
        np.mean(expected, axis=0)
    )


@pytest.mark.parametrize("label_size", [0, 3])
def test_an_image_of_the_network_is_found(label_size, rng, few):
    Gs = tiny.with_random_biases(tiny.generator(label_size=label_size), rng)
    Gs.lod = 1.0
    label = np.float32([[0, 1, 0]]) if label_size else None
    target = Gs(rng.normal(size=[1, 8]).astype(np.float32), label).numpy()[0]
    found = projection.project(Gs, target, num_steps=60)
    assert found.levels_off(target) < 12
    assert np.mean(found.latents**2) == pytest.approx(1, abs=1e-3)
    again = Gs(found.latents[np.newaxis], None if label is None else found.label[np.newaxis])
    assert np.abs(again.numpy()[0] - found.image).max() < 1e-4
    if label_size:
        assert found.label.tolist() == [0, 1, 0]
    assert len(found.history) == 60 // projection.EVERY + 1
    assert np.array_equal(found.history[-1], images.to_uint8(found.image))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_latents_and_the_label_found_give_the_image_found(seed, monkeypatch):
    monkeypatch.setattr(projection, "NUM_CANDIDATES", projection.NUM_STARTS)
    rng = np.random.default_rng(seed)
    Gs = tiny.with_random_biases(tiny.generator(label_size=3), rng)
    Gs.lod = 1.0
    target = Gs(rng.normal(size=[1, 8]).astype(np.float32), np.float32([[0, 1, 0]])).numpy()[0]
    latents = np.random.RandomState(0).randn(projection.NUM_STARTS, 8).astype(np.float32)
    labels = np.eye(3, dtype=np.float32)[np.arange(len(latents)) % 3]
    losses = projection.multi_scale_loss(Gs(latents, labels), target).numpy()
    assert labels[losses.argmin()].argmax() != 1  # the search begins best with another class
    found = projection.project(Gs, target, num_steps=30)
    assert found.label.tolist() == [0, 1, 0]
    again = Gs(found.latents[np.newaxis], found.label[np.newaxis]).numpy()[0]
    assert np.abs(again - found.image).max() < 1e-4
    assert found.loss == pytest.approx(
        projection.multi_scale_loss(again[np.newaxis], target).numpy()[0], rel=1e-3
    )


def test_the_search_improves_on_the_best_random_latents_and_repeats(few):
    Gs, target = tiny.generator(), np.zeros([16, 16, 3], np.float32)
    latents = np.random.RandomState(3).randn(few, 8).astype(np.float32)
    random = projection.multi_scale_loss(Gs(latents), target).numpy().min()
    losses = [projection.project(Gs, target, num_steps=20, seed=3).loss for _ in range(2)]
    assert losses[0] < 0.97 * random
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_target_of_project_is_upright_opaque_and_scaled_to_the_middle_square(tmp_path):
    picture = np.zeros([128, 64, 4], np.uint8)
    picture[32:64, :, 0], picture[64:96, :, 1], picture[..., 3] = 255, 255, 255  # red above green
    picture[32:96, 32:] = 0  # the right half is transparent
    exif = PIL.Image.Exif()
    exif[PIL.ExifTags.Base.Orientation] = 6  # a quarter turn clockwise makes it upright
    PIL.Image.fromarray(picture).save(tmp_path / "target.png", exif=exif)

    def target_of(name, resolution, num_channels):
        found = argparse.Namespace(target=str(tmp_path / name), value_range=None, max_pixels=None)
        Gs = tiny.generator(resolution=resolution, num_channels=num_channels)
        return generate._target(found, Source(Gs, tmp_path, {}))

    target = target_of("target.png", 16, 3)
    assert target.shape == (16, 16, 3)
    assert target[2, 2] == pytest.approx([-1, 1, -1])  # green, once below, is left
    assert target[2, 13] == pytest.approx([1, -1, -1])
    assert target[13] == pytest.approx(np.ones([16, 3]))  # white
    gray = np.full([8, 8], 0x8080, np.uint16)
    PIL.Image.fromarray(gray).save(tmp_path / "gray.png")
    assert target_of("gray.png", 8, 1) == pytest.approx(0.0039, abs=1e-4)


def test_latents_pictures_and_film_are_saved(tmp_path, rng):
    target = rng.uniform(-1, 1, [16, 16, 1]).astype(np.float32)
    history = [images.to_uint8(target)] * 3
    found = projection.Projection(np.ones(8), np.float32([0, 1]), -target, 1.0, history)
    names = ["latents.npz", "image.png", "pair.png", "search.webp"]
    projection.save_projection(found, target, [tmp_path / name for name in names])
    assert sorted(os.listdir(tmp_path)) == sorted(names)
    with np.load(tmp_path / "latents.npz") as file:
        assert file["latents"].shape == (1, 8)
        assert file["labels"].tolist() == [[0, 1]]
    pair = np.asarray(PIL.Image.open(tmp_path / "pair.png"))
    expected = images.to_uint8(np.concatenate([target, -target], axis=1)[:, :, 0])
    assert np.array_equal(pair, expected)
    with PIL.Image.open(tmp_path / "search.webp") as file:
        assert file.size == (512, 256)
    assert tf.io.decode_png((tmp_path / "image.png").read_bytes()).shape == (16, 16, 1)
