"""No command prints what a terminal would obey, whatever files and the names in them hold."""

import io
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from tqdm import tqdm

from pgtf import images
from pgtf.dataset.sources import images as source
from pgtf.foreign.terminal import guard
from pgtf.interop import save_snapshot
from tests import tiny

ROOT = pathlib.Path(__file__).resolve().parents[2]
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\r\x08"
# Runs several command lines in one process, because importing TensorFlow takes seconds.
RUN_ALL = """
import json, sys
from pgtf.commands import command_line, programs
for name, words in json.loads(sys.argv[1]):
    sys.argv = ["script.py", *words]
    program = programs.PROGRAMS[name]._replace(tensorflow=False)
    try:
        command_line.run(program, sys.argv)
    except SystemExit as stop:
        print("exit", stop.code)
"""


def commanding(text):
    """Characters that a terminal would obey, except line breaks and tabs."""
    text = re.sub("\r(files of|Hash)", r"\1", text)
    return re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]", text)


def say(folder, *lines):
    """Runs command lines in one new process, in a folder. Returns what they print."""
    words = [(name, list(map(str, rest))) for name, *rest in lines]
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, json.dumps(words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    said = done.stdout.decode()
    assert "Traceback" not in said, said
    assert said.count("exit ") <= len(lines)
    return said


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder with a dataset whose class has an evil name, and with files of evil names."""
    folder = tmp_path_factory.mktemp("evil")
    rng = np.random.default_rng(0)
    for name in (f"a{EVIL}", f"b\nc{EVIL}"):
        pictures = folder / "pictures" / name
        pictures.mkdir(parents=True)
        for number in range(2):
            image = rng.integers(0, 256, (4, 4, 3), np.uint8)
            images.save_png(str(pictures / f"{number}{EVIL}.png"), image)
    return folder


def test_dataset_tool_escapes_names_of_files_classes_and_datasets(folder):
    broken = folder / "pictures" / f"b\nc{EVIL}" / f"broken\n{EVIL}.png"
    broken.write_bytes(b"\x89PNG no image")
    (folder / f"notes.t{EVIL}").write_text("text")
    dataset = folder / f"set{EVIL}.partial"
    dataset.mkdir()
    os.rename(dataset, folder / f"set{EVIL}")
    said = say(
        folder,
        (
            "dataset",
            "create_from_images",
            "cats",
            "pictures",
            "--max_errors=9",
            "--num_workers=1",
        ),
        ("dataset", "verify", f"no{EVIL}set"),
        ("dataset", "verify", f"set{EVIL}"),
        ("dataset", f"comm{EVIL}and"),
        ("dataset", "verify", "cats", f"--fl{EVIL}ag"),
        ("dataset", "create_from_images", f"dogs\n{EVIL}", "pictures"),
        ("dataset", "display", "cats", f"--save=sheet{EVIL}.png"),
        ("dataset", "verify", "cats"),
    )
    assert commanding(said) == []
    assert said.count("exit 2") == 5, said
    assert "Rejected, 1 in all" in said
    assert "\\x1b]0;owned" in said


def test_generate_metrics_and_train_escape_what_they_found(folder):
    options = {"resolution": 4, "label_size": 2}
    G, D = tiny.generator(**options), tiny.discriminator(**options)
    snapshot, data, bad = folder / f"net\n{EVIL}.h5", f"set\n{EVIL}", f"bad\n{EVIL}.npy"
    save_snapshot(snapshot, G, D, G, cur_nimg=1000, config={}, label_names=[f"a\n{EVIL}", "b"])
    (folder / "results" / f"000-x\n{EVIL}").mkdir(parents=True)
    (folder / bad).write_bytes(b"\x93NUMPY\x01\0\x05\0{\x1b[2J")
    options = source.ImageOptions(labels="folders", max_errors=1)
    source.create(str(folder / "made"), str(folder / "pictures"), options)
    (folder / "made").rename(folder / data)
    said = say(
        folder,
        ("generate", "images", f"--snapshot={snapshot}", "--seeds=0"),
        ("generate", "grid", f"--snapshot={snapshot}", "--seeds=0,1"),
        ("metrics", "neighbours", f"--snapshot={snapshot}", f"--dataset={data}"),
        ("metrics", "train_classifier", f"--dataset={data}", "--epochs=1", "--out=c.npz"),
        ("train", f"--dataset={data}", "--dry_run", "--config.dataset.max_label_size=full"),
        ("train", f"--dataset={data}", "--dry_run"),
        *(
            ("generate", "images", f"--snapshot={snapshot}", f"--class={EVIL}"),
            ("generate", "images", f"--snapshot={snapshot}", f"--latents={bad}"),
            ("generate", "images", "--run=7"),
            ("generate", "report"),
            ("metrics", f"comm{EVIL}and"),
            ("metrics", "--fakes=pictures", f"--dataset={data}"),
            ("metrics", f"--run=results/000-x\n{EVIL}"),
            ("train", f"--dataset={data}", f"--resume_pkl={snapshot}", "--dry_run"),
            ("train", f"--dataset=no{EVIL}"),
            ("train", f"--{EVIL}"),
        ),
    )
    assert commanding(said) == []
    assert said.count("exit 2") == 9, said
    assert said.count("\\x1b]0;owned") > 16
    # No line begins with what follows a line break in a name.
    assert [line for line in said.splitlines() if line.startswith("\\x1b")] == []


def test_whatever_a_command_prints_is_escaped(tmp_path):
    (tmp_path / "careless.py").write_text(
        "import sys\n"
        "from absl import logging\n"
        "def parse(argv):\n"
        "    return argv[1]\n"
        "def run(text):\n"
        "    print(text, 'a', sep=':')\n"
        "    print(text, file=sys.stderr)\n"
        "    sys.stdout.writelines([text])\n"
        "    logging.warning('%s and %s', text, 1)\n"
        "    raise RuntimeError(text)\n"
    )
    code = (
        "import sys; from pgtf.commands import command_line, programs; command_line.run("
        "programs.Program('', 'careless', 'careless', tensorflow=False), sys.argv)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, EVIL],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    said = done.stdout.decode()
    assert commanding(said) == []
    assert said.count("owned") == 5
    assert "RuntimeError: \\x1b]0;owned" in said


def test_a_bar_of_progress_moves_and_its_name_commands_nothing(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    guard()
    for _ in tqdm(range(2), desc=f"reals{EVIL}", mininterval=0, ascii=True):
        for _ in tqdm(range(1), desc="inner", leave=False, mininterval=0, ascii=True):
            pass
    text = shown.getvalue()
    assert text.startswith("\rreals\\x1b]0;owned")
    assert "2/2" in text
    assert "\x1b[A" in text
    assert {*commanding(text.replace("\x1b[A", ""))} == {"\r"}
    assert {text[i + 1 : i + 6] for i, c in enumerate(text) if c == "\r"} <= {
        "reals", "inner", "     ", "\x1b[Are", "\n\rinn", "\r\x1b[A", ""
    }  # fmt: skip


def test_a_traceback_and_a_warning_command_nothing():
    code = (
        "import sys, warnings; from pgtf.foreign.terminal import guard; guard()\n"
        f"warnings.warn({EVIL!r})\n"
        f"raise TypeError({EVIL!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert b"TypeError: \\x1b]0;owned" in done.stderr
    assert commanding(done.stderr.decode()) == []
