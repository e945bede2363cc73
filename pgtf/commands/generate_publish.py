"""Sub-commands of generate.py for what becomes of generated files and finished networks."""

from __future__ import annotations

import argparse
from pathlib import Path

from pgtf import files
from pgtf.commands import generate_networks as networks
from pgtf.export import pictures, recipe, remake
from pgtf.foreign.terminal import one_line
from pgtf.marks import read_mark
from pgtf.wording import counted

MAX_SHOWN = 60  # characters of a fact that `whatis` prints


def whatis(args: argparse.Namespace) -> None:
    """Prints the mark of a file; with a network, generates the picture again and compares."""
    if (mark := read_mark(args.file)) is None:
        raise ValueError(f"{args.file}: has no mark. Its pixels may be anything.")
    print(one_line(f"{args.file}: {mark.sentence}"))
    for name, value in mark.facts.items():
        shown = value if len(value) <= MAX_SHOWN else f"{value[:MAX_SHOWN]}... ({len(value)})"
        print(one_line(f"  {name}: {shown}"))
    if args.run is None and args.snapshot is None and args.pkl is None:
        return
    again = remake.make_again(networks.source(args), mark, args.file)
    off = remake.difference(again, args.file)
    print(f"The network makes the same picture: {counted(off, 'gray level')} of 255 off.")
    if args.out is not None:
        path = pictures.prepare_file(Path(args.out), args.overwrite)
        files.write_atomically(path, recipe.png_bytes(again, mark))
