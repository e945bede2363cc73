"""Every command that decodes photographs refuses a damaged JPEG file for the same reason."""

import io
import re

import pytest

from benchmarks.photograph_files import picture
from pgtf.commands import metrics
from pgtf.dataset import open_dataset
from pgtf.dataset.sources import automatic
from tests.dataset.commands import run

SIDE, NUM = 32, 4
REASON = "damaged JPEG data (premature end of data segment)"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Four photographs, of which the second ends early by a marker; it is whole in `good`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "in").mkdir()
    (tmp_path / "good").mkdir()
    for number in range(NUM):
        buffer = io.BytesIO()
        picture(number, SIDE).save(buffer, "JPEG")
        content = buffer.getvalue()
        (tmp_path / "good" / f"{number}.jpg").write_bytes(content)
        if number == 1:
            content = content[: len(content) - 200] + b"\xff\xd9"
        (tmp_path / "in" / f"{number}.jpg").write_bytes(content)
    return tmp_path / "in"


def lines(capsys):
    found = capsys.readouterr()
    assert "Traceback" not in found.err
    return found.out + found.err


def test_create_from_images_ends_unless_it_may_leave_files_out(folder, capsys):
    assert run("create_from_images", "out", "in", "--num_workers=1") == 2
    assert f"in/1.jpg: {REASON}" in lines(capsys)
    flags = "--max_errors=1 --resolution=16 --transform=resize --num_workers=1".split()
    assert run("create_from_images", "out", "in", *flags) == 0
    assert f"in/1.jpg  {REASON}" in lines(capsys)
    assert open_dataset("out").num_images == NUM - 1


def test_training_on_a_folder_lists_it(folder):
    planned = automatic.plan("in")
    summary = automatic.make(planned)
    assert [(x.name, x.reason) for x in summary.rejected] == [("in/1.jpg", REASON)]
    assert open_dataset(planned.target).num_images == NUM - 1


@pytest.mark.parametrize("flag", ["--reals", "--fakes"])
def test_metrics_end(flag, folder, capsys):
    other = {"--reals": "--fakes", "--fakes": "--reals"}[flag]
    with pytest.raises(SystemExit) as end:
        metrics.main([f"{flag}=in", f"{other}=good", "--metrics=msssim:4"])
    assert end.value.code == 2
    assert re.search(rf"^error: in/1.jpg: {re.escape(REASON)}\. ", lines(capsys), re.MULTILINE)


def test_rank_images_ends_unless_it_may_leave_files_out(folder, capsys):
    command = ["rank_images", "in", "--keep=2", "--out=ranked", "--num_workers=1"]
    assert run(*command) == 2
    assert f"in/1.jpg: {REASON}" in lines(capsys)
    assert run(*command, "--max_errors=1") == 0
    assert f"in/1.jpg  {REASON}" in lines(capsys)
