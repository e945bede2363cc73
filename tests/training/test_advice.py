"""Warnings about runs that would train, but hardly as intended."""

import dataclasses

import numpy as np
import pytest

from pgtf import losses
from pgtf.config import PRESETS, named
from pgtf.dataset import open_dataset
from pgtf.dataset.exporter import Options
from pgtf.dataset.sources import demo
from pgtf.schedule import Schedule
from pgtf.training import advice

SMALL = Schedule(resolution_log2=5, lod_training_kimg=10, lod_transition_kimg=6)  # grown after 48


@pytest.mark.parametrize(
    ("total_kimg", "reached"),
    [
        (5, "at 4x4"),
        (13, "in the fade from 4x4 to 8x8"),
        (16, "at 8x8"),
        (42, "at 16x16"),
        (47.9, "in the fade from 16x16 to 32x32"),
    ],
)
def test_training_that_ends_early_names_the_resolution_and_two_remedies(total_kimg, reached):
    assert advice.growth_warning(SMALL, total_kimg) == (
        f"training ends {reached}, not at 32x32: the last fade ends after 48 kimg, and total_kimg "
        f"is {total_kimg:g}. Train longer (--total_kimg=48 or more), or scale the phases of the "
        "schedule to the length with --fit_schedule."
    )
    assert advice.growth_warning(SMALL.fitted(total_kimg), total_kimg) is None


@pytest.mark.parametrize("total_kimg", [48, 1000])
def test_training_that_grows_to_the_end_is_not_warned_of(total_kimg):
    assert advice.growth_warning(SMALL, total_kimg) is None


def test_training_that_never_grows_has_other_remedies():
    never = dataclasses.replace(SMALL, lod_training_kimg=0, lod_transition_kimg=0)
    warning = advice.growth_warning(never, 1000)
    assert warning.startswith("training stays at 4x4, far from 32x32, because `lod_training_kimg`")
    assert "--config.schedule.lod_initial_resolution=none" in warning
    full = dataclasses.replace(never, lod_initial_resolution=None)
    assert advice.growth_warning(full, 1) is None


@pytest.mark.parametrize("name", PRESETS)
def test_no_preset_is_warned_of_at_its_own_length_and_resolution(name):
    config = named(name)
    assert advice.growth_warning(config.schedule, config.training.total_kimg) is None


@pytest.mark.parametrize(
    ("lod", "total_kimg", "parts"),
    [
        (2, 20, ["is at 8x8, not at 32x32 (lod 2). In its run training ends ", "--fit_schedule"]),
        (0.5, 30, ["is in the fade from 16x16 to 32x32, not at 32x32", "--total_kimg=48 or more"]),
        (1, 90, ["is at 16x16,", "there after 48 kimg", "later snapshot, or train it further"]),
        (1, None, ["is at 16x16,", "later snapshot of its run, or train it further with --resume"]),
    ],
)
def test_a_network_that_has_not_grown_is_warned_of_with_what_its_run_says(lod, total_kimg, parts):
    warning = advice.snapshot_warning(lod, SMALL, total_kimg)
    assert [part for part in parts if part not in warning] == []


def test_a_grown_network_is_not_warned_of():
    assert advice.snapshot_warning(0.0, SMALL, 20) is None


@pytest.mark.parametrize(
    ("row", "least"),
    [
        ([0, 1, 0, 0], 0),
        ([0, 0, 0, 0], 0),
        ([1, 1, 0, 0], 2 * np.log(2)),
        ([1, 1, 1, 1], 4 * np.log(4)),
        ([0.5, 0.25, 0.25, 0], 1.5 * np.log(2)),
        ([3, 1, 0, 0], 3 * np.log(4 / 3) + np.log(4)),
        ([1, -0.1, 0, 0], -np.inf),
    ],
)
def test_the_least_label_penalty_is_that_of_the_best_logits(row, least, rng):
    (found,) = losses.least_label_penalty(np.array([row], np.float32))
    assert found == pytest.approx(least, rel=1e-6, abs=1e-12)
    if np.isfinite(least):
        best = np.log(np.maximum(row, 1e-30)).astype(np.float32)[np.newaxis]
        label = np.array([row], np.float32)
        reached = losses.label_penalty(best, label).numpy()
        np.testing.assert_allclose(reached, [least], rtol=1e-5, atol=1e-6)
        others = best + rng.normal(size=(100, 4)).astype(np.float32)
        values = losses.label_penalty(others, label.repeat(100, 0)).numpy()
        assert values.min() >= least * (1 - 1e-5)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """The demo dataset, whose labels are the values of eight factors."""
    folder = tmp_path_factory.mktemp("datasets") / "demo"
    demo.create(str(folder), 5, 8, options=Options(num_workers=1))
    return open_dataset(folder, max_label_size="full")


def test_the_labels_of_the_demo_are_warned_of_with_their_minimum(faces, config):
    assert advice.label_warning(config, faces) is None  # They are findings: a sigmoid each.
    faces = faces.as_one_class()
    warning = advice.label_warning(config, faces)
    assert f"the 24 label columns of {faces.path} are not one-hot" in warning
    assert 8 * np.log(8) == pytest.approx(16.6, abs=0.05)
    assert "is at least 16.6, and drowns" in warning
    assert "--config.dataset.max_label_size=0" in warning
    assert "\n" not in warning
    half = config.replace({"loss.cond_weight": 0.5})
    assert "is at least 8.3," in advice.label_warning(half, faces)


def test_one_class_per_image_and_labels_without_use_are_not_warned_of(
    faces, config, dataset_folder
):
    four = open_dataset(dataset_folder, max_label_size="full")
    assert four.label_size == 4
    assert advice.label_warning(config, four) is None
    assert advice.label_warning(config.replace({"loss.cond_weight": 0.0}), faces) is None
    unused = open_dataset(faces.path, max_label_size=0)
    assert advice.label_warning(config, unused) is None


def test_continuous_labels_are_warned_of(dataset_folder, tmp_path, config):
    dataset = open_dataset(dataset_folder, max_label_size="full")
    with open(tmp_path / "blocks.labels", "wb") as file:
        np.save(file, np.linspace(-1, 1, 160, dtype=np.float32).reshape(40, 4))
    labels = dataclasses.replace(dataset.label_file, path=str(tmp_path / "blocks.labels"))
    numbers = dataclasses.replace(dataset, label_file=labels)
    assert "has no minimum" in advice.label_warning(config, numbers)


def test_all_warnings_of_a_run_come_together(config, faces):
    short = config.replace({"training.total_kimg": 0.1})
    growth, labels = advice.warnings(short, faces.as_one_class())
    assert growth.startswith("training ends in the fade from 4x4 to 8x8, not at 8x8: ")
    assert labels.startswith("the 24 label columns")
    assert advice.warnings(config, open_dataset(faces.path, max_label_size=0)) == []
