"""Trains a restoration network: the loop, what a step does, and what a checkpoint holds."""

import io
import json
import pathlib
import time
import zipfile

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from pgtf.images import write_atomically
from pgtf.restoration import networks
from pgtf.restoration.config import Config
from pgtf.restoration.photographs import minibatches

CHECKPOINT_SECONDS = 60.0
ADAM = {"beta_1": 0.9, "beta_2": 0.99}
_FORMAT = "pgtf-restoration-checkpoint-1"


class Trainer:
    """The networks of a training, their optimizers, and how many patches they have seen."""

    def __init__(self, config):
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

    def train_step(self, degraded, clean):
        """Learns from a minibatch -> {name: loss}."""
        lrate = self.config.lrate_at(self.nimg)
        self._G_optimizer.learning_rate = self._D_optimizer.learning_rate = lrate
        is_adversarial = self.nimg >= self.config.adversarial_from
        step = self._adversarial_step if is_adversarial else self._step
        losses = step(tf.constant(degraded), tf.constant(clean))
        self.nimg += len(clean)
        return {name: float(value) for name, value in losses.items()}

    def _fidelity_step(self, degraded, clean):
        with tf.GradientTape() as tape:
            error = tf.reduce_mean(tf.abs(self.G(degraded, training=True) - clean))
        variables = self.G.trainable_variables
        self._G_optimizer.apply_gradients(
            zip(tape.gradient(error, variables), variables, strict=True)
        )
        return {"error": error}

    def _both_steps(self, degraded, clean):
        """G and D against each other, each score relative to the mean of the other kind.

        Jolicoeur-Martineau 2018, relativistic average; the fidelity term keeps G at the photograph.
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

    def save(self, path):
        """Writes a checkpoint, whole or not at all."""
        about = {"format": _FORMAT, "config": self.config.to_json(), "nimg": self.nimg}
        arrays = {f"{i:04d}": variable.numpy() for i, variable in enumerate(self._variables())}
        buffer = io.BytesIO()
        np.savez(buffer, about=np.array(json.dumps(about)), **arrays)
        write_atomically(path, buffer.getvalue())

    def restore(self, path):
        """Continues from a checkpoint.

        Raises:
            ValueError: it is damaged, or of another training.
        """
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                arrays = [file[f"{i:04d}"] for i in range(len(self._variables()))]
            if about["format"] != _FORMAT:
                raise ValueError(f"format {about['format']}")
            before = Config(**json.loads(about["config"]))
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{path}: not a checkpoint of a restoration network ({error}). Delete its folder."
            ) from error
        if differences := _differences(before, self.config):
            raise ValueError(
                f"{path} is of another training: {'; '.join(differences)}. Repeat its arguments, "
                "or choose another --out."
            )
        for variable, value in zip(self._variables(), arrays, strict=True):
            variable.assign(value)
        self.nimg = about["nimg"]

    def _variables(self):
        return [
            *self.G.variables,
            *self._G_optimizer.variables,
            *self.D.variables,
            *self._D_optimizer.variables,
        ]


def train(trainer, photographs, folder, stop=lambda: False):
    """Trains to the end, with a progress bar, statistics and a checkpoint every minute.

    Args:
        trainer: Trainer, new or restored.
        photographs: Photographs to learn from.
        folder: pathlib.Path that receives checkpoint.npz and stats.jsonl.
        stop: () -> whether to write a checkpoint and return early.

    Returns:
        Whether it came to the end.
    """
    config, checkpoint = trainer.config, checkpoint_of(folder)
    saved_at = time.monotonic()
    sums: dict[str, list[float]] = {}
    patches = minibatches(photographs, config, trainer.nimg)
    with tqdm(total=config.total_nimg, initial=trainer.nimg, unit="img", desc="Training") as bar:
        for degraded, clean in patches:
            for name, value in trainer.train_step(degraded, clean).items():
                sums.setdefault(name, []).append(value)
            bar.update(len(clean))
            is_stopping = stop()  # once: what it says decides whether to save and to leave
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


def checkpoint_of(folder):
    """Where a training in a folder keeps its state."""
    return pathlib.Path(folder) / "checkpoint.npz"


def _append(path, line):
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _mean_softplus(x):
    return tf.reduce_mean(tf.nn.softplus(x))


def _differences(before, asked):
    """["lrate is 0.001, asked for 0.002", ...]"""
    names = vars(before)
    return [
        f"{name} is {getattr(before, name)}, asked for {getattr(asked, name)}"
        for name in names
        if getattr(before, name) != getattr(asked, name)
    ]
