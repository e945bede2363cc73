"""Version folders of TensorFlow Serving: DIR/<integer>, which appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

_TAKEN = re.compile(r"(\d+)|\.(\d+)\.tmp")  # versions, and those being written


@contextlib.contextmanager
def new_version(
    out: str | os.PathLike[str], version: int | None = None
) -> Iterator[tuple[Path, int]]:
    """Context manager that turns an empty folder into `out`/<version> if the block succeeds.

    The server polls `out` and would load a half-written version, so until then the folder has a
    name that is no version. The name reserves the number, so two simultaneous exports get different
    numbers. After an error nothing is left.

    Args:
        out: folder of the model; made if missing.
        version: integer; None = one above the highest that exists or is being written.

    Yields:
        (folder to fill, version).

    Raises:
        FileExistsError: if the version is there already, or being written.
        OSError: if `out` cannot be written.
    """
    out = Path(out)
    made = [path for path in (out, *out.parents) if not path.exists()]
    if version is not None and (out / str(version)).exists():
        raise FileExistsError(
            f"{out / str(version)} exists. Leave out --version for the next free one."
        )
    out.mkdir(parents=True, exist_ok=True)
    folder, number = _reserved(out, version)
    try:
        yield folder, number
        _sync_all(folder)
        os.rename(folder, out / str(number))  # Fails if somebody else took the name meanwhile.
        _sync(out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # Somebody else may have written into it.
            for path in made:
                path.rmdir()
        raise


def _reserved(out: Path, version: int | None) -> tuple[Path, int]:
    """Makes the folder that reserves a number, None = the next free one. Returns both."""
    while True:
        number = _next_version(out) if version is None else version
        folder = out / f".{number}.tmp"
        try:
            folder.mkdir()
        except FileExistsError:
            if version is None:
                continue  # Somebody else was faster.
            raise FileExistsError(
                f"{folder} exists: another export writes this version, or was killed. Wait for it, "
                "remove the folder, or leave out --version."
            ) from None
        return folder, number


def _next_version(out: Path) -> int:
    """Returns one above the highest version in a model's folder, 1 if there is none."""
    matches = (_TAKEN.fullmatch(path.name) for path in out.iterdir())
    return max((int(match[1] or match[2]) for match in matches if match), default=0) + 1


def served_version(folder: str | os.PathLike[str]) -> Path:
    """Returns the version that a server would load: the highest one, or the folder itself."""
    folder = Path(folder)
    versions = [path for path in folder.glob("*") if path.name.isdecimal()]
    if versions and not (folder / "saved_model.pb").exists():
        return max(versions, key=lambda path: int(path.name))
    return folder


def _sync_all(folder: Path) -> None:
    """Flushes a folder and its contents to the disk."""
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
