"""Version folders: the next number, and versions that appear whole or not at all."""

import os

import pytest

from pgtf.export.version_folder import new_version, served_version


def test_versions_count_up_from_one_and_skip_what_is_no_version(tmp_path):
    out = tmp_path / "model"
    for expected in (1, 2):
        with new_version(out) as (folder, version):
            (folder / "file").write_text("x")
        assert version == expected
    for name in ("7", "stable", "12.bak"):
        (out / name).mkdir()
    with new_version(out) as (folder, version):
        pass
    assert version == 8
    assert sorted(os.listdir(out)) == ["1", "12.bak", "2", "7", "8", "stable"]
    assert (out / "1" / "file").read_text() == "x"


def test_the_highest_version_is_served_and_a_version_itself_too(tmp_path):
    for name in ("2", "10", "9.bak"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").touch()
    assert served_version(tmp_path) == served_version(tmp_path / "10") == tmp_path / "10"
    assert served_version(tmp_path / "2") == tmp_path / "2"
    assert served_version(tmp_path / "nowhere") == tmp_path / "nowhere"


def test_until_the_block_ends_the_server_sees_no_version(tmp_path):
    with new_version(tmp_path, 5) as (folder, _):
        (folder / "file").write_text("x")
        assert not any(name.isdecimal() for name in os.listdir(tmp_path))
    assert os.listdir(tmp_path) == ["5"]


def test_a_version_is_on_the_disk_before_it_gets_its_name(tmp_path, disk):
    with new_version(tmp_path) as (folder, _):
        (folder / "variables").mkdir()
        (folder / "variables" / "data").write_bytes(b"weights")
    assert set(disk[:3]) == {"data: 7 bytes", "variables/", ".1.tmp/"}
    assert disk[3:] == ["rename", f"{tmp_path.name}/"]


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), new_version(tmp_path / "of" / "a" / "model"):
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []
    (tmp_path / "model" / "1").mkdir(parents=True)
    with pytest.raises(OSError, match="full"), new_version(tmp_path / "model"):
        raise OSError("full")
    assert os.listdir(tmp_path / "model") == ["1"]


def test_an_existing_version_is_kept(tmp_path):
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "file").write_text("mine")
    with pytest.raises(FileExistsError, match="--version"), new_version(tmp_path, 3):
        pass
    assert (tmp_path / "3" / "file").read_text() == "mine"


def test_two_exports_at_once_get_a_version_each(tmp_path):
    with (
        new_version(tmp_path / "model") as (first, one),
        new_version(tmp_path / "model") as (_, two),
    ):
        (first / "file").write_text("first")
        with pytest.raises(FileExistsError, match="another export"), new_version(first.parent, two):
            pass
    assert (one, two) == (1, 2)
    assert sorted(os.listdir(tmp_path / "model")) == ["1", "2"]
    assert os.listdir(tmp_path / "model" / "1") == ["file"]


def test_a_version_that_somebody_else_took_meanwhile_is_kept(tmp_path):
    theirs = tmp_path / "1" / "file"
    with pytest.raises(OSError, match="1"), new_version(tmp_path):
        _write(theirs)
    assert os.listdir(tmp_path) == ["1"]
    assert theirs.read_text() == "theirs"


def _write(path):
    path.parent.mkdir()
    path.write_text("theirs")
