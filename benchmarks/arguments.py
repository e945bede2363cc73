"""Arguments that several benchmarks take."""

import pathlib

from pgtf.commands.command_line import one_line_errors
from pgtf.commands.parsers import check_files


def check_paths(args, needs_emoji):
    """Exits with one line if the folder for results or that of emoji will not do."""
    with one_line_errors():
        if pathlib.Path(args.outdir).is_file():
            raise NotADirectoryError(f"{args.outdir}: `--outdir` must be a folder.")
        if needs_emoji:
            check_files(args, folders=["emoji"])
            if not pathlib.Path(args.emoji, "emoji.json").is_file():
                raise FileNotFoundError(f"{args.emoji}: no emoji.json in it, as `--emoji` needs.")


def integers(text):
    """Parses whole numbers with commas between them."""
    return [int(part) for part in text.split(",")]


def numbers(text):
    """Parses numbers with commas between them."""
    return [float(part) for part in text.split(",")]


def sizes(text):
    """Parses sides of images and minibatches: "32:16,128:4"."""
    pairs = [integers(part.replace(":", ",")) for part in text.split(",")]
    if {len(pair) for pair in pairs} != {2}:
        raise ValueError
    return pairs


# argparse names them in the error.
integers.__name__, numbers.__name__, sizes.__name__ = "INT,...", "NUMBER,...", "SIDE:MINIBATCH,..."
