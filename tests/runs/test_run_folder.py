"""Names and marks of run folders."""

import os

import pytest

from pgtf.runs import identity, run_folder


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


def test_the_end_of_a_run_is_not_noted_through_a_link(folder, target):
    (folder / "finished").symlink_to(target.with_name("new"))
    with pytest.raises(ValueError, match="finished: must be a file of its own"):
        run_folder.mark_finished(folder)
    assert not target.with_name("new").exists()


def test_pipes_in_place_of_what_a_run_is_known_by_are_not_waited_for(folder, config):
    for name in (run_folder.CONFIG_FILE, identity.IDENTITY_FILE):
        (folder / name).unlink()
        os.mkfifo(folder / name)
    assert identity.load(folder) == (None, None, None)
    with pytest.raises(ValueError, match="config.json: .*Start another run with --new"):
        run_folder.load_config(folder, config)
