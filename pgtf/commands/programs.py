"""The four commands, as scripts of a checkout and as `pgtf NAME` of an installed package."""

from __future__ import annotations

from typing import NamedTuple


class Program(NamedTuple):
    """One command: the modules that parse its arguments and run it."""

    summary: str  # its line in `pgtf --help`
    flags: str  # module whose `parse` takes the arguments, the name of the program among them
    command: str  # module whose `run` takes the result
    tensorflow: bool = True  # the command uses it
    packages: tuple[str, ...] = ()  # others that it needs, by the modules that are imported


PROGRAMS = {
    "train": Program(
        "train a network, or continue a run",
        "pgtf.commands.train_config",
        "pgtf.commands.train",
        packages=("tensorboard",),  # tf.summary fails without it, at the end of the first tick.
    ),
    "dataset": Program(
        "create and inspect datasets",
        "pgtf.commands.dataset",
        "pgtf.commands.dataset",
        tensorflow=False,
    ),
    "generate": Program(
        "images, films, pages and SavedModels of a trained network",
        "pgtf.commands.generate_flags",
        "pgtf.commands.generate",
    ),
    "metrics": Program(
        "measure generated images",
        "pgtf.commands.metrics_flags",
        "pgtf.commands.metrics",
    ),
}
# It is run by its module's name alone: python -m pgtf.restoration.
RESTORATION = Program(
    "train and measure restoration networks",
    "pgtf.commands.restoration_flags",
    "pgtf.commands.restoration",
)
