"""Version folders of TensorFlow Serving: DIR/<integer>, which appear whole or not at all."""

import contextlib
import os
import re
import shutil
from pathlib import Path

_TAKEN = re.compile(r"(\d+)|\.(\d+)\.tmp")  # versions, and those being written


@contextlib.contextmanager
def new_version(out, version=None):
    """Gives an empty folder that becomes `out`/<version> when the block ends without an error.

    The server polls `out` and would load a half-written version, so the folder has a name that is
    no version until then. It holds its number: of two exports at once each gets one of its own.
    After an error nothing is left.

    Args:
        out: folder of the model; made if missing.
        version: integer; None = one above the highest there is, or that is being written.

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
    folder, version = _reserved(out, version)
    try:
        yield folder, version
        _sync_all(folder)
        os.rename(folder, out / str(version))  # refused if somebody else took it meanwhile
        _sync(out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # somebody else wrote into it
            for path in made:
                path.rmdir()
        raise


def _reserved(out, version):
    """Makes the folder that holds a number, None = the next free one: -> folder, number."""
    while True:
        number = _next_version(out) if version is None else version
        folder = out / f".{number}.tmp"
        try:
            folder.mkdir()
        except FileExistsError:
            if version is None:
                continue  # somebody else was faster
            raise FileExistsError(
                f"{folder} exists: another export writes this version, or was killed. Wait for it, "
                "remove the folder, or leave out --version."
            ) from None
        return folder, number


def _next_version(out):
    """One above the highest version in a model's folder, 1 when there is none."""
    matches = (_TAKEN.fullmatch(path.name) for path in out.iterdir())
    return max((int(match[1] or match[2]) for match in matches if match), default=0) + 1


def served_version(folder):
    """The version that a server would load: the highest one in a model's folder, or the folder."""
    folder = Path(folder)
    versions = [path for path in folder.glob("*") if path.name.isdecimal()]
    if versions and not (folder / "saved_model.pb").exists():
        return max(versions, key=lambda path: int(path.name))
    return folder


def _sync_all(folder):
    """Puts a folder and all that is in it on the disk."""
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
