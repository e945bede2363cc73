"""A watch on overfitting and collapse: values of each tick, and the best snapshot."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from pgtf.dataset import Dataset
from pgtf.depth import Depth
from pgtf.foreign.json_files import read_lines
from pgtf.interop import save_snapshot
from pgtf.runs.run_folder import STATS_FILE
from pgtf.training import randomness
from pgtf.training.config import RunConfig
from pgtf.training.randomness import Stream
from pgtf.training.state import TrainingState
from pgtf.training.ticks import Tick

SIMILARITY, DISTANCE = "fakes_ms_ssim", "held_out_swd"  # fields of a tick
NUM_PAIRS = 16  # of fakes whose similarity is measured
MOST_IMAGES = 64  # compared with held-out images
MOST_PIXELS = 1 << 22  # of them together, but at least 16 images
BEST_SNAPSHOT = "best-held-out.h5"
_POSITION = 1 << 59  # latents that training never reaches

Distance = Callable[
    [np.ndarray], float
]  # fakes [N, H, W, C] of 0 ... 255 to the images it was made for


@dataclasses.dataclass(frozen=True)
class Measures:
    """Measures of pgtf.metrics; None = images are too small for one."""

    similarity: Callable[[np.ndarray], float | None]
    distance_to: Callable[[np.ndarray], Distance | None]


class Watch:
    """Measures fakes of Gs at the end of each tick. Latents and held-out images stay the same."""

    def __init__(
        self,
        folder: Path,
        held_out: Dataset,
        state: TrainingState,
        config: RunConfig,
        measures: Measures,
        meta: Mapping[str, Any],
    ) -> None:
        """Stores the arguments, and reads the best value of the run from its statistics."""
        self._folder, self._held_out, self._measures = folder, held_out, measures
        self._depth = Depth.of(held_out)
        self._meta = meta
        shape = [MOST_IMAGES, state.G.latent_size]
        position = _POSITION
        drawn = randomness.normal(shape, config.training.seed, position, Stream.GRID_LATENTS)
        self._latents = drawn.numpy()
        self._distances: dict[int, Distance | None] = {}  # by resolution
        self._best = _best_of(folder, state.progress.cur_nimg)

    def __call__(self, tick: Tick, state: TrainingState) -> Tick:
        """Returns the tick with more statistics. Saves the state if it is the best."""
        num = min(MOST_IMAGES, max(MOST_PIXELS // tick.resolution**2, 16))
        num = min(num, self._held_out.num_images)
        labels = self._held_out.read_labels(range(num))
        generated = state.Gs.run(self._latents[:num], labels)
        fakes = self._depth.levels(self._depth.from_model(generated))
        found: dict[str, float] = {}
        similarity = self._measures.similarity(fakes[: 2 * NUM_PAIRS])
        if similarity is not None:
            found[SIMILARITY] = similarity
        if tick.alpha == 1:  # Held-out images do not fade.
            distance = self._distance_at(tick.resolution, num)
            if distance is not None:
                found[DISTANCE] = distance(fakes)
        self._log(found, tick)
        self._keep_best(found, tick, state)
        return dataclasses.replace(tick, statistics={**tick.statistics, **found})

    def _distance_at(self, resolution: int, num: int) -> Distance | None:
        if resolution not in self._distances:
            level = resolution.bit_length() - 1
            reals = self._depth.levels(self._held_out.read_images(range(num), level))
            self._distances = {resolution: self._measures.distance_to(reals)}
        return self._distances[resolution]

    def _log(self, found: Mapping[str, float], tick: Tick) -> None:
        words = {
            SIMILARITY: "MS-SSIM between fakes",
            DISTANCE: "SWD to held-out images",
            "aug_signal": "overfitting",
            "aug_p": "p of augmentations",
        }
        values = {**found, **tick.statistics}
        line = ", ".join(f"{text} {values[k]:.3f}" for k, text in words.items() if k in values)
        if line:
            logging.info("watch: %s", line)

    def _keep_best(self, found: Mapping[str, float], tick: Tick, state: TrainingState) -> None:
        value = found.get(DISTANCE, math.nan)
        if tick.lod == 0 and value < self._best:
            self._best = value
            logging.info("watch: the best so far by held-out images: %s", BEST_SNAPSHOT)
            path, cur_nimg = self._folder / BEST_SNAPSHOT, state.progress.cur_nimg
            save_snapshot(path, state.G, state.D, state.Gs, cur_nimg=cur_nimg, **self._meta)


def meta_of(dataset: Dataset, config: RunConfig) -> dict[str, Any]:
    """Returns what a snapshot holds beside the networks, for generate.py and exported models."""
    return {
        "config": json.loads(config.to_json()),
        "label_names": list(dataset.label_names),
        "label_groups": [group.as_json() for group in dataset.label_groups],
        **Depth.of(dataset).as_json(),
    }


def with_augmentation(tick: Tick, config: RunConfig, state: TrainingState) -> Tick:
    """Returns a tick with the probability of augmentations and the signals, as far as known."""
    progress, options, found = state.progress.augment, config.augment, {}
    if options.is_used and options.aug == "ada":
        found["aug_p"] = progress.p if options.aug_p is None else options.aug_p
    if options.needs_held_out:
        values = {"aug_signal": progress.signal, "aug_signal_mean": progress.signal_mean}
        found |= {name: value for name, value in values.items() if value is not None}
    return dataclasses.replace(tick, statistics={**tick.statistics, **found}) if found else tick


def _best_of(folder: Path, cur_nimg: int) -> float:
    """Smallest distance at full resolution in the statistics up to an image; infinite if none."""
    best = math.inf
    for line in read_lines(folder / STATS_FILE, allow_nan=True):
        value = line.value if not line.is_torn else None
        if isinstance(value, dict) and value.get("lod") == 0:
            kimg, found = value.get("kimg"), value.get(DISTANCE)
            if isinstance(found, float) and isinstance(kimg, float):
                best = min(best, found if round(kimg * 1000) <= cur_nimg else best)
    return best
