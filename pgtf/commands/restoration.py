"""Trains and measures restoration networks, for dataset_tool.py create_faces.

    python -m pgtf.restoration train --task=jpeg --images=~/clean --out=restoration/jpeg
    python -m pgtf.restoration evaluate --model=restoration/jpeg --images=~/other

The same train command again continues one that was interrupted.
"""

import argparse
import dataclasses
import os
import pathlib
import sys

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


def main(argv=None):
    args = make_parser().parse_args(argv)
    with one_line_errors():
        try:
            args.run(args)
        except KeyboardInterrupt:  # before and after the training itself
            print("\ninterrupted. The same command again continues.", file=sys.stderr)
            sys.exit(130)


def make_parser():
    """train and evaluate."""
    parser = argparse.ArgumentParser(
        prog="python -m pgtf.restoration",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    p = commands.add_parser("train", help="train a network on a folder of clean images")
    p.set_defaults(run=train_network)
    p.add_argument("--task", choices=config.TASKS, required=True, help="what it is to do")
    p.add_argument("--images", required=True, help="folder of clean images")
    p.add_argument("--out", help="SavedModel to create (default: restoration/TASK)")
    p.add_argument("--held_out", help="folder to measure with (default: every tenth image)")
    help = f"thousands of patches to train on (default: {config.KIMG})"
    p.add_argument("--total_kimg", type=float, help=help)
    p.add_argument("--patch", type=int, help=f"side of a patch (default: {config.PATCHES})")
    for field in dataclasses.fields(config.Config):
        if field.name in ("adversarial", "adversarial_weight", "minibatch", "lrate", "seed"):
            kind = type(field.default)
            help = "(default: %(default)s)"
            p.add_argument(f"--{field.name}", type=kind, default=field.default, help=help)
    p = commands.add_parser("evaluate", help="measure a network on a folder of clean images")
    p.set_defaults(run=evaluate_network)
    p.add_argument("--model", required=True, help="SavedModel that train made")
    p.add_argument("--images", required=True, help="folder of clean images")
    p.add_argument("--task", choices=config.TASKS, help="that it must have (default: any)")
    p.add_argument("--picture", help="PNG file that shows some of the images")
    return parser


def train_network(args):
    """Trains to the end, or to the next signal; measures; writes the SavedModel."""
    out = pathlib.Path(os.path.expanduser(args.out or f"restoration/{args.task}"))
    folder = out.with_name(out.name + PARTIAL)
    settings = config.Config(
        task=args.task,
        images=os.path.abspath(os.path.expanduser(args.images)),
        held_out=args.held_out and os.path.abspath(os.path.expanduser(args.held_out)),
        total_kimg=args.total_kimg or config.KIMG[args.task],
        patch=args.patch or config.PATCHES[args.task],
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

        def stop():
            interrupt.agree()
            return interrupt.signum is not None

        is_finished = train(trainer, learnt, folder, stop)
    if not is_finished:
        print(f"Interrupted; {folder} keeps what is done. The same command again continues.")
        sys.exit(128 + interrupt.signum)
    finish(trainer, crops, folder, out)


def finish(trainer, crops, folder, out):
    """Measures a trained network and gives its folder the final name."""
    settings = trainer.config
    saved_model.save(folder, trainer.G, settings)
    rows, shown = measure(Restorer.open(str(folder)), crops)
    save_png(folder / PICTURE, shown)
    saved_model.describe(folder, settings, rows)
    checkpoint_of(folder).unlink()
    os.rename(folder, out)
    print(f"SavedModel     {out}\nPicture        {out / PICTURE}")


def evaluate_network(args):
    """Prints the table for images of a folder."""
    restorer = Restorer.open(args.model, args.task)
    folder = os.path.expanduser(args.images)
    images = photographs.Photographs(folder, list_images(folder)[0])
    _, shown = measure(restorer, photographs.held_out_crops(images, evaluation.MAX_IMAGES))
    if args.picture:
        save_png(args.picture, shown)
        print(f"Picture        {args.picture}")


def measure(restorer, crops):
    """Prints the table -> rows, picture."""

    def restore(image):
        return restorer(image.transpose(2, 0, 1)).transpose(1, 2, 0)

    rows, shown = evaluation.evaluate(restorer.task, restore, crops, ssim)
    print(evaluation.table(rows))
    return rows, shown


def ssim(a, b):
    """Structural similarity of two uint8 images [H, W, 3], one scale, mean over channels."""
    value, _ = ssim_terms(a[np.newaxis].astype(np.float64), b[np.newaxis].astype(np.float64))
    return float(value[0])
