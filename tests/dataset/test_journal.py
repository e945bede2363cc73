"""A damaged journal costs nobody finished work."""

import errno
import json
import os
import re

import pytest

from pgtf.dataset import journal as journals
from pgtf.dataset.exporter import Options
from tests.dataset import loads
from tests.dataset.exports import files_of, interrupted, make

pytestmark = pytest.mark.usefixtures("small_tasks")


@pytest.fixture
def folder(tmp_path):
    """A folder with 28 of 50 items, every seventh rejected, and a checkpoint after every fourth."""
    with pytest.raises(KeyboardInterrupt):
        make(
            tmp_path / "set",
            load=interrupted(30, loads.load_but_every_seventh),
            max_errors=None,
        )
    journal = tmp_path / "set.partial" / "progress.jsonl"
    lines = journal.read_text().splitlines(keepends=True)[:1]  # the others depend on the disk
    for end in range(4, 32, 4):
        rejected = [[i, f"item {i}", "a seventh"] for i in range(end - 4, end) if i % 7 == 3]
        records = sum(i % 7 != 3 for i in range(end))
        lines.append(json.dumps({"items": end, "records": records, "rejected": rejected}) + "\n")
    journal.write_text("".join(lines))
    return journal.parent


def refused(folder, resume):
    """The message of a job that is refused and changes nothing."""
    before = files_of(folder)
    with pytest.raises((ValueError, FileExistsError)) as caught:
        make(
            folder.with_suffix(""),
            load=loads.load_but_every_seventh,
            max_errors=None,
            options=Options(1, resume),
        )
    assert files_of(folder) == before
    return str(caught.value)


def test_no_damaged_byte_of_the_first_line_deletes_anything(folder):
    journal = folder / "progress.jsonl"
    whole = journal.read_bytes()
    for place in range(whole.index(b"\n") + 1):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        journal.write_bytes(damaged)
        message = refused(folder, resume=False)
        assert message.startswith(f"{folder}: ")
        assert re.search(
            "line 1 of progress.jsonl does not name a job. Restore it, or delete the folder"
            "|Add --resume to continue, or delete it",
            message,
        )


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize(
    "line", [b"", b"{", b"\xff" * 20, b"5", b"{}", b'{"job": 5}', b"[" * 100_000, b'{"job": {}']
)
def test_a_first_line_that_names_no_job_is_refused(folder, line, resume):
    journal = folder / "progress.jsonl"
    journal.write_bytes(line + b"\n" + journal.read_bytes().split(b"\n", 1)[1])
    assert "line 1 of progress.jsonl does not name a job" in refused(folder, resume)


def test_an_empty_journal_beside_records_is_refused(folder):
    (folder / "progress.jsonl").write_bytes(b"")
    assert "is no file that progress.jsonl names" in refused(folder, resume=True)


def test_a_cut_first_line_is_refused(folder):
    (folder / "progress.jsonl").write_bytes(b'{"job": {"comm')
    assert "line 1 of progress.jsonl does not name a job" in refused(folder, resume=True)


GOOD = {"items": 12, "records": 10, "rejected": [[10, "item 10", "a seventh"]]}


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize(
    "line",
    [
        5,
        [],
        b"[" * 100_000,
        b"\x00" * 50,
        b'{"items": ' + b"9" * 6000 + b"}",
        {},
        GOOD | {"items": "12"},
        GOOD | {"items": 12.0},
        GOOD | {"records": True},
        GOOD | {"items": 13},  # one item neither written nor rejected
        GOOD | {"items": 7, "records": 7, "rejected": []},  # back
        GOOD | {"items": 7, "records": 6, "rejected": []},  # back
        GOOD | {"records": 6},
        GOOD | {"records": 13},
        GOOD | {"rejected": None},
        GOOD | {"rejected": [10]},
        GOOD | {"rejected": [[10, "item 10"]]},
        GOOD | {"rejected": [["10", "item 10", "a seventh"]]},
        GOOD | {"rejected": GOOD["rejected"] * 2},
        GOOD | {"rejected": [[12, "item 12", "later"]]},
        GOOD | {"rejected": [[3, "item 3", "before"]]},
        GOOD | {"rejected": [[10, 5, "a seventh"]]},
        *({key: GOOD[key] for key in GOOD if key != left_out} for left_out in GOOD),
    ],
)
def test_a_damaged_checkpoint_is_refused_by_its_number(folder, line, resume):
    journal = folder / "progress.jsonl"
    lines = journal.read_bytes().splitlines()
    assert json.loads(lines[3]) == GOOD
    lines[3] = line if isinstance(line, bytes) else json.dumps(line).encode()
    journal.write_bytes(b"\n".join(lines) + b"\n")
    message = refused(folder, resume)
    assert "line 4 of progress.jsonl is damaged. Delete the lines from there on" in message
    journal.write_bytes(b"\n".join(lines[:3]) + b"\n")  # as it says
    make(
        folder.with_suffix(""),
        load=loads.load_but_every_seventh,
        max_errors=None,
        options=Options(1, resume=True),
    )


def test_a_damaged_only_checkpoint_does_not_count_as_none(folder):
    journal = folder / "progress.jsonl"
    first = journal.read_bytes().split(b"\n")[0]
    journal.write_bytes(first + b'\n{"items": 4, "recorts": 3, "rejected": []}\n')
    message = refused(folder, resume=False)
    assert "line 2 of progress.jsonl is damaged. Restore it, or delete the folder." in message


@pytest.mark.parametrize("damage", ["missing", "short", "folder"])
def test_records_that_are_gone_do_not_cost_those_that_are_left(folder, damage):
    path = folder / "set-r02.tfrecords"
    if damage == "short":
        path.write_bytes(path.read_bytes()[:50])
    else:
        path.unlink()
    if damage == "folder":
        path.mkdir()
    finest = (folder / "set-r03.tfrecords").read_bytes()
    for resume, message in (
        (False, "Add --resume"),
        (True, "set-r02.tfrecords (is missing|has 50)"),
    ):
        with pytest.raises((ValueError, FileExistsError), match=message):
            make(
                folder.with_suffix(""),
                load=loads.load_but_every_seventh,
                max_errors=None,
                options=Options(1, resume),
            )
        assert (folder / "set-r03.tfrecords").read_bytes() == finest


def test_lines_that_were_not_true_are_forgotten(folder):
    """After a resumed job went back, its lines follow the last true one."""
    with open(folder / "set-r03.tfrecords", "r+b") as file:
        file.truncate(247 * 10 + 100)
    arguments = {"load": loads.load_but_every_seventh, "max_errors": None}
    again = arguments | {"load": interrupted(22, loads.load_but_every_seventh)}
    with pytest.raises(KeyboardInterrupt):
        make(folder.with_suffix(""), **again, options=Options(1, resume=True))
    with open(folder / "progress.jsonl") as file:
        items = [json.loads(line).get("items", 0) for line in file]
    assert items == sorted(items)
    assert items[-1] == 20
    make(folder.with_suffix(""), **arguments, options=Options(1, resume=True))
    whole = folder.parent / "whole" / "set"
    whole.parent.mkdir()
    make(whole, **arguments)
    assert files_of(folder.with_suffix("")) == files_of(whole)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_a_warning(tmp_path, monkeypatch, caplog, number):
    def flock(file, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(journals.fcntl, "flock", flock)
    make(tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert f"this file system has no locks ({os.strerror(number)})" in caplog.text


def test_a_folder_that_another_job_is_writing_is_refused(folder):
    other = journals.Journal(str(folder))
    assert "set.partial: another process is writing it." in refused(folder, resume=True)
    other.close()
