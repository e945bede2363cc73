"""Writes a generator as a version of a model that TensorFlow Serving loads."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from pgtf import images
from pgtf.export import serving_files
from pgtf.export.model_card import write_model_card
from pgtf.export.self_check import self_check
from pgtf.export.signatures import Facts, make_module
from pgtf.export.version_folder import new_version
from pgtf.networks import latents_from_seeds

NUM_CHECKED = 4  # images of every signature


def export_generator(Gs, out, *, version=None, facts=None):
    """Writes `out`/<version>/, a SavedModel that loads without this package: -> its path.

    The generator is exported at its own lod, so a snapshot taken while the network grows gives
    images of its stage's resolution. Beside the model lie warm-up requests, batching parameters
    and a model card. Before the version appears, a fresh process loads it and compares its
    images with those of the live network.

    Args:
        Gs: the generator, usually the moving average.
        out: folder of the model; its name is the model's name unless `facts` say otherwise.
        version: integer above 0; None = the next free one.
        facts: `Facts` for the model card and the signature `info`; None = the name alone.

    Raises:
        FileExistsError: if the version is there already.
        OSError: if `out` cannot be written; as after any error, nothing is left behind.
        ValueError: if the check fails, for example because a weight is NaN.
    """
    out = Path(out)
    facts = facts or Facts(name=out.resolve().name)
    module, functions = make_module(Gs, facts)
    specs = {name: _specs(function) for name, function in functions.items()}
    inputs = {name: of for name, (of, _) in specs.items()}
    try:
        with new_version(out, version) as (folder, version):
            tf.saved_model.save(module, str(folder), functions)
            report = self_check(folder, _expected(Gs, inputs))
            sizes = serving_files.batch_sizes(2 ** Gs.stage(Gs.lod)[0])
            serving_files.write_batching_parameters(folder / serving_files.BATCHING_FILE, sizes)
            warmup = folder / serving_files.WARMUP_FILE
            serving_files.write_warmup_requests(warmup, facts.name, inputs, sizes)
            write_model_card(folder, version, Gs, facts, specs, report)
    except tf.errors.OpError as error:  # TensorFlow's own kind of OSError
        raise OSError(f"{out}: cannot be written: {error.message}") from error
    return out / str(version)


def _specs(function):
    """Inputs and outputs of a signature: -> ({name: TensorSpec}, {name: TensorSpec})."""
    return function.structured_input_signature[1], function.structured_outputs


def _expected(Gs, inputs):
    """Inputs of every signature and what the live network makes of them, for `self_check`."""
    expected, numbers = {}, np.arange(NUM_CHECKED)
    for signature, specs in inputs.items():
        rows = serving_files.sample_inputs(specs, NUM_CHECKED)
        if "t" in rows:
            rows["t"] = (numbers % 2).astype(np.float32)  # the ends
        if "class_id" in rows:
            rows["class_id"] = numbers % Gs.config.label_size
        expected |= {f"inputs/{signature}/{name}": value for name, value in rows.items()}
        if "dummy" not in rows:
            expected[f"images/{signature}"] = _live_images(Gs, **rows)
    return expected


def _live_images(Gs, latents=None, labels=None, seed=None, class_id=None, latents_end=None, t=None):
    """What a signature should answer to these inputs: -> uint8 [N, R, R, C]."""
    with tf.device("CPU:0"):  # as the fresh process
        if seed is not None:
            latents = latents_from_seeds(seed, Gs.latent_size).numpy()
        if class_id is not None:
            labels = np.eye(Gs.config.label_size, dtype=np.float32)[class_id]
        if t is not None:
            latents = np.where(t[:, np.newaxis] == 0, latents, latents_end)
        fakes = Gs.run(latents, labels)
    if not np.isfinite(fakes).all():
        raise ValueError("the generator gives NaN or infinity; it was not exported.")
    return images.to_uint8(fakes)
