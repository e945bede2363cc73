"""Entries of the scripts and of `pgtf`: a signal is one line before anything else is loaded."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # Importing `typing` takes a while; type checkers take this for true.
if TYPE_CHECKING:
    from typing import Any

HELP = """usage: {program} COMMAND ...

Progressive Growing of GANs (Karras et al., ICLR 2018) on TensorFlow 2 / Keras 3

commands:
{commands}

options:
  -h, --help  show this help message and exit
  --version   show the version and exit

{program} COMMAND --help explains a command. A first run, on cartoon faces: {program} train
"""


def run(name: str, arguments: list[str] | None = None) -> None:
    """Runs a command.

    Args:
        name: one of PROGRAMS, or "restoration".
        arguments: words after the command's name; None = those of this process.
    """
    _exit_on_signals()
    from pgtf.commands import command_line
    from pgtf.commands.programs import PROGRAMS, RESTORATION

    words = sys.argv[1:] if arguments is None else arguments
    if words == ["--version"]:
        _print_version()
        return
    program = {**PROGRAMS, "restoration": RESTORATION}[name]
    command_line.run(program, [sys.argv[0], *words])


def main() -> None:
    """Runs `pgtf`, whose first argument is the name of a command."""
    _exit_on_signals()
    from pgtf.commands.programs import PROGRAMS
    from pgtf.installation import front

    name, *arguments = sys.argv[1:] or ["--help"]
    if name in PROGRAMS:
        run(name, arguments)
    elif name in ("--help", "-h", "-help", "help"):
        width = max(map(len, PROGRAMS))
        lines = (f"  {name:{width}}  {program.summary}" for name, program in PROGRAMS.items())
        print(HELP.format(program=front(), commands="\n".join(lines)), end="")
    elif name == "--version":
        _print_version()
    else:
        from pgtf.commands.parsers import mistake, nearest, nearest_word

        if name.startswith("-"):
            mistake(
                f"unknown flag {name}{nearest(name, ('--help', '--version'))}", front(), "commands"
            )
        known = {**{program: program for program in PROGRAMS}, **_sub_commands()}
        near = nearest_word(name, known)
        remedy = f". Did you mean {front()} {known[near]}?" if near else ""
        mistake(f"unknown command {name}{remedy}", front(), "commands")


def _print_version() -> None:
    from pgtf import __version__

    print(f"pgtf {__version__}")


def _sub_commands() -> dict[str, str]:
    """Returns "generate explore" for "explore", and so on."""
    from pgtf.commands.command_line import missing_packages_reported, prepare

    with missing_packages_reported():
        prepare()
        from pgtf.commands import dataset, generate_flags
        from pgtf.commands.parsers import command_names

        names = {name: f"dataset {name}" for name in command_names(dataset.make_parser())}
        return names | {name: f"generate {name}" for name in generate_flags.COMMANDS}


def _exit_on_signals() -> None:
    """Makes SIGINT and SIGTERM end the process with one line from now on."""
    sys.excepthook = _exit_if_interrupted  # Even importing Python's own `signal` takes a while.
    from pgtf.distribution import signals

    signals.exit_on_signals()
    sys.excepthook = sys.__excepthook__


def _exit_if_interrupted(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
    """Ends the process as the handlers do, after Python's own one has raised KeyboardInterrupt."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    start = "\n" if sys.stderr.isatty() else ""  # Terminals show ^C before it.
    sys.stderr.write(f"{start}interrupted\n")
    sys.stderr.flush()
    os._exit(128 + 2)  # SIGINT
