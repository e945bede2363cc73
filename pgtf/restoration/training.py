"""Trains a restoration network: its steps, its checkpoints, and the loop around them."""

from __future__ import annotations

import io
import json
import os
import pathlib
import time
from collections.abc import Callable
from typing import Literal, TypedDict

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from pgtf.files import append_line, write_atomically
from pgtf.foreign.arrays import read_npz
from pgtf.foreign.json_files import SMALL_BYTES, parse_json
from pgtf.foreign.schema import Count, read_as
from pgtf.restoration import networks
from pgtf.restoration.config import Config
from pgtf.restoration.photographs import Photographs, minibatches

CHECKPOINT_SECONDS = 60.0
ADAM = {"beta_1": 0.9, "beta_2": 0.99}
_FORMAT = "pgtf-restoration-checkpoint-1"


class Trainer:
    """The networks of a training, their optimizers, and the number of patches they have seen."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.nimg = 0
        self.G = networks.build(config.task, config.seed)
        self.D = networks.build_discriminator(config.seed + 5000)
        self._G_optimizer = keras.optimizers.Adam(config.lrate, **ADAM)
        self._D_optimizer = keras.optimizers.Adam(config.lrate, **ADAM)
        self._G_optimizer.build(self.G.trainable_variables)
        self._D_optimizer.build(self.D.trainable_variables)
        self._step = tf.function(self._fidelity_step, autograph=False)
        self._adversarial_step = tf.function(self._both_steps, autograph=False)

    def train_step(self, degraded: np.ndarray, clean: np.ndarray) -> dict[str, float]:
        """Updates the networks with one minibatch. Returns the losses by name."""
        lrate = self.config.lrate_at(self.nimg)
        self._G_optimizer.learning_rate = self._D_optimizer.learning_rate = lrate
        is_adversarial = self.nimg >= self.config.adversarial_from
        step = self._adversarial_step if is_adversarial else self._step
        losses = step(tf.constant(degraded), tf.constant(clean))
        self.nimg += len(clean)
        return {name: float(value) for name, value in losses.items()}

    def _fidelity_step(self, degraded: tf.Tensor, clean: tf.Tensor) -> dict[str, tf.Tensor]:
        """Updates G with the mean absolute error alone."""
        with tf.GradientTape() as tape:
            error = tf.reduce_mean(tf.abs(self.G(degraded, training=True) - clean))
        variables = self.G.trainable_variables
        self._G_optimizer.apply_gradients(
            zip(tape.gradient(error, variables), variables, strict=True)
        )
        return {"error": error}

    def _both_steps(self, degraded: tf.Tensor, clean: tf.Tensor) -> dict[str, tf.Tensor]:
        """Updates G and D against each other, each score relative to the mean of the other kind.

        Jolicoeur-Martineau 2018, relativistic average. The error term keeps G near the photograph.
        """
        with tf.GradientTape(persistent=True) as tape:
            fakes = self.G(degraded, training=True)
            real_scores, fake_scores = self.D(clean), self.D(fakes)
            reals = real_scores - tf.reduce_mean(fake_scores)
            fakes_ = fake_scores - tf.reduce_mean(real_scores)
            D_loss = _mean_softplus(-reals) + _mean_softplus(fakes_)
            adversarial = _mean_softplus(reals) + _mean_softplus(-fakes_)
            error = tf.reduce_mean(tf.abs(fakes - clean))
            G_loss = error + self.config.adversarial_weight * adversarial
        for loss, network, optimizer in (
            (G_loss, self.G, self._G_optimizer),
            (D_loss, self.D, self._D_optimizer),
        ):
            variables = network.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return {"error": error, "adversarial": adversarial, "D": D_loss}

    def save(self, path: pathlib.Path) -> None:
        """Writes a checkpoint, whole or not at all."""
        about = {"format": _FORMAT, "config": self.config.to_json(), "nimg": self.nimg}
        arrays = {f"{i:04d}": variable.numpy() for i, variable in enumerate(self._variables())}
        buffer = io.BytesIO()
        np.savez(buffer, about=np.array(json.dumps(about)), **arrays)
        write_atomically(path, buffer.getvalue())

    def restore(self, path: pathlib.Path) -> None:
        """Continues from a checkpoint.

        Raises:
            ValueError: it is damaged, or belongs to another training.
        """
        try:
            arrays = read_npz(path)
            about, before = _read_about(arrays.pop("about", None))
        except ValueError as error:
            raise _not_a_checkpoint(path, str(error)) from None
        if differences := _differences(before, self.config):
            raise ValueError(
                f"{path} belongs to another training: {'; '.join(differences)}. "
                "Repeat its arguments, or choose another --out."
            )
        variables = {f"{i:04d}": variable for i, variable in enumerate(self._variables())}
        if arrays.keys() != variables.keys():
            what = f"it has {len(arrays)} arrays, but {len(variables)} are needed"
            raise _not_a_checkpoint(path, what)
        for name, variable in variables.items():
            expected, found = variable.numpy(), arrays[name]
            if (found.shape, found.dtype) != (expected.shape, expected.dtype):
                what = (
                    f"array {name} must be {expected.dtype} {expected.shape}, "
                    f"found {found.dtype} {found.shape}"
                )
                raise _not_a_checkpoint(path, what)
        if not 0 <= about["nimg"] <= self.config.total_nimg:
            raise _not_a_checkpoint(path, f"nimg is {about['nimg']}")
        for name, variable in variables.items():
            variable.assign(arrays[name])
        self.nimg = about["nimg"]

    def _variables(self) -> list[tf.Variable]:
        return [
            *self.G.variables,
            *self._G_optimizer.variables,
            *self.D.variables,
            *self._D_optimizer.variables,
        ]


def train(
    trainer: Trainer,
    photographs: Photographs,
    folder: pathlib.Path,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Trains to the end, with a progress bar, statistics and a checkpoint every minute.

    Args:
        trainer: new or restored.
        photographs: images to learn from.
        folder: receives checkpoint.npz and stats.jsonl.
        stop: asked after each minibatch; True = write a checkpoint and return early.

    Returns:
        True if the training came to its end.
    """
    config, checkpoint = trainer.config, checkpoint_of(folder)
    saved_at = time.monotonic()
    sums: dict[str, list[float]] = {}
    patches = minibatches(photographs, config, trainer.nimg)
    with tqdm(
        total=config.total_nimg, initial=trainer.nimg, unit="img", desc="Training", disable=None
    ) as bar:
        for degraded, clean in patches:
            for name, value in trainer.train_step(degraded, clean).items():
                sums.setdefault(name, []).append(value)
            bar.update(len(clean))
            is_stopping = stop()  # Ask once: saving and leaving must agree.
            is_due = time.monotonic() - saved_at > CHECKPOINT_SECONDS
            if is_due or is_stopping or trainer.nimg == config.total_nimg:
                means = {name: float(np.mean(values)) for name, values in sums.items()}
                if not np.isfinite(list(means.values())).all():
                    raise ValueError(
                        f"the loss is no longer finite: {means}. Train with a smaller --lrate; "
                        f"{checkpoint} is from before."
                    )
                bar.set_postfix({name: f"{value:.4f}" for name, value in means.items()})
                trainer.save(checkpoint)
                _append(folder / "stats.jsonl", {"nimg": trainer.nimg, **means})
                sums, saved_at = {}, time.monotonic()
            if is_stopping:
                break
    patches.close()
    return trainer.nimg == config.total_nimg


def checkpoint_of(folder: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the path at which a training in a folder keeps its state."""
    return pathlib.Path(folder) / "checkpoint.npz"


def _append(path: pathlib.Path, line: dict[str, float]) -> None:
    append_line(path, json.dumps(line), sync=False)


def _mean_softplus(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.nn.softplus(x))


class _About(TypedDict):
    """Facts about a checkpoint, beside its arrays."""

    format: Literal["pgtf-restoration-checkpoint-1"]
    config: str
    nimg: Count


def _read_about(text: np.ndarray | None) -> tuple[_About, Config]:
    """Reads the facts and the configuration of a checkpoint; ValueError if they are damaged."""
    if text is None or text.dtype.kind != "U" or text.shape:
        raise ValueError("`about` is missing, or no text")
    parsed = parse_json(str(text), "about", max_bytes=SMALL_BYTES)
    about: _About = read_as(_About, parsed, "about")
    parsed = parse_json(about["config"], "config", max_bytes=SMALL_BYTES)
    return about, read_as(Config, parsed, "config")


def _not_a_checkpoint(path: pathlib.Path, what: str) -> ValueError:
    what = what.removeprefix(f"{path}: ").rstrip(".")
    return ValueError(
        f"{path}: not a checkpoint of a restoration network ({what}). Delete its folder."
    )


def _differences(before: Config, asked: Config) -> list[str]:
    """Lists the fields that differ, as "lrate is 0.001, asked for 0.002"."""
    return [
        f"{name} is {getattr(before, name)}, asked for {getattr(asked, name)}"
        for name in vars(before)
        if getattr(before, name) != getattr(asked, name)
    ]
