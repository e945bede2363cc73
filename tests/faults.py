"""A file system without locks, or one that fails now and then, for processes of their own."""

import functools
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

SOURCE = pathlib.Path(__file__).with_name("faults.c")


@functools.cache
def library():
    """Compiles faults.c. Returns the path of the library, None without a C compiler."""
    if shutil.which("cc") is None:
        return None
    path = pathlib.Path(tempfile.mkdtemp()) / "faults.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", SOURCE, "-o", path, "-ldl"]
    subprocess.run(command, check=True)
    return path


needs_library = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc)")


def no_locks(number):
    """Environment of a process whose locks fail with an errno."""
    return {"LD_PRELOAD": str(library()), "FLOCK_ERRNO": str(number)}


def failing(path, every, number):
    """Environment of a process whose every n-th operation on a file or a folder's files fails."""
    return {
        "LD_PRELOAD": str(library()),
        "FAULTS_PATH": os.path.realpath(path),
        "FAULTS_EVERY": str(every),
        "FAULTS_ERRNO": str(number),
    }
