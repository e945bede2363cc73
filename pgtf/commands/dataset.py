"""Creates and inspects datasets: multi-resolution TFRecords, the same as the original release's.

    python dataset_tool.py create_from_images datasets/cats ~/cats --resolution=128 \\
        --transform=center-crop --channels=3

Every command explains itself: python dataset_tool.py COMMAND --help
"""

import argparse
import os
import pkgutil
from collections.abc import Sequence

from pgtf.commands.command_line import line_of, one_line_errors
from pgtf.commands.parsers import Parser
from pgtf.dataset.commands import Commands
from pgtf.dataset.encoder import TooManyRejected
from pgtf.dataset.faces.alignment import Network
from pgtf.dataset.faces.builder import RANKING
from pgtf.dataset.faces.command import add_commands as add_face_commands
from pgtf.dataset.partial import SUFFIX
from pgtf.distribution.signals import exit_after
from pgtf.installation import SCRIPTS, command

# Functions that add sub-commands to `Commands`, in the order of --help. A new source is one line.
COMMANDS = (
    "pgtf.dataset.display:add_command",
    "pgtf.dataset.inspection:add_commands",
    "pgtf.dataset.sources.mnist:add_commands",
    "pgtf.dataset.sources.cifar:add_commands",
    "pgtf.dataset.sources.svhn:add_command",
    "pgtf.dataset.sources.lsun:add_command",
    "pgtf.dataset.sources.celeba:add_command",
    "pgtf.dataset.celebahq.command:add_command",
    "pgtf.commands.dataset:add_faces",
    "pgtf.dataset.sources.images:add_command",
    "pgtf.dataset.sources.arrays:add_command",
    "pgtf.dataset.sources.hdf5:add_command",
    "pgtf.dataset.sources.tfds:add_command",
    "pgtf.dataset.sources.demo:add_command",
)


def main(argv: Sequence[str]) -> None:
    """Runs a sub-command, given as its name and arguments."""
    run(parse([SCRIPTS["dataset"], *argv]))


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parses a command line, the name of the script included."""
    args: argparse.Namespace = make_parser().parse_args(argv[1:])
    return args


def run(args: argparse.Namespace) -> None:
    """Runs the sub-command that `parse` found."""
    with one_line_errors():
        try:
            args.run(args)
        except KeyboardInterrupt as stop:
            exit_after(stop, f".{remedy(args)}")
        except (ValueError, OSError) as error:
            more = remedy(args, str(error))
            if isinstance(error, TooManyRejected) and hasattr(args, "max_errors"):
                more = f". --max_errors=N leaves out up to N such files.{more}"
            if more:
                raise ValueError(f"{line_of(error)}{more}") from error
            raise


def remedy(args: argparse.Namespace, message: str = "") -> str:
    """Tells how to continue a job that was not completed, unless the message does."""
    target = (getattr(args, "tfrecord_dir", "") or getattr(args, "out", None) or "").rstrip("/")
    for partial in (target + RANKING + SUFFIX, target + SUFFIX):
        if os.path.isdir(partial) and not message.startswith(f"{partial}: "):
            return f" {partial} keeps what is done; --resume continues."
    return ""


def make_parser() -> argparse.ArgumentParser:
    """Parser of all commands, with the original's names and order of arguments."""
    parser = Parser(
        prog=command("dataset"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = Commands(parser.add_subparsers(metavar="COMMAND", required=True))
    for name in COMMANDS:
        pkgutil.resolve_name(name)(commands)
    return parser


def add_faces(commands: Commands) -> None:
    """Adds create_faces and rank_images; `pgtf.dataset` may not import restoration networks."""
    add_face_commands(commands, _open_restorer)


def _open_restorer(path: str, task: str) -> Network:
    """Opens a restoration network for create_faces."""
    from pgtf.restoration.restorer import Restorer

    # The workers inherit it; the network imports TensorFlow, whose notes nobody needs.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return Restorer.open(path, task)
