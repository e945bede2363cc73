"""Parsers of sub-commands and flags: a mistake is answered by one line with the nearest match."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from absl.flags import argparse_flags

from pgtf.foreign.terminal import printable


def nearest(word: str, known: Iterable[str]) -> str:
    """Returns ". Did you mean X?" for the known word that is most like `word`; "" if none is."""
    near = difflib.get_close_matches(word, [*known], n=1, cutoff=0.5)
    return f". Did you mean {near[0]}?" if near else ""


def check_files(args: argparse.Namespace, *names: str) -> None:
    """Raises FileNotFoundError if a flag of these names is a path at which nothing exists."""
    for name in names:
        path = getattr(args, name, None)
        if path is not None and not os.path.exists(path):
            raise FileNotFoundError(f"{path}: no such file.")


class _OneLineErrors:
    """Mixin of argparse.ArgumentParser, sub-parsers included."""

    def parse_known_args(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Refuses what it does not know here, where the flags of the sub-command are known."""
        found, unknown = super().parse_known_args(*args, **kwargs)  # type: ignore[misc]
        if unknown:
            word = unknown[0].partition("=")[0]
            near = nearest(word, self._option_string_actions) if word.startswith("-") else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{near}")
        return found, unknown

    def error(self: Any, message: str) -> NoReturn:
        """Exits with code 2 and one line."""
        if choice := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
            message += nearest(choice[1], re.findall(r"[\w.-]+", choice[2]))
        text = " ".join(f"{message} ({self.prog} --help lists the flags)".split())
        print(f"error: {printable(text)}", file=sys.stderr)
        sys.exit(2)


class Parser(_OneLineErrors, argparse.ArgumentParser):
    """argparse's parser with one-line errors."""


class FlagsParser(_OneLineErrors, argparse_flags.ArgumentParser):
    """absl's parser, which knows absl's own flags as well, with one-line errors."""
