"""Parsers of sub-commands and flags: a mistake is answered by one line with the nearest match.

No parser takes an abbreviation: what is one today may mean another flag tomorrow.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from pgtf.foreign.terminal import printable
from pgtf.installation import spelled
from pgtf.wording import meant

CUTOFF = 0.6  # Less alike words are no misspellings of each other.
# Flags of other programs of this field, with those that do the same here.
SYNONYMS = {
    "arch": ("preset",),
    "batch": ("minibatch",),
    "batch_gpu": ("grad_accumulation",),
    "batch_size": ("minibatch",),
    "cfg": ("preset",),
    "checkpoint": ("snapshot", "resume_pkl"),
    "ckpt": ("snapshot", "resume_pkl"),
    "data": ("dataset", "images"),
    "data_dir": ("dataset",),
    "dest": ("out",),
    "device": ("gpus",),
    "epochs": ("total_kimg",),
    "force": ("overwrite",),
    "height": ("resolution",),
    "img_size": ("resolution",),
    "input": ("dataset", "target"),
    "iterations": ("total_kimg",),
    "jobs": ("num_workers",),
    "model": ("snapshot", "resume_pkl"),
    "mirror": ("config.dataset.mirror_augment",),
    "network": ("snapshot", "resume_pkl"),
    "network_pkl": ("pkl", "resume_pkl"),
    "num_gpus": ("gpus",),
    "outfile": ("out",),
    "output": ("out", "outdir"),
    "resume": ("resume_pkl",),
    "results_dir": ("outdir",),
    "size": ("resolution",),
    "source": ("image_dir",),
    "steps": ("total_kimg",),
    "threads": ("num_workers",),
    "width": ("resolution",),
    "workers": ("num_workers",),
}
NO_TRUNCATION = (
    ": latents are normalized, so a truncation would change nothing; there is no such flag"
)


def nearest(word: str, known: Iterable[str]) -> str:
    """Returns ". Did you mean X?" for the known word that is most like `word`; "" if none is."""
    near = nearest_word(word, known)
    return f". Did you mean {near}?" if near else ""


def nearest_word(word: str, known: Iterable[str]) -> str | None:
    """Returns the known word that is most like `word`; None if none is.

    Dashes before it do not count, - is as good as _, and so are small and capital letters.
    """
    names = {_bare(name): name for name in reversed([*known])}
    bare = _bare(word)
    if not bare or bare in names:
        return names.get(bare)
    beginnings = [name for name in names if len(bare) > 1 and name.startswith(bare)]
    if beginnings:
        return names[min(beginnings, key=len)]
    near = difflib.get_close_matches(bare, names, n=1, cutoff=CUTOFF)
    near += [name for name in SYNONYMS.get(bare, ()) if name in names]
    near += sorted((x for x in names if bare in re.split(r"[_.]", x)), key=len)
    return names[near[0]] if near else None


def _bare(word: str) -> str:
    return word.lstrip("-").lower().replace("-", "_")


def unknown_flag(word: str, known: Iterable[str]) -> str:
    """Describes a flag that no parser knows: "unknown flag --sedes. Did you mean --seeds?"."""
    name = word.partition("=")[0]
    if _bare(name).startswith(("trunc", "psi")):
        return f"unknown flag {name}{NO_TRUNCATION}"
    return f"unknown flag {name}{nearest(name, known)}"


def mistake(message: str, prog: str, listed: str = "flags") -> NoReturn:
    """Exits with code 2 and one line that says where the right words are listed."""
    text = " ".join(f"{message} ({prog} --help lists the {listed})".split())
    print(f"error: {printable(text)}", file=sys.stderr)
    sys.exit(2)


def among(known: Iterable[str], separator: str = ",") -> Callable[[str], list[str]]:
    """Makes a type of argument: some of the known words, with separators between them."""
    names = list(known)

    def parse(text: str) -> list[str]:
        words = text.split(separator)
        if unknown := [word for word in words if word not in names]:
            near = nearest(unknown[0], names) or f". Known: {', '.join(names)}"
            raise argparse.ArgumentTypeError(f"unknown `{unknown[0]}`{near}")
        return words

    return parse


def check_files(args: argparse.Namespace, *names: str, folders: Iterable[str] = ()) -> None:
    """Raises OSError if nothing exists at the path of a flag, or a folder in place of a file.

    Args:
        args: values of flags.
        names: flags for files.
        folders: flags for folders, or archives of one.
    """
    for name in (*names, *folders):
        path = getattr(args, name, None)
        path = "." if path == "" else path  # as pathlib takes it
        if path is not None and not os.path.exists(path):
            raise FileNotFoundError(f"{path}: no such file.{meant(path, name in folders)}")
        if path is not None and name in names and os.path.isdir(path):
            raise IsADirectoryError(f"{path}: Is a directory. `--{name}` must be a file.")


def resolve_hub(args: argparse.Namespace) -> None:
    """Replaces hf://user/name by the path of the file that it downloads.

    Raises:
        ValueError: the address does not fit, or a package is missing.
        OSError: it cannot be reached.
    """
    from pgtf.foreign import hub  # It needs packages, whose lack is reported later.

    for name in ("snapshot", "pkl"):
        if getattr(args, name, None) is not None:
            setattr(args, name, hub.local(getattr(args, name)))
    if hub.is_address(getattr(args, "run", None)):
        kind = "pkl" if args.run.endswith(".pkl") else "snapshot"
        setattr(args, kind, hub.local(args.run))
        args.run = None


def command_names(parser: argparse.ArgumentParser) -> list[str]:
    """Lists the sub-commands of a parser."""
    return [name for action in parser._actions for name in getattr(action, "_name_parser_map", ())]


def _typed() -> str:
    """Returns the program of this process as users type it: python -m NAME, or python FILE."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None:
        return f"python {sys.argv[0]}"
    return f"python -m {spec.name.removesuffix('.__main__')}"


class Parser(argparse.ArgumentParser):
    """argparse's parser without abbreviations, with one-line errors, sub-parsers included."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"prog": _typed()} | kwargs, allow_abbrev=False)
        if self.add_help:  # train.py, whose flags are absl's, has both.
            self.add_argument("--helpfull", action="help", help=argparse.SUPPRESS)

    def parse_known_args(self, *args: Any, **kwargs: Any) -> Any:
        """Refuses what it does not know here, where the flags of the sub-command are known."""
        found, unknown = super().parse_known_args(*args, **kwargs)
        if unknown:
            flags = [word for word in unknown if word.startswith("-")]
            self.error(
                self._unknown(flags[0])
                if flags
                else f"too many arguments. Received: {' '.join(unknown)}"
            )
        return found, unknown

    def _unknown(self, word: str) -> str:
        """Describes a flag that this parser does not know."""
        name = word.partition("=")[0]
        for action in self._actions:
            for parser in getattr(action, "_name_parser_map", {}).values():
                if name in parser._option_string_actions:
                    return f"{name} must follow the command: {parser.prog} ... {name}"
        return unknown_flag(word, self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        """Exits with code 2 and one line."""
        if choice := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
            message += nearest(choice[1], re.findall(r"[\w.-]+", choice[2]))
        mistake(message, self.prog)

    def format_help(self) -> str:
        """Returns the help text, with the commands as a user types them."""
        return spelled(super().format_help())
