"""Named configurations: the original TensorFlow release's, the paper's experiments, and a demo."""

import difflib
from collections.abc import Mapping
from typing import Any

from pgtf.config.config import HALF_PRECISIONS, Config
from pgtf.config.experiments import EXPERIMENTS
from pgtf.dataset import DatasetConfig
from pgtf.installation import spelled
from pgtf.networks import DiscriminatorConfig, GeneratorConfig
from pgtf.schedule import Schedule
from pgtf.training.config import TrainingConfig

# Largest minibatch in 16 GB of GPU memory in the original release, by resolution.
_MAX_MINIBATCH_PER_GPU = {256: 16, 512: 8, 1024: 4}
_MAX_MINIBATCH_PER_GPU_HALF = {512: 16, 1024: 8}


def max_minibatch_per_gpu(precision: str) -> dict[int, int]:
    """Returns the original's memory limits by resolution. bf16 needs as little memory as fp16."""
    is_half = precision in HALF_PRECISIONS
    return dict(_MAX_MINIBATCH_PER_GPU_HALF if is_half else _MAX_MINIBATCH_PER_GPU)


def _v2(
    num_gpus: int,
    minibatch_base: int,
    minibatch_dict: Mapping[int, int],
    lrate_dict: Mapping[int, float],
) -> Config:
    """Returns a preset of the original release for one machine: larger minibatches, 12M images."""
    schedule = Schedule(
        num_gpus=num_gpus,
        minibatch_base=minibatch_base,
        minibatch_dict=minibatch_dict,
        max_minibatch_per_gpu=max_minibatch_per_gpu("fp32"),
        G_lrate_dict=lrate_dict,
        D_lrate_dict=lrate_dict,
    )
    return Config(schedule=schedule, training=TrainingConfig(total_kimg=12000))


# Original release, config.py: V1 is the paper's CelebA-HQ run, V2 what its authors then preferred.
PRESETS: dict[str, Config] = {
    "v1-1gpu": Config(
        D=DiscriminatorConfig(mbstd_group_size=16),
        schedule=Schedule(
            lod_training_kimg=800,
            lod_transition_kimg=800,
            minibatch_base=16,
            minibatch_dict={256: 14, 512: 6, 1024: 3},
            max_minibatch_per_gpu=max_minibatch_per_gpu("fp32"),
        ),
        training=TrainingConfig(total_kimg=19000),
    ),
    "v2-1gpu": _v2(
        1,
        4,
        {4: 128, 8: 128, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8, 512: 4},
        {1024: 0.0015},
    ),
    "v2-2gpus": _v2(
        2,
        8,
        {4: 256, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8},
        {512: 0.0015, 1024: 0.002},
    ),
    "v2-4gpus": _v2(
        4,
        16,
        {4: 512, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16},
        {256: 0.0015, 512: 0.002, 1024: 0.003},
    ),
    "v2-8gpus": _v2(
        8,
        32,
        {4: 512, 8: 256, 16: 128, 32: 64, 64: 32},
        {128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003},
    ),
    # The schedule of v2-8gpus on one card with about 40 GB: another training than v2-1gpu, with
    # larger minibatches and learning rates, and no limits made for 16 GB.
    "v2-1gpu-mb32": _v2(
        1,
        32,
        {4: 512, 8: 256, 16: 128, 32: 64, 64: 32},
        {128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003},
    ).replace({"schedule.max_minibatch_per_gpu": {}}),
    # Minutes on a CPU, for 32x32 cartoon faces. Small minibatches and large learning rates let the
    # cheap resolutions show faces before the next one fades in.
    "demo": Config(
        dataset=DatasetConfig(path="datasets/demo", max_label_size=0, mirror_augment=False),
        G=GeneratorConfig(fmap_base=256, fmap_max=64, latent_size=64),
        D=DiscriminatorConfig(fmap_base=256, fmap_max=64),
        schedule=Schedule(
            resolution_log2=5,
            lod_training_kimg=8,
            lod_transition_kimg=3,
            minibatch_base=16,
            minibatch_dict={4: 8, 8: 8, 16: 8},
            G_lrate_base=0.006,
            G_lrate_dict={4: 0.012, 8: 0.012, 16: 0.012},
            D_lrate_base=0.006,
            D_lrate_dict={4: 0.012, 8: 0.012, 16: 0.012},
            tick_kimg_base=1.6,
            tick_kimg_dict={4: 0.8},
        ),
        # The run folder, with snapshots and checkpoints, stays below 20 MB.
        training=TrainingConfig(
            total_kimg=90,
            G_smoothing=0.99,  # A slower average shows noise in place of layers that fade in.
            network_snapshot_ticks=100,  # the first tick's and the last one's
            image_grid="small",
            picture_budget_mb=2.5,
        ),
    ),
    **{name: experiment.config for name, experiment in EXPERIMENTS.items()},
}


_FORMER_DEMO_RATES = {
    "schedule.G_lrate_base": 0.003,
    "schedule.G_lrate_dict": {},
    "schedule.D_lrate_base": 0.003,
    "schedule.D_lrate_dict": {},
}
# Values that a preset's earlier versions, oldest first, had in fields that differ from today's.
# Runs that began then keep them.
FORMER_FIELDS: dict[str, tuple[dict[str, Any], ...]] = {
    "demo": (
        {
            "schedule.lod_training_kimg": 4,
            "schedule.lod_transition_kimg": 4,
            "schedule.minibatch_dict": {},
            "schedule.tick_kimg_base": 2,
            "schedule.tick_kimg_dict": {},
            "training.G_smoothing": 0.995,
            **_FORMER_DEMO_RATES,
        },
        {"training.G_smoothing": 0.98, **_FORMER_DEMO_RATES},
    ),
}


def named(name: str, precision: str | None = None) -> Config:
    """Returns a preset, with the original's memory limits for a precision (None = its own).

    Raises:
        ValueError: for an unknown name; names the nearest one.
    """
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1, cutoff=0)[0]
        known = ", ".join(name for name in PRESETS if name not in EXPERIMENTS)
        raise ValueError(
            f"no preset `{name}`. Did you mean `{near}`? All: {known}, and the experiments of "
            f"{spelled('train.py --list_presets')}."
        )
    config = PRESETS[name]
    if precision is None or not config.schedule.max_minibatch_per_gpu:
        return config
    return config.replace({"schedule.max_minibatch_per_gpu": max_minibatch_per_gpu(precision)})


# The presets from which the number of GPUs chooses one.
GPU_PRESETS = ("v2-1gpu", "v2-2gpus", "v2-4gpus", "v2-8gpus")


def preset_for(num_gpus: int) -> str:
    """Returns the name of the v2 preset for a number of GPUs, or raises ValueError."""
    name = f"v2-{num_gpus}gpu" if num_gpus == 1 else f"v2-{num_gpus}gpus"
    if name not in GPU_PRESETS:
        known = ", ".join(name for name in PRESETS if name not in EXPERIMENTS)
        raise ValueError(
            f"`--preset` is needed for --gpus={num_gpus}, which has no v2 preset. Presets: {known}."
        )
    return name
