"""Entries of the scripts and of `pgtf`. They load nothing before a signal is one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pgtf.commands.programs import PROGRAMS, RESTORATION

HELP = """usage: {program} COMMAND ...

Progressive Growing of GANs (Karras et al., ICLR 2018) on TensorFlow 2 / Keras 3

commands:
{commands}

options:
  -h, --help  show this help message and exit
  --version   show the version and exit

{program} COMMAND --help explains a command. A first run, on cartoon faces: {program} train
"""


def run(name: str, arguments: Sequence[str] | None = None) -> None:
    """Runs a command.

    Args:
        name: one of PROGRAMS, or "restoration".
        arguments: words after the command's name; None = those of this process.
    """
    _exit_on_signals()
    from pgtf.commands import command_line

    words = sys.argv[1:] if arguments is None else arguments
    program = {**PROGRAMS, "restoration": RESTORATION}[name]
    command_line.run(program, [sys.argv[0], *words])


def main() -> None:
    """Runs `pgtf`, whose first argument is the name of a command."""
    _exit_on_signals()
    from pgtf.installation import front

    name, *arguments = sys.argv[1:] or ["--help"]
    if name in PROGRAMS:
        run(name, arguments)
    elif name in ("--help", "-h", "-help", "help"):
        width = max(map(len, PROGRAMS))
        lines = (f"  {name:{width}}  {program.summary}" for name, program in PROGRAMS.items())
        print(HELP.format(program=front(), commands="\n".join(lines)), end="")
    elif name == "--version":
        from pgtf import __version__

        print(f"pgtf {__version__}")
    else:
        from pgtf.commands.parsers import mistake, nearest

        kind = "flag" if name.startswith("-") else "command"
        known = ("--help", "--version") if kind == "flag" else PROGRAMS
        mistake(f"unknown {kind} {name}{nearest(name, known)}", front(), "commands")


def _exit_on_signals() -> None:
    """Makes a signal end the process with one line from now on, before anything else is loaded."""
    from pgtf.distribution import signals

    signals.exit_on_signals()
