"""create_celebahq on the command line."""

import os
import subprocess
import sys

import pytest

from pgtf.commands import dataset as dataset_tool
from pgtf.dataset.celebahq import builder
from pgtf.dataset.celebahq.maker import Maker
from pgtf.dataset.celebahq.report import Outcome, Result

from .fixture import CELEBA, DELTAS, EXPECTED, copy
from .test_build import ROOT, record_md5s

INPUTS = str(CELEBA), str(DELTAS)


@pytest.fixture
def expect_fixture(monkeypatch):
    """Makes the command expect the synthetic CelebA; it has no flags for that."""
    monkeypatch.setattr(builder, "NUM_IMAGES", EXPECTED["num_images"])
    monkeypatch.setattr(builder, "NUM_ZIPS", EXPECTED["num_zips"])
    monkeypatch.setattr(builder, "FIRST_JPEG_MD5", EXPECTED["first_jpeg_md5"])


def run(*args):
    """Runs the command in this process -> its exit code."""
    try:
        dataset_tool.main(["create_celebahq", *map(str, args)])
    except SystemExit as error:
        return error.code
    return 0


def test_a_set_of_another_size_is_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "dataset_tool.py", "create_celebahq", tmp_path / "new", *INPUTS],
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "must have a row for each of 202599 images" in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_dry_run_prints_the_space_and_time_needed(tmp_path, expect_fixture, capsys):
    flags = ["--dry_run", "--num_threads=4", "--num_tasks=100", f"--images_dir={tmp_path}/png"]
    assert run(tmp_path / "new", *INPUTS, *flags) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines.pop(2).startswith("Pictures       0.0 GiB more, ")
    assert lines[0] == "Inputs         8 images to make, no problems"
    assert lines[1].startswith("Disk           0.0 GiB needed, ")
    assert lines[2].startswith("Time           about 0.0 h with ")
    assert lines[2].endswith(" s per image")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("flags", [[], ["--dry_run"]])
def test_all_problems_are_printed_and_the_first_ends_the_job(
    flags, tmp_path, expect_fixture, capsys
):
    celeba, deltas = copy(tmp_path)
    (celeba / "img_celeba" / "000007.jpg").unlink()
    assert run(tmp_path / "new", celeba, deltas, *flags) == 2
    printed = capsys.readouterr()
    assert printed.out.count("Problem ") == 2
    assert printed.err.startswith(f"error: {celeba}/img_celeba must hold 8 JPEG files")
    assert "(1 more problem)" in printed.err
    assert printed.err.count("\n") == 1


def test_the_outcomes_are_counted_at_the_end(tmp_path, expect_fixture, capsys, monkeypatch):
    make = Maker.make

    def make_one(self, item):
        if item.row.idx == 4:
            return make(self, item)
        return None, Result(item.row, Outcome.PIXELS_DIFFER, "proc_md5 does not match")

    monkeypatch.setattr(Maker, "make", make_one)
    target = tmp_path / "new"
    assert run(target, *INPUTS, "--on_error=skip", "--num_workers=1", "--resolution=64") == 0
    out = capsys.readouterr().out
    assert "ok                        1\npixels differ             7\n" in out
    assert f"Report         {target}/celebahq-report.csv" in out
    assert "Rejected, 7 in all:" in out
    assert len(record_md5s(target)) == 1
