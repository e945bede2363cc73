"""Options of the training loop."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How long and how to train; progress and intervals are in images and ticks. App. A.1."""

    seed: int = 1000  # of weights, order of the data, latents and mixing factors
    total_kimg: float = 15000  # length of training, thousands of real images shown
    minibatch_repeats: int = 4  # iterations between two looks at the schedule
    D_repeats: int = 1  # n_critic: D updates for one G update
    G_smoothing: float = 0.999  # decay of the moving average of G, per D update
    reset_opt_for_new_lod: bool = True  # reset Adam when a fade begins and when it ends
    adam_beta1: float = 0.0
    adam_beta2: float = 0.99
    adam_epsilon: float = 1e-8
    max_skipped: int = 50  # iterations in a row with a non-finite gradient that end the run
    image_snapshot_ticks: int = 1  # ticks between image grids
    network_snapshot_ticks: int = 10  # ticks between network snapshots

    def __post_init__(self) -> None:
        for name in ("total_kimg", "image_snapshot_ticks", "network_snapshot_ticks"):
            if getattr(self, name) <= 0:
                raise ValueError(f"`{name}` must be above 0. Received: {getattr(self, name)}.")
        for name in ("minibatch_repeats", "D_repeats", "max_skipped"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {getattr(self, name)}.")
