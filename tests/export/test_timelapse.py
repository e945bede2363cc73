"""The film of a run, from a run folder made here."""

import json

import numpy as np
import PIL.Image
import pytest

from pgtf import images
from pgtf.commands import generate, generate_flags
from pgtf.export import timelapse


@pytest.fixture
def run_folder(tmp_path):
    """Grids at 0, 4 and 12 kimg, gray values 0, 100 and 200; a torn last line of statistics."""
    for kimg, value in [(0, 0), (4, 100), (12, 200)]:
        grid = np.full([96, 128, 3], value, np.uint8)
        images.save_png(tmp_path / f"fakes{kimg:06d}.png", grid)
    lines = [
        {"kimg": 4.032, "lod": 2.0, "resolution": 4, "train_hours": 0.5},
        {"kimg": 8.0, "lod": 1.5, "resolution": 8, "train_hours": 1.0},
        {"kimg": 12.016, "lod": 1.0, "resolution": 8, "train_hours": 25.25},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"kimg": 16'
    (tmp_path / "stats.jsonl").write_text(text)
    return tmp_path


def test_every_grid_has_its_line_of_statistics_as_caption(run_folder):
    captions = [moment.caption for moment in timelapse.moments(run_folder, "stats.jsonl")]
    assert captions == [
        "0 kimg",
        "4 kimg   4x4   lod 2.00   30 min",
        "12 kimg   8x8   lod 1.00   1 d 1 h",
    ]


def test_frames_show_the_grids_enlarged_over_a_strip_and_hold_the_last(run_folder):
    moments = timelapse.moments(run_folder, "stats.jsonl")
    frames = list(timelapse.frames(moments, hold=3))
    assert len(frames) == 5
    assert {frame.shape for frame in frames} == {(5 * 96 + 48, 5 * 128, 3)}
    assert [int(frame[: 5 * 96].mean()) for frame in frames] == [0, 100, 200, 200, 200]
    strips = [frame[5 * 96 + 4 :] for frame in frames]
    assert not np.array_equal(strips[0], strips[1])  # the text differs
    bars = [(frame[5 * 96 + 1] == timelapse.FOREGROUND).all(axis=1).mean() for frame in frames]
    assert bars == pytest.approx([0, 1 / 3, 1, 1, 1], abs=0.01)


def test_a_part_of_the_grid_can_be_shown(run_folder):
    moments = timelapse.moments(run_folder, "stats.jsonl")
    assert next(timelapse.frames(moments, 1, (64, 32))).shape == (10 * 32 + 48, 640, 3)


def test_grids_of_several_sizes_are_shown_as_far_as_all_of_them_reach(run_folder):
    images.save_png(run_folder / "fakes000012.png", np.full([32, 64, 3], 200, np.uint8))
    moments = timelapse.moments(run_folder, "stats.jsonl")
    frames = list(timelapse.frames(moments, 1))
    assert {frame.shape for frame in frames} == {(10 * 32 + 48, 640, 3)}
    assert [int(frame[: 10 * 32].mean()) for frame in frames] == [0, 100, 200]


def test_a_timelapse_shows_the_cells_asked_for(tmp_path):
    folder = tmp_path / "000-faces-demo"
    folder.mkdir()
    (folder / "config.json").write_text('{"G": {"resolution": 16}}')
    images.save_png(folder / "fakes000004.png", np.zeros([64, 64, 3], np.uint8))
    flags = [f"--outdir={tmp_path}", "--grid=2x1", "--fps=2", f"--out={tmp_path}/t.gif"]
    generate.run(generate_flags.parse(["generate.py", "timelapse", *flags]))
    with PIL.Image.open(tmp_path / "t.gif") as file:
        assert file.size == (640, 320 + timelapse.STRIP_HEIGHT)


def test_a_run_without_grids_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no image grid"):
        timelapse.moments(tmp_path, "stats.jsonl")
