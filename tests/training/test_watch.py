"""The watch on small datasets: values of ticks, held-out images, and the best snapshot."""

import dataclasses
import json
import types

import numpy as np
import pytest

from pgtf import interop
from pgtf.dataset import open_dataset
from pgtf.dataset.labels import LabelTable
from pgtf.dataset.pipeline import batches
from pgtf.metrics import watching
from pgtf.training import held_out, overfitting, watch
from pgtf.training.state import TrainingState
from tests.training.test_augmentation import call_of, config_of


def tick_of(kimg, lod=0.0):
    fields = {field.name: 0 for field in dataclasses.fields(watch.Tick)}
    fields |= {"kimg": kimg, "lod": lod, "alpha": 1.0, "resolution": 8, "statistics": {"G_loss": 1}}
    return watch.Tick(**fields)


def test_a_tenth_is_held_out_by_the_seed_alone(dataset, config):
    config = config_of(config, dataset, aug="ada")
    parts = held_out.split(dataset, config)
    train, kept = parts.train.chosen, parts.held_out.chosen
    assert (len(train), len(kept)) == (24, 16)  # 16 is the least
    assert sorted([*train, *kept]) == list(range(40))
    again = held_out.split(dataset, config)
    np.testing.assert_array_equal(again.held_out.chosen, kept)
    other = held_out.split(dataset, config.replace({"training.seed": 7}))
    assert list(other.held_out.chosen) != list(kept)
    assert "no split, so 16 of 40 images, chosen by the seed, are held out" in parts.line
    plain = held_out.split(dataset, config_of(config, dataset, aug="ada", aug_p=0.0))
    assert (plain.held_out, plain.train is dataset, plain.line) == (None, True, None)


@pytest.mark.parametrize(("num", "expected"), [(32, 16), (160, 16), (300, 30), (50_000, 1000)])
def test_the_number_of_held_out_images(num, expected):
    assert held_out.number_of(num) == expected


def test_too_few_images_to_hold_some_out_are_an_error_that_names_the_remedy():
    with pytest.raises(ValueError, match=r"32 images or more .* Received: 31\. Fix .* --aug_p"):
        held_out.number_of(31)


def test_training_reads_no_held_out_image_and_all_others(dataset_folder):
    dataset = open_dataset(dataset_folder, max_label_size="full")
    chosen = np.array([3, 5, 6, 11, 20, 33, 38, 39])
    part = dataset.subset(chosen)
    images, labels = next(iter(batches(part, resolution_log2=3, minibatch=8, seed=1)))
    found = {
        image.numpy().tobytes(): label.numpy() for image, label in zip(images, labels, strict=True)
    }
    expected = dataset.read_images(chosen)
    assert found.keys() == {image.tobytes() for image in expected}
    for image, label in zip(expected, dataset.read_labels(chosen), strict=True):
        np.testing.assert_array_equal(found[image.tobytes()], label)
    np.testing.assert_array_equal(part.subset([1, 7]).read_images([0, 1]), expected[[1, 7]])
    assert LabelTable(part).num_images == 8


def test_the_best_snapshot_is_that_of_the_tick_closest_to_held_out_images(
    config, dataset, strategy, tmp_path
):
    config = config_of(config, dataset, aug="ada")
    state = TrainingState(config, strategy)
    kept = held_out.split(dataset, config).kept_apart
    distances = iter([5.0, 3.0, 4.0])
    seen = []

    def distance_to(reals):
        np.testing.assert_array_equal(reals, kept.read_images(range(16), 3))
        return lambda fakes: seen.append(fakes) or next(distances)

    measures = watch.Measures(lambda fakes: 0.25, distance_to)
    # An earlier process noted a better value after the checkpoint: it will come again.
    lines = [
        {"kimg": 1.0, "lod": 0, "held_out_swd": 4.5},
        {"kimg": 9.0, "lod": 0, "held_out_swd": 1.0},
    ]
    (tmp_path / "stats.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    state.progress.cur_nimg = 1000
    meta = watch.meta_of(dataset, config)
    watching_run = watch.Watch(tmp_path, kept, state, config, measures, meta)
    best = tmp_path / "best-held-out.h5"
    for kimg, is_best in ((2, False), (3, True), (4, True)):
        state.progress.cur_nimg = kimg * 1000
        tick = watching_run(tick_of(float(kimg)), state)
        assert best.exists() == is_best
        assert tick.statistics["fakes_ms_ssim"] == 0.25
    assert tick.statistics == {"G_loss": 1, "fakes_ms_ssim": 0.25, "held_out_swd": 4.0}
    assert interop.load_meta(best)["cur_nimg"] == 3000
    np.testing.assert_array_equal(seen[0], seen[2])  # the same latents
    assert (seen[0].shape, seen[0].dtype) == ((16, 8, 8, 3), np.uint8)


def doubled(dataset):
    """The same images as a dataset of uint16, whose range is 0 ... 510."""
    return types.SimpleNamespace(
        num_images=dataset.num_images,
        dtype=np.dtype(np.uint16),
        value_range=(0, 510),
        meta={},
        read_images=lambda *where: dataset.read_images(*where).astype(np.uint16) * 2,
        read_labels=dataset.read_labels,
    )


def test_deep_images_are_measured_on_the_scale_of_their_range(config, dataset, strategy, tmp_path):
    config = config_of(config, dataset, aug="none", watch=True)
    parts, state = held_out.split(dataset, config), TrainingState(config, strategy)
    seen, found = {}, {}
    for name, change in (("uint8", lambda x: x), ("uint16", doubled)):
        train, kept = change(parts.train), change(parts.kept_apart)
        measurement = overfitting.Measurement(state, config, (train, kept), None)
        found[name] = measurement(call_of(config, 64, 1))

        def distance_to(reals, name=name):
            return lambda fakes: seen.update({name: (reals, fakes)}) or 1.0

        measures = watch.Measures(lambda fakes: None, distance_to)
        watch.Watch(tmp_path, kept, state, config, measures, {})(tick_of(3.0, lod=1.0), state)
    for kind in ("train", "held_out", "fakes"):
        assert found["uint16"][kind].mean == pytest.approx(found["uint8"][kind].mean, rel=1e-4)
    assert found["uint8"]["train"].mean != found["uint8"]["held_out"].mean
    for deep, plain in zip(seen["uint16"], seen["uint8"], strict=True):
        assert (deep.dtype, plain.dtype) == (np.float32, np.uint8)
        np.testing.assert_allclose(deep, plain, atol=0.51)  # fakes are rounded to halves
    np.testing.assert_allclose(seen["uint16"][0], seen["uint8"][0], atol=1e-4)


def test_ticks_have_the_probability_and_the_signals_that_are_known(config, dataset, strategy):
    config = config_of(config, dataset, aug="ada")
    state = TrainingState(config, strategy)
    found = watch.with_augmentation(tick_of(1.0), config, state).statistics
    assert found == {"G_loss": 1, "aug_p": 0.0}
    state.progress.augment.p, state.progress.augment.signal = 0.25, 0.5
    found = watch.with_augmentation(tick_of(1.0), config, state).statistics
    assert found == {"G_loss": 1, "aug_p": 0.25, "aug_signal": 0.5}
    none = config_of(config, dataset, aug="none")
    assert watch.with_augmentation(tick_of(1.0), none, state).statistics == {"G_loss": 1}


def test_measures_of_few_images_are_cheap_and_know_their_limits():
    rng = np.random.default_rng(0)
    reals = rng.integers(0, 256, [16, 16, 16, 3], np.uint8)
    other = np.clip(reals.astype(int) // 2, 0, 255).astype(np.uint8)
    distance = watching.distance_to(reals)
    assert distance(other) > distance(reals) >= 0
    assert distance(other) == distance(other)
    assert watching.similarity(np.repeat(reals[:1], 4, 0)) == pytest.approx(1)
    assert watching.similarity(reals) < 0.5
    assert watching.distance_to(reals[:, :8, :8]) is None
    assert watching.similarity(reals[:, :8, :8]) is None
