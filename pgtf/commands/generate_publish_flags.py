"""Flags of generate.py's commands for what becomes of generated files and finished networks."""

from __future__ import annotations

import argparse

from pgtf.commands.generate_parts import add_network_flags, add_out


def add_whatis(p: argparse.ArgumentParser) -> None:
    """Adds the flags of `whatis`."""
    p.add_argument("file", metavar="FILE", help="picture or film: PNG, JPEG, GIF, WebP, MP4")
    text = "generate the picture again with this run, or its number in --outdir (default: no)"
    add_network_flags(p, text)
    add_out(p, "file for the picture that was generated again (default: none)")
