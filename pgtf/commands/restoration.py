"""Trains and measures restoration networks, for python -m pgtf.restoration."""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pgtf.commands import restoration_flags
from pgtf.commands.command_line import one_line_errors
from pgtf.dataset.sources.images import list_images
from pgtf.distribution.interrupt import Interrupt
from pgtf.distribution.signals import exit_after
from pgtf.distribution.workers import Workers
from pgtf.images import save_png
from pgtf.metrics.ms_ssim import ssim_terms
from pgtf.restoration import config, evaluation, photographs, saved_model
from pgtf.restoration.restorer import Restorer
from pgtf.restoration.training import Trainer, checkpoint_of, train

PARTIAL = ".partial"
PICTURE = "held-out.png"


def main(argv: Sequence[str]) -> None:
    """Runs a sub-command, given as its name and arguments."""
    run(restoration_flags.parse(["restoration", *argv]))


def run(args: argparse.Namespace) -> None:
    """Runs the command that `restoration_flags.parse` found."""
    with one_line_errors():
        try:
            {"train": train_network, "evaluate": evaluate_network}[args.command](args)
        except KeyboardInterrupt as stop:  # Raised before and after the training itself.
            exit_after(stop, ". The same command again continues.")


def train_network(args: argparse.Namespace) -> None:
    """Trains to the end or to the next signal, measures, and writes the SavedModel."""
    out = pathlib.Path(os.path.expanduser(args.out or f"restoration/{args.task}"))
    folder = out.with_name(out.name + PARTIAL)
    settings = config.Config(
        task=args.task,
        images=os.path.abspath(os.path.expanduser(args.images)),
        held_out=args.held_out and os.path.abspath(os.path.expanduser(args.held_out)),
        total_kimg=config.KIMG[args.task] if args.total_kimg is None else args.total_kimg,
        patch=config.PATCHES[args.task] if args.patch is None else args.patch,
        adversarial=args.adversarial,
        adversarial_weight=args.adversarial_weight,
        minibatch=args.minibatch,
        lrate=args.lrate,
        seed=args.seed,
        value_range=args.value_range,
    )
    if out.exists():
        Restorer.open(str(out), args.task)
        print(f"{out} is trained already. Delete it, or choose another --out, to train anew.")
        return
    learnt, held_out = photographs.split(settings, args.max_pixels)
    crops = photographs.held_out_crops(held_out, evaluation.MAX_IMAGES)
    trainer = Trainer(settings)
    if checkpoint_of(folder).exists():
        trainer.restore(checkpoint_of(folder))
        print(f"Resuming from {checkpoint_of(folder)}, {trainer.nimg} patches")
    folder.mkdir(parents=True, exist_ok=True)
    print(f"Images         {len(learnt.names)} to train on, {len(crops)} held out")
    with Interrupt(Workers(tf.distribute.get_strategy())) as interrupt:

        def stop() -> bool:
            interrupt.agree()
            return interrupt.signum is not None

        is_finished = train(trainer, learnt, folder, stop)
    if not is_finished and interrupt.signum is not None:
        print(f"Interrupted; {folder} keeps what is done. The same command again continues.")
        sys.exit(128 + interrupt.signum)
    finish(trainer, crops, folder, out)


def finish(
    trainer: Trainer, crops: Sequence[np.ndarray], folder: pathlib.Path, out: pathlib.Path
) -> None:
    """Measures a trained network and gives its folder the final name."""
    settings = trainer.config
    saved_model.save(folder, trainer.G, settings)
    rows, shown = measure(Restorer.open(str(folder)), crops)
    save_png(folder / PICTURE, shown)
    saved_model.describe(folder, settings, rows)
    checkpoint_of(folder).unlink()
    os.rename(folder, out)
    print(f"SavedModel     {out}\nPicture        {out / PICTURE}")


def evaluate_network(args: argparse.Namespace) -> None:
    """Prints the scores of a network on the images of a folder."""
    restorer = Restorer.open(args.model, args.task)
    folder = os.path.expanduser(args.images)
    names, limits = list_images(folder)[0], (args.value_range, args.max_pixels)
    images = photographs.Photographs(folder, names, *limits)
    _, shown = measure(restorer, photographs.held_out_crops(images, evaluation.MAX_IMAGES))
    if args.picture:
        save_png(args.picture, shown)
        print(f"Picture        {args.picture}")


def measure(
    restorer: Restorer, crops: Sequence[np.ndarray]
) -> tuple[list[evaluation.Row], np.ndarray]:
    """Prints the scores of a network. Returns them and the picture of `evaluation.evaluate`."""

    def restore(image: np.ndarray) -> np.ndarray:
        return restorer(image.transpose(2, 0, 1)).transpose(1, 2, 0)

    rows, shown = evaluation.evaluate(restorer.task, restore, crops, ssim)
    print(evaluation.table(rows))
    return rows, shown


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Computes the structural similarity of two uint8 images [H, W, 3], the mean over channels."""
    value, _ = ssim_terms(a[np.newaxis].astype(np.float64), b[np.newaxis].astype(np.float64))
    return float(value[0])
