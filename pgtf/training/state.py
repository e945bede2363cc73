"""The content of a checkpoint: networks, optimizers and counters."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tensorflow as tf

from pgtf import networks
from pgtf.augment.adaptation import AugmentProgress
from pgtf.foreign.json_files import SMALL_BYTES, parse_json
from pgtf.foreign.schema import Between, Count, read_as
from pgtf.interop import snapshots
from pgtf.networks import Discriminator, Generator, Network
from pgtf.training.adam import Adam
from pgtf.training.config import RunConfig
from pgtf.training.precision import compute_dtype

MAX_NIMG = 2**53  # Beyond it thousands of images are no exact float64.

_Lod = Annotated[int, Between(0, 32)]


@dataclasses.dataclass
class Progress:
    """Counters of a run. Everything else about its position follows from them."""

    cur_nimg: Annotated[int, Between(0, MAX_NIMG)] = 0  # real images shown
    tick: Count = 0
    tick_start_nimg: Annotated[int, Between(0, MAX_NIMG)] = 0
    # floor and ceil of the lod at the last iteration
    stage: tuple[_Lod, _Lod] | None = None
    train_sec: Annotated[float, Between(0, 1e12)] = 0.0  # time spent, over all resumptions
    num_rows: Count = 0  # iterations in this tick
    sums: dict[str, float] = dataclasses.field(default_factory=dict)  # per statistic
    num_skipped: Count = 0  # updates skipped since the start because a gradient was not finite
    skipped_in_row: Count = 0  # iterations up to the last one in which an update was skipped
    # moving average that decides the strength of D's noise
    noise_ema: Annotated[float, Between(0, 1)] = 0.0
    num_rollbacks: Count = 0  # returns to a checkpoint, each with other draws
    frozen_D: tuple[str, ...] = ()  # weights of D that are not trained
    augment: AugmentProgress = dataclasses.field(default_factory=AugmentProgress)

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any], source: str | Path) -> Progress:
        """Reads the counters of a checkpoint. ValueError names `source` and what is wrong."""
        place = f"{source}, `progress`"
        text = attributes.get("progress")
        if not isinstance(text, str):
            raise ValueError(f"{place}: missing, or no text.")
        found: Progress = read_as(cls, parse_json(text, place, max_bytes=SMALL_BYTES), place)
        if found.tick_start_nimg > found.cur_nimg:
            raise ValueError(
                f"{place}: `tick_start_nimg` must be at most `cur_nimg`, {found.cur_nimg}. "
                f"Received: {found.tick_start_nimg}."
            )
        return found


class TrainingState:
    """G, D, the moving average Gs, their optimizers and the progress, under a strategy."""

    def __init__(self, config: RunConfig, strategy: tf.distribute.Strategy) -> None:
        """Initializes everything from `config`, whose networks are sized for the dataset."""
        training = config.training
        with strategy.scope():
            options = {"seed": training.seed, "compute_dtype": compute_dtype(training.precision)}
            self.G = networks.build(config.G, **options)
            self.D = networks.build(config.D, **options)
            with networks.zero_weights():
                self.Gs = networks.build(config.G)
            self.Gs.copy_weights_from(self.G)
            adam = (training.adam_beta1, training.adam_beta2, training.adam_epsilon)
            scaled = training.precision == "fp16"
            self.G_opt = Adam(self.G.trainable_by_name, *adam, use_loss_scaling=scaled)
            self.D_opt = Adam(self.D.trainable_by_name, *adam, use_loss_scaling=scaled)
        self.progress = Progress()

    def networks(self) -> dict[str, Network]:
        return {"G": self.G, "D": self.D, "Gs": self.Gs}

    def load_networks(
        self,
        G: Generator,
        D: Discriminator,
        Gs: Generator,
        nimg: int,
        frozen_D: tuple[str, ...] = (),
    ) -> None:
        """Copies the networks of a file, as if `nimg` images had been shown."""
        for mine, theirs in zip(self.networks().values(), (G, D, Gs), strict=True):
            mine.copy_weights_from(theirs)
        self.progress.cur_nimg = self.progress.tick_start_nimg = nimg
        self.progress.frozen_D = frozen_D

    def pack(self) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
        """Returns everything as named arrays and attributes, as `hdf5.write_hdf5` takes them."""
        groups, attributes = snapshots.pack(**self.networks())
        for name, optimizer in self._optimizers().items():
            groups[name] = {k: v.numpy() for k, v in optimizer.variables_by_name.items()}
        attributes["progress"] = json.dumps(dataclasses.asdict(self.progress))
        return groups, attributes

    def unpack(
        self,
        groups: dict[str, dict[str, np.ndarray]],
        attributes: dict[str, Any],
        source: str | Path,
    ) -> None:
        """Loads the result of `pack`.

        Raises:
            ValueError: if it does not fit; names `source` and all arrays that do not. Nothing has
                been changed then.
        """
        progress = Progress.from_attributes(attributes, source)
        snapshots.check(groups, attributes, source, **self.networks())
        for name, optimizer in self._optimizers().items():
            optimizer.check(groups.get(name, {}), f"{source}, {name}")
        snapshots.unpack(groups, attributes, source, **self.networks())
        for name, optimizer in self._optimizers().items():
            for key, variable in optimizer.variables_by_name.items():
                variable.assign(groups[name][key])
        self.progress = progress

    @staticmethod
    def is_skipping(attributes: dict[str, Any], source: str | Path) -> bool:
        """True if updates were being skipped when a checkpoint was written."""
        return Progress.from_attributes(attributes, source).skipped_in_row > 0

    def _optimizers(self) -> dict[str, Adam]:
        return {"G_opt": self.G_opt, "D_opt": self.D_opt}
