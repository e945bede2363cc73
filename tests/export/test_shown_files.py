"""The temporary folder of the page of `explore`."""

import os
import subprocess
import sys
import tempfile

import pytest

from pgtf.export import shown_files
from pgtf.export.shown_files import VARIABLE, ShownFiles


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path


def show(folder, number, time):
    """Writes a picture as gradio does. Returns its path."""
    path = folder / f"{number:064x}" / "image.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    os.utime(path, (time, time))
    return path


def test_only_the_newest_files_stay(temporary, monkeypatch):
    monkeypatch.setattr(shown_files, "KEPT", 3)
    shown = ShownFiles()
    gradio = temporary / os.environ[VARIABLE]
    pictures = [show(gradio, number, 1000 + number) for number in range(5)]
    for number in range(4):
        path = shown.download(f"seed{number}.png")
        path.write_bytes(b"x")
        os.utime(path, (1000 + number, 1000 + number))
    shown.trim()
    assert [path.exists() for path in pictures] == [False, False, True, True, True]
    assert len(os.listdir(gradio)) == 3  # No empty folders are left.
    assert sorted(os.listdir(path.parent)) == ["seed1.png", "seed2.png", "seed3.png"]
    shown.remove()


def test_a_download_shown_again_counts_as_new(temporary, monkeypatch):
    monkeypatch.setattr(shown_files, "KEPT", 1)
    shown = ShownFiles()
    gradio = temporary / os.environ[VARIABLE]
    first, second = (show(gradio, number, 1000 + number) for number in range(2))
    first.rename(first.with_name("seed1.png"))
    shown.download("seed1.png")
    shown.trim()
    assert first.with_name("seed1.png").exists()
    assert not second.exists()
    shown.remove()


def test_the_folder_is_private_and_gone_afterwards(temporary, monkeypatch):
    monkeypatch.setenv(VARIABLE, "/elsewhere")
    shown = ShownFiles()
    gradio = os.environ[VARIABLE]
    (root,) = temporary.iterdir()
    assert root.stat().st_mode & 0o777 == 0o700
    shown.download("a.png").write_bytes(b"x")
    show(root / "shown", 1, 1000)
    shown.remove()
    assert list(temporary.iterdir()) == []
    assert os.environ[VARIABLE] == "/elsewhere"
    os.makedirs(gradio)  # by an event that was still running
    shown.remove()
    assert list(temporary.iterdir()) == []


def test_the_next_page_deletes_what_a_killed_one_has_left_and_nothing_else(temporary):
    code = "import os, runpy, sys; runpy.run_path(sys.argv[1])['ShownFiles'](); os._exit(9)"
    command = [sys.executable, "-c", code, shown_files.__file__]
    subprocess.run(command, env=os.environ | {"TMPDIR": str(temporary)}, check=False)
    (left,) = temporary.iterdir()
    living = ShownFiles()
    root = next(path for path in temporary.iterdir() if path != left)
    (temporary / "pgtf-explore-of-somebody").mkdir()
    (temporary / "pgtf-explore-link").symlink_to(left)
    os.mkdir(temporary / "pgtf-explore-pipe")
    os.mkfifo(temporary / "pgtf-explore-pipe" / "lock")
    for path in temporary.iterdir():
        if not path.is_symlink():
            os.utime(path, (1000, 1000))
    ShownFiles().remove()
    names = sorted(path.name[13:] for path in temporary.iterdir() if path != root)
    assert names == ["link", "of-somebody", "pipe"]
    assert root.exists()
    living.remove()
