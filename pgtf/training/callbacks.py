"""Callbacks at the end of a tick: status line, statistics, pictures and snapshots."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from pgtf import images
from pgtf.dataset import Dataset
from pgtf.interop import save_snapshot
from pgtf.runs.run_folder import STATS_FILE
from pgtf.training import randomness
from pgtf.training.config import RunConfig
from pgtf.training.state import TrainingState
from pgtf.training.ticks import Tick

_GRID_SCREEN = "1080p"

Callback = Callable[[Tick, TrainingState, bool], None]  # tick, state, True for the last one


def standard(
    folder: Path, dataset: Dataset, state: TrainingState, config: RunConfig
) -> list[Callback]:
    """Returns the callbacks of every run."""
    tensorboard = TensorBoard(folder)
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
            tick.resolution,
            tick.resolution,
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
        lines = images.read_at_once(self._path).decode().splitlines() if self._path.exists() else []
        kept = [line for line in lines if _is_past(line, cur_nimg)]
        if kept != lines:
            images.write_atomically(self._path, "".join(f"{line}\n" for line in kept).encode())

    def __call__(self, tick: Tick, state: TrainingState, final: bool) -> None:
        with images.open_no_link(self._path, "a") as file:
            file.write(json.dumps(tick.as_line()) + "\n")
            file.flush()
            os.fsync(file.fileno())  # a checkpoint counts on it


class TensorBoard:
    """Writes scalars and the current image grid as TensorBoard events."""

    def __init__(self, folder: Path) -> None:
        self._writer = tf.summary.create_file_writer(str(folder))

    def __call__(self, tick: Tick, state: TrainingState, final: bool) -> None:
        with self._writing(state.progress.cur_nimg):
            for name, value in tick.as_line().items():
                tf.summary.scalar(name, value)
            self._writer.flush()

    def image(self, grid: np.ndarray, cur_nimg: int) -> None:
        """Adds one [H, W, C] picture in [-1, 1] as `fakes`."""
        with self._writing(cur_nimg):
            tf.summary.image("fakes", images.to_uint8(grid)[np.newaxis])

    @contextlib.contextmanager
    def _writing(self, cur_nimg: int) -> Iterator[None]:
        try:
            with self._writer.as_default(step=cur_nimg):
                yield
        except tf.errors.OpError as error:
            full = isinstance(error, tf.errors.ResourceExhaustedError)
            number = errno.ENOSPC if full else errno.EIO
            raise OSError(number, f"cannot write TensorBoard events: {error.message}") from error


class ImageGrid:
    """Saves reals.png once and fakesNNNNNN.png (NNNNNN = kimg) with the same latents each time."""

    def __init__(
        self,
        folder: Path,
        dataset: Dataset,
        state: TrainingState,
        config: RunConfig,
        tensorboard: TensorBoard,
    ) -> None:
        self._folder = folder
        self._every = config.training.image_snapshot_ticks
        self._tensorboard = tensorboard
        self._size = images.snapshot_grid_size(_GRID_SCREEN, dataset.resolution)
        chosen = self._choose(dataset)
        self._labels = dataset.read_labels(chosen)
        num = self._size[0] * self._size[1]
        shape = [num, state.G.latent_size]
        draw = randomness.normal(shape, config.training.seed, 0, randomness.Stream.GRID_LATENTS)
        self._latents = draw.numpy()[: len(chosen)]
        self._unsaved: Callable[[], None] | None = None
        if not (folder / "reals.png").exists():
            fakes, cur_nimg = state.Gs.run(self._latents, self._labels), state.progress.cur_nimg

            def save() -> None:
                self._save(fakes, state.Gs.config.resolution, cur_nimg)
                reals = images.to_float(dataset.read_images(chosen))
                images.save_image_grid(folder / "reals.png", reals, self._size)

            self._unsaved = save

    def begin(self) -> None:
        """Saves the first pictures, drawn when this was made: training can begin before."""
        if self._unsaved is not None:
            self._unsaved()
            self._unsaved = None

    def __call__(self, tick: Tick, state: TrainingState, final: bool) -> None:
        if final or tick.tick % self._every == 0:
            fakes = state.Gs.run(self._latents, self._labels)
            self._save(fakes, state.Gs.config.resolution, state.progress.cur_nimg)

    def _save(self, fakes: np.ndarray, resolution: int, cur_nimg: int) -> None:
        factor = resolution // fakes.shape[1]  # as the original: full resolution
        grid = images.image_grid(fakes.repeat(factor, 1).repeat(factor, 2), self._size)
        images.save_png(self._folder / f"fakes{cur_nimg // 1000:06d}.png", grid)
        self._tensorboard.image(grid, cur_nimg)

    def _choose(self, dataset: Dataset) -> Any:
        """Records for the grid: the first ones, or a row per class of a labelled dataset."""
        num = min(self._size[0] * self._size[1], dataset.num_images)
        if not dataset.label_size:
            return range(num)
        labels = (dataset.read_labels([i])[0] for i in range(dataset.num_images))
        return images.row_per_class(labels, self._size)


class Snapshot:
    """Saves network-snapshot-NNNNNN.h5 (NNNNNN = kimg) every few ticks and at the end."""

    def __init__(self, folder: Path, dataset: Dataset, config: RunConfig) -> None:
        self._folder = folder
        self._every = config.training.network_snapshot_ticks
        self._meta = {
            "config": json.loads(config.to_json()),
            "label_names": list(dataset.label_names),  # for generate.py and the exported model
        }

    def __call__(self, tick: Tick, state: TrainingState, final: bool) -> None:
        if not final and tick.tick % self._every:
            return
        path = self._folder / f"network-snapshot-{state.progress.cur_nimg // 1000:06d}.h5"
        cur_nimg = state.progress.cur_nimg
        save_snapshot(path, state.G, state.D, state.Gs, cur_nimg=cur_nimg, **self._meta)


def _is_past(line: str, cur_nimg: int) -> bool:
    """True for a line of stats.jsonl up to `cur_nimg`; False for a torn last line."""
    try:
        return round(json.loads(line)["kimg"] * 1000) <= cur_nimg
    except (ValueError, KeyError, TypeError):
        return False


def _clock(hours: float) -> str:
    """Formats hours: 1.5 -> "1h 30m 00s", as the original prints times."""
    seconds = round(hours * 3600)
    days, clock = divmod(seconds, 86400)
    text = time.strftime("%Hh %Mm %Ss", time.gmtime(clock))
    return f"{days}d {text}" if days else text
