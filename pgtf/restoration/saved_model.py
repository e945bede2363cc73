"""Writes a trained network as a SavedModel, with a description beside it."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Sequence

import keras
import tensorflow as tf

from pgtf.files import write_atomically
from pgtf.restoration import networks
from pgtf.restoration.config import SCALES, Config
from pgtf.restoration.evaluation import Row
from pgtf.restoration.restorer import ABOUT_FILE, FORMAT, SIGNATURE


def save(folder: pathlib.Path, G: keras.Model, config: Config) -> None:
    """Writes the SavedModel of a network into a folder, which may hold other files.

    Its signature takes `images`, float32 [N, H, W, 3] in [-1, 1], H and W multiples of `stride`,
    and returns `images`, float32 [N, H * scale, W * scale, 3], not clipped.
    """
    module = tf.Module()
    module.network = G

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, name="images")])
    def restore(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"images": G(images, training=False)}

    tf.saved_model.save(module, str(folder), signatures={SIGNATURE: restore})
    describe(folder, config, [])


def describe(folder: pathlib.Path, config: Config, rows: Sequence[Row]) -> None:
    """Writes the task of a SavedModel, its margins, and its measured scores."""
    about = {
        "format": FORMAT,
        "task": config.task,
        "scale": SCALES[config.task],
        "margin": networks.MARGINS[config.task],
        "stride": networks.STRIDES[config.task],
        "config": dict(sorted(dataclasses.asdict(config).items())),
        "held_out": {row.name: {"psnr": row.psnr, "ssim": row.ssim} for row in rows},
        "tensorflow": tf.__version__,
    }
    path = pathlib.Path(folder, ABOUT_FILE)
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, (json.dumps(about, indent=1) + "\n").encode())
