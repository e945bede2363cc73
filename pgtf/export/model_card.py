"""Writes model_card.json, facts about a served model, its origin and checks, and its README.md."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pgtf.export import card_page
from pgtf.export.pictures import save_grid
from pgtf.export.recipe import Marker
from pgtf.export.signatures import Facts
from pgtf.foreign.files import open_regular
from pgtf.interop.weights import sha256_of
from pgtf.networks import Generator

CARD_FILE = "model_card.json"


def write_model_card(
    folder: Path,
    version: int,
    Gs: Generator,
    facts: Facts,
    signatures: Mapping[str, tuple[Mapping[str, tf.TensorSpec], Mapping[str, tf.TensorSpec]]],
    report: Mapping[str, Any],
    samples: np.ndarray | None = None,
) -> None:
    """Writes the card of a finished version folder, for programs and as a page with a picture.

    Args:
        folder: the SavedModel; the card holds the SHA-256 of every file in it.
        version: number of the version.
        Gs: the exported generator.
        facts: facts beyond the weights.
        signatures: {name: ({name of input: TensorSpec}, {name of output: TensorSpec})}.
        report: result of `self_check`.
        samples: images of seeds 0, 1, ... for the page, uint8 [N, H, W, 1 or 3].
    """
    resolution_log2, alpha = Gs.stage(Gs.lod)
    fading = "" if alpha == 1 else f", {float(alpha):.0%} faded in"
    stage = "finished" if Gs.lod == 0 else f"still growing at lod {Gs.lod:g}{fading}"
    card: dict[str, Any] = {
        "name": facts.name,
        "version": version,
        "licence": facts.licence,
        "dataset": facts.dataset,
        "label_names": list(facts.label_names),
        "label_groups": [group.as_json() for group in facts.groups_of(Gs)],
        "kimg": facts.kimg,
        "resolution": 2**resolution_log2,
        "full_resolution": Gs.config.resolution,
        "size": list(Gs.config.base.size_at(resolution_log2)),  # height, width
        "full_size": list(Gs.config.image_size),
        "channels": Gs.config.num_channels,
        **facts.depth.as_json(),
        "lod": Gs.lod,
        "stage": stage,
        "num_samples": 0 if samples is None else len(samples),
        "weights": "moving average (Gs), float32",
        "metrics": dict(facts.metrics),
        "latency_ms": report["latency_ms"],
        "self_check": {"largest_difference_levels": report["largest_difference_levels"]},
        "signatures": {
            name: {"inputs": _described(inputs), "outputs": _described(outputs)}
            for name, (inputs, outputs) in signatures.items()
        },
        "config": dict(facts.config),
        "source": dict(facts.source),
        "command": facts.command,
        "software": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
    }
    if samples is not None:
        mark = Marker("short" if facts.marked else "none", sha256_of(Gs))({})
        save_grid(samples, None, folder / card_page.PICTURE_FILE, mark_of=lambda arranged: mark)
    card_page.write_page(folder, card, 0 if samples is None else len(samples))
    card["sha256"] = {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    (folder / CARD_FILE).write_text(json.dumps(card, indent=2) + "\n")


def sha256(path: str | os.PathLike[str]) -> str:
    """Computes the SHA-256 of a file, in hexadecimal."""
    with open_regular(path) as file:
        digest = hashlib.sha256()
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _described(specs: Mapping[str, tf.TensorSpec]) -> dict[str, str]:
    """Formats specifications: {"latents": TensorSpec} -> {"latents": "float32 [N, 512]"}."""
    return {
        name: f"{spec.dtype.name} [{', '.join(['N', *map(str, spec.shape[1:])])}]"
        for name, spec in sorted(specs.items())
    }
