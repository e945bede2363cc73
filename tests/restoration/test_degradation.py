"""Patches are what they were in the photograph, and degraded as promised."""

import numpy as np
import pytest

from pgtf.restoration import degradation
from pgtf.restoration.config import Config
from pgtf.restoration.photographs import Photographs, held_out_crops, minibatches, split
from tests.dataset import photographs


@pytest.fixture
def image(rng):
    _, tile = next(photographs.tiles(128, 1, rng))
    return tile


@pytest.fixture
def folder(tmp_path, rng):
    """Twelve tiles as PNG files."""
    import PIL.Image

    for number, (_, tile) in zip(range(12), photographs.tiles(128, 1, rng), strict=False):
        PIL.Image.fromarray(tile).save(tmp_path / f"{number:02d}.png")
    return tmp_path


@pytest.mark.parametrize(("task", "scale"), [("jpeg", 1), ("sr", 4)])
def test_a_pair_shows_the_same_part(image, task, scale, rng):
    for _ in range(8):
        degraded, clean = degradation.pair(task, image, 64, rng)
        assert clean.shape == (64, 64, 3)
        assert degraded.shape == (64 // scale, 64 // scale, 3)
        rows = clean.reshape(64 // scale, scale, 64 // scale, scale, 3).mean((1, 3))
        assert np.abs(rows - degraded).mean() < 12  # another part of the tile: 40 and more


def test_patch_i_depends_on_the_seed_and_i_only(folder):
    config = Config("sr", str(folder), total_kimg=0.04, minibatch=8, patch=32)
    learnt, _ = split(config)
    whole = list(minibatches(learnt, config, 0))
    assert len(whole) == 5
    rest = list(minibatches(learnt, config, 24))
    assert len(rest) == 2
    for resumed, first in zip(rest, whole[3:], strict=True):
        assert (resumed[0] == first[0]).all()
        assert (resumed[1] == first[1]).all()


def test_another_seed_gives_other_patches(folder):
    sizes = {"total_kimg": 0.016, "minibatch": 16, "patch": 32}
    firsts = []
    for seed in (7, 7, 8):
        config = Config("sr", str(folder), seed=seed, **sizes)
        ((_, clean),) = minibatches(split(config)[0], config, 0)
        firsts.append(clean)
    same, again, other = firsts
    assert (same == again).all()
    assert (same != other).any(axis=(1, 2, 3)).all()


def test_held_out_images_are_not_learnt_from(folder, tmp_path):
    learnt, held_out = split(Config("jpeg", str(folder), patch=48))
    assert len(held_out.names) == 1
    assert len(learnt.names) == 11
    assert not set(learnt.names) & set(held_out.names)
    other = Config("jpeg", str(folder), held_out=str(folder), patch=48)
    assert len(split(other)[0].names) == 12


def test_small_folders_are_refused(folder):
    with pytest.raises(ValueError, match=r"needs images of 136 pixels .* Received: 11 smaller"):
        split(Config("jpeg", str(folder), patch=128))


def test_crops_are_multiples_of_4_from_the_middle(folder):
    crops = held_out_crops(Photographs(str(folder), ["00.png", "01.png"]), 1)
    assert [crop.shape for crop in crops] == [(128, 128, 3)]


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"patch": 30}, "a multiple of 4, from 32 on"),
        ({"patch": 16}, "a multiple of 4, from 32 on"),
        ({"total_kimg": 0}, "positive"),
        ({"total_kimg": float("inf")}, "positive"),
        ({"minibatch": 0}, "positive"),
        ({"lrate": -1}, "positive"),
        ({"adversarial": 1}, "at least 0 and below 1"),
        ({"adversarial_weight": float("nan")}, "at least 0"),
        ({"seed": -1}, "at least 0"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, rule):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"`{name}` must be .*{rule}.*Received: {name}={value}"):
        Config("sr", "images", **wrong)


def test_the_discriminator_must_leave_patches_to_train_on_without_it():
    sizes = {"total_kimg": 0.032, "minibatch": 16}
    message = r"`adversarial` must leave .* Received: adversarial=0.99 of 32 patches\."
    with pytest.raises(ValueError, match=message) as refused:
        Config("sr", "images", adversarial=0.99, **sizes)
    assert "\n" not in str(refused.value)
    shortest = Config("sr", "images", adversarial=0.98, **sizes)  # 0.64 of a patch
    assert shortest.adversarial_from == 1
    assert [shortest.lrate_at(nimg) for nimg in (0, 16)] == pytest.approx([1e-3, 1e-4])
    # Without a discriminator the value means nothing.
    assert Config("jpeg", "images", adversarial=0.99, **sizes).adversarial_from == 32


def test_the_learning_rate_falls_to_a_tenth():
    config = Config("sr", "images", total_kimg=16, adversarial=0.25)
    assert config.adversarial_from == 12_000
    assert [config.lrate_at(n) for n in (0, 6_000, 12_000, 16_000)] == pytest.approx(
        [1e-3, 5.5e-4, 1e-4, 1e-4]
    )
