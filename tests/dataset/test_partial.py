import json
import os
import subprocess
import sys

import numpy as np
import pytest

from pgtf.dataset import partial
from pgtf.dataset.exporter import Options
from tests.dataset import loads
from tests.dataset.exports import JOB, files_of, interrupted, make

pytestmark = pytest.mark.usefixtures("small_tasks")


@pytest.mark.parametrize("at", [5, 23, 49])
@pytest.mark.parametrize("load", [loads.load, loads.load_but_every_seventh])
def test_an_interrupted_job_is_resumed_to_the_same_bytes(at, load, tmp_path):
    max_errors = 0 if load is loads.load else None
    arguments = {"labels": np.arange(50)[:, np.newaxis], "max_errors": max_errors}
    (tmp_path / "whole").mkdir()
    whole = make(tmp_path / "whole" / "set", load=load, **arguments)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "set", load=interrupted(at, load), **arguments)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["set.partial", "whole"]
    seen = []

    def watched(items):
        seen.extend(items)
        return load(items)

    options = Options(num_workers=1, resume=True)
    summary = make(tmp_path / "set", load=watched, options=options, **arguments)
    assert files_of(tmp_path / "set") == files_of(tmp_path / "whole" / "set")
    assert seen == list(range(at // 4 * 4, 50))  # nothing twice, in tasks of 4
    assert summary.rejected == whole.rejected


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_killed_job_is_resumed_to_the_same_bytes(num_workers, tmp_path):
    code = (
        "import os, signal, sys\n"
        "from pgtf.dataset import exporter, partial\n"
        "from tests.dataset import exports as t\n"
        "exporter.BYTES_PER_WORKER, exporter.MAX_CHUNK, partial.CHECKPOINT_SECONDS = 1, 4, 0\n"
        "def items():\n"
        "    for i in range(200):\n"
        "        if i == 120: os.kill(os.getpid(), signal.SIGKILL)\n"
        "        yield i\n"
        "options = t.Options(int(sys.argv[2]))\n"
        "t.make(sys.argv[1], num=200, items=items(), options=options)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "set", str(num_workers)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
    )
    assert done.returncode == -9, done.stderr.decode()
    assert [path.name for path in tmp_path.iterdir()] == ["set.partial"]
    make(tmp_path / "set", num=200, options=Options(num_workers, resume=True))
    (tmp_path / "whole").mkdir()
    make(tmp_path / "whole" / "set", num=200)
    assert files_of(tmp_path / "set") == files_of(tmp_path / "whole" / "set")


def test_a_crash_that_tore_the_files_costs_only_what_was_not_synced(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "set", load=interrupted(30, loads.load))
    folder = tmp_path / "set.partial"
    with open(folder / "set-r03.tfrecords", "r+b") as file:
        file.truncate(247 * 10 + 100)  # the last lines of the journal are not true any more
    with open(folder / "progress.jsonl", "a") as file:
        file.write('{"items": 36, "rec')
    make(tmp_path / "set", options=Options(1, resume=True))
    (tmp_path / "whole").mkdir()
    make(tmp_path / "whole" / "set")
    assert files_of(tmp_path / "set") == files_of(tmp_path / "whole" / "set")


@pytest.mark.parametrize(
    "cut", ['{"items": 36, "rec', '{"items": 36, "records": 36, "rejected": []}']
)
def test_a_line_that_a_crash_cut_does_not_spoil_those_behind_it(cut, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "set", load=interrupted(12, loads.load))
    with open(tmp_path / "set.partial" / "progress.jsonl", "a") as file:
        file.write(cut)
    options = Options(num_workers=1, resume=True)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "set", load=interrupted(30, loads.load), options=options)
    with open(tmp_path / "set.partial" / "progress.jsonl") as file:
        assert [json.loads(line).get("records") for line in file][-1] == 28
    make(tmp_path / "set", options=options)


def test_a_disk_too_full_for_the_journal_is_named(tmp_path):
    folder = partial.PartialFolder(str(tmp_path / "set"), {"a": 10}, JOB, resume=False)
    folder._journal._file.close()
    folder._journal._file = open("/dev/full", "ab", buffering=0)
    with pytest.raises(OSError, match="No space left on device: '.*set.partial'"), folder:
        folder.publish()
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_but_not_counted_is_cut_off(tmp_path):
    """Workers write ahead of the count; after a rejected item fewer records may follow."""
    arguments = {"load": loads.load_but_every_seventh, "max_errors": None}
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "set", **arguments | {"load": interrupted(30, arguments["load"])})
    for path in (tmp_path / "set.partial").glob("*.tfrecords"):
        with open(path, "ab") as file:
            file.write(bytes(100_000))
    make(tmp_path / "set", options=Options(1, resume=True), **arguments)
    (tmp_path / "whole").mkdir()
    make(tmp_path / "whole" / "set", **arguments)
    assert files_of(tmp_path / "set") == files_of(tmp_path / "whole" / "set")


def test_an_interrupted_job_is_not_taken_up_unasked(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "set", load=interrupted(30, loads.load))
    with pytest.raises(FileExistsError, match="an interrupted job left it. Add --resume"):
        make(tmp_path / "set")


def test_a_job_of_any_length_is_shown_in_a_line(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "set", load=interrupted(30, loads.load))
    journal = tmp_path / "set.partial" / "progress.jsonl"
    first, *lines = journal.read_text().splitlines(keepends=True)
    job = json.loads(first) | {"job": {"command": "x" * 100_000}}
    journal.write_text("".join([json.dumps(job) + "\n", *lines]))
    with pytest.raises(ValueError, match="the interrupted job was another one: .*x{100}") as caught:
        make(tmp_path / "set", options=Options(1, resume=True))
    assert len(str(caught.value)) < 1300 + len(str(tmp_path))


@pytest.mark.parametrize("change", [{"num": 51}, {"job": {"command": "other"}}, {"max_images": 40}])
def test_another_job_is_not_resumed(change, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "set", load=interrupted(30, loads.load))
    with pytest.raises(ValueError, match="the interrupted job was another one"):
        make(tmp_path / "set", options=Options(1, resume=True), **change)


def test_a_job_that_failed_at_once_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="item 3"):
        make(tmp_path / "set", load=loads.load_but_every_seventh)
    assert list(tmp_path.iterdir()) == []


def test_two_jobs_do_not_write_the_same_folder(tmp_path):
    target = str(tmp_path / "set")
    with partial.PartialFolder(target, {"a": 10}, JOB, resume=False):
        with pytest.raises(FileExistsError, match="another process is writing it"):
            partial.PartialFolder(target, {"a": 10}, JOB, resume=True)


def test_data_are_on_the_disk_before_anything_says_so(tmp_path, monkeypatch):
    """Synced in turn: data, then the line that counts them; all files, the rename, the folders."""
    events = []
    journal = tmp_path / "set.partial" / "progress.jsonl"
    fsync, rename = os.fsync, os.rename

    def spy(descriptor):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        lines = len(journal.read_bytes().splitlines()) if journal.exists() else None
        events.append((os.path.relpath(path, tmp_path), lines))
        fsync(descriptor)

    def spy_on_rename(old, new):
        events.append("rename")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", spy)
    monkeypatch.setattr(os, "rename", spy_on_rename)
    target = str(tmp_path / "set")
    with partial.PartialFolder(target, {"a": 1, "b": 1}, JOB, False, ["report", "end"]) as folder:
        begun = [("set.partial/progress.jsonl", 1), ("set.partial", 1), (".", 1)]
        assert events == begun
        (tmp_path / "set.partial" / "report").write_text("x")
        folder.advance(0, 0, {})
        folder._saver.wait()
        data = ["set.partial/a", "set.partial/b", "set.partial/report"]
        assert events[3:] == [*((name, 1) for name in data), ("set.partial/progress.jsonl", 2)]
        del events[:]
        (tmp_path / "set.partial" / "end").write_text("x")
        folder.publish()
    assert events[:5] == [
        *((f"set.partial/{x}", 2) for x in ("a", "b", "report", "end")),
        ("set.partial/progress.jsonl", 3),
    ]
    names = {"a", "b", "report", "end", "progress.jsonl"}
    assert set(events[5:10]) == {(f"set.partial/{name}", 3) for name in names}
    assert events[10:] == ["rename", ("set", None), (".", None)]


def test_files_that_no_checkpoint_knows_are_synced_before_the_rename(tmp_path, disk):
    with partial.PartialFolder(str(tmp_path / "set"), {"a": 1}, JOB, resume=False) as folder:
        (tmp_path / "set.partial" / "other").write_text("xy")
        folder.publish()
    assert "other: 2 bytes" in disk[: disk.index("rename")]
