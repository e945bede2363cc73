"""Writes a generator as a version of a model that TensorFlow Serving loads."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pgtf.export import saving, serving_files
from pgtf.export.directions import edit
from pgtf.export.labels import default_rows, one_hot
from pgtf.export.model_card import write_model_card
from pgtf.export.self_check import self_check
from pgtf.export.signatures import Facts, make_module
from pgtf.export.version_folder import new_version
from pgtf.label_groups import restored, standardised
from pgtf.networks import Generator, latents_from_seeds

NUM_CHECKED = 4  # images that are compared per signature
SAMPLES_PIXELS = 2**21  # limit of the card's picture, beside MAX_SAMPLES
MAX_SAMPLES = 24  # images in the card's picture

Specs = Mapping[str, tf.TensorSpec]  # inputs or outputs of a signature by name


def export_generator(
    Gs: Generator,
    out: str | os.PathLike[str],
    *,
    version: int | None = None,
    facts: Facts | None = None,
) -> Path:
    """Writes `out`/<version>/, a SavedModel that loads without this package. Returns its path.

    The generator is exported at its own lod, so a snapshot taken while the network grows gives
    images of its stage's resolution. Beside the model lie warm-up requests, batching parameters
    and a model card. Before the version appears, a fresh process loads it and compares its
    images with those of the live network.

    Args:
        Gs: the generator, usually the moving average.
        out: folder of the model; its name is the model's name unless `facts` say otherwise.
        version: integer above 0; None = the next free one.
        facts: facts for the model card and the signature `info`; None = the name alone.

    Raises:
        FileExistsError: if the version is there already.
        OSError: if `out` cannot be written; as after any error, nothing is left behind.
        ValueError: if the check fails, for example because a weight is NaN.
    """
    out = Path(out)
    facts = facts or Facts(name=out.resolve().name)
    module, functions = make_module(Gs, facts)
    specs = {name: _specs(function) for name, function in functions.items()}
    inputs = {name: taken for name, (taken, _) in specs.items()}
    try:
        with new_version(out, version) as (folder, number):
            saving.save(module, folder, functions)
            report = self_check(folder, _expected(Gs, inputs, facts))
            size = Gs.config.base.size_at(Gs.stage(Gs.lod)[0])
            sizes = serving_files.batch_sizes(*size)
            serving_files.write_batching_parameters(folder / serving_files.BATCHING_FILE, sizes)
            warmup = folder / serving_files.WARMUP_FILE
            serving_files.write_warmup_requests(warmup, facts.name, inputs, sizes)
            write_model_card(folder, number, Gs, facts, specs, report, _samples(Gs, facts))
    except tf.errors.OpError as error:  # TensorFlow's own kind of OSError
        raise OSError(f"{out}: cannot be written: {error.message}") from error
    return out / str(number)


def _specs(function: Any) -> tuple[Specs, Specs]:
    """Returns the inputs and the outputs of a signature."""
    return function.structured_input_signature[1], function.structured_outputs


def _expected(Gs: Generator, inputs: Mapping[str, Specs], facts: Facts) -> dict[str, np.ndarray]:
    """Makes inputs for every signature and the live network's answers, for `self_check`."""
    expected: dict[str, np.ndarray] = {"range": np.array(facts.depth.value_range)}
    numbers = np.arange(NUM_CHECKED)
    for signature, specs in inputs.items():
        rows = serving_files.sample_inputs(specs, NUM_CHECKED)
        if "t" in rows:
            rows["t"] = (numbers % 2).astype(np.float32)  # both ends of the arc
        if "class_id" in rows:
            rows["class_id"] = numbers % Gs.config.label_size
        expected |= {f"inputs/{signature}/{name}": value for name, value in rows.items()}
        if "strengths" in rows:
            vectors = np.stack(list(facts.directions.values()))
            latents = edit(rows["latents"], vectors, rows.pop("strengths"))
            rows = rows | {"latents": latents}
        if "dummy" not in rows:
            expected[f"images/{signature}"] = facts.depth.from_model(_live(Gs, facts, **rows))
    return expected


def _samples(Gs: Generator, facts: Facts) -> np.ndarray:
    """Generates the images of the card: of seeds 0, 1, ..., fewer of large ones; uint8 NHWC."""
    num_pixels = math.prod(Gs.config.base.size_at(Gs.stage(Gs.lod)[0]))
    seeds = np.arange(min(max(SAMPLES_PIXELS // num_pixels, 1), MAX_SAMPLES))
    groups = facts.groups_of(Gs)
    labels = restored(default_rows(seeds, groups), groups) if groups else None
    return facts.depth.shown(_live(Gs, facts, seed=seeds, labels=labels))


def _live(
    Gs: Generator,
    facts: Facts,
    latents: Any = None,
    labels: np.ndarray | None = None,
    seed: np.ndarray | None = None,
    class_id: np.ndarray | None = None,
    latents_end: np.ndarray | None = None,
    t: np.ndarray | None = None,
) -> np.ndarray:
    """Generates the images that a signature should answer to these inputs: [N, H, W, C]."""
    with tf.device("CPU:0"):  # The fresh process has no other device.
        if seed is not None:
            latents = latents_from_seeds(seed, Gs.latent_size).numpy()
        if class_id is not None:
            labels = one_hot(class_id, Gs.config.label_size)
        if t is not None:
            latents = np.where(t[:, np.newaxis] == 0, latents, latents_end)
        if labels is not None:
            labels = standardised(labels, facts.groups_of(Gs))
        fakes = Gs.run(latents, labels)
    if not np.isfinite(fakes).all():
        raise ValueError("the generator gives NaN or infinity; it was not exported.")
    found: np.ndarray = fakes
    return found
