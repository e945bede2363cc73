"""Flags of generate.py's commands for what becomes of generated files and finished networks."""

from __future__ import annotations

import argparse
import re

from pgtf.commands.generate_parts import (
    add_directions_file,
    add_image_flags,
    add_mark,
    add_network_flags,
    add_out,
    natural,
    positive,
)

METHODS = ("sefa", "pca", "boundary")  # those of export.directions


def add_whatis(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `whatis`."""
    p.add_argument("file", metavar="FILE", help="picture or film: PNG, JPEG, GIF, WebP, MP4")
    text = "generate the picture again with this run, or its number in --outdir (default: no)"
    add_network_flags(p, text)
    add_out(p, "file for the picture that was generated again (default: none)")


def add_fakeset(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `fakeset`."""
    add_network_flags(p)
    text = "number of images, of as many seeds (default: %(default)s)"
    p.add_argument("--num", type=positive(int), default=50_000, help=text)
    p.add_argument("--first", type=int, default=0, help="first seed (default: %(default)s)")
    add_image_flags(p)
    text = "dataset folder whose images are written beside the fakes (default: none)"
    p.add_argument("--reals", metavar="DATASET", help=text)
    text = "K/N: write only every Nth shard, for N processes with K = 0 ... N-1 (default: 0/1)"
    p.add_argument("--part", type=_part, default=(0, 1), metavar="K/N", help=text)
    text = (
        "compare the files of this manifest with it, and with the network, if one is named "
        "(default: write a set)"
    )
    p.add_argument("--check", metavar="MANIFEST", help=text)
    add_mark(p)
    p.add_argument("--out", help="folder (default: <snapshot>-fakeset beside the snapshot)")


def add_find(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `directions`."""
    add_network_flags(p)
    text = (
        "sefa: the first layer in closed form; pca: principal components of the first features; "
        "boundary: planes between high and low scores (default: %(default)s)"
    )
    p.add_argument("--method", choices=METHODS, default="sefa", help=text)
    text = "sefa and pca: number of directions, at most that of the latents (default: %(default)s)"
    p.add_argument("--num", type=positive(int), default=10, help=text)
    text = "pca and boundary with --classifier: number of images (default: %(default)s)"
    p.add_argument("--num_images", type=positive(int), default=4000, help=text)
    text = "boundary: CSV with a column `seed` and a column per score"
    p.add_argument("--scores", metavar="FILE", help=text)
    text = (
        "classifier of the metric modes. boundary: find a direction for each of its values; sefa, "
        "pca: print what each direction changes"
    )
    p.add_argument("--classifier", metavar="FILE", help=text)
    text = "sheet: seed of the image in the middle (default: %(default)s)"
    p.add_argument("--seed", type=natural, default=0, help=text)
    text = "angle of the sheet's last column, and of the table, in radians (default: %(default)s)"
    p.add_argument("--angle", type=positive(float), default=0.6, help=text)
    text = "file.json; the sheet is beside it (default: <snapshot>-directions.json)"
    add_out(p, text)


def add_push(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `push`."""
    add_network_flags(p)
    p.add_argument("--repo", required=True, metavar="USER/NAME", help="repository on the hub")
    text = "licence of the images and the network, for the card (default: %(default)s)"
    p.add_argument("--licence", default="unspecified", help=text)
    text = "make the repository private, if it is new (default: public)"
    p.add_argument("--private", action="store_true", help=text)
    text = "write the folder and upload nothing (default: upload)"
    p.add_argument("--dry_run", action="store_true", help=text)
    add_directions_file(p)
    add_mark(p, "short")
    add_out(p, "folder (default: <snapshot>-hub beside the snapshot)")


def _part(text: str) -> tuple[int, int]:
    """Parses a part: "1/4" -> (1, 4)."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not match or int(match[1]) >= int(match[2]):
        raise ValueError
    return int(match[1]), int(match[2])


_part.__name__ = "K/N"
