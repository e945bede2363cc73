"""Exclusive use of a run folder, and links in it that lead elsewhere."""

import errno
import os

import pytest

from pgtf.runs import lock


def test_a_folder_is_claimed_by_one_at_a_time(tmp_path):
    with lock.claimed(tmp_path):
        with pytest.raises(ValueError, match="another process is training in this folder"):
            with lock.claimed(tmp_path):
                pass
    with lock.claimed(tmp_path):
        pass


def test_what_a_killed_process_was_writing_is_cleared_away(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    unfinished = (
        "checkpoint/checkpoint-000000008.h5.tmp",
        "checkpoint/checkpoint-000000009.h5.5.tmp",
    )
    for name in (*unfinished, "fakes000000.png.123.tmp", "config.json.9.tmp", "log.txt"):
        (tmp_path / name).touch()
    others = {"notes.tmp", "thesis.2024.tmp", "fakes.png.1.tmp", "more/stats.jsonl.7.tmp"}
    (tmp_path / "more").mkdir()
    for name in others:
        (tmp_path / name).touch()
    with lock.claimed(tmp_path):
        names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert names == {"checkpoint", "lock", "log.txt", "more", *others}


def test_a_folder_named_like_an_unfinished_file_stays(tmp_path):
    (tmp_path / "notes.1.tmp").mkdir()
    (tmp_path / "notes.1.tmp" / "x").touch()
    with lock.claimed(tmp_path):
        assert (tmp_path / "notes.1.tmp" / "x").exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_a_warning(start, monkeypatch, caplog, tmp_path, number):
    def flock(file, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    name, _ = start()
    with lock.claimed(tmp_path / "results" / name):
        pass
    assert "no locks" in caplog.text
    assert "cannot be noticed. Start only one" in caplog.text


@pytest.mark.parametrize("name", ["lock", "checkpoint", "profile", "profile/plugins"])
def test_a_folder_in_which_a_link_leads_elsewhere_is_refused(folder, target, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).symlink_to(target)
    with pytest.raises(ValueError, match=f"{name}: must be .* not a link"):
        with lock.claimed(folder):
            pass
    assert target.read_text() == "precious"


def test_a_pipe_in_place_of_the_lock_is_refused_at_once(folder):
    os.mkfifo(folder / "lock")
    with pytest.raises(ValueError, match="lock: must be a file of its own"):
        with lock.claimed(folder):
            pass


def test_a_full_disk_is_reported_with_the_remedy(tmp_path):
    full = OSError(errno.ENOSPC, "cannot write x: No space left on device")
    with pytest.raises(
        OSError, match="the disk is full, or a quota .*cannot write x.*the same command again"
    ):
        with lock.claimed(tmp_path):
            raise full
    with pytest.raises(PermissionError):
        with lock.claimed(tmp_path):
            raise PermissionError("other errors pass")
