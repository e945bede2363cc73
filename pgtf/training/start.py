"""The networks of a file with which a run begins: --resume_pkl and --resume_kimg."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from pgtf import interop
from pgtf.networks import Discriminator, Generator
from pgtf.training.config import RunConfig

_SNAPSHOT_NAME = re.compile(r"network-snapshot-(\d{6,})\.(pkl|h5)")  # the number is in kimg


class Start(NamedTuple):
    """Networks to begin with, and their place in the schedule."""

    G: Generator
    D: Discriminator
    Gs: Generator
    nimg: int  # images that they have seen
    path: str  # file that they come from
    frozen: tuple[str, ...] = ()  # weights of D that are not trained


def load(path: str, asked_kimg: float | None) -> tuple[Start, str]:
    """Reads the networks of a snapshot or pickle. Returns them, and one line about them.

    Args:
        path: file.
        asked_kimg: thousands of images that its networks have seen, or None.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be used, or the number of images is neither known nor asked for.
    """
    load_networks = interop.load_snapshot if _is_snapshot(path) else interop.load_pkl
    G, D, Gs = load_networks(path)
    nimg, reason = first_nimg(path, asked_kimg)
    line = f"Networks at the start: {path}, at {nimg / 1000:g} kimg ({reason})"
    return Start(G, D, Gs, nimg, path), line


def first_nimg(path: str, asked_kimg: float | None) -> tuple[int, str]:
    """Returns the number of images that the networks of a file have seen, and who says so."""
    if asked_kimg is not None:
        if not 0 <= asked_kimg < math.inf:
            raise ValueError(f"`resume_kimg` must be at least 0. Received: {asked_kimg:g}.")
        return round(asked_kimg * 1000), "--resume_kimg"
    if _is_snapshot(path) and isinstance(nimg := interop.load_meta(path).get("cur_nimg"), int):
        return nimg, "the snapshot's own count"
    if match := _SNAPSHOT_NAME.fullmatch(Path(path).name):
        return int(match[1]) * 1000, "its file name"
    raise ValueError(
        f"`--resume_kimg` is needed for {path}, which does not say how many thousands of images "
        "its networks have seen. It decides the resolution of the schedule; 0 begins with "
        "the smallest."
    )


def check_length(start: Start, total_kimg: float, name: str = "resume_kimg") -> None:
    """Raises ValueError if nothing would be left to train; `name` is that of the beginning."""
    if start.nimg >= math.ceil(total_kimg * 1000):
        raise ValueError(
            f"`{name}` must be below `total_kimg`: nothing is left to train. Received: "
            f"{name}={start.nimg / 1000:g}, total_kimg={total_kimg:g}. Train longer with "
            "--total_kimg=N."
        )


def check_stated(
    config: RunConfig,
    stated: Collection[str],
    fitted: RunConfig,
    path: str,
    flag: str = "--resume_pkl",
) -> None:
    """Raises ValueError if flags ask for other networks than those of the file.

    Args:
        config: configuration of preset and flags.
        stated: names of the fields that flags set.
        fitted: configuration with the networks of the file.
        path: file.
        flag: flag that named it.
    """
    names = [name for name in stated if name.startswith(("G.", "D."))]
    differing = [name for name in names if _value(config, name) != _value(fitted, name)]
    if differing:
        received = ", ".join(
            f"--config.{name}={_value(config, name)} for {_value(fitted, name)}"
            for name in sorted(differing)
        )
        raise ValueError(
            f"`{flag}` decides the networks, and {path} has others than the flags ask for. "
            f"Received: {received}. Leave these flags out, or begin with new networks."
        )


def _is_snapshot(path: str) -> bool:
    return path.endswith(".h5")


def _value(config: RunConfig, name: str) -> Any:
    group, _, field = name.partition(".")
    return getattr(getattr(config, group), field)
