"""rank_images: the table, the sheet, the best kept; interrupted, continued, refused."""

import csv

import numpy as np
import PIL.Image
import pytest

from pgtf.commands import dataset as dataset_tool
from pgtf.dataset.faces import ranking
from pgtf.dataset.faces.quality import quality
from tests.dataset import photographs


def run(*args):
    """Runs rank_images and returns its exit status."""
    try:
        dataset_tool.main(["rank_images", *(str(arg) for arg in args)])
    except SystemExit as end:
        return end.code
    return 0


@pytest.fixture
def folder(tmp_path, rng):
    """Sixteen tiles, the first half of the names blurred; one gray and one in a folder below."""
    root = tmp_path / "photos"
    (root / "below").mkdir(parents=True)
    for number, (_, tile) in enumerate(photographs.tiles(64, 1, rng)):
        image = photographs.blurred(tile, 2) if number < 8 else tile
        name = f"below/{number:02d}.png" if number == 9 else f"{number:02d}.png"
        PIL.Image.fromarray(image).convert("L" if number == 10 else "RGB").save(root / name)
    return root


def rows_of(path):
    with open(path / "scores.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_the_best_are_linked_and_the_table_says_why(folder, tmp_path):
    assert run(folder, "--keep=5") == 0
    out = tmp_path / "photos-ranked"
    rows = rows_of(out)
    assert len(rows) == 16
    for row in rows:
        with PIL.Image.open(folder / row["file"]) as file:
            pixels = np.atleast_3d(np.asarray(file)).transpose(2, 0, 1)
        assert float(row["score"]) == pytest.approx(quality(pixels), abs=1e-6)
    assert [float(row["score"]) for row in rows] == sorted(
        (float(row["score"]) for row in rows), reverse=True
    )
    kept = {row["file"] for row in rows[:5]}
    assert [row["kept"] for row in rows] == ["1"] * 5 + ["0"] * 11
    best = out / "best"
    assert {str(p.relative_to(best)) for p in best.rglob("*.png")} == kept
    assert all((best / name).samefile(folder / name) for name in kept)
    with PIL.Image.open(out / "quality.png") as sheet:
        assert sheet.size == (8 * 128, 3 * 128)
    assert sorted(path.name for path in out.iterdir()) == ["best", "quality.png", "scores.csv"]


def test_the_sheet_shows_the_best_the_middle_and_the_worst_in_order(folder, tmp_path):
    assert run(folder, "--keep=5") == 0
    names = [row["file"] for row in rows_of(tmp_path / "photos-ranked")]
    tiles = np.stack([rgb(folder / name) for name in names])
    sheet = rgb(tmp_path / "photos-ranked" / "quality.png").reshape(3, 128, 8, 128, 3)
    cells = sheet.swapaxes(1, 2).reshape(24, 64, 2, 64, 2, 3).mean((2, 4))  # 64x64 again
    differences = np.abs(cells[:, np.newaxis] - tiles).mean((2, 3, 4))  # [24 cells, 16 tiles]
    best, middle, worst = range(8), range(4, 12), range(8, 16)
    assert differences.argmin(1).tolist() == [*best, *middle, *worst]


def rgb(path):
    with PIL.Image.open(path) as file:
        return np.asarray(file.convert("RGB")).astype(float)


def test_an_interrupted_ranking_continues_to_the_same_table(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("pgtf.dataset.partial.CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(ranking, "CHUNK", 1)
    assert run(folder, "--keep=3", f"--out={tmp_path}/whole") == 0
    scored = []

    def interrupted(image):
        scored.append(image)
        if len(scored) == 6:
            raise KeyboardInterrupt
        return quality(image)

    with monkeypatch.context() as patch:
        patch.setattr(ranking, "quality", interrupted)
        assert run(folder, "--keep=3", f"--out={tmp_path}/twice", "--num_workers=1") == 130
    assert run(folder, "--keep=3", f"--out={tmp_path}/twice") == 2
    assert run(folder, "--keep=4", f"--out={tmp_path}/twice", "--resume") == 2  # another job
    assert run(folder, "--keep=3", f"--out={tmp_path}/twice", "--resume") == 0
    for name in ("scores.csv", "quality.png"):
        assert (tmp_path / "twice" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "twice.partial").exists()


def test_a_ranking_that_ended_while_it_linked_the_best_can_be_resumed(
    folder, tmp_path, monkeypatch, capsys
):
    def interrupted(source, folder, name, link=ranking._link):
        link(source, folder, name)
        raise KeyboardInterrupt

    monkeypatch.setattr("pgtf.dataset.partial.CHECKPOINT_SECONDS", 3600)  # none by the clock
    with monkeypatch.context() as patch:
        patch.setattr(ranking, "_link", interrupted)
        assert run(folder, "--keep=3") == 130
    left = tmp_path / "photos-ranked.partial"
    assert len(list((left / "best").iterdir())) == 1
    assert run(folder, "--keep=3") == 2
    assert "Add --resume" in capsys.readouterr().err
    assert len(list((left / "best").iterdir())) == 1
    with monkeypatch.context() as patch:
        patch.setattr(ranking, "quality", None)  # nothing is scored twice
        assert run(folder, "--keep=3", "--resume") == 0
    found = sorted(path.name for path in (tmp_path / "photos-ranked").iterdir())
    assert found == ["best", "quality.png", "scores.csv"]
    assert len(list((tmp_path / "photos-ranked" / "best").iterdir())) == 3


@pytest.mark.parametrize("max_errors", [0, 1])
def test_a_damaged_file_is_one_line(folder, tmp_path, capsys, max_errors):
    (folder / "03.png").write_bytes(b"")
    status = run(folder, "--keep=99", f"--max_errors={max_errors}")
    out, err = capsys.readouterr()
    if max_errors:
        assert status == 0
        assert "03.png" in out
        assert "Images         15 kept of 16" in out
    else:
        assert status == 2
        assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1
        assert not (tmp_path / "photos-ranked.partial").exists()


@pytest.mark.parametrize("args", [["--keep=0"], ["--keep=x"], []])
def test_keep_must_be_a_number_from_1_on(folder, args):
    assert run(folder, *args) == 2


def test_the_result_may_not_lie_among_the_photographs(folder, capsys):
    assert run(folder, "--keep=1", f"--out={folder}/best") == 2
    assert "`out` must lie outside" in capsys.readouterr().err
