"""What happens at the end of a tick: status line, statistics, pictures and snapshots."""

import contextlib
import dataclasses
import errno
import json
import os
import time

import numpy as np
import tensorflow as tf
from absl import logging

from pgtf import images
from pgtf.interop import save_snapshot
from pgtf.training import randomness
from pgtf.training.run_folder import STATS_FILE

_GRID_SCREEN = "1080p"


@dataclasses.dataclass(frozen=True)
class Tick:
    """One line of stats.jsonl. Everything but the last five fields is the same in every repeat."""

    tick: int
    kimg: float  # thousands of real images shown
    lod: float
    alpha: float
    resolution: int
    minibatch: int
    G_lrate: float
    D_lrate: float
    G_loss: float  # means over the tick's iterations, as all of the following
    D_loss: float
    real_scores: float
    fake_scores: float
    mixed_norms: float  # gradient norm; the penalty pulls it to 1; 0 with LSGAN
    noise_strength: float  # of D's multiplicative noise
    skipped_updates: int  # since the start of the run, because a gradient was not finite
    sec_per_kimg: float
    sec_per_tick: float
    train_hours: float  # time spent training since the start of the run
    eta_hours: float  # until the end, at the speed of this tick
    peak_gib: float  # of GPU memory, or of the process when training on the CPU


TIME_FIELDS = ("sec_per_kimg", "sec_per_tick", "train_hours", "eta_hours", "peak_gib")


class StatusLine:
    """Prints one line a tick."""

    def __call__(self, tick, state, final):
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
            tick.G_loss,
            tick.D_loss,
            f"  skipped {tick.skipped_updates}" if tick.skipped_updates else "",
        )


class StatsFile:
    """Appends a JSON line a tick to stats.jsonl, after cutting what a resumed run repeats."""

    def __init__(self, folder, cur_nimg):
        self._path = folder / STATS_FILE
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        kept = [line for line in lines if _is_before(line, cur_nimg)]
        if kept != lines:
            images.write_atomically(self._path, "".join(f"{line}\n" for line in kept).encode())

    def __call__(self, tick, state, final):
        with images.open_no_link(self._path, "a") as file:
            file.write(json.dumps(dataclasses.asdict(tick)) + "\n")
            file.flush()
            os.fsync(file.fileno())  # a checkpoint counts on it


class TensorBoard:
    """Writes scalars and the current image grid as TensorBoard events."""

    def __init__(self, folder):
        self._writer = tf.summary.create_file_writer(str(folder))

    def __call__(self, tick, state, final):
        with self._writing(state.progress.cur_nimg):
            for name, value in dataclasses.asdict(tick).items():
                tf.summary.scalar(name, value)
            self._writer.flush()

    def image(self, grid, cur_nimg):
        """Adds one [H, W, C] picture in [-1, 1] as `fakes`."""
        with self._writing(cur_nimg):
            tf.summary.image("fakes", images.to_uint8(grid)[np.newaxis])

    @contextlib.contextmanager
    def _writing(self, cur_nimg):
        try:
            with self._writer.as_default(step=cur_nimg):
                yield
        except tf.errors.OpError as error:
            full = isinstance(error, tf.errors.ResourceExhaustedError)
            number = errno.ENOSPC if full else errno.EIO
            raise OSError(number, f"cannot write TensorBoard events: {error.message}") from error


class ImageGrid:
    """Saves reals.png once and fakesNNNNNN.png (NNNNNN = kimg) with the same latents each time."""

    def __init__(self, folder, dataset, state, config, tensorboard):
        self._folder = folder
        self._every = config.training.image_snapshot_ticks
        self._tensorboard = tensorboard
        self._size = images.snapshot_grid_size(_GRID_SCREEN, dataset.resolution)
        chosen = self._choose(dataset)
        self._labels = dataset.read_labels(chosen)
        num = self._size[0] * self._size[1]
        shape = [num, state.G.latent_size]
        draw = randomness.normal(shape, config.training.seed, 0, randomness.Draw.GRID_LATENTS)
        self._latents = draw.numpy()[: len(chosen)]
        if not (folder / "reals.png").exists():
            self._save(state)
            reals = images.to_float(dataset.read_images(chosen))
            images.save_image_grid(folder / "reals.png", reals, self._size)

    def __call__(self, tick, state, final):
        if final or tick.tick % self._every == 0:
            self._save(state)

    def _save(self, state):
        fakes = state.Gs.run(self._latents, self._labels)
        factor = state.Gs.config.resolution // fakes.shape[1]  # as the original: full resolution
        grid = images.image_grid(fakes.repeat(factor, 1).repeat(factor, 2), self._size)
        name = f"fakes{state.progress.cur_nimg // 1000:06d}.png"
        images.save_png(self._folder / name, grid)
        self._tensorboard.image(grid, state.progress.cur_nimg)

    def _choose(self, dataset):
        """Records for the grid: the first ones, or a row per class of a labelled dataset."""
        num = min(self._size[0] * self._size[1], dataset.num_images)
        if not dataset.label_size:
            return range(num)
        labels = (dataset.read_labels([i])[0] for i in range(dataset.num_images))
        return images.row_per_class(labels, self._size)


class Snapshot:
    """Saves network-snapshot-NNNNNN.h5 (NNNNNN = kimg) every few ticks and at the end."""

    def __init__(self, folder, dataset, config):
        self._folder = folder
        self._every = config.training.network_snapshot_ticks
        self._meta = {
            "config": json.loads(config.to_json()),
            "label_names": list(dataset.label_names),  # for generate.py and the exported model
        }

    def __call__(self, tick, state, final):
        if not final and tick.tick % self._every:
            return
        path = self._folder / f"network-snapshot-{state.progress.cur_nimg // 1000:06d}.h5"
        cur_nimg = state.progress.cur_nimg
        save_snapshot(path, state.G, state.D, state.Gs, cur_nimg=cur_nimg, **self._meta)


def _is_before(line, cur_nimg):
    """Whether a line of stats.jsonl is of the past; a torn last line is not."""
    try:
        return round(json.loads(line)["kimg"] * 1000) <= cur_nimg
    except (ValueError, KeyError, TypeError):
        return False


def _clock(hours):
    """1.5 -> "1h 30m 00s", as the original prints times."""
    seconds = round(hours * 3600)
    days, clock = divmod(seconds, 86400)
    text = time.strftime("%Hh %Mm %Ss", time.gmtime(clock))
    return f"{days}d {text}" if days else text
