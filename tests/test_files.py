"""Files: whole or absent, never through links, tried again where a disk wavers."""

import errno
import json
import logging
import os
import subprocess
import sys

import pytest

from pgtf import files
from tests import faults

PASSING = [errno.EIO, errno.ESTALE]
ATTEMPTS = len(files.WAITS_SEC) + 1


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    files.write_atomically(tmp_path / "a.png", b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_atomically(tmp_path / "a.png", b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.png", b"old")]


def test_neither_a_temporary_name_nor_a_file_to_append_to_may_be_a_link(tmp_path):
    target = tmp_path / "elsewhere"
    target.write_bytes(b"precious")
    (tmp_path / f"a.json.{os.getpid()}.tmp").symlink_to(target)
    files.write_atomically(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_bytes() == b"new"
    assert not (tmp_path / "a.json").is_symlink()
    (tmp_path / "b.txt").symlink_to(target)
    for path in (tmp_path / "b.txt", tmp_path):
        with pytest.raises(ValueError, match=f"{path}: must be a file of its own"):
            files.open_no_link(path, "a")
    for _ in range(2):
        with files.open_no_link(tmp_path / "c.txt", "a") as file:
            file.write("line\n")
    assert (tmp_path / "c.txt").read_text() == "line\nline\n"
    assert target.read_bytes() == b"precious"


@pytest.mark.parametrize("number", PASSING)
def test_what_passes_is_tried_again_with_growing_waits_and_a_line_each(monkeypatch, caplog, number):
    waits, failures = [], [OSError(number, os.strerror(number))] * (ATTEMPTS - 1)
    monkeypatch.setattr(files, "WAITS_SEC", (0.1, 0.4, 1.6, 6.4))
    monkeypatch.setattr(files.time, "sleep", waits.append)

    def action():
        if failures:
            raise failures.pop()
        return 7

    with caplog.at_level(logging.WARNING, logger="absl"):
        assert files.retried(action, "results/a.h5") == 7
    assert waits == [0.1, 0.4, 1.6, 6.4]
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == f"results/a.h5: {os.strerror(number)}. Trying again in 0.1 seconds."
    assert len(said) == len(waits)


@pytest.mark.parametrize("number", PASSING)
def test_what_does_not_pass_is_an_error_that_names_the_file(number):
    attempts = []

    def action():
        attempts.append(1)
        raise OSError(number, os.strerror(number))

    with pytest.raises(OSError, match="results/a.h5") as caught:
        files.retried(action, "results/a.h5")
    assert (caught.value.errno, len(attempts)) == (number, ATTEMPTS)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_other_errors_are_not_tried_again(number):
    attempts = []

    def action():
        attempts.append(1)
        raise OSError(number, os.strerror(number))

    with pytest.raises(OSError, match="results/a.h5"):
        files.retried(action, "results/a.h5")
    assert len(attempts) == 1


def failing_first(monkeypatch, name, times=2):
    """Makes the first calls of os.NAME fail, after they have done their work."""
    real, left = getattr(os, name), [errno.EIO, errno.ESTALE][:times]

    def call(*args, **options):
        result = real(*args, **options)
        if left:
            number = left.pop()
            raise OSError(number, os.strerror(number))
        return result

    monkeypatch.setattr(os, name, call)
    return left


@pytest.mark.parametrize("name", ["fsync", "replace", "open"])
def test_a_file_is_written_again_from_its_beginning(tmp_path, monkeypatch, name):
    (tmp_path / "a.h5").write_bytes(b"old")
    left = failing_first(monkeypatch, name)
    files.write_atomically(tmp_path / "a.h5", b"new")
    assert left == []
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.h5", b"new")]


def test_a_line_is_appended_once_although_it_was_written_more_often(tmp_path, monkeypatch):
    path = tmp_path / "stats.jsonl"
    path.write_text("first\ntorn")
    left = failing_first(monkeypatch, "fsync")
    files.append_line(path, "second")
    assert left == []
    assert path.read_text() == "first\ntorn\nsecond\n"


def test_bytes_are_appended_once_although_parts_of_them_were_written(tmp_path, monkeypatch):
    path, real, parts = tmp_path / "events", files._open_no_link, [7, 1, 0]
    path.write_bytes(b"before")

    def opened(*arguments):
        file = real(*arguments)
        if parts:
            size = parts.pop(0)

            def write(content):
                os.write(file.fileno(), content[:size])
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

            file.write = write
        return file

    monkeypatch.setattr(files, "_open_no_link", opened)
    files.append(path, b"0123456")
    assert parts == []
    assert path.read_bytes() == b"before0123456"


def test_a_line_of_another_process_between_two_attempts_stays(tmp_path, monkeypatch):
    path, real = tmp_path / "metric-fid.jsonl", os.fsync
    path.write_text("first\n")

    def fsync(descriptor):
        monkeypatch.setattr(os, "fsync", real)
        os.ftruncate(descriptor, len("first\n"))  # ours is lost, theirs is there
        os.write(descriptor, b"theirs\n")
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(os, "fsync", fsync)
    files.append_line(path, "ours")
    assert path.read_text() == "first\ntheirs\nours\n"


def test_half_a_file_is_not_taken_for_a_whole_one(tmp_path, monkeypatch):
    (tmp_path / "a.h5").write_bytes(b"0123456789")
    real, sizes = open, [3, 7]  # bytes that the first attempts see

    class Cut:
        def __init__(self, file, size):
            self.file, self.size = file, size

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def read(self):
            return self.file.read()[: self.size]

        def fileno(self):
            return self.file.fileno()

    def cut(path, *mode, **options):
        file = real(path, *mode, **options)
        return Cut(file, sizes.pop()) if path == tmp_path / "a.h5" and sizes else file

    monkeypatch.setattr("builtins.open", cut)
    assert files.read_at_once(tmp_path / "a.h5") == b"0123456789"
    sizes += [1] * ATTEMPTS
    with pytest.raises(OSError, match="only 1 of 10 bytes could be read"):
        files.read_at_once(tmp_path / "a.h5")


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_file_system_that_cannot_sync_a_folder_is_written_to(tmp_path, monkeypatch, number):
    real = os.fsync

    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    files.write_atomically(tmp_path / "a.h5", b"new")
    assert (tmp_path / "a.h5").read_bytes() == b"new"


USE = """
import json, os, sys
from pgtf import files

files.WAITS_SEC = (0.0,) * 4
folder = sys.argv[1]
for i in range(40):
    files.write_atomically(f"{folder}/a.h5", bytes([i]) * 5000)
    assert files.read_at_once(f"{folder}/a.h5") == bytes([i]) * 5000
    files.append_line(f"{folder}/stats.jsonl", json.dumps({"kimg": i}))
    part = bytearray(3)
    files.read_parts(f"{folder}/a.h5", [memoryview(part)], [4000], "record", [0])
    assert part == bytes([i]) * 3
    assert files.exists(f"{folder}/a.h5") and len(files.entries(folder)) == 2
"""


@faults.needs_library
@pytest.mark.parametrize("every", [7, 11, 40])
@pytest.mark.parametrize("number", PASSING)
def test_everything_arrives_on_a_disk_whose_every_nth_operation_fails(tmp_path, every, number):
    done = subprocess.run(
        [sys.executable, "-c", USE, str(tmp_path)],
        env=os.environ | faults.failing(tmp_path, every, number),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    # An iteration has at least ten operations, of which some are tried again.
    assert done.stderr.count("Trying again") >= 400 // every
    lines = (tmp_path / "stats.jsonl").read_text().splitlines()
    assert [json.loads(line)["kimg"] for line in lines] == list(range(40))
