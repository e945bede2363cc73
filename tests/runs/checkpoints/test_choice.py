"""Checkpoints: their content, the choice of one, and reasons to refuse one."""

import dataclasses
import errno
import hashlib
import json
import os

import h5py
import numpy as np
import pytest

from pgtf import files
from pgtf.augment.adaptation import AugmentProgress
from pgtf.distribution.workers import Workers
from pgtf.interop import hdf5
from pgtf.runs.checkpoints import Checkpoints, ConfigChanged, newest_first
from pgtf.training.state import Progress, TrainingState
from tests.runs.checkpoints.conftest import flip_a_bit, numbers, save_at


def test_everything_comes_back(checkpoints, state, config, strategy, rng):
    for group in (*state.networks().values(), state.G_opt, state.D_opt):
        for variable in group.variables_by_name.values():
            variable.assign(rng.uniform(size=variable.shape))
    state.G.lod = state.D.lod = state.Gs.lod = 0.5
    state.progress = Progress(96, 3, 64, (0, 1), 12.5, 2, {"G_loss": 0.1}, 7, 1, 0.25, 4)
    state.progress.frozen_D = ("4x4/Dense0/weight",)
    state.progress.augment = AugmentProgress(0.25, 0.5, 0.375, 3, {"train": 1.5})
    checkpoints.save(state)
    fresh = TrainingState(config, strategy)
    assert checkpoints.restore(fresh)
    before, after = numbers(state), numbers(fresh)
    assert before.keys() == after.keys()
    assert {name.partition("/")[0] for name in before} == {"G", "D", "Gs", "G_opt", "D_opt"}
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name], err_msg=name)
    assert fresh.progress == state.progress
    assert {network.lod for network in fresh.networks().values()} == {0.5}
    # A counter that this test forgets would be one that a resumed run forgets.
    assert all(
        getattr(state.progress, field.name) != getattr(Progress(), field.name)
        for field in dataclasses.fields(Progress)
    )


def test_the_file_names_its_configuration_and_its_hash(checkpoints, state, folder, config):
    checkpoints.save(state)
    with h5py.File(newest_first(folder)[0]) as file:
        assert json.loads(file.attrs["config"]) == json.loads(config.to_json())
        assert len(file.attrs["config_sha256"]) == 64


def test_without_a_checkpoint_nothing_is_restored(checkpoints, state):
    before = numbers(state)
    assert not checkpoints.restore(state)
    for name, array in numbers(state).items():
        np.testing.assert_array_equal(array, before[name])


def test_the_two_newest_are_kept(checkpoints, state, folder):
    save_at(checkpoints, state, 0, 999_999_992, 1_000_000_000)
    assert [path.name for path in newest_first(folder)] == [
        "checkpoint-1000000000.h5",
        "checkpoint-999999992.h5",
    ]


def test_a_flipped_bit_is_noticed_and_the_checkpoint_before_is_used(
    checkpoints, state, folder, caplog
):
    save_at(checkpoints, state, 8, 16)
    flip_a_bit(newest_first(folder)[0])
    with caplog.at_level("INFO", logger="absl"):
        assert checkpoints.restore(state)
    assert state.progress.cur_nimg == 8
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "checkpoint-000000016.h5: truncated, damaged" in said
    assert "Trying the checkpoint before" in said
    assert "Resuming from" in said
    # The damaged one no longer counts: the next two are kept.
    save_at(checkpoints, state, 12, 14)
    assert [path.stem[-2:] for path in newest_first(folder)] == ["14", "12"]


@pytest.mark.parametrize("size", [0, 7, 1000])
def test_a_truncated_checkpoint_is_noticed(checkpoints, state, folder, size):
    save_at(checkpoints, state, 8, 16)
    newest = newest_first(folder)[0]
    newest.write_bytes(newest.read_bytes()[:size])
    assert checkpoints.restore(state)
    assert state.progress.cur_nimg == 8


def test_a_folder_in_place_of_a_checkpoint_is_passed_over_and_stays(checkpoints, state, folder):
    save_at(checkpoints, state, 8, 16)
    newest = newest_first(folder)[0]
    newest.unlink()
    newest.mkdir()
    assert checkpoints.restore(state)
    assert state.progress.cur_nimg == 8
    save_at(checkpoints, state, 12, 14)
    assert [path.stem[-2:] for path in newest_first(folder)] == ["14", "12"]
    assert newest.is_dir()


@pytest.mark.parametrize(
    ("groups", "attributes", "message"),
    [
        ({"G": {"weight": np.ones(3)}}, {"format": "pgtf-snapshot"}, "not a checkpoint"),
        ({}, {"format": "pgtf-checkpoint", "config": "{", "progress": "{}"}, "property name"),
    ],
    ids=["of something else", "of another program"],
)
def test_a_checkpoint_with_a_right_checksum_is_never_called_damaged(
    checkpoints, state, folder, groups, attributes, message
):
    save_at(checkpoints, state, 8, 16)
    hdf5.write_hdf5(newest_first(folder)[0], groups, attributes)
    with pytest.raises(ValueError, match=message):
        checkpoints.restore(state)
    assert [path.name[-5:] for path in sorted(folder.iterdir())] == ["08.h5", "16.h5"]


def test_a_checkpoint_whose_structure_hdf5_cannot_read_is_not_renamed_if_its_checksum_is_right(
    checkpoints, state, folder
):
    save_at(checkpoints, state, 8, 16)
    newest = newest_first(folder)[0]
    content = b"\x89HDF\r\n\x1a\n" + bytes(100)
    newest.write_bytes(content + f"\nsha256:{hashlib.sha256(content).hexdigest()}\n".encode())
    with pytest.raises(ValueError, match="damaged HDF5 file"):
        checkpoints.restore(state)
    assert newest.exists()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_checkpoint_that_could_not_be_read_for_a_moment_is_used(
    checkpoints, state, folder, monkeypatch, caplog, number
):
    save_at(checkpoints, state, 8, 16)
    newest, real_open = newest_first(folder)[0], open
    left = [number] * (len(files.WAITS_SEC))

    def wavering(path, *args, **options):
        file = real_open(path, *args, **options)
        return Unreadable(file, left.pop()) if path == newest and left else file

    monkeypatch.setattr("builtins.open", wavering)
    assert checkpoints.restore(state)
    assert state.progress.cur_nimg == 16
    assert caplog.text.count(f"{newest}: {os.strerror(number)}. Trying again") == 4
    assert sorted(path.suffix for path in folder.iterdir()) == [".h5", ".h5"]


class Unreadable:
    """A file on a disk or server that fails, some bytes after its beginning."""

    def __init__(self, file, number):
        self.file, self.number = file, number

    def read(self, size=-1):
        raise OSError(self.number, os.strerror(self.number))

    def fileno(self):
        return self.file.fileno()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.file.close()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.EPERM])
@pytest.mark.parametrize("when", ["opened", "read"])
def test_a_checkpoint_that_cannot_be_read_now_stays_and_none_before_it_is_used(
    checkpoints, state, folder, monkeypatch, number, when
):
    save_at(checkpoints, state, 8, 16)
    before = numbers(state)
    newest, real_open = newest_first(folder)[0], open

    def failing(path, *args, **options):
        if path == newest and when == "opened":
            raise OSError(number, os.strerror(number), str(path))
        file = real_open(path, *args, **options)
        return Unreadable(file, number) if path == newest else file

    with monkeypatch.context() as patched:
        patched.setattr("builtins.open", failing)
        with pytest.raises(OSError, match=f"cannot read {newest}: {os.strerror(number)}") as caught:
            checkpoints.restore(state)
    assert caught.value.errno == number
    assert [path.name[-5:] for path in sorted(folder.iterdir())] == ["08.h5", "16.h5"]
    for name, array in numbers(state).items():
        np.testing.assert_array_equal(array, before[name])
    assert checkpoints.restore(state)
    assert state.progress.cur_nimg == 16


def test_a_checkpoint_folder_that_cannot_be_read_is_not_taken_for_an_empty_one(
    checkpoints, state, folder, monkeypatch
):
    save_at(checkpoints, state, 8)

    def failing(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "listdir", failing)
    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(PermissionError):
        checkpoints.restore(state)


def test_a_run_whose_checkpoints_are_all_damaged_does_not_silently_begin_anew(
    checkpoints, state, folder
):
    save_at(checkpoints, state, 8, 16)
    for path in newest_first(folder):
        flip_a_bit(path)
    for _ in range(2):  # nor when the same command is given again
        with pytest.raises(ValueError, match=r"all checkpoints are damaged.*--new"):
            checkpoints.restore(state)


@pytest.mark.parametrize("is_there", [True, False], ids=["empty", "missing"])
def test_a_run_that_lost_its_checkpoints_does_not_silently_begin_anew(
    checkpoints, state, folder, is_there
):
    if is_there:
        folder.mkdir()
    (folder.parent / "stats.jsonl").write_text('{"kimg": 96}\n')
    with pytest.raises(ValueError, match=r"no checkpoint, but the run has begun.*--new"):
        checkpoints.restore(state)


def test_another_configuration_is_refused_with_the_differences(
    checkpoints, state, folder, config, source, strategy
):
    checkpoints.save(state)
    changed = config.replace({"schedule.G_lrate_base": 0.5, "training.seed": 3})
    options = (folder, changed, source, Workers(strategy))
    with pytest.raises(
        ConfigChanged, match=r"G_lrate_base: [0-9.]+ -> 0.5; training.seed: 1000 -> 3.*--new"
    ):
        Checkpoints(*options).restore(state)
    assert Checkpoints(*options, allow_config_change=True).restore(state)


def test_another_length_and_another_place_of_the_dataset_are_no_other_configuration(
    checkpoints, state, folder, config, source, strategy
):
    checkpoints.save(state)
    changed = config.replace({"training.total_kimg": 7.0, "dataset.path": "/scratch/17"})
    moved = dataclasses.replace(source, path="/scratch/17")
    assert Checkpoints(folder, changed, moved, Workers(strategy)).restore(state)


def test_a_dataset_whose_content_changed_under_its_path_is_refused(
    checkpoints, state, folder, config, source, strategy
):
    checkpoints.save(state)
    other = dataclasses.replace(source, fingerprint=source.fingerprint | {"4x4": "0" * 64})
    changed = Checkpoints(folder, config, other, Workers(strategy))
    with pytest.raises(ConfigChanged, match=f"content of the dataset {source.path} was changed"):
        changed.restore(state)


def test_a_checkpoint_from_before_a_new_option_existed_is_accepted(
    checkpoints, state, folder, config
):
    checkpoints.save(state)
    (path,) = newest_first(folder)
    groups, attributes = hdf5.read_hdf5(path)
    stored = json.loads(attributes["config"])
    del stored["schedule"]["grad_accumulation"]
    del attributes["dataset"]
    attributes |= {"config": json.dumps(stored), "config_sha256": "0" * 64}
    hdf5.write_hdf5(path, groups, attributes)
    assert checkpoints.restore(state)


def test_networks_of_another_size_are_refused_and_the_checkpoint_stays(
    checkpoints, state, folder, config, source, strategy
):
    checkpoints.save(state)
    changed = config.replace({"G.fmap_max": 4})
    others = Checkpoints(folder, changed, source, Workers(strategy), allow_config_change=True)
    with pytest.raises(ValueError, match="G was stored with another `fmap_max`"):
        others.restore(TrainingState(changed, strategy))
    assert len(newest_first(folder)) == 1


def test_a_rollback_passes_over_checkpoints_written_while_updates_were_skipped(
    checkpoints, state, folder
):
    save_at(checkpoints, state, 8)
    state.progress.skipped_in_row = 2
    save_at(checkpoints, state, 16)
    assert checkpoints.restore(state, healthy=True)
    assert state.progress.cur_nimg == 8
    assert checkpoints.restore(state)
    assert state.progress.cur_nimg == 16
