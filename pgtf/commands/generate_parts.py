"""Flags that several commands of generate.py share."""

from __future__ import annotations

import argparse
from collections.abc import Callable

MARKS = ("full", "short", "none")  # those of export.recipe
LATENTS = ("seeds", "random_state", "num", "indices", "latents")  # flags that say which
RUN = "folder of a run, or its number in --outdir (default: the newest)"


def add_network_flags(
    p: argparse.ArgumentParser, about_run: str = RUN
) -> argparse._MutuallyExclusiveGroup:
    """Adds the flags that name the network. Returns the group, of which one may be given."""
    network = p.add_mutually_exclusive_group()
    add_run_flags(p, network, about_run)
    network.add_argument("--snapshot", help="network-snapshot-NNNNNN.h5 to use instead of a run's")
    network.add_argument("--pkl", help="network pickle of the original release to use instead")
    return network


def add_run_flags(
    p: argparse.ArgumentParser, group: argparse._ActionsContainer, text: str = RUN
) -> None:
    group.add_argument("--run", nargs="?", help=text)
    p.add_argument("--outdir", default="results", help="folder of the runs (default: %(default)s)")


def add_latent_flags(p: argparse.ArgumentParser, seeds: str) -> None:
    text = f"numbers and ranges, one latent vector per number (default: {seeds})"
    p.add_argument("--seeds", help=text)
    text = "sample latents as the original release, with this seed for NumPy (default: no)"
    p.add_argument("--random_state", type=int, help=text)
    text = "number of latents with --random_state (default: 1000)"
    p.add_argument("--num", type=int, help=text)
    p.add_argument("--indices", help="positions among these latents, as in --seeds (default: all)")
    add_latents_file(p)


def add_latents_file(p: argparse.ArgumentParser) -> None:
    text = "latent vectors of a file: .npy [N, L], or .npz as project writes (default: no)"
    p.add_argument("--latents", metavar="FILE", help=text)


def add_image_flags(p: argparse.ArgumentParser) -> None:
    add_label_flags(p, "all in turn")
    text = "level of detail, 0 = full resolution (default: the network's)"
    p.add_argument("--lod", type=float, help=text)


def add_zoom(p: argparse.ArgumentParser, text: str, default: int | None = None) -> None:
    text = f"repeat each pixel so many times each way (default: {text})"
    p.add_argument("--zoom", type=positive(int), default=default, help=text)


def add_preview(p: argparse.ArgumentParser, verb: str) -> None:
    text = f"{verb} of one channel, of three, or in a color map: 0, 3,2,1, viridis (default: "
    default = "the images themselves)" if verb != "show" else "the first channels)"
    p.add_argument("--preview", metavar="MAPPING", help=text + default)


def add_label_flags(p: argparse.ArgumentParser, default: str) -> None:
    text = f"number or name of the class (default: {default})"
    p.add_argument("--class", dest="class_", metavar="CLASS", help=text)
    text = "the label itself: age=63,sex=1, or all its numbers with commas (default: a class)"
    p.add_argument("--label", help=text)


def add_out(p: argparse.ArgumentParser, text: str) -> None:
    p.add_argument("--out", help=text)
    p.add_argument("--overwrite", action="store_true", help="replace existing files (default: no)")


def add_mark(p: argparse.ArgumentParser, default: str = MARKS[0]) -> None:
    text = (
        "metadata that say that the pixels are generated: full = with the latents, short = with "
        "the network alone (default: %(default)s)"
    )
    p.add_argument("--mark", choices=MARKS, default=default, help=text)


def add_fps(p: argparse.ArgumentParser, default: float) -> None:
    text = "frames per second (default: %(default)s)"
    p.add_argument("--fps", type=positive(float), default=default, help=text)


def positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    """Makes a type of argument: a finite number above 0."""

    def parse(text: str) -> float:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise ValueError
        return value

    parse.__name__ = f"{kind.__name__} above 0"  # argparse names it in the error.
    return parse


def natural(text: str) -> int:
    """Parses a whole number of 0 or more."""
    number = int(text)
    if number < 0:
        raise ValueError
    return number


natural.__name__ = "int of 0 or more"  # argparse names it in the error.


def grid_size(text: str) -> tuple[int, int]:
    """Parses a grid size: "3x2" -> (3, 2)."""
    columns, rows = (int(number) for number in text.split("x"))
    if columns < 1 or rows < 1:
        raise ValueError
    return columns, rows


grid_size.__name__ = "COLUMNSxROWS"


def add_directions(p: argparse.ArgumentParser) -> None:
    """Adds the flags that turn latents along directions."""
    text = "turn the latents along a direction by an angle in radians; may be given several times"
    p.add_argument("--direction", metavar="NAME=ANGLE", action="append", help=text)
    add_directions_file(p)


def add_directions_file(p: argparse.ArgumentParser) -> None:
    """Adds the flag for a file of directions."""
    text = "file of `directions` (default: <snapshot>-directions.json beside the snapshot)"
    p.add_argument("--directions", metavar="FILE", help=text)
