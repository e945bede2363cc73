"""Callbacks at the end of a tick: status line, statistics, pictures and snapshots."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from absl import logging

from pgtf import files, images
from pgtf.dataset import Dataset
from pgtf.depth import Depth
from pgtf.foreign.json_files import Line, read_lines
from pgtf.foreign.schema import read_as
from pgtf.interop import save_snapshot
from pgtf.label_groups import CLASS, MULTILABEL, standardised
from pgtf.networks import Network
from pgtf.runs.run_folder import STATS_FILE
from pgtf.training import pictures, randomness
from pgtf.training.config import RunConfig
from pgtf.training.events import TensorBoard
from pgtf.training.state import TrainingState
from pgtf.training.ticks import Tick

Weights = Mapping[str, np.ndarray]  # by name
Callback = Callable[[Tick, TrainingState, bool], None]  # tick, state, True for the last one


def standard(
    folder: Path, dataset: Dataset, state: TrainingState, config: RunConfig
) -> list[Callback]:
    """Returns the callbacks of every run."""
    tensorboard = TensorBoard(folder, state.progress.cur_nimg)
    return [
        StatusLine(),
        StatsFile(folder, state.progress.cur_nimg),
        tensorboard,
        ImageGrid(folder, dataset, state, config, tensorboard),
        Snapshot(folder, dataset, config),
    ]


def begin(callbacks: Iterable[Callback]) -> None:
    """Lets callbacks save what they prepared, after the first call."""
    for callback in callbacks:
        if isinstance(callback, ImageGrid):
            callback.begin()


class StatusLine:
    """Logs one line per tick."""

    def __call__(self, tick: Tick, state: TrainingState, final: bool) -> None:
        logging.info(
            "tick %-4d kimg %-8.1f lod %-5.2f %4dx%-4d minibatch %-3d sec/kimg %-7.2f "
            "time %s  eta %s  mem %.1f GiB  loss G %.3f D %.3f%s",
            tick.tick,
            tick.kimg,
            tick.lod,
            *state.Gs.config.base.size_at(tick.resolution.bit_length() - 1),
            tick.minibatch,
            tick.sec_per_kimg,
            _clock(tick.train_hours),
            _clock(tick.eta_hours),
            tick.peak_gib,
            tick.statistics["G_loss"],
            tick.statistics["D_loss"],
            f"  skipped {tick.skipped_updates}" if tick.skipped_updates else "",
        )


class StatsFile:
    """Appends one JSON line per tick to stats.jsonl, after dropping lines that will be repeated."""

    def __init__(self, folder: Path, cur_nimg: int) -> None:
        self._path = folder / STATS_FILE
        lines = list(read_lines(self._path, allow_nan=True))
        kept = [line.text for line in lines if _is_past(line, cur_nimg)]
        if len(kept) < len(lines):
            files.write_atomically(self._path, "".join(f"{line}\n" for line in kept).encode())

    def __call__(self, tick: Tick, state: TrainingState, final: bool) -> None:
        files.append_line(self._path, json.dumps(tick.as_line()))  # a checkpoint counts on it


class ImageGrid:
    """Saves reals.png once, and fakesNNNNNN.png (NNNNNN = kimg) with the same latents each time.

    The events get a preview. `pictures.plan` chooses the ticks.
    """

    def __init__(
        self,
        folder: Path,
        dataset: Dataset,
        state: TrainingState,
        config: RunConfig,
        tensorboard: TensorBoard,
    ) -> None:
        self._folder = folder
        self._tensorboard = tensorboard
        self._plan = pictures.plan(config)
        _log_fewer_grids(self._plan, config)
        self._size = images.snapshot_grid_size(config.training.image_grid, *dataset.size)
        chosen = self._choose(dataset)
        self._labels = standardised(dataset.read_labels(chosen), dataset.label_groups)
        num = self._size[0] * self._size[1]
        shape = [num, state.G.latent_size]
        draw = randomness.normal(shape, config.training.seed, 0, randomness.Stream.GRID_LATENTS)
        self._latents = draw.numpy()[: len(chosen)]
        self._cell, self._depth = state.Gs.config.image_size, Depth.of(dataset)
        self._unsaved: Callable[[], None] | None = None
        if not files.exists(folder / "reals.png"):
            Gs, cur_nimg, lod = state.Gs, state.progress.cur_nimg, state.Gs.lod
            weights = copy_of_weights(Gs, lod)

            def save() -> None:
                with weights_of(Gs, weights):
                    fakes = Gs.run(self._latents, self._labels, lod)
                self._save(self._grid(fakes), cur_nimg, file=True, preview=True)
                reals = self._depth.to_model(dataset.read_images(chosen))
                grid = self._depth.shown(images.image_grid(reals, self._size))
                images.save_png(folder / "reals.png", grid)

            self._unsaved = save

    def begin(self) -> None:
        """Saves the first pictures, of the weights when this was made: training begins before."""
        if self._unsaved is not None:
            self._unsaved()
            self._unsaved = None

    def __call__(self, tick: Tick, state: TrainingState, final: bool) -> None:
        file = final or self._plan.has_grid(tick.tick, tick.resolution)
        preview = final or self._plan.has_preview(tick.tick, tick.resolution)
        if file or preview:
            fakes = state.Gs.run(self._latents, self._labels)
            grid = self._grid(fakes)
            self._save(grid, state.progress.cur_nimg, file, preview)

    def _grid(self, fakes: np.ndarray) -> np.ndarray:
        """Tiles images at the network's full resolution, as the original does."""
        factor = self._cell[0] // fakes.shape[1]
        return images.image_grid(fakes.repeat(factor, 1).repeat(factor, 2), self._size)

    def _save(self, grid: np.ndarray, cur_nimg: int, file: bool, preview: bool) -> None:
        if file:
            path = self._folder / f"fakes{cur_nimg // 1000:06d}.png"
            images.save_png(path, self._depth.shown(grid))
        if preview:
            picture = self._depth.shown(pictures.preview(grid, self._cell))
            self._tensorboard.picture(picture, cur_nimg)

    def _choose(self, dataset: Dataset) -> Any:
        """Records for the grid: the first ones, or a row per class, or finding, of the labels."""
        num = min(self._size[0] * self._size[1], dataset.num_images)
        kinds = {group.kind: group.slice for group in reversed(dataset.label_groups)}
        columns = kinds.get(CLASS, kinds.get(MULTILABEL))
        if columns is None:
            return range(num)
        labels = (dataset.read_labels([i])[0, columns] for i in range(dataset.num_images))
        return images.row_per_class(labels, self._size)


def copy_of_weights(network: Network, lod: float) -> Weights:
    """Copies the weights that a network uses at a level of detail: {name: array}."""
    resolution_log2, _ = network.stage(lod)
    return {name: v.numpy() for name, v in network.stored_at(resolution_log2).items()}


@contextlib.contextmanager
def weights_of(network: Network, weights: Weights) -> Iterator[None]:
    """Context manager in which a network has other weights."""
    variables = network.variables_by_name
    present = {name: variables[name].numpy() for name in weights}
    try:
        for name, values in weights.items():
            variables[name].assign(values)
        yield
    finally:
        for name, values in present.items():
            variables[name].assign(values)


class Snapshot:
    """Saves network-snapshot-NNNNNN.h5 (NNNNNN = kimg) every few ticks and at the end."""

    def __init__(self, folder: Path, dataset: Dataset, config: RunConfig) -> None:
        self._folder = folder
        self._every = config.training.network_snapshot_ticks
        self._meta = {
            "config": json.loads(config.to_json()),
            "label_names": list(dataset.label_names),  # for generate.py and the exported model
            "label_groups": [group.as_json() for group in dataset.label_groups],
            **Depth.of(dataset).as_json(),
        }

    def __call__(self, tick: Tick, state: TrainingState, final: bool) -> None:
        if not final and tick.tick % self._every:
            return
        path = self._folder / f"network-snapshot-{state.progress.cur_nimg // 1000:06d}.h5"
        cur_nimg = state.progress.cur_nimg
        save_snapshot(path, state.G, state.D, state.Gs, cur_nimg=cur_nimg, **self._meta)


class _Past(TypedDict):
    """The field of a line of stats.jsonl that places it."""

    kimg: float


def _is_past(line: Line, cur_nimg: int) -> bool:
    """True for a line of stats.jsonl up to `cur_nimg`; False for a torn one."""
    if line.is_torn:
        return False
    found = read_as(_Past, line.value, line.place, "Correct or delete the line.")
    return round(found["kimg"] * 1000) <= cur_nimg


def _log_fewer_grids(plan: pictures.Plan, config: RunConfig) -> None:
    training = config.training
    fewer = [
        f"every {ticks} ticks at {config.G.base.size_text(resolution)}"
        for resolution, ticks in plan.grids.items()
        if ticks > training.image_snapshot_ticks
    ]
    if fewer:
        budget = f"training.picture_budget_mb={training.picture_budget_mb:g}"
        logging.info("Image grids %s, because of %s", ", ".join(fewer), budget)


def _clock(hours: float) -> str:
    """Formats hours: 1.5 -> "1h 30m 00s", as the original prints times."""
    seconds = round(hours * 3600)
    days, clock = divmod(seconds, 86400)
    text = time.strftime("%Hh %Mm %Ss", time.gmtime(clock))
    return f"{days}d {text}" if days else text
