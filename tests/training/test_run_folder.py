import concurrent.futures
import errno
import time

import pytest

from pgtf.training import run_folder


def test_runs_are_numbered_and_found_again_by_title_and_configuration(tmp_path, config):
    first, finished = run_folder.open_run(tmp_path, "blocks-demo", config)
    assert (first.name, finished) == ("000-blocks-demo", False)
    assert run_folder.open_run(tmp_path, "blocks-demo", config) == (first, False)
    other, _ = run_folder.open_run(tmp_path, "faces-demo", config)
    assert other.name == "001-faces-demo"


def test_new_starts_another_run(tmp_path, config):
    run_folder.open_run(tmp_path, "a-demo", config)
    folder, finished = run_folder.open_run(tmp_path, "a-demo", config, new=True)
    assert (folder.name, finished) == ("001-a-demo", False)


def test_a_changed_configuration_of_an_unfinished_run_is_refused_with_the_difference(
    tmp_path, config
):
    run_folder.open_run(tmp_path, "a-demo", config)
    changed = config.replace({"training.seed": 7})
    with pytest.raises(ValueError, match=r"training.seed: 1000 -> 7.*--new"):
        run_folder.open_run(tmp_path, "a-demo", changed)
    assert [path.name for path in tmp_path.iterdir()] == ["000-a-demo"]


def test_a_finished_run_is_reported_even_after_a_newer_one(tmp_path, config):
    first, _ = run_folder.open_run(tmp_path, "a-demo", config)
    (first / "finished").touch()
    changed = config.replace({"training.seed": 7})
    second, finished = run_folder.open_run(tmp_path, "a-demo", changed)
    assert (second.name, finished) == ("001-a-demo", False)
    (second / "finished").touch()
    assert run_folder.open_run(tmp_path, "a-demo", config) == (first, True)


def test_a_changed_configuration_becomes_that_of_the_run_only_when_it_is_adopted(tmp_path, config):
    folder, _ = run_folder.open_run(tmp_path, "a-demo", config)
    (folder / "finished").touch()
    changed = config.replace({"training.seed": 7})
    options = {"allow_change": True}
    assert run_folder.open_run(tmp_path, "a-demo", changed, **options) == (folder, False)
    assert run_folder.open_run(tmp_path, "a-demo", config) == (folder, True)
    run_folder.adopt(folder, changed)
    assert run_folder.open_run(tmp_path, "a-demo", changed) == (folder, False)


def test_runs_that_begin_at_the_same_time_get_numbers_of_their_own(tmp_path, config, monkeypatch):
    store = run_folder._store_config
    monkeypatch.setattr(run_folder, "_store_config", lambda *args: time.sleep(0.1) or store(*args))
    titles = ["a-demo", "b-demo", "a-demo", "c-demo"]
    with concurrent.futures.ThreadPoolExecutor(len(titles)) as pool:
        runs = [pool.submit(run_folder.open_run, tmp_path, t, config, new=True) for t in titles]
        names = sorted(run.result()[0].name for run in runs)
    assert [name[:4] for name in names] == ["000-", "001-", "002-", "003-"]
    assert sorted(name[4:] for name in names) == sorted(titles)


def test_a_run_is_located_by_number_or_folder_and_a_miss_names_the_runs(tmp_path, config):
    folder, _ = run_folder.open_run(tmp_path, "a-demo", config)
    assert run_folder.locate(tmp_path, "0") == folder
    assert run_folder.locate(tmp_path, "000") == folder
    assert run_folder.locate(tmp_path, folder) == folder
    with pytest.raises(ValueError, match=r"no run '3'.*000-a-demo"):
        run_folder.locate(tmp_path, "3")


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
    tmp_path, config, monkeypatch
):
    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run_folder, "_store_config", killed)
        with pytest.raises(KeyboardInterrupt):
            run_folder.open_run(tmp_path, "a-demo", config)
    folder, finished = run_folder.open_run(tmp_path, "a-demo", config)
    assert (folder.name, finished) == ("000-a-demo", False)
    assert [path.name for path in tmp_path.iterdir()] == ["000-a-demo"]
    assert (folder / "config.json").exists()


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
