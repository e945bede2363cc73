"""What a checkpoint holds: networks, optimizers and counters."""

import dataclasses
import json

from pgtf import networks
from pgtf.interop import snapshots
from pgtf.training.adam import Adam
from pgtf.training.precision import compute_dtype


@dataclasses.dataclass
class Progress:
    """Counters of a run; everything else about its position follows from them."""

    cur_nimg: int = 0  # real images shown
    tick: int = 0
    tick_start_nimg: int = 0
    stage: tuple[int, int] | None = None  # floor and ceil of the lod at the last iteration
    train_sec: float = 0.0  # wall time spent training, over all resumptions
    num_rows: int = 0  # iterations in this tick
    sums: dict[str, float] = dataclasses.field(default_factory=dict)  # of their statistics
    num_skipped: int = 0  # updates skipped since the start because a gradient was not finite
    skipped_in_row: int = 0  # iterations up to the last one in which an update was skipped
    noise_ema: float = 0.0  # moving average that decides the strength of D's noise
    num_rollbacks: int = 0  # times that training went back to a checkpoint with other draws


class TrainingState:
    """G, D, the moving average Gs, their optimizers and the progress; made under a strategy."""

    def __init__(self, config, strategy):
        """Initializes all of it from `config`, whose networks are sized for the dataset."""
        training = config.training
        with strategy.scope():
            options = {"seed": training.seed, "compute_dtype": compute_dtype(training.precision)}
            self.G = networks.build(config.G, **options)
            self.D = networks.build(config.D, **options)
            self.Gs = networks.build(config.G, seed=training.seed)
            adam = (training.adam_beta1, training.adam_beta2, training.adam_epsilon)
            adam += (training.precision == "fp16",)
            self.G_opt = Adam(self.G.trainable_by_name, *adam)
            self.D_opt = Adam(self.D.trainable_by_name, *adam)
        self.progress = Progress()

    def networks(self):
        return {"G": self.G, "D": self.D, "Gs": self.Gs}

    def adopt(self, G, D, Gs, nimg):
        """Continues from the networks of a snapshot or a pickle, as if `nimg` images were shown."""
        for mine, theirs in zip(self.networks().values(), (G, D, Gs), strict=True):
            mine.copy_weights_from(theirs)
        self.progress.cur_nimg = self.progress.tick_start_nimg = nimg

    def pack(self):
        """All of it as named arrays and attributes: (groups, attributes) for `hdf5.write_hdf5`."""
        groups, attributes = snapshots.pack(**self.networks())
        for name, optimizer in self._optimizers().items():
            groups[name] = {k: v.numpy() for k, v in optimizer.variables_by_name.items()}
        attributes["progress"] = json.dumps(dataclasses.asdict(self.progress))
        return groups, attributes

    def unpack(self, groups, attributes, source):
        """Takes over what `pack` returned; ValueError when it does not fit."""
        snapshots.unpack(groups, attributes, source, **self.networks())
        for name, optimizer in self._optimizers().items():
            for key, variable in optimizer.variables_by_name.items():
                if key not in groups.get(name, {}):
                    raise ValueError(f"{source}: no {name}/{key} in this checkpoint.")
                variable.assign(groups[name][key])
        progress = Progress(**json.loads(attributes["progress"]))
        if progress.stage is not None:
            progress.stage = tuple(progress.stage)
        self.progress = progress

    def _optimizers(self):
        return {"G_opt": self.G_opt, "D_opt": self.D_opt}
