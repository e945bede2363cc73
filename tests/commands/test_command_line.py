import os
import pathlib
import signal
import subprocess
import sys

import PIL.Image
import pytest

import pgtf
from pgtf.commands import entry
from pgtf.commands.command_line import one_line_errors
from pgtf.commands.programs import PROGRAMS
from pgtf.dataset import open_dataset

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUIETLY = "from pgtf.commands.command_line import import_tensorflow_quietly as quietly; quietly()"


def said(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    return done.stderr


def test_importing_tensorflow_says_nothing_and_leaves_alone_what_no_script_uses():
    """Standard error is itself again, and packages that Keras would import can be imported."""
    then = (
        "; import os, sys; os.write(2, b'I0000 00:00:1 later\\n')"
        "; found = {'matplotlib', 'scipy', 'sklearn'} & set(sys.modules)"
        "; os.write(2, f'{sorted(found)}\\n'.encode())"
        "; import matplotlib, scipy, sklearn"
    )
    assert said(QUIETLY + then) == "I0000 00:00:1 later\n[]\n"


def test_only_notes_are_kept_back(tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "import os\n"
        "os.write(2, b'WARNING: All log messages before absl::InitializeLog() is called\\n')\n"
        "os.write(2, b'I0000 00:00:1.5 7 port.cc:153] oneDNN is on\\n')\n"
        "os.write(2, b'E0000 00:00:1.5 7 cuda.cc:1] no libcudnn\\n')\n"
        "raise ImportError('broken')\n"
    )
    lines = said(QUIETLY, PYTHONPATH=str(tmp_path)).splitlines()
    assert lines[0] == "E0000 00:00:1.5 7 cuda.cc:1] no libcudnn"
    assert lines[1].startswith("Traceback")
    assert lines[-1] == "ImportError: broken"


@pytest.mark.parametrize("size", [10, 1_000_000], ids=["at the end", "meanwhile"])
def test_an_output_that_nobody_reads_to_its_end_is_no_error(size):
    """As `--help | head` does; Python flushes a short text only when it exits."""
    code = "from pgtf.commands.command_line import closed_output_ends_quietly as quietly\n"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-c", f"{code}with quietly(): print('x' * {size})"],
            cwd=ROOT,
            env=buffered,
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize("name", [*PROGRAMS, "restoration"])
def test_every_program_says_its_version(name, capsys, monkeypatch):
    monkeypatch.setattr(entry, "_exit_on_signals", lambda: None)
    entry.run(name, ["--version"])
    assert capsys.readouterr().out == f"pgtf {pgtf.__version__}\n"


def test_an_error_of_several_lines_becomes_one(capsys):
    with pytest.raises(SystemExit) as ended, one_line_errors():
        raise ValueError("first\n  second")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: first second\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            FileNotFoundError(2, "No such file or directory", "a/b"),
            "a/b: no such file or directory.",
        ),
        (
            OSError(18, "Invalid cross-device link", "a", None, "b"),
            "a to b: invalid cross-device link.",
        ),
        (
            OSError(28, "No space left on device: x. Add --resume"),
            "No space left on device: x. Add --resume",
        ),
        (OSError("a/b: no such folder."), "a/b: no such folder."),
        (OSError(), "OSError"),
    ],
)
def test_an_error_of_the_system_is_its_file_and_the_reason(error, line, capsys):
    with pytest.raises(SystemExit), one_line_errors():
        raise error
    assert capsys.readouterr().err == f"error: {line}\n"


def test_other_errors_pass():
    with pytest.raises(KeyError), one_line_errors():
        raise KeyError("a mistake of ours")


@pytest.mark.parametrize("kinds", [(ValueError, OSError), (MemoryError, ValueError)])
def test_a_folder_of_images_in_place_of_a_dataset_is_answered_by_a_command(kinds, tmp_path, capsys):
    with pytest.raises(SystemExit), one_line_errors(kinds):
        open_dataset(tmp_path)
    assert "no dataset in it" in capsys.readouterr().err
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    with pytest.raises(SystemExit), one_line_errors(kinds):
        open_dataset(tmp_path)
    error = capsys.readouterr().err
    assert error.startswith(
        f"error: {tmp_path}: holds images; make a dataset of them first: python "
    )
    assert error.count("\n") == 1
