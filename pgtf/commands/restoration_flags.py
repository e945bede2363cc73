"""Trains and measures restoration networks, for dataset_tool.py create_faces.

    python -m pgtf.restoration train --task=jpeg --images=~/clean --out=restoration/jpeg
    python -m pgtf.restoration evaluate --model=restoration/jpeg --images=~/other

The same train command again continues one that was interrupted.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Mapping, Sequence

from pgtf.commands.command_line import announce_tensorflow, one_line_errors
from pgtf.commands.parsers import Parser
from pgtf.dataset.commands import add_depth
from pgtf.restoration import config
from pgtf.restoration.restorer import Restorer

# Flags of `train` that are fields of Config with the same default.
HELP = {
    "adversarial": "share of the patches, the last ones, with a discriminator; sr only",
    "adversarial_weight": "weight of the adversarial loss beside the mean absolute error",
    "minibatch": "patches per step",
    "lrate": "learning rate at the beginning",
    "seed": "random seed for weights and patches",
}


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parses a command line, the name of the script included. `command` is the sub-command."""
    args: argparse.Namespace = make_parser().parse_args(argv[1:])
    with one_line_errors():
        for name in ("images", "held_out", "model"):
            path = getattr(args, name, None)
            if path is not None and not os.path.isdir(os.path.expanduser(path)):
                what = "restoration network" if name == "model" else "folder of images"
                raise FileNotFoundError(f"{path}: no such {what}.")
        if args.command == "evaluate":
            Restorer.open(args.model, args.task)
    announce_tensorflow()
    return args


def make_parser() -> argparse.ArgumentParser:
    """Makes the parser of the commands train and evaluate."""
    parser = Parser(
        prog="python -m pgtf.restoration",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    p = commands.add_parser("train", help="train a network on a folder of clean images")
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
    add_depth(p)
    p = commands.add_parser("evaluate", help="measure a network on a folder of clean images")
    p.add_argument("--model", required=True, help="SavedModel that train made")
    p.add_argument("--images", required=True, help="folder of clean images")
    p.add_argument("--task", choices=config.TASKS, help="task that it must have (default: any)")
    p.add_argument("--picture", help="PNG file to write, which shows some images (default: none)")
    add_depth(p)
    return parser


def _by_task(values: Mapping[str, float]) -> str:
    """Formats values by task, for help texts: "24.0 for jpeg, 32.0 for sr"."""
    return ", ".join(f"{value} for {task}" for task, value in values.items())
