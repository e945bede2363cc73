"""Sub-commands of generate.py about a training run: its film and its page."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from pgtf import config as configs
from pgtf.export import explorable, film, pictures, recipe, samples, timelapse
from pgtf.export import report as reports
from pgtf.export.history import History
from pgtf.export.source import Source
from pgtf.foreign.terminal import one_line
from pgtf.metrics import image_sets, plot
from pgtf.metrics.neighbours import neighbour_sheet
from pgtf.networks import Generator
from pgtf.runs import run_folder
from pgtf.runs.datasets import open_dataset_of
from pgtf.training.tables import stage_rows
from pgtf.wording import counted

NEIGHBOUR_SEEDS = "0-9"  # images for which the report shows neighbours
HOLD_SEC = 2  # time for which a timelapse shows its last frame


def lod_warning(source: Source, lod: float) -> str | None:
    """Warns of a --lod that the network has outgrown or not reached; None if it is at its own."""
    Gs = source.Gs
    coarser, finer = _sizes(Gs, lod)
    if math.ceil(lod) > math.ceil(Gs.lod):
        return (
            f"{source.path}: the layer that turns the level {coarser} into colours was last "
            "trained when the network had that size, so its colours no longer fit. An earlier "
            "--snapshot of the run shows the network as it was."
        )
    if math.floor(lod) < math.floor(Gs.lod):
        return f"{source.path}: the level {finer} has not been trained yet (lod {Gs.lod:g})."
    return None


def _sizes(Gs: Generator, lod: float) -> Iterator[str]:
    """Names the two sizes that a level of detail mixes."""
    levels = (math.ceil(lod), math.floor(lod))
    return (Gs.config.base.size_text(Gs.config.resolution >> level) for level in levels)


def explorable_of(
    source: Source, vectors: Mapping[str, np.ndarray] | None = None
) -> explorable.LiveModel:
    """Makes the model that the page of `explore` shows; a run brings its other snapshots."""
    make = functools.partial(explorable.LiveModel, source, vectors=vectors)
    if source.path.suffix == ".pkl":
        return make(kind="Network of a pickle")
    path = source.path.resolve()
    found = run_folder.snapshots(path.parent)
    kimg = {other: kimg for kimg, other in found}.get(path, source.kimg)
    after = "" if kimg is None else f" after {kimg} kimg"
    if path not in [other for _, other in found]:
        return make(kind=f"Snapshot of a network{after}")
    history = None
    if len(found) > 1:
        history = History(source.Gs.config, found, path, source.depth)
    return make(name=path.parent.name, kind=f"Training run{after}", history=history)


def save_timelapse(args: argparse.Namespace) -> None:
    """Writes the film of a training run: its image grids, with kimg, lod and time."""
    folder = run_folder.locate(args.outdir, args.run)
    moments = _moments(folder)
    path = film.film_path(args.out, folder / "timelapse")
    pictures.prepare_file(path, args.overwrite)
    hold = max(round(HOLD_SEC * args.fps), 1)
    frames = timelapse.frames(moments, hold, _box(folder, args.grid))
    mark = recipe.Marker(args.mark, None)({})  # Each frame is of another network.
    film.write_film(path, frames, args.fps, mark)
    print(f"{counted(len(moments), 'grid')} in {one_line(path)}")


def _moments(folder: Path) -> list[timelapse.Moment]:
    """Lists the image grids of a run, with their sizes."""
    moments = timelapse.moments(folder, run_folder.STATS_FILE)
    grid = run_folder.read_config(folder, configs.Config).G.base
    return [dataclasses.replace(moment, grid=grid) for moment in moments]


def _box(folder: Path, grid_size: tuple[int, int] | None) -> tuple[int, int] | None:
    """Computes the pixels of the upper left cells of a run's image grids; None = all."""
    if grid_size is None:
        return None
    height, width = run_folder.read_config(folder, configs.Config).G.image_size
    columns, rows = grid_size
    return columns * width, rows * height


def report(args: argparse.Namespace) -> None:
    """Writes one HTML page about a training run that needs nothing else."""
    folder = run_folder.locate(args.outdir, args.run)
    path = Path(args.out or folder / "report.html")
    pictures.refuse_existing(path, args.overwrite)
    stats = timelapse.read_stats(folder / run_folder.STATS_FILE)
    moments = _moments(folder)
    if not stats:
        raise ValueError(f"{folder}: no statistics yet. Let the run finish its first tick.")
    config = run_folder.read_config(folder, configs.Config)
    pictures.prepare_file(path, args.overwrite)
    reports.write_report(
        path,
        folder.name,
        f"Trained on {config.dataset.path} for {stats[-1]['kimg']:,.0f} thousand images.",
        moments=moments,
        stats=stats,
        metrics=plot.all_curves(folder),
        stages=stage_rows(config),
        neighbours=_neighbours(folder, config),
        config=dataclasses.asdict(config),
        grid=config.G.base,
    )
    print(one_line(path))


def _neighbours(folder: Path, config: configs.Config) -> np.ndarray | str:
    """Draws the newest snapshot's fakes above the training images closest to them.

    Returns a sentence with the reason if dataset or snapshot cannot be read.
    """
    try:
        dataset = open_dataset_of(folder, config.dataset, 0)
        source = Source.from_snapshot(run_folder.newest_snapshot(folder))
    except (ValueError, OSError) as error:
        return f"Not searched: {error}"
    sampled = samples.from_seeds(source.Gs.latent_size, NEIGHBOUR_SEEDS)
    fakes = source.Gs.run(sampled.latents, source.labels(None, sampled.numbers))
    fakes = source.depth.levels(source.depth.from_model(fakes))
    fakes = film.zoomed(fakes, dataset.size[0] // fakes.shape[1])
    reals, preview = image_sets.of_dataset(dataset), source.depth.preview
    sheet: np.ndarray
    sheet, _ = neighbour_sheet(reals, fakes, progress=sys.stderr.isatty(), preview=preview)
    return sheet
