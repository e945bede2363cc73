"""Trains a network: python train.py --dataset=datasets/celebahq --preset=v2-8gpus --gpus=8

Without flags it trains the demo preset on the demo dataset, which it draws first. The same command
again continues an unfinished run.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence

from pgtf.api.configuration import check_files, configured
from pgtf.api.options import TrainOptions
from pgtf.commands import train_flags
from pgtf.commands.command_line import announce_tensorflow, one_line_errors
from pgtf.config import catalogue
from pgtf.foreign import hub
from pgtf.installation import command


def parse(argv: Sequence[str]) -> list[str]:
    """Parses the flags, answers what needs no TensorFlow, and returns the remaining arguments."""
    arguments = train_flags.parse(argv, (__doc__ or "").strip())
    with one_line_errors():
        check(arguments)
        if train_flags.LIST_PRESETS.value:
            print(catalogue.table())
            sys.exit(0)
        asked = options()
        check_files(asked, configured(asked)[1])
    if not train_flags.DRY_RUN.value:
        announce_tensorflow()
    elif sys.stderr.isatty():  # Standard output stays easy to parse.
        announce_tensorflow(sys.stderr)
    return arguments


def check(arguments: Sequence[str]) -> None:
    """Raises ValueError if there are arguments that are no flags."""
    if len(arguments) > 1:
        received = " ".join(arguments[1:])
        remedy = f" Did you mean --dataset={received}?" if os.path.exists(received) else ""
        raise ValueError(f"{command('train')} takes only --flags. Received: {received}.{remedy}")


def options() -> TrainOptions:
    """Returns what the flags say: each option has the name of its flag."""
    names = {field.name for field in dataclasses.fields(TrainOptions)} - {"fields"}
    values = {name: train_flags.FLAGS[name].value for name in names}
    stated = {k: flag.value for k, flag in train_flags.FIELDS.items() if flag.value is not None}
    values["resume_pkl"] = hub.local(values["resume_pkl"])
    return TrainOptions(**values, fields=stated)
