"""Other faults: permissions, full disks, interruptions, existing files."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from pgtf.dataset import exporter, partial
from tests.dataset import original
from tests.dataset.commands import ROOT, run, save_pictures


@pytest.fixture
def as_nobody(tmp_path):
    """Runs what follows without the superuser's rights."""
    if os.geteuid() != 0:
        yield
        return
    parents = [path for path in tmp_path.parents if not path.stat().st_mode & 1]  # pytest's own
    for path in parents:
        path.chmod(0o711)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for path in parents:
            path.chmod(0o700)


@pytest.mark.parametrize("locked", ["pictures", "pictures/0001.png"])
def test_a_path_without_permission_is_one_line(locked, tmp_path, monkeypatch, capsys, request):
    save_pictures(tmp_path / "pictures", 3, "png")
    (tmp_path / "out").mkdir()
    for folder in (tmp_path, tmp_path / "out"):
        folder.chmod(0o777)
    monkeypatch.chdir(tmp_path)
    pathlib.Path(locked).chmod(0)
    assert run("create_from_images", "out/first", original.INPUTS / "images-gray") == 0  # imports
    capsys.readouterr()
    request.getfixturevalue("as_nobody")
    assert run("create_from_images", "out/made", "pictures") == 2
    assert re.search(f"error: .*{locked}: [Pp]ermission denied[.]", capsys.readouterr().err)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, capsys, request):
    save_pictures(tmp_path / "pictures", 3, "png")
    monkeypatch.chdir(tmp_path)
    assert run("create_from_images", "first", "pictures") == 0  # imports
    capsys.readouterr()
    tmp_path.chmod(0o555)
    request.getfixturevalue("as_nobody")
    assert run("create_from_images", "made", "pictures") == 2
    assert re.search("error: made.partial: permission denied[.]", capsys.readouterr().err)


def test_too_small_a_disk_is_found_before_work_begins(tmp_path, monkeypatch, capsys):
    usage = shutil.disk_usage(tmp_path)._replace(free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert run("create_demo", tmp_path / "demo", "--num_images=1000") == 2
    message = r"the disk is too small. Needed: 5\.\d MiB, free: 1.0 MiB"
    assert re.search(message, capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_is_one_line_and_looks_unfinished(tmp_path, monkeypatch, capsys):
    write = os.pwrite
    room = [2 << 20]

    def until_full(descriptor, data, offset):
        room[0] -= len(data)
        if room[0] < 0:
            raise OSError(28, "No space left on device")
        return write(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", until_full)
    monkeypatch.setattr(partial, "CHECKPOINT_SECONDS", 0)
    flags = ["--num_images=1000", "--num_workers=1"]
    assert run("create_demo", tmp_path / "demo", *flags) == 2
    message = (
        "error: .*/demo-r03.tfrecords: no space left.* .*demo.partial keeps what is done; --res"
    )
    assert re.search(message, capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["demo.partial"]
    monkeypatch.setattr(os, "pwrite", write)
    assert run("create_demo", tmp_path / "demo", *flags) == 2
    assert "an interrupted job left it. Add --resume" in capsys.readouterr().err
    assert run("create_demo", tmp_path / "demo", *flags, "--resume") == 0
    assert run("create_demo", tmp_path / "whole" / "demo", *flags) == 0
    for path in (tmp_path / "whole" / "demo").iterdir():
        assert path.read_bytes() == (tmp_path / "demo" / path.name).read_bytes()


def test_a_disk_that_is_full_before_the_labels_is_one_line(tmp_path, monkeypatch, capsys):
    def no_space(path, *args):
        raise OSError(28, "No space left on device")  # as `write` of an open file does

    monkeypatch.setattr(exporter, "write_labels", no_space)
    assert run("create_demo", tmp_path / "demo", "--num_images=5") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == f"error: {tmp_path}/demo.partial: no space left on device."
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_all_processes_in_a_few_words(tmp_path):
    arguments = ["create_demo", "demo", "--resolution=128", "--num_images=50000", "--num_workers=2"]
    job = subprocess.Popen(
        [sys.executable, ROOT / "dataset_tool.py", *arguments],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Shells have background jobs ignore it, and these tests may run in one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    finest = tmp_path / "demo.partial" / "demo-r07.tfrecords"
    deadline = time.monotonic() + 120
    while not (finest.exists() and finest.stat().st_size):
        assert job.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = pathlib.Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
    assert len(workers) == 2
    os.killpg(job.pid, signal.SIGINT)  # as a terminal does
    _, errors = job.communicate(timeout=300)  # the disk may be slow to sync
    assert job.returncode == 130
    assert errors.splitlines()[-1].startswith("interrupted.")
    assert "Traceback" not in errors
    assert not any(os.path.exists(f"/proc/{worker}") for worker in workers)


def test_an_existing_dataset_is_not_overwritten(tmp_path, capsys):
    (tmp_path / "demo").mkdir()
    assert run("create_demo", tmp_path / "demo") == 2
    assert "demo: exists already. Delete it or choose another name." in capsys.readouterr().err
    assert list((tmp_path / "demo").iterdir()) == []


def test_a_missing_package_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "lmdb", None)
    assert run("create_lsun", tmp_path / "x", original.INPUTS / "lsun_lmdb") == 2
    assert re.search(
        "error: This needs the package lmdb .*pip install lmdb", capsys.readouterr().err
    )


def test_an_unwanted_partial_folder_is_not_said_to_be_this_jobs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = partial.PartialFolder("demo", {}, {}, resume=False)
    assert run("create_demo", "demo", "--num_images=5") == 2
    assert capsys.readouterr().err == "error: demo.partial: another process is writing it.\n"
    folder.__exit__(None, None, None)
