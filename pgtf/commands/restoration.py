"""Trains and measures restoration networks, for dataset_tool.py create_faces.

    python -m pgtf.restoration train --task=jpeg --images=~/clean --out=restoration/jpeg
    python -m pgtf.restoration evaluate --model=restoration/jpeg --images=~/other

The same train command again continues one that was interrupted.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import sys
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from pgtf.commands.command_line import one_line_errors
from pgtf.dataset.sources.images import list_images
from pgtf.distribution.interrupt import Interrupt
from pgtf.distribution.workers import Workers
from pgtf.images import save_png
from pgtf.metrics.ms_ssim import ssim_terms
from pgtf.restoration import config, evaluation, photographs, saved_model
from pgtf.restoration.restorer import Restorer
from pgtf.restoration.training import Trainer, checkpoint_of, train

PARTIAL = ".partial"
PICTURE = "held-out.png"
# Flags of `train` that are fields of Config with the same default.
HELP = {
    "adversarial": "share of the patches, the last ones, with a discriminator; sr only",
    "adversarial_weight": "weight of the adversarial loss beside the mean absolute error",
    "minibatch": "patches per step",
    "lrate": "learning rate at the beginning",
    "seed": "random seed for weights and patches",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command that `argv`, by default the command line, names."""
    args = make_parser().parse_args(argv)
    with one_line_errors():
        try:
            args.run(args)
        except KeyboardInterrupt:  # Raised before and after the training itself.
            print("\ninterrupted. The same command again continues.", file=sys.stderr)
            sys.exit(130)


def make_parser() -> argparse.ArgumentParser:
    """Makes the parser of the commands train and evaluate."""
    parser = argparse.ArgumentParser(
        prog="python -m pgtf.restoration",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    p = commands.add_parser("train", help="train a network on a folder of clean images")
    p.set_defaults(run=train_network)
    p.add_argument(
        "--task",
        choices=config.TASKS,
        required=True,
        help="jpeg removes JPEG artifacts, sr enlarges four times",
    )
    p.add_argument("--images", required=True, help="folder of clean images")
    p.add_argument("--out", help="SavedModel to create (default: restoration/TASK)")
    p.add_argument(
        "--held_out", help="folder of images to measure with (default: every tenth image)"
    )
    help = f"thousands of patches to train on (default: {_by_task(config.KIMG)})"
    p.add_argument("--total_kimg", type=float, help=help)
    help = f"side of a clean patch, pixels (default: {_by_task(config.PATCHES)})"
    p.add_argument("--patch", type=int, help=help)
    defaults = {field.name: field.default for field in dataclasses.fields(config.Config)}
    for name, help in HELP.items():
        default = defaults[name]
        help = f"{help} (default: %(default)s)"
        p.add_argument(f"--{name}", type=type(default), default=default, help=help)
    p = commands.add_parser("evaluate", help="measure a network on a folder of clean images")
    p.set_defaults(run=evaluate_network)
    p.add_argument("--model", required=True, help="SavedModel that train made")
    p.add_argument("--images", required=True, help="folder of clean images")
    p.add_argument("--task", choices=config.TASKS, help="task that it must have (default: any)")
    p.add_argument("--picture", help="PNG file to write, which shows some images (default: none)")
    return parser


def _by_task(values: Mapping[str, float]) -> str:
    """Formats values by task, for help texts: "24.0 for jpeg, 32.0 for sr"."""
    return ", ".join(f"{value} for {task}" for task, value in values.items())


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
    )
    if out.exists():
        Restorer.open(str(out), args.task)
        print(f"{out} is trained already. Delete it, or choose another --out, to train anew.")
        return
    learnt, held_out = photographs.split(settings)
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
    images = photographs.Photographs(folder, list_images(folder)[0])
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
