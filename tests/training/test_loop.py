import dataclasses
import errno
import json
import math
import os
import pathlib
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf

from pgtf.dataset import pipeline
from pgtf.export import timelapse
from pgtf.interop import load_meta, load_snapshot
from pgtf.label_groups import one_class
from pgtf.metrics import records
from pgtf.runs import log
from pgtf.runs.checkpoints import newest_first
from pgtf.training import callbacks, calls, loop, objectives, pace, ticks
from pgtf.training.loop import RunOptions
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper
from tests import tiny
from tests.training import jobs

TICK = types.SimpleNamespace(as_line=lambda: {"kimg": 0.096})


class Killed(Exception):
    """Stands for a process that ends without a word."""


def kill_at(number):
    """An action that ends the run at a tick, before its checkpoint is written."""

    def action(tick, state, final):
        if tick.tick == number:
            raise Killed

    return action


@dataclasses.dataclass(frozen=True)
class Run:
    """A run that nobody disturbed."""

    folder: pathlib.Path
    killed: pathlib.Path  # copy: what a kill at the end of the second tick would have left
    traced: list  # (resolution, True in a fade), in the order in which they were traced


@pytest.fixture(scope="session")
def undisturbed(config, dataset, strategy, tmp_path_factory):
    """A run in calls as long as the schedule permits, with a checkpoint after each."""
    run = Run(*(tmp_path_factory.mktemp(name) for name in ("finished", "killed")), [])
    parts = objectives.discriminator_parts

    def counted(G, D, reals, *args, **options):
        is_fading = args[3] is not None  # alpha
        run.traced.append((reals.shape[1], is_fading))
        return parts(G, D, reals, *args, **options)

    def copy(tick, state, final):
        if tick.tick == 1:
            shutil.copytree(run.folder, run.killed, dirs_exist_ok=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objectives, "discriminator_parts", counted)
        patch.setattr(pace, "CALL_SEC", 1e9)
        options = RunOptions(callbacks=[copy], checkpoint_sec=0)
        loop.run(config, dataset, strategy, run.folder, options)
    return run


@pytest.fixture(scope="session")
def finished(undisturbed):
    """The folder of a run that nobody disturbed."""
    return undisturbed.folder


def stats(folder):
    lines = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    return [{k: v for k, v in x.items() if k not in ticks.TIME_FIELDS} for x in lines]


def events(folder):
    """Curves and pictures that TensorBoard shows, without times: {tag: [(step, value), ...]}."""
    return {k: v for k, v in jobs.curves(folder).items() if k not in ticks.TIME_FIELDS}


def test_a_run_shows_all_images_and_ticks_at_each_96(finished):
    assert [x["kimg"] for x in stats(finished)] == [0.096, 0.192, 0.288]
    assert [x["lod"] for x in stats(finished)] == [0.75, 0.0, 0.0]
    assert [x["resolution"] for x in stats(finished)] == [8, 8, 8]
    assert [x["skipped_updates"] for x in stats(finished)] == [0, 0, 0]


def test_every_statistic_of_every_tick_is_finite(finished):
    for line in (finished / "stats.jsonl").read_text().splitlines():
        assert all(math.isfinite(value) for value in json.loads(line).values())


def test_the_run_folder_holds_what_the_design_names(finished):
    names = {path.name for path in finished.iterdir()}
    assert {"stats.jsonl", "reals.png", "fakes000000.png", "network-snapshot-000000.h5"} <= names
    assert {"checkpoint", "finished"} <= names
    assert [path.name for path in newest_first(finished / "checkpoint")] == [
        "checkpoint-000000288.h5",
        "checkpoint-000000192.h5",
    ]
    assert sum(name.startswith("events.out.tfevents") for name in names) == 1


def test_the_last_snapshot_holds_the_networks_of_the_last_checkpoint(config, finished):
    networks = load_snapshot(finished / "network-snapshot-000000.h5")
    assert [x.config for x in networks] == [config.G, config.D, config.G]
    found = jobs.arrays(newest_first(finished / "checkpoint")[0])
    for kind, network in zip(("G", "D", "Gs"), networks, strict=True):
        for key, array in tiny.arrays_of(network).items():
            np.testing.assert_array_equal(array, found[f"{kind}/{key}"])
    assert np.any(found["G/8x8/Conv1/weight"] != found["Gs/8x8/Conv1/weight"])


def test_a_run_killed_after_the_fade_ends_with_the_same_bits_in_calls_of_another_length(
    config, dataset, strategy, undisturbed, tmp_path, monkeypatch
):
    folder = tmp_path / "killed"
    shutil.copytree(undisturbed.killed, folder)
    assert [x["kimg"] for x in stats(folder)] == [0.096, 0.192]
    assert newest_first(folder / "checkpoint")[0].name == "checkpoint-000000144.h5"
    monkeypatch.setattr(pace, "CALL_SEC", 0.0)
    check_resumed(folder, config, dataset, strategy, undisturbed.folder)


@pytest.mark.slow
def test_a_run_killed_within_the_fade_ends_with_the_same_bits(
    config, dataset, strategy, finished, tmp_path
):
    options = RunOptions(callbacks=[kill_at(0)], checkpoint_sec=0)
    with pytest.raises(Killed):
        loop.run(config, dataset, strategy, tmp_path, options)
    check_resumed(tmp_path, config, dataset, strategy, finished)


def check_resumed(folder, config, dataset, strategy, finished):
    """Continues the killed run in `folder`, and compares all that it leaves with `finished`."""
    assert not (folder / "finished").exists()
    loop.run(config, dataset, strategy, folder)
    assert stats(folder) == stats(finished)
    assert events(folder) == events(finished)
    assert [step for step, _ in events(folder)["fakes"]] == [0, 96, 192, 288]
    pictures = sorted(path.name for path in finished.glob("*.png"))
    snapshots = sorted(path.name for path in finished.glob("*.h5"))
    assert len(pictures) == 2
    assert len(snapshots) == 1
    for name in pictures + snapshots:
        assert (folder / name).read_bytes() == (finished / name).read_bytes(), name
    left, right = (
        jobs.arrays(x / "checkpoint" / "checkpoint-000000288.h5") for x in (finished, folder)
    )
    assert left.keys() == right.keys()
    assert any(name.startswith("D_opt/v/") for name in left)
    for name, array in left.items():
        np.testing.assert_array_equal(array, right[name], err_msg=name)


def test_a_snapshot_names_the_labels_and_how_it_was_trained(config, strategy, tmp_path):
    dataset = types.SimpleNamespace(
        label_names=("cat", "dog"),
        label_groups=one_class(2, ("cat", "dog")),
        dtype=np.dtype(np.uint16),
        value_range=(0, 4095),
        meta={"preview": "viridis"},
    )
    action = callbacks.Snapshot(tmp_path, dataset, config)
    action(None, TrainingState(config, strategy), final=True)
    meta = load_meta(tmp_path / "network-snapshot-000000.h5")
    assert meta["label_names"] == ["cat", "dog"]
    assert meta["label_groups"] == [{"kind": "class", "columns": (0, 2), "names": ["cat", "dog"]}]
    assert (meta["dtype"], meta["range"], meta["preview"]) == ("uint16", (0, 4095), "viridis")
    assert meta["config"] == json.loads(config.to_json())
    assert meta["cur_nimg"] == 0


def test_a_run_killed_after_its_last_image_is_marked_as_finished_and_nothing_else_changes(
    config, dataset, strategy, finished, tmp_path
):
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    (folder / "finished").unlink()  # as if it had been killed after its last checkpoint
    assert loop.run(config, dataset, strategy, folder, RunOptions(callbacks=[kill_at(3)])) is None
    assert (folder / "finished").exists()
    before, after = (
        {
            path.relative_to(of): path.read_bytes()
            for path in of.rglob("*")
            if path.is_file() and not path.name.startswith("events.")
        }
        for of in (finished, folder)
    )
    # Two pictures, two checkpoints, snapshot, statistics, mark, configuration, identity.
    assert len(before) == 9
    assert after == before


@pytest.mark.parametrize("name", ["log.txt", "stats.jsonl", "metric-fid.jsonl"])
def test_lines_are_not_appended_through_a_link(tmp_path, name):
    (tmp_path / "elsewhere").write_text("precious\n")
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    append = {
        "log.txt": lambda: log.to_file(tmp_path / "log.txt"),
        "stats.jsonl": lambda: callbacks.StatsFile(tmp_path, 0)(TICK, None, False),
        "metric-fid.jsonl": lambda: records.append(tmp_path, {"metric": "fid"}),
    }
    if name == "stats.jsonl":  # its lines from before the checkpoint are kept, as a new file
        (tmp_path / "elsewhere").write_text('{"kimg": 0}\n')
    before = (tmp_path / "elsewhere").read_text()
    with pytest.raises(ValueError, match=f"{name}: must be a file of its own"):
        append[name]()
    assert (tmp_path / "elsewhere").read_text() == before


def test_a_tick_and_a_record_end_with_their_line_on_the_disk(tmp_path, disk):
    callbacks.StatsFile(tmp_path, 0)(TICK, None, False)
    records.append(tmp_path, {"metric": "fid"})
    assert (tmp_path / "stats.jsonl").read_text() == '{"kimg": 0.096}\n'
    assert (tmp_path / "metric-fid.jsonl").read_text() == '{"metric": "fid"}\n'
    assert disk == ["stats.jsonl: 16 bytes", "metric-fid.jsonl: 18 bytes"]


def test_pipes_in_place_of_lines_are_not_waited_for(tmp_path):
    for name in ("stats.jsonl", "metric-fid.jsonl"):
        os.mkfifo(tmp_path / name)
    assert timelapse.read_stats(tmp_path / "stats.jsonl") == records.load(tmp_path, "fid") == []
    with pytest.raises(ValueError, match="stats.jsonl: must be a file of its own"):
        callbacks.StatsFile(tmp_path, 0)(TICK, None, False)
    with pytest.raises(ValueError, match="metric-fid.jsonl: must be a file of its own"):
        records.append(tmp_path, {"metric": "fid"})


def test_statistics_after_the_checkpoint_are_cut_when_a_run_resumes(tmp_path):
    lines = [json.dumps({"kimg": kimg}) for kimg in (0.096, 0.192)]
    (tmp_path / "stats.jsonl").write_text("\n".join([*lines, '{"kimg": 0.2']))
    callbacks.StatsFile(tmp_path, 100)
    assert (tmp_path / "stats.jsonl").read_text() == lines[0] + "\n"


def test_adam_forgets_when_a_fade_begins_and_when_it_ends(config, dataset, strategy):
    state = TrainingState(config, strategy)
    resets = []
    for nimg in range(0, 288, 16):
        for optimizer in (state.G_opt, state.D_opt):
            optimizer.variables_by_name["beta2_power"].assign(0.5)
        calls.enter_stage(state, config.schedule.at(nimg), config.training)
        powers = {float(o.variables_by_name["beta2_power"]) for o in (state.G_opt, state.D_opt)}
        if powers == {np.float32(0.99)}:
            resets.append(nimg)
    assert resets == [0, 80, 128]  # the fade begins one image after 64


def test_one_trace_for_each_fade_and_for_what_follows_whatever_the_calls(undisturbed):
    assert undisturbed.traced == [(4, False), (8, True), (8, False)]


def test_a_record_that_stays_unreadable_ends_training_with_its_name(
    config, dataset, strategy, monkeypatch
):
    def preadv(descriptor, buffers, offset):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    read_example = pipeline._read_example
    monkeypatch.setattr(
        pipeline,
        "_read_example",
        lambda file, record: read_example(dataclasses.replace(file, path="gone"), record),
    )
    stepper = Stepper(TrainingState(config, strategy), config, dataset, strategy)
    reading = tf.function(lambda iterator, *numbers: iterator.get_next())
    monkeypatch.setattr(stepper, "_trace", lambda stage: reading)  # all of an iteration but updates
    monkeypatch.setattr(os, "preadv", preadv)
    call = loop.plan.next_call(config.schedule, config.training, 0, 0)
    with pytest.raises(OSError, match=r"record \d+ \(offset \d+\): Input/output error: '.*-r02.tf"):
        stepper.run(call)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule.num_gpus": 3}, r"minibatch=8 at 4x4, replicas=3"),
        ({"schedule.minibatch_dict": {8: 6}}, r"Received: 6 at 8x8, mbstd_group_size=4"),
        ({"schedule.minibatch_base": 0}, r"minibatch=0 at 4x4"),
    ],
)
def test_a_minibatch_that_cannot_be_divided_is_refused(config, changes, message):
    with pytest.raises(ValueError, match=message):
        config.replace(changes).check()


def test_a_minibatch_smaller_than_the_group_is_accepted(config):
    config.replace({"schedule.minibatch_base": 3}).check()


def test_a_tick_has_no_field_that_stats_do_not_explain():
    names = [field.name for field in dataclasses.fields(ticks.Tick)]
    assert names[-len(ticks.TIME_FIELDS) :] == list(ticks.TIME_FIELDS)
