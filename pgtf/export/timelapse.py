"""The film of a training run: its image grids with kimg, lod and time written below them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from tqdm import tqdm

from pgtf.foreign.json_files import read_lines
from pgtf.foreign.pictures import open_picture, reason
from pgtf.foreign.schema import Between, Real, read_as
from pgtf.grids import SQUARE_GRID, Grid
from pgtf.wording import duration

STRIP_HEIGHT = 48  # pixels below the grid
MIN_WIDTH = 640  # pixels; smaller grids are enlarged, so that the text fits
MAX_SIDE = 1920
BACKGROUND, FOREGROUND, TRACK = (17, 17, 17), (238, 238, 238), (70, 70, 70)
_GRID = re.compile(r"fakes(\d+)\.png")


_Positive = Annotated[float, Between(0, 1e15)]


class _Optional(TypedDict, total=False):
    """The fields of a line of stats.jsonl that the report shows; not every loss has all means."""

    sec_per_kimg: _Positive
    peak_gib: _Positive
    G_loss: Real
    D_loss: Real
    real_scores: Real
    fake_scores: Real
    mixed_norms: Real


class _Stats(_Optional):
    """The fields of a line of stats.jsonl that are used here and in the report."""

    kimg: _Positive
    lod: Annotated[float, Between(0, 32)]
    resolution: Annotated[int, Between(1, 1 << 32)]
    train_hours: _Positive


@dataclasses.dataclass(frozen=True)
class Moment:
    """One image grid of a run, with the statistics of that time."""

    path: Path
    kimg: float
    lod: float | None  # None = before the first line of statistics
    resolution: int | None
    train_hours: float | None
    grid: Grid = SQUARE_GRID  # size of the smallest images

    @property
    def caption(self) -> str:
        """The text below the grid."""
        parts = [f"{self.kimg:g} kimg"]
        if self.lod is not None:
            parts += [self.grid.size_text(self.resolution or 4), f"lod {self.lod:.2f}"]
            parts += [duration(3600 * (self.train_hours or 0.0))]
        return "   ".join(parts)


def moments(folder: str | os.PathLike[str], stats_file: str) -> list[Moment]:
    """Lists all image grids of a run folder in order, with their lines of statistics.

    Raises:
        ValueError: if there is no grid yet.
    """
    grids = sorted(
        (int(match[1]), path)
        for path in Path(folder).iterdir()
        if (match := _GRID.fullmatch(path.name))
    )
    if not grids:
        raise ValueError(f"{folder}: no image grid fakesNNNNNN.png yet. Let the run reach one.")
    stats = read_stats(Path(folder) / stats_file)
    found = []
    for kimg, path in grids:
        # The file name holds whole thousands; its line is the first that reaches them.
        line = next((line for line in stats if int(line["kimg"]) >= kimg), None) if kimg else None
        values = line or dict.fromkeys(("lod", "resolution", "train_hours"))
        found.append(Moment(path, kimg, values["lod"], values["resolution"], values["train_hours"]))
    return found


def read_stats(path: Path) -> list[dict[str, Any]]:
    """Reads the lines of stats.jsonl, oldest first; leaves out a torn last line.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line is damaged; the message names file, line and field.
    """
    found = []
    for line in read_lines(path, allow_nan=True):
        if not line.is_torn:
            found.append(read_as(_Stats, line.value, line.place, "Correct or delete the line."))
    return found


def frames(
    found: Sequence[Moment], hold: int, box: tuple[int, int] | None = None
) -> Iterator[np.ndarray]:
    """Yields the frames of a film, uint8 [H, W, 3].

    Args:
        found: moments in order.
        hold: number of frames that show the last moment.
        box: (width, height) in pixels of the part of the grid to show, from the upper left
            corner; None = all of it. Of grids of several sizes, it is what all of them have.
    """
    last = max(found[-1].kimg, 1)
    sizes = [_size(moment.path) for moment in found] + ([] if box is None else [box])
    box = min(width for width, _ in sizes), min(height for _, height in sizes)
    for moment in tqdm(found, unit="grid", disable=None):
        frame = _frame(moment, moment.kimg / last, box)
        yield frame
    for _ in range(hold - 1):
        yield frame


def upper_left(path: Path, size: tuple[int, int] | None = None) -> PIL.Image.Image:
    """Reads the upper left part of an image file, at most (width, height); None = all of it.

    Raises:
        ValueError: it is damaged, or no image.
        OSError: it cannot be read.
    """
    with _opened(path) as file:
        width, height = map(min, file.size, size or file.size)
        return file.convert("RGB").crop((0, 0, width, height))


def _size(path: Path) -> tuple[int, int]:
    with _opened(path, pixels=False) as file:
        return file.size


@contextlib.contextmanager
def _opened(path: Path, pixels: bool = True) -> Iterator[PIL.Image.Image]:
    """Context manager that opens a picture of a run; its errors name the file."""
    try:
        with open_picture(path, pixels=pixels) as file:
            yield file
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {reason(error)}. Delete or replace the file.") from None


def _frame(moment: Moment, progress: float, box: tuple[int, int]) -> np.ndarray:
    """Draws a grid with its caption and a progress bar below it."""
    grid = upper_left(moment.path, box)
    zoom = max(-(-MIN_WIDTH // grid.width), 1)
    if max(grid.size) > MAX_SIDE:
        grid.thumbnail((MAX_SIDE, MAX_SIDE), PIL.Image.Resampling.BOX)
    elif zoom > 1:
        grid = grid.resize((grid.width * zoom, grid.height * zoom), PIL.Image.Resampling.NEAREST)
    width, height = (side - side % 2 for side in grid.size)  # Films need even sides.
    frame = PIL.Image.new("RGB", (width, height + STRIP_HEIGHT), BACKGROUND)
    frame.paste(grid)
    draw = PIL.ImageDraw.Draw(frame)
    draw.rectangle([0, height, width, height + 3], TRACK)
    draw.rectangle([0, height, round(width * progress), height + 3], FOREGROUND)
    font = PIL.ImageFont.load_default(size=22)
    draw.text((14, height + 25), moment.caption, FOREGROUND, font, anchor="lm")
    return np.asarray(frame)
