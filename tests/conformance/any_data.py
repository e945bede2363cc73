"""Small datasets of any grid, number of channels, type and kinds of labels."""

import json

import numpy as np

from pgtf.dataset import open_dataset
from pgtf.dataset.tfrecords import to_records
from tests import tiny

GRIDS = {"4x4": (4, 4), "5x4": (5, 4), "4x3": (4, 3), "2x8": (2, 8)}
RANGES = {"uint8": (0, 255), "uint16": (100, 4100), "float32": (-1000.0, 3000.0)}
NUM = 24
GROUPS = [
    {"kind": "class", "columns": [0, 3], "names": ["a", "b", "c"]},
    {"kind": "multilabel", "columns": [3, 5], "names": ["left", "right"]},
    {"kind": "continuous", "columns": [5, 6], "names": ["age"], "mean": [60], "deviation": [9.5]},
]


def labels(num=NUM):
    """Rows of GROUPS: a class, two findings and an age."""
    rng = np.random.default_rng(7)
    rows = np.eye(3)[np.arange(num) % 3]
    findings, ages = rng.integers(0, 2, (num, 2)), rng.normal(60, 9.5, (num, 1))
    return np.concatenate([rows, findings, ages], axis=1).astype(np.float32)


def values(dtype, shape):
    """Random blocks of the range of a type: [N, C, H, W]."""
    low, high = RANGES[dtype]
    rows = np.random.default_rng(3).uniform(low, high, shape)
    return (rows if dtype == "float32" else np.rint(rows)).astype(dtype)


def write(folder, grid="4x4", channels=3, dtype="uint8", levels=3, label_groups=None, num=NUM):
    """Writes a dataset whose images are blocks of constant colour; returns its folder."""
    folder.mkdir()
    height, width = GRIDS[grid]
    blocks = values(dtype, (num, channels, height, width))
    for level in range(levels):
        enlarged = blocks.repeat(1 << level, 2).repeat(1 << level, 3)
        (folder / f"x-r{level + 2:02d}.tfrecords").write_bytes(to_records(enlarged).tobytes())
    facts = {"grid": [height, width], "channels": channels, "dtype": dtype, "range": RANGES[dtype]}
    if label_groups:
        with open(folder / "x-rxx.labels", "wb") as file:
            np.save(file, labels(num)[:, : label_groups[-1]["columns"][1]])
        facts["label_groups"] = label_groups
    (folder / "dataset.json").write_text(json.dumps(facts))
    return folder


def opened(folder, **options):
    """Writes a dataset and opens it."""
    size = "full" if options.get("label_groups") else 0
    return open_dataset(write(folder, **options), max_label_size=size)


def configured(preset, dataset):
    """A configuration that trains tiny networks on a dataset: stable, fading, stable, fading ..."""
    changes = {f"{net}.{k}": tiny.OPTIONS[k] for net in "GD" for k in ("fmap_base", "fmap_max")}
    changes |= {
        "dataset.path": dataset.path,
        "dataset.max_label_size": "full" if dataset.label_size else 0,
        "G.latent_size": tiny.LATENT_SIZE,
        "schedule.lod_training_kimg": 0.016,
        "schedule.lod_transition_kimg": 0.016,
        "schedule.minibatch_base": 8,
        "schedule.minibatch_dict": {},
        "schedule.tick_kimg_base": 0.016,
        "schedule.tick_kimg_dict": {},
        "training.total_kimg": 0.096,
        "training.minibatch_repeats": 1,
        "training.network_snapshot_ticks": 1,
    }
    return preset.replace(changes).for_dataset(
        dataset.resolution_log2,
        dataset.num_channels,
        dataset.label_size,
        1,
        grid=str(dataset.grid),
    )
