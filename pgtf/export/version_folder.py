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
        [folder to fill, version]; the version may still rise if somebody else takes it meanwhile.

    Raises:
        FileExistsError: if the version is there already.
    """
    out = Path(out)
    if version is not None and (out / str(version)).exists():
        raise FileExistsError(
            f"{out / str(version)} exists. Leave out --version for the next free one."
        )
    existed = out.exists()
    out.mkdir(parents=True, exist_ok=True)
    folder = out / f".{os.getpid()}.tmp"
    chosen = [folder, version or next_version(out)]
    try:
        folder.mkdir()
        yield chosen
        _sync(folder)
        if version is None:
            chosen[1] = next_version(out)
        os.rename(folder, out / str(chosen[1]))
        _sync_one(out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        if not existed:
            with contextlib.suppress(OSError):  # not empty any more
                out.rmdir()
        raise


def next_version(out):
    """One above the highest version in a model's folder, 1 when there is none."""
    names = (path.name for path in Path(out).iterdir())
    return max((int(name) for name in names if name.isdecimal()), default=0) + 1


def _sync(folder):
    """Puts a folder and all that is in it on the disk."""
    for path in sorted(folder.rglob("*"), reverse=True):
        _sync_one(path)
    _sync_one(folder)


def _sync_one(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
