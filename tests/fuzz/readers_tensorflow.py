"""Readers of files whose packages import TensorFlow, and of networks that it builds or runs."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.backends.backend_agg
import matplotlib.figure  # noqa: F401, so that not every child must
import numpy as np

from pgtf.commands import generate, generate_flags, generate_runs, metrics, metrics_flags
from pgtf.config import Config
from pgtf.export import timelapse
from pgtf.export.latents_file import read_latents
from pgtf.graphs import SavedModel
from pgtf.metrics import classifier, inception, plot, records
from pgtf.restoration.restorer import Restorer
from pgtf.runs import checkpoints, identity, run_folder
from tests.fuzz.seeds import LATENT_SIZE


@dataclasses.dataclass
class _Alone:
    """The only worker of a run."""

    num: int = 1
    is_chief: bool = True

    def broadcast(self, make: Callable[[], bytes]) -> bytes:
        """Returns what the chief makes."""
        return make()


class _AnyState:
    """Accepts every checkpoint."""

    def unpack(self, groups: Any, attributes: Any, source: Any) -> None:
        """Takes what was read."""


def config(folder: Path) -> None:
    """The configuration of a run, and its identity."""
    run_folder.load_config(folder, Config())
    identity.load(folder)


def statistics(folder: Path) -> None:
    """A film of a run."""
    for _ in timelapse.frames(timelapse.moments(folder, run_folder.STATS_FILE), 1):
        pass


def measured(folder: Path) -> None:
    """Records of metrics, drawn and listed."""
    plot.plot(folder, folder / "metrics.png")
    for record in records.of_snapshot(folder / "network-snapshot-000000.h5").values():
        records.numbers(record)


def report(folder: Path) -> None:
    """The page about a run."""
    generate_runs.report(argparse.Namespace(run=str(folder), outdir="", out=None, overwrite=True))


def checkpoint(folder: Path) -> None:
    """A checkpoint, up to its weights."""
    stored = checkpoints.Checkpoints(
        folder / "checkpoint", Config(), identity.Source("/x"), _Alone(), allow_config_change=False
    )
    try:
        stored.restore(_AnyState(), healthy=True)
    except checkpoints.ConfigChanged as error:
        if "dataset.path" not in str(error):
            raise


def latents(folder: Path) -> None:
    """Latent vectors."""
    for path in sorted(folder.iterdir()):
        read_latents(path, LATENT_SIZE, 0)


def restoration(folder: Path) -> None:
    """The description of a restoration network."""
    Restorer.open(str(folder / "model"), "jpeg")


def classes(folder: Path) -> None:
    """The classifier of mode coverage."""
    classifier.load_classifier(folder / "classifier.npz")


def saved_model(folder: Path) -> None:
    """A SavedModel that is loaded and called."""
    model = SavedModel(folder / "1")
    shapes = model.input_shapes("serving_default")
    inputs = {name: np.zeros([1, *shape[1:]], np.float32) for name, shape in shapes.items()}
    model.signature("serving_default")(**inputs)


def frozen_graph(folder: Path) -> None:
    """A graph in place of the Inception network."""
    inception.Inception(folder / "graph.pb")


def generate_images(folder: Path) -> None:
    """One image of a network, from its snapshot or pickle."""
    path = folder / "network.pkl"
    kind = "pkl" if os.path.lexists(path) else "snapshot"
    path = path if kind == "pkl" else folder / "network-snapshot-000000.h5"
    argv = ["generate.py", "images", f"--{kind}={path}", "--seeds=0", f"--out={folder / 'out'}"]
    generate.run(generate_flags.parse(argv))


def measure(folder: Path) -> None:
    """A metric of a network and a dataset."""
    path = folder / "network-snapshot-000000.h5"
    argv = ["metrics", f"--snapshot={path}", f"--dataset={folder / 'faces'}", "--metrics=swd"]
    metrics.run(metrics_flags.parse([*argv, "--num_images=8", "--no_cache"]))
