"""Version folders of TensorFlow Serving: DIR/<integer>, which appear whole or not at all."""

import contextlib
import os
import shutil
from pathlib import Path


@contextlib.contextmanager
def new_version(out, version=None):
    """Gives an empty folder that becomes `out`/<version> when the block ends without an error.

    The server polls `out` and would load a half-written version, so the folder has a name that is
    no version until then. After an error nothing is left.

    Args:
        out: folder of the model; made if missing.
        version: integer; None = one above the highest there is.

    Yields:
        (folder to fill, version).

    Raises:
        FileExistsError: if the version is there already.
        OSError: if `out` cannot be written.
    """
    out, existed = Path(out), Path(out).exists()
    if version is not None and (out / str(version)).exists():
        raise FileExistsError(
            f"{out / str(version)} exists. Leave out --version for the next free one."
        )
    out.mkdir(parents=True, exist_ok=True)
    version = next_version(out) if version is None else version
    folder = out / f".{os.getpid()}.tmp"
    try:
        folder.mkdir()
        yield folder, version
        _sync_all(folder)
        os.rename(folder, out / str(version))  # refused if somebody else took it meanwhile
        _sync(out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        if not existed:
            with contextlib.suppress(OSError):  # somebody else wrote into it
                out.rmdir()
        raise


def next_version(out):
    """One above the highest version in a model's folder, 1 when there is none."""
    names = (path.name for path in Path(out).iterdir())
    return max((int(name) for name in names if name.isdecimal()), default=0) + 1


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
