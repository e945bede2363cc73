"""The paper's experiments as the original Theano release configured them, as presets.

Each lists its differences from one base, or from the previous row in the paper's tables.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pgtf.config.config import Config
from pgtf.dataset import DatasetConfig
from pgtf.losses import LossConfig
from pgtf.networks import DiscriminatorConfig, GeneratorConfig
from pgtf.schedule import Schedule
from pgtf.training.config import TrainingConfig


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A preset with its source, parameter counts and results in the paper."""

    config: Config
    source: str  # section or table of the paper
    G_parameters: int  # trainable, in the whole network with all its RGB layers
    D_parameters: int
    paper: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)  # results

    @property
    def expected(self) -> str:
        """Result in the paper, in a few words."""
        results = [f"{k} {'/'.join(f'{v:g}' for v in values)}" for k, values in self.paper.items()]
        return "; ".join(results) or "-"


# Config base of the release. The minibatch statistic spans the whole minibatch, pooling in D comes
# after the activation, and the schedule advances in every iteration.
BASE = Config(
    dataset=DatasetConfig(max_label_size=0, strict_uint8_fade=True),
    G=GeneratorConfig(num_channels=3, latent_size=512, fused_scale=False, wscale_constant="rms"),
    D=DiscriminatorConfig(
        num_channels=3, mbstd_group_size="all", fused_scale=False, wscale_constant="rms"
    ),
    loss=LossConfig(),
    schedule=Schedule(
        minibatch_base=16,
        minibatch_dict={256: 14, 512: 6, 1024: 3},
        lrate_rampup_kimg=40,
        tick_kimg_base=50,
        tick_kimg_dict={32: 20, 64: 10, 128: 10, 256: 5, 512: 2, 1024: 1},
    ),
    training=TrainingConfig(
        total_kimg=15000,
        minibatch_repeats=1,
        G_smoothing_per="G_update",
        image_snapshot_ticks=4,
        network_snapshot_ticks=40,
    ),
)

_LSUN = (
    "airplane bedroom bicycle bird boat bottle bridge bus car cat chair churchoutdoor classroom "
    "conferenceroom cow diningroom diningtable dog horse kitchen livingroom motorbike person "
    "pottedplant restaurant sheep sofa tower train tvmonitor"
).split()
_LSUN_WHOLE = ("bedroom", "dog")  # all images, not mirrored; the others use their first 100,000


def _phases(kimg: float) -> dict[str, Any]:
    return {"schedule.lod_training_kimg": kimg, "schedule.lod_transition_kimg": kimg}


def _both(**options: Any) -> dict[str, Any]:
    """Returns the same options for G and D."""
    return {f"{network}.{name}": value for network in "GD" for name, value in options.items()}


def _config(dataset: str, resolution_log2: int, mirror: bool, *changes: dict[str, Any]) -> Config:
    """Returns BASE on a dataset with changes; later ones win."""
    merged: dict[str, Any] = {
        "dataset.path": f"datasets/{dataset}",
        "dataset.mirror_augment": mirror,
    }
    for change in changes:
        merged |= change
    return BASE.for_dataset(resolution_log2, 3, 0, 1).replace(merged)


def _celebahq() -> dict[str, Experiment]:
    wgan = _phases(800) | {"training.total_kimg": 19000}
    # Reconstructed: the release has the loss and the noise, but no configuration that uses them.
    lsgan = wgan | {"loss.kind": "lsgan", "D.use_gdrop": True}
    counts = (23_079_115, 23_087_249)
    return {
        "celebahq-1024-wgangp": Experiment(
            _config("celebahq", 10, True, wgan), "Sec. 6.3, App. A.1", *counts
        ),
        "celebahq-1024-lsgan": Experiment(
            _config("celebahq", 10, True, lsgan), "Sec. 6.3, App. B; reconstructed", *counts
        ),
    }


def _lsun() -> dict[str, Experiment]:
    changes = _phases(800) | {"training.total_kimg": 20000, "schedule.minibatch_dict": {}}
    return {
        f"lsun-{category}-256": Experiment(
            _config(f"lsun-{category}", 8, category not in _LSUN_WHOLE, changes),
            "Sec. 6.4",
            23_044_309,
            23_052_353,
        )
        for category in _LSUN
    }


def _ablation_rows() -> dict[str, tuple[dict[str, Any], tuple[int, int]]]:
    """Returns changes and parameters (G, D) of each row of Table 1; each adds to an earlier one."""
    common = _phases(800) | _both(fmap_base=2048)
    common |= {
        "schedule.minibatch_dict": {},
        "schedule.lrate_rampup_kimg": 0,
        "training.total_kimg": 10000,
    }
    low_lrate = {"schedule.G_lrate_base": 1e-4, "schedule.D_lrate_base": 1e-4}
    plain = _both(use_wscale=False) | {"G.use_pixelnorm": False, "D.mbstd_group_size": 0}
    d = common | plain | low_lrate
    # "Gulrajani et al. 2017" means that paper's training and normalization on this paper's network.
    b = d | {
        "G.latent_size": 128,
        "G.normalize_latents": False,
        "G.use_leakyrelu": False,
        "G.use_batchnorm": True,
        "G.tanh_at_end": 1.0,
        "D.use_layernorm": True,
        "loss.wgan_epsilon": 0.0,
        "schedule.minibatch_base": 64,
        "training.D_repeats": 5,
        "training.adam_beta2": 0.9,
        # Same half-life in images as 0.999 at minibatch 16 with one D update per G update.
        "training.G_smoothing": 0.999**20,
    }
    a = b | _phases(0) | {"schedule.lod_initial_resolution": None}
    c = b | {"schedule.minibatch_base": 16, "training.G_smoothing": 0.999**5}
    e = d | {"D.mbstd_group_size": "all"}
    f = e | _both(use_wscale=True) | {"schedule.G_lrate_base": 1e-3, "schedule.D_lrate_base": 1e-3}
    g = f | {"G.use_pixelnorm": True}
    # Reconstructed: "non-crippled network, longer training"; the length is taken from BASE.
    h = g | _both(fmap_base=8192) | {"training.total_kimg": BASE.training.total_kimg}
    old, new = (10_487_090, 13_632_301), (13_629_810, 13_636_897)
    return {
        "a": (a, old),
        "b": (b, old),
        "c": (c, old),
        "d": (d, (13_629_810, 13_632_289)),
        "estar": (d | {"D.mbdisc_kernels": 100}, (13_629_810, 13_888_989)),
        "e": (e, new),
        "f": (f, new),
        "g": (g, new),
        "h": (h, (22_933_394, 22_941_313)),
    }


# Table 1: SWD x 10^3 at 128, 64, 32, 16, and their mean.
_ABLATION_SWD = {
    "celeba128": {
        "a": (12.99, 7.79, 7.62, 8.73, 9.28),
        "b": (4.62, 2.64, 3.78, 6.06, 4.28),
        "c": (75.42, 41.33, 41.62, 26.57, 46.23),
        "d": (9.20, 6.53, 4.71, 11.84, 8.07),
        "estar": (10.76, 6.28, 6.04, 16.29, 9.84),
        "e": (13.94, 5.67, 2.82, 5.71, 7.04),
        "f": (4.42, 3.28, 2.32, 7.52, 4.39),
        "g": (4.06, 3.04, 2.02, 5.13, 3.56),
        "h": (2.42, 2.17, 2.24, 4.99, 2.96),
    },
    "bedroom128": {
        "a": (11.97, 10.51, 8.03, 14.48, 11.25),
        "b": (7.09, 6.27, 7.40, 9.64, 7.60),
        "c": (72.73, 40.16, 42.75, 42.46, 49.52),
        "d": (7.39, 5.51, 3.65, 9.63, 6.54),
        "estar": (10.29, 6.22, 5.32, 11.88, 8.43),
        "e": (7.77, 5.23, 3.27, 9.64, 6.48),
        "f": (3.61, 3.32, 2.71, 6.44, 4.02),
        "g": (3.89, 3.05, 3.24, 5.87, 4.01),
        "h": (3.47, 2.60, 2.30, 4.87, 3.31),
    },
}


def _ablation() -> dict[str, Experiment]:
    experiments: dict[str, Experiment] = {}
    datasets: dict[str, tuple[str, bool, dict[str, Any]]] = {
        "celeba128": ("celeba", True, {}),
        "bedroom128": ("lsun-bedroom", False, {"dataset.resolution": 128}),  # stored at 256
    }
    for name, (folder, mirror, more) in datasets.items():
        for row, (changes, counts) in _ablation_rows().items():
            source = "Table 1 (e*)" if row == "estar" else f"Table 1 ({row})"
            experiments[f"ablation-{name}-{row}"] = Experiment(
                _config(folder, 7, mirror, changes, more),
                f"{source}; reconstructed" if row == "h" else source,
                *counts,
                {"SWD x 10^3": _ABLATION_SWD[name][row]},
            )
    return experiments


def _cifar10() -> dict[str, Experiment]:
    changes = _phases(400) | _both(fmap_base=4096, fmap_max=128)
    changes |= {
        "G.latent_size": 128,
        "loss.wgan_target": 750.0,
        "schedule.minibatch_dict": {},
        "schedule.lrate_rampup_kimg": 0,
        "training.total_kimg": 20000,
        "training.update_order": "simultaneous",
    }
    paper = {"inception score, best run": (8.80,), "ten runs": (8.56,)}
    config = _config("cifar10", 5, False, changes)
    return {
        "cifar10-32-unsupervised": Experiment(
            config, "Sec. 6.5, App. D, Table 3", 1_296_908, 1_298_689, paper
        )
    }


def _mnist1k() -> dict[str, Experiment]:
    """Appendix E; K/2 and K/4 are the numbers of feature maps in D."""
    common = _phases(0) | _both(structure="mnist1k", fmap_base=64, fmap_max=256, progressive=False)
    common |= {
        "G.latent_size": 64,
        "G.leakyrelu_slope": 0.3,
        "G.tanh_at_end": 1.0,
        "D.mbstd_group_size": 0,
        "loss.wgan_epsilon": 0.0,
        "schedule.lod_initial_resolution": None,
        "schedule.minibatch_base": 64,
        "schedule.minibatch_dict": {},
        "training.seed": 0,
        "training.total_kimg": 10000,
        "training.D_repeats": 5,
    }
    stddev = common | {"D.mbstd_group_size": "all"}
    growing = {
        "schedule.lod_initial_resolution": 4,
        "schedule.lod_training_kimg": 500,
        "schedule.lod_transition_kimg": 2000,
        "training.total_kimg": 15000,
    }
    base = common | _both(use_batchnorm=True, use_wscale=False) | {"G.use_pixelnorm": False}
    # Parameters of G, and of D with K = 2 and 4.
    rows = {
        "base": (base, 90_187, {2: 1861, 4: 571}),
        "ournorm": (common, 90_067, {2: 1833, 4: 557}),
        "mbstddev": (stddev, 90_067, {2: 1849, 4: 573}),
        "progression": (stddev | _both(progressive=True) | growing, 93_100, {2: 1961, 4: 629}),
    }
    return {
        f"mnist1k-k{k}-{name}": Experiment(
            _config("mnistrgb", 5, False, changes, {"D.fmap_divisor": k}),
            f"App. E, K/{k}",
            G_parameters,
            D_parameters[k],
        )
        for k in (2, 4)
        for name, (changes, G_parameters, D_parameters) in rows.items()
    }


EXPERIMENTS: dict[str, Experiment] = _celebahq() | _ablation() | _cifar10() | _mnist1k() | _lsun()
