"""Run folders: which run a command continues, and what it must not touch there."""

import concurrent.futures
import errno
import os
import shutil
import time

import pytest

from pgtf.dataset import open_dataset
from pgtf.dataset.tfrecords import open_records, to_records
from pgtf.runs import run_folder
from pgtf.runs.identity import Source


@pytest.fixture
def start(tmp_path, config, dataset):
    """Calls open_run in tmp_path / "results": -> (name of the folder, finished)."""

    def call(preset="demo", config=config, dataset=dataset, **options):
        config = config.replace({"dataset.path": dataset.path})
        folder, finished = run_folder.open_run(
            tmp_path / "results", preset, config, dataset, **options
        )
        return folder.name, finished

    return call


@pytest.fixture
def folder(tmp_path, start):
    """The folder of a first run."""
    return tmp_path / "results" / start()[0]


def finish(folder, nimg=288):
    """Leaves in a folder what a run that showed `nimg` images would."""
    (folder / "checkpoint").mkdir(exist_ok=True)
    (folder / "checkpoint" / f"checkpoint-{nimg:09d}.h5").touch()
    (folder / "finished").touch()


def brighten(folder, index):
    """Changes one image in all levels of a dataset."""
    for path in folder.glob("*.tfrecords"):
        file = open_records(str(path))
        images = file.read(range(file.num_records))
        images[index] ^= 255
        path.write_bytes(to_records(images).tobytes())


def test_runs_are_numbered_and_found_again_by_dataset_preset_and_configuration(
    start, dataset_folder, tmp_path
):
    assert start() == ("000-blocks-demo", False)
    assert start() == ("000-blocks-demo", False)
    shutil.copytree(dataset_folder, tmp_path / "faces")
    brighten(tmp_path / "faces", 3)
    assert start(dataset=open_dataset(tmp_path / "faces", max_label_size=0))[0] == "001-faces-demo"
    assert start("v2-1gpu")[0] == "002-blocks-v2-1gpu"


def test_new_starts_another_run(start):
    assert start() == ("000-blocks-demo", False)
    assert start(new=True) == ("001-blocks-demo", False)


@pytest.mark.parametrize("is_finished", [False, True])
def test_a_changed_configuration_is_refused_with_the_difference(start, folder, config, is_finished):
    if is_finished:
        finish(folder)
    changed = config.replace({"training.seed": 7, "training.total_kimg": 9.0})
    stage = "finished" if is_finished else "unfinished"
    with pytest.raises(
        ValueError, match=rf" is {stage} and .*: training.seed: 1000 -> 7\. .*--new"
    ):
        start(config=changed)
    assert [path.name for path in folder.parent.iterdir()] == ["000-blocks-demo"]


def test_a_finished_run_is_reported_even_after_a_newer_one(start, folder, config):
    finish(folder)
    changed = config.replace({"training.seed": 7})
    assert start(config=changed, new=True) == ("001-blocks-demo", False)
    assert start() == ("000-blocks-demo", True)
    finish(folder.with_name("001-blocks-demo"))
    assert start() == ("000-blocks-demo", True)


def test_a_changed_configuration_becomes_that_of_the_run_only_when_it_is_accepted(
    start, folder, config, dataset
):
    finish(folder)
    changed = config.replace({"training.seed": 7})
    assert start(config=changed, allow_change=True) == (folder.name, False)
    assert start() == (folder.name, True)
    run_folder.accept(folder, changed, Source.of(dataset))
    assert start(config=changed) == (folder.name, False)


@pytest.mark.parametrize(
    ("trained", "is_finished", "asked", "is_enough", "line"),
    [
        (288, True, 0.5, False, "continuing to 0.5 kimg instead of 0.288"),
        (288, True, 0.2, True, "was trained to 0.288 kimg already, 0.2 are asked"),
        (96, False, 0.5, False, "continuing to 0.5 kimg instead of 0.288"),
        (96, False, 0.1, False, "continuing to 0.1 kimg instead of 0.288"),
        (96, False, 0.096, True, "was trained to 0.096 kimg already, 0.096 are asked"),
    ],
)
def test_another_length_continues_the_run_or_is_reached_already(
    start, folder, config, caplog, trained, is_finished, asked, is_enough, line
):
    finish(folder, trained)
    if not is_finished:
        (folder / "finished").unlink()
    with caplog.at_level("INFO", logger="absl"):
        found = start(config=config.replace({"training.total_kimg": asked}))
    assert found == (folder.name, is_enough)
    assert line in caplog.text


def test_of_two_runs_that_only_differ_in_length_the_asked_one_is_found(start, folder, config):
    finish(folder)
    longer = config.replace({"training.total_kimg": 0.5})
    assert start(config=longer, new=True) == ("001-blocks-demo", False)
    assert start() == ("000-blocks-demo", True)
    assert start(config=longer) == ("001-blocks-demo", False)


@pytest.mark.parametrize("is_finished", [False, True])
@pytest.mark.parametrize("spelling", ["slash", "relative", "link", "moved", "renamed"])
def test_a_run_is_found_again_however_its_dataset_is_spelled(
    start, folder, dataset_folder, tmp_path, monkeypatch, caplog, spelling, is_finished
):
    path, moved = f"{dataset_folder}/", spelling in ("moved", "renamed")
    if spelling == "relative":
        monkeypatch.chdir(dataset_folder.parent)
        path = dataset_folder.name
    if spelling == "link":
        path = tmp_path / "blocks"
        path.symlink_to(dataset_folder)
    if moved:
        path = tmp_path / ("job-17/blocks" if spelling == "moved" else "17")
        shutil.copytree(dataset_folder, path)
    if is_finished:
        finish(folder)
    with caplog.at_level("INFO", logger="absl"):
        found = start(dataset=open_dataset(path, max_label_size=0))
    assert found == (folder.name, is_finished)
    said = f"the dataset moved: continuing with {path} instead of {dataset_folder}"
    assert (said in caplog.text) == (moved and not is_finished)


@pytest.mark.parametrize("is_finished", [False, True])
def test_a_dataset_whose_content_changed_under_its_path_is_refused(
    start, dataset_folder, tmp_path, is_finished
):
    path = tmp_path / "blocks"
    shutil.copytree(dataset_folder, path)
    name, _ = start(dataset=open_dataset(path, max_label_size=0))
    if is_finished:
        finish(tmp_path / "results" / name)
    brighten(path, 39)
    changed = open_dataset(path, max_label_size=0)
    with pytest.raises(ValueError, match=f"the content of the dataset {path} was changed"):
        start(dataset=changed)
    assert start(dataset=changed, allow_change=True) == (name, False)


def test_another_dataset_of_the_same_name_begins_beside_a_finished_run_only(
    start, folder, dataset_folder, tmp_path
):
    path = tmp_path / "other" / "blocks"
    shutil.copytree(dataset_folder, path)
    brighten(path, 0)
    other = open_dataset(path, max_label_size=0)
    with pytest.raises(ValueError, match=f"unfinished .*dataset.path: .* -> '{path}'"):
        start(dataset=other)
    finish(folder)
    assert start(dataset=other) == ("001-blocks-demo", False)
    assert start() == ("000-blocks-demo", True)


def test_a_run_of_before_there_were_fingerprints_is_found_by_the_path(
    start, folder, dataset_folder, tmp_path
):
    (folder / "identity.json").unlink()
    assert start(dataset=open_dataset(f"{dataset_folder}/", max_label_size=0))[0] == folder.name
    finish(folder)
    shutil.copytree(dataset_folder, tmp_path / "blocks")
    with pytest.raises(ValueError, match="finished .*dataset.path: .*--new"):
        start(dataset=open_dataset(tmp_path / "blocks", max_label_size=0))


def test_another_resolution_of_the_same_dataset_is_no_other_content(
    start, folder, dataset_folder, config
):
    half = open_dataset(dataset_folder, resolution=4, max_label_size="full")
    changed = config.replace({"dataset.resolution": 4})
    with pytest.raises(ValueError, match=r"configuration: dataset.resolution: None -> 4\. "):
        start(config=changed, dataset=half)


def test_runs_that_begin_at_the_same_time_get_numbers_of_their_own(tmp_path, start, monkeypatch):
    store = run_folder._store_config
    monkeypatch.setattr(run_folder, "_store_config", lambda *args: time.sleep(0.1) or store(*args))
    presets = ["a", "b", "a", "c"]
    with concurrent.futures.ThreadPoolExecutor(len(presets)) as pool:
        runs = [pool.submit(start, preset, new=True) for preset in presets]
        names = sorted(run.result()[0] for run in runs)
    assert [name[:4] for name in names] == ["000-", "001-", "002-", "003-"]
    assert sorted(name[11:] for name in names) == sorted(presets)


def test_a_run_is_located_by_number_or_folder_and_a_miss_names_the_runs(folder):
    assert run_folder.locate(folder.parent, "0") == folder
    assert run_folder.locate(folder.parent, "000") == folder
    assert run_folder.locate(folder.parent, folder) == folder
    with pytest.raises(ValueError, match=r"no run '3'.*000-blocks-demo"):
        run_folder.locate(folder.parent, "3")


def test_without_a_name_the_newest_run_is_meant(tmp_path):
    with pytest.raises(ValueError, match="no run in .*Train one with train.py"):
        run_folder.locate(tmp_path)
    for name in ("999-a-demo", "1000-a-demo", "002-b-demo", "5000"):
        (tmp_path / name).mkdir()
    assert run_folder.locate(tmp_path).name == "1000-a-demo"


def test_the_newest_snapshot_is_the_one_with_most_images(tmp_path):
    with pytest.raises(ValueError, match="no network snapshot yet"):
        run_folder.newest_snapshot(tmp_path)
    for kimg in (40, 1200, 200):
        (tmp_path / f"network-snapshot-{kimg:06d}.h5").touch()
    assert run_folder.newest_snapshot(tmp_path).name == "network-snapshot-001200.h5"


def test_a_folder_is_claimed_by_one_at_a_time(tmp_path):
    with run_folder.claimed(tmp_path):
        with pytest.raises(ValueError, match="another process is training in this folder"):
            with run_folder.claimed(tmp_path):
                pass
    with run_folder.claimed(tmp_path):
        pass


def test_what_a_killed_process_was_writing_is_cleared_away(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    for name in ("checkpoint/checkpoint-000000008.h5.tmp", "fakes000000.png.123.tmp", "log.txt"):
        (tmp_path / name).touch()
    with run_folder.claimed(tmp_path):
        assert {path.name for path in tmp_path.rglob("*")} == {"checkpoint", "lock", "log.txt"}


def test_a_process_killed_while_it_made_the_folder_leaves_nothing_in_the_way(
    tmp_path, start, monkeypatch
):
    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run_folder, "_store_config", killed)
        with pytest.raises(KeyboardInterrupt):
            start()
    assert start() == ("000-blocks-demo", False)
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["000-blocks-demo"]
    assert (tmp_path / "results" / "000-blocks-demo" / "config.json").exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_a_warning(start, monkeypatch, caplog, tmp_path, number):
    def flock(file, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(run_folder.fcntl, "flock", flock)
    name, _ = start()
    with run_folder.claimed(tmp_path / "results" / name):
        pass
    assert "no locks" in caplog.text
    assert "cannot be noticed. Start only one" in caplog.text


@pytest.fixture
def target(tmp_path):
    """A file elsewhere that a received run folder leads to."""
    path = tmp_path / "elsewhere"
    path.write_text("precious")
    return path


@pytest.mark.parametrize("name", ["lock", "checkpoint", "profile", "profile/plugins"])
def test_a_folder_in_which_a_link_leads_elsewhere_is_refused(folder, target, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).symlink_to(target)
    with pytest.raises(ValueError, match=f"{name}: must be .* not a link"):
        with run_folder.claimed(folder):
            pass
    assert target.read_text() == "precious"


def test_a_pipe_in_place_of_the_lock_is_refused_at_once(folder):
    os.mkfifo(folder / "lock")
    with pytest.raises(ValueError, match="lock: must be a file of its own"):
        with run_folder.claimed(folder):
            pass


def test_the_end_of_a_run_is_not_noted_through_a_link(folder, target):
    (folder / "finished").symlink_to(target.with_name("new"))
    with pytest.raises(ValueError, match="finished: must be a file of its own"):
        run_folder.mark_finished(folder)
    assert not target.with_name("new").exists()


def test_a_run_is_not_made_through_a_link(start, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / ".000-blocks-demo.tmp").symlink_to(elsewhere)
    name, _ = start()
    assert not (tmp_path / "results" / name).is_symlink()
    assert list(elsewhere.iterdir()) == []


def test_a_full_disk_is_reported_with_the_remedy(tmp_path):
    full = OSError(errno.ENOSPC, "cannot write x: No space left on device")
    with pytest.raises(
        OSError, match="the disk is full, or a quota .*cannot write x.*the same command again"
    ):
        with run_folder.claimed(tmp_path):
            raise full
    with pytest.raises(PermissionError):
        with run_folder.claimed(tmp_path):
            raise PermissionError("other errors pass")
