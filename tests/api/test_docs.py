"""docs/api.md is true: its lines run from top to bottom on a small run and dataset."""

import re
from pathlib import Path

import pytest

import pgtf
from pgtf.training import callbacks, loop
from tests.training import jobs
from tests.training.conftest import FakeStepper

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def code_of(page):
    """The lines of all code blocks."""
    return "\n".join(line[4:] for line in page.splitlines() if re.match(r" {4}|$", line))


# Keras saves weights in a way that NumPy 2 tells to change.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_every_line_of_the_page_runs(outdir, tmp_path, monkeypatch, capsys):
    def standard(folder, dataset, state, config):
        stats = callbacks.StatsFile(folder, state.progress.cur_nimg)
        return [stats, callbacks.Snapshot(folder, dataset, config)]

    monkeypatch.setattr(loop, "Stepper", FakeStepper)
    monkeypatch.setattr(callbacks, "standard", standard)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datasets").mkdir()
    jobs.write_blocks(tmp_path / "datasets" / "cats")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "000-demo-demo").symlink_to(outdir / "000-faces-demo")
    config = pgtf.load("results/000-demo-demo").config
    (tmp_path / "results" / "000-demo-demo" / "config.json").write_text(config.to_json())
    code = code_of(PAGE)
    for kimg in (50, 60):  # a hundredth of it here
        assert f"total_kimg={kimg}" in code
        code = code.replace(f"total_kimg={kimg}", f"total_kimg={kimg / 100}")
    names = {}
    exec(compile(code, "docs/api.md", "exec"), names)  # noqa: S102
    assert {path.name for path in tmp_path.iterdir()} >= {"grid.png", "walk.png", "Gs.keras"}
    assert names["run"].folder.name == "000-demo-demo"
    assert "0.512 kimg, 4x4\n" in capsys.readouterr().out


def test_the_page_names_everything_that_the_package_offers():
    offered = [name for name in pgtf.__all__ if not name.islower() or name in ("load", "train")]
    assert {name for name in offered if f"pgtf.{name}" not in PAGE} <= {"Dataset"}
    methods = [name for name in vars(pgtf.Networks) if not name.startswith("_")]
    missing = {name for name in methods if f"net.{name}" not in PAGE}
    assert missing <= {"source", "warning"}
    assert all(f"run.{name}" in PAGE for name in vars(pgtf.Run) if not name.startswith("_"))
