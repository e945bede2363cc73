"""Cache of the programs that XLA compiles for GPUs, which take a minute per stage.

TensorFlow reads its folder from the environment when it is imported, so this module does without
TensorFlow. The cache holds machine code: it belongs to the user alone and never lies in a run
folder, which others may have made.
"""

from __future__ import annotations

import glob
import os
import stat

_VARIABLE, _OPTION = "TF_XLA_FLAGS", "tf_xla_persistent_cache_directory"
_GPUS = "/dev/nvidia[0-9]*"
# TensorFlow compares with one of these names, depending on its version and how it is run.
_DEVICE_TYPES = "GPU,XLA_GPU_JIT"


def choose() -> None:
    """Names the cache to TensorFlow, on machines with a GPU. Call it before TensorFlow's import.

    A cache that the environment names already is left alone.
    """
    flags = os.environ.get(_VARIABLE, "")
    if _OPTION in flags or not glob.glob(_GPUS):
        return
    path = folder()
    if _is_private(path):
        options = f"--{_OPTION}={path} --tf_xla_persistent_cache_device_types={_DEVICE_TYPES}"
        os.environ[_VARIABLE] = f"{flags} {options}".strip()


def folder() -> str:
    """Returns ~/.cache/pgtf/xla, or where $XDG_CACHE_HOME says."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    base = base if os.path.isabs(base) else os.path.expanduser("~/.cache")
    return os.path.join(base, "pgtf", "xla")


def _is_private(path: str) -> bool:
    """True if the folder exists, or could be made, and nobody else can write to it."""
    if any(c.isspace() for c in path):  # which TensorFlow's flags cannot hold
        return False
    try:
        for part in (os.path.dirname(path), path):
            os.makedirs(part, mode=0o700, exist_ok=True)
            found = os.lstat(part)
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                return False
            if found.st_mode & 0o077:
                os.chmod(part, 0o700)
    except OSError:
        return False
    return True
