"""The content of a checkpoint: networks, optimizers and counters."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pgtf import networks
from pgtf.interop import snapshots
from pgtf.networks import Discriminator, Generator, Network
from pgtf.training.adam import Adam
from pgtf.training.config import RunConfig
from pgtf.training.precision import compute_dtype


@dataclasses.dataclass
class Progress:
    """Counters of a run. Everything else about its position follows from them."""

    cur_nimg: int = 0  # real images shown
    tick: int = 0
    tick_start_nimg: int = 0
    stage: tuple[int, int] | None = None  # floor and ceil of the lod at the last iteration
    train_sec: float = 0.0  # wall time spent training, over all resumptions
    num_rows: int = 0  # iterations in this tick
    sums: dict[str, float] = dataclasses.field(default_factory=dict)  # per statistic
    num_skipped: int = 0  # updates skipped since the start because a gradient was not finite
    skipped_in_row: int = 0  # iterations up to the last one in which an update was skipped
    noise_ema: float = 0.0  # moving average that decides the strength of D's noise
    num_rollbacks: int = 0  # returns to a checkpoint, each with other draws


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

    def load_networks(self, G: Generator, D: Discriminator, Gs: Generator, nimg: int) -> None:
        """Copies the networks of a snapshot or pickle, as if `nimg` images had been shown."""
        for mine, theirs in zip(self.networks().values(), (G, D, Gs), strict=True):
            mine.copy_weights_from(theirs)
        self.progress.cur_nimg = self.progress.tick_start_nimg = nimg

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
        """Loads the result of `pack`; ValueError, which names `source`, if it does not fit."""
        snapshots.unpack(groups, attributes, source, **self.networks())
        for name, optimizer in self._optimizers().items():
            for key, variable in optimizer.variables_by_name.items():
                if key not in groups.get(name, {}):
                    raise ValueError(f"{source}: no {name}/{key} in this checkpoint.")
                variable.assign(groups[name][key])
        progress = Progress(**json.loads(attributes["progress"]))
        if progress.stage is not None:
            floor, ceiling = progress.stage  # JSON has no tuples
            progress.stage = (floor, ceiling)
        self.progress = progress

    def _optimizers(self) -> dict[str, Adam]:
        return {"G_opt": self.G_opt, "D_opt": self.D_opt}
