"""Measuring during training: the choice of snapshots, the records, the best snapshot."""

import logging
import os
import types

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from pgtf.metrics import image_sets, records
from pgtf.metrics.during_training import SnapshotMetrics, keep_best, prepare
from pgtf.metrics.evaluator import Evaluator
from pgtf.metrics.plan import parse_plan
from pgtf.metrics.setup import MetricOptions
from tests.metrics.pictures import waves


class Network:
    """A generator of waves that grow sharper with `contrast`."""

    latent_size, lod = 4, 0.0
    config = types.SimpleNamespace(image_size=(16, 16), num_channels=3)

    def __init__(self):
        self.contrast = 0.1

    def run(self, latents, labels):
        images = waves(len(latents), 16, seed=1).astype(np.float32) / 127.5 - 1
        noise = np.random.RandomState(0).randn(*images.shape)
        return (images + (1 - self.contrast) * noise).astype(np.float32)


@pytest.fixture
def state():
    progress = types.SimpleNamespace(cur_nimg=0)
    return types.SimpleNamespace(progress=progress, Gs=Network(), D=None)


@pytest.fixture
def evaluator():
    return Evaluator(parse_plan("swd,msssim"), image_sets.of_array("reals", waves(32, 16, seed=1)))


def tick(action, folder, state, kimg, snapshot=True, final=False):
    state.progress.cur_nimg = kimg * 1000 + 7
    if snapshot:
        (folder / f"network-snapshot-{kimg:06d}.h5").write_bytes(b"snapshot %d" % kimg)
    if action.is_due(state.progress.cur_nimg, final):
        action.record(action.measure(state, lambda: None))


def measured(folder):
    return [record["kimg"] for record in records.load(folder, "swd")]


def test_every_nth_snapshot_and_the_last_are_measured(tmp_path, state, evaluator):
    action = SnapshotMetrics(tmp_path, evaluator, every=2, seed=0)
    for kimg in (10, 20, 30, 40):
        tick(action, tmp_path, state, kimg)
        tick(action, tmp_path, state, kimg + 5, snapshot=False)
    tick(action, tmp_path, state, 50, final=True)
    assert measured(tmp_path) == [20, 40, 50]
    record = records.load(tmp_path, "msssim")[0]
    assert (record["snapshot"], record["lod"]) == ("network-snapshot-000020.h5", 0.0)
    assert record["nimg"] == 20_007


def test_a_snapshot_is_recorded_if_all_its_values_are(tmp_path, state, evaluator):
    action = SnapshotMetrics(tmp_path, evaluator, every=1, seed=0)
    assert not action.is_recorded(10_007)
    tick(action, tmp_path, state, 10)
    assert action.is_recorded(10_007)
    assert not action.is_recorded(10_008)
    (tmp_path / "metric-msssim.jsonl").unlink()  # killed between the two
    assert not action.is_recorded(10_007)


def test_a_snapshot_that_is_measured_again_keeps_one_line(tmp_path, state, evaluator):
    for contrast in (0.2, 0.9):  # The second is trained from an earlier checkpoint.
        action = SnapshotMetrics(tmp_path, evaluator, every=1, seed=0)
        state.Gs.contrast = contrast
        for kimg in (10, 20):
            tick(action, tmp_path, state, kimg)
    found = records.load(tmp_path, "swd")
    assert [record["kimg"] for record in found] == [10, 20]
    state.Gs.contrast = 0.9
    assert {record["value"] for record in found} == {action.measure(state, int)[0]["value"]}


def test_a_check_between_batches_ends_a_measurement(tmp_path, state):
    class Signal(BaseException):
        pass

    def check():
        calls.append(1)
        if len(calls) == 3:  # two batches of reals, one of fakes
            raise Signal

    calls, fakes = [], []
    reals = image_sets.of_array("reals", waves(70, 16, seed=1))
    action = SnapshotMetrics(tmp_path, Evaluator(parse_plan("swd"), reals), every=1, seed=0)
    real = state.Gs.run
    state.Gs.run = lambda latents, labels: (fakes.append(len(latents)), real(latents, labels))[1]
    with pytest.raises(Signal):
        action.measure(state, check)
    assert fakes == [64]
    assert measured(tmp_path) == []


def test_a_resumed_run_measures_the_same_snapshots(tmp_path, state, evaluator):
    for kimg in (10, 20, 30, 40):  # Each has a process of its own.
        tick(SnapshotMetrics(tmp_path, evaluator, every=2, seed=0), tmp_path, state, kimg)
    assert measured(tmp_path) == [20, 40]


def test_the_best_snapshot_is_kept(tmp_path, state, evaluator):
    action = SnapshotMetrics(tmp_path, evaluator, every=1, seed=0)
    for kimg, contrast in ((10, 0.2), (20, 0.9), (30, 0.5)):
        state.Gs.contrast = contrast
        tick(action, tmp_path, state, kimg)
    values = [record["value"] for record in records.load(tmp_path, "swd")]
    assert values[1] < values[2] < values[0]
    assert (tmp_path / "best-swd.h5").read_bytes() == b"snapshot 20"
    assert not list(tmp_path.glob("best-msssim*"))  # High and low are both bad.
    assert not list(tmp_path.glob("*.tmp"))


def test_the_best_snapshot_is_on_the_disk_before_it_replaces_the_previous(tmp_path, disk):
    (tmp_path / "new.h5").write_bytes(b"snapshot")
    assert keep_best(tmp_path, {"metric": "fid", "value": 5.0, "snapshot": "new.h5"})
    assert disk[:2] == [f"best-fid.h5.{os.getpid()}.tmp: 8 bytes", "rename"]


def test_only_comparable_values_compete(tmp_path):
    def record(value, kimg, **fields):
        name = f"network-snapshot-{kimg:06d}.h5"
        (tmp_path / name).write_bytes(name.encode())
        found = {"metric": "fid", "value": value, "snapshot": name, "num_images": 10, **fields}
        records.append(tmp_path, found)
        return keep_best(tmp_path, found)

    assert record(5.0, 1, mode="legacy")
    assert not record(7.0, 2, mode="legacy")
    assert record(9.0, 3, mode="clean")
    assert record(4.0, 4, mode="legacy")
    assert record(6.0, 5, mode="legacy", inception_sha256="another file")
    others = {"num_reals": 30, "order": "random", "evaluations": 10, "pairing": "random"}
    others |= {"mirror": True, "grid": [16, 16], "channels": 1, "seed": 2, "reals": "other"}
    for kimg, (name, value) in enumerate(others.items(), 6):
        assert record(9.0, kimg, mode="legacy", **{name: value}), name
    assert not record(9.5, 20, mode="legacy", num_reals=30)


def test_values_become_tensorboard_scalars(tmp_path, state, evaluator):
    action = SnapshotMetrics(tmp_path, evaluator, every=1, seed=0)
    tick(action, tmp_path, state, 10)
    events = event_accumulator.EventAccumulator(str(tmp_path)).Reload()
    tags = {"metrics/swd", "metrics/swd_16", "metrics/msssim", "metrics/msssim_reals"}
    assert set(events.Tags()["tensors"]) == tags
    (event,) = events.Tensors("metrics/swd")
    assert event.step == 10_007
    (record,) = records.load(tmp_path, "swd")
    assert tf.make_ndarray(event.tensor_proto) == pytest.approx(record["value"], rel=1e-6)


def test_scalars_after_a_rollback_go_to_another_file(tmp_path, state, evaluator):
    """Training shortens the file of the events that will be repeated, while it is open here."""
    action = SnapshotMetrics(tmp_path, evaluator, every=1, seed=0)
    for kimg in (10, 20, 30):
        tick(action, tmp_path, state, kimg)
        if kimg == 10:
            (path,) = tmp_path.glob("events.*")
            size = path.stat().st_size
    os.truncate(path, size)
    for kimg in (20, 30):
        tick(action, tmp_path, state, kimg)
    events = event_accumulator.EventAccumulator(str(tmp_path)).Reload()
    for tag in ("metrics/swd", "metrics/msssim"):
        assert [event.step for event in events.Tensors(tag)] == [10_007, 20_007, 30_007]
    assert len(list(tmp_path.glob("events.*"))) == 2


def test_an_error_of_a_metric_does_not_end_the_training(tmp_path, state, evaluator, caplog):
    state.Gs.contrast = np.nan
    with caplog.at_level(logging.ERROR, logger="absl"):
        tick(SnapshotMetrics(tmp_path, evaluator, every=1, seed=0), tmp_path, state, 10)
    assert measured(tmp_path) == []
    assert "network-snapshot-000010.h5 was not measured" in caplog.text
    assert "finite images" in caplog.text


def test_too_little_memory_does_not_end_the_training(tmp_path, state, evaluator, caplog):
    def run(latents, labels):
        raise MemoryError("cannot allocate 9 GiB")

    state.Gs.run = run
    with caplog.at_level(logging.ERROR, logger="absl"):
        tick(SnapshotMetrics(tmp_path, evaluator, every=1, seed=0), tmp_path, state, 10)
    assert "was not measured: cannot allocate 9 GiB" in caplog.text


def test_metrics_are_checked_before_the_run_folder_exists(tmp_path, state, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    images = waves(40, 16, seed=1)
    dataset = types.SimpleNamespace(
        path=str(tmp_path),
        name="waves",
        size=(16, 16),
        dtype=images.dtype,
        value_range=(0, 255),
        num_channels=3,
        num_images=40,
        label_size=0,
        label_groups=(),
        read_images=lambda indices: images[list(indices)],
    )
    options = MetricOptions(seed=3, use_cache=False)
    with pytest.raises(ValueError, match="no metric `sdw:16k`. Did you mean `swd:16k`"):
        prepare("sdw:16k", dataset, options)
    with pytest.raises(ValueError, match="`fid` needs the Inception network"):
        prepare("fid@every=2", dataset, MetricOptions(inception=None))
    folder = tmp_path / "run"
    folder.mkdir()
    action = prepare("swd:32@every=2", dataset, options, mirror_augment=True)(folder)
    for kimg in (10, 20):
        tick(action, folder, state, kimg)
    (record,) = records.load(folder, "swd")
    assert (record["kimg"], record["num_images"], record["seed"]) == (20, 32, 3)
    assert (record["num_reals"], record["mirror"]) == (32, True)
    assert record["reals"] == "waves (mirrored at random)"
