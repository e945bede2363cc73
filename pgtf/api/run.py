"""A training run as a notebook sees it: its folder, statistics, pictures and networks."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any, NamedTuple

import PIL.Image

from pgtf.api import loading
from pgtf.api.networks import Networks
from pgtf.config import Config
from pgtf.export import timelapse
from pgtf.foreign.terminal import one_line
from pgtf.metrics import records
from pgtf.runs import run_folder


class Grid(NamedTuple):
    """A grid of generated images of a run."""

    kimg: float  # thousands of real images shown until then
    resolution: int  # of the networks at that time, in pixels; 0 = unknown, before the first tick
    caption: str  # kimg, resolution, lod and time
    image: PIL.Image.Image


class Run:
    """A run folder, whether it is still being trained or not.

    Attributes:
        folder: results/NNN-<dataset>-<preset>.
    """

    def __init__(
        self,
        run: str | os.PathLike[str] | int | None = None,
        *,
        outdir: str | os.PathLike[str] = "results",
    ) -> None:
        """Finds a run.

        Args:
            run: its folder, or its number in `outdir`; None = the newest.
            outdir: folder of the runs.

        Raises:
            ValueError: if there is no such run; names those that exist.
        """
        name = None if run is None else os.path.expanduser(str(run))
        self.folder = run_folder.locate(os.path.expanduser(outdir), name)

    @property
    def finished(self) -> bool:
        """True if the last image was shown."""
        return run_folder.is_finished(self.folder)

    @property
    def config(self) -> Config:
        """Configuration of the run. Raises ValueError if it is damaged."""
        return run_folder.read_config(self.folder, Config)

    @property
    def stats(self) -> list[dict[str, Any]]:
        """Statistics of each tick so far: kimg, lod, resolution, G_loss, D_loss, ...

        Raises:
            ValueError: if a line of stats.jsonl is damaged; names it.
        """
        path = self.folder / run_folder.STATS_FILE
        return timelapse.read_stats(path) if path.exists() else []

    @property
    def snapshots(self) -> dict[int, Path]:
        """Snapshots by thousands of images shown, in order."""
        paths = sorted(self.folder.glob("network-snapshot-*.h5"))
        found = {records.kimg_of(path): path for path in paths}
        return {kimg: path for kimg, path in found.items() if kimg is not None}

    def load(self, kimg: int | None = None) -> Networks:
        """Loads the networks of a snapshot; None = the newest.

        Raises:
            ValueError: if there is no such snapshot; names those that exist.
        """
        if kimg is None:
            return loading.load_run(self.folder)
        if kimg not in self.snapshots:
            known = ", ".join(map(str, self.snapshots)) or "none"
            raise ValueError(f"{self.folder}: no snapshot at {kimg} kimg. Snapshots: {known}.")
        return loading.load_snapshot(self.snapshots[kimg])

    @property
    def reals(self) -> PIL.Image.Image:
        """The grid of training images."""
        return _picture(self.folder / "reals.png")

    @property
    def fakes(self) -> PIL.Image.Image:
        """The newest grid of generated images."""
        return _picture(timelapse.moments(self.folder, run_folder.STATS_FILE)[-1].path)

    @property
    def growth(self) -> list[Grid]:
        """All grids of generated images in order: how they grew, because the latents stay the same.

        Raises:
            ValueError: if there is no grid yet, or one is damaged.
        """
        grid = self.config.G.base
        return [
            Grid(
                moment.kimg,
                moment.resolution or 0,
                dataclasses.replace(moment, grid=grid).caption,
                _picture(moment.path),
            )
            for moment in timelapse.moments(self.folder, run_folder.STATS_FILE)
        ]

    @property
    def metrics(self) -> dict[str, list[dict[str, Any]]]:
        """Values that were measured, oldest first: {"swd": [{"kimg": 90, "value": 9.9, ...}]}."""
        names = sorted(path.stem for path in self.folder.glob(records.path_of("", "*").name))
        names = [name.partition("-")[2] for name in names]
        return {name: records.load(self.folder, name) for name in names}

    def __repr__(self) -> str:
        stats = self.stats
        where = f"{stats[-1]['kimg']:g} kimg" if stats else "before the first tick"
        state = "finished" if self.finished else "unfinished"
        return f"<pgtf.Run, {state}: {where}, {one_line(self.folder)}>"


def _picture(path: Path) -> PIL.Image.Image:
    """Reads a picture. Raises FileNotFoundError if the run has not written it yet."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file yet. Let the run finish its first call.")
    return timelapse.upper_left(path)
