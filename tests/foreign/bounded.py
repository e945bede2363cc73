"""Reads files in another process, with little memory and time: a bomb must not harm the tests."""

import json
import os
import resource
import signal
import subprocess
import sys

from pgtf import files
from pgtf.dataset import tfrecords
from pgtf.dataset.faces.landmarks import read_landmarks
from pgtf.dataset.faces.photographs import read_photograph
from pgtf.dataset.sources import lsun
from pgtf.dataset.sources.pictures import Conversion, read_picture
from pgtf.foreign import arrays, json_files
from pgtf.foreign.pickles import read_pickle

MAX_BYTES = 512 << 20  # beyond what the process has before
MAX_SECONDS = 5  # of CPU time for each file


def picture(path):
    return read_picture(path, Conversion(3, 16, "center-crop", "white", strict=False))


def lsun_entry(path):
    with open(path, "rb") as file:
        return lsun.decode(file.read(), 16)


READERS = {
    "picture": picture,
    "strict picture": lambda path: read_picture(path, Conversion(3, 16)),
    "photograph": lambda path: read_photograph(path, "white"),
    "lsun": lsun_entry,
    "npy": arrays.read_npy,
    "npz": arrays.read_npz,
    "json": json_files.read_json,
    "landmarks": lambda path: read_landmarks(path, "", ["a.png"]),
    "records": tfrecords.open_records,
    "pickle": read_pickle,
    "whole file": files.read_at_once,
}


def outcomes(kind, *paths):
    """Reads each file in a process of its own: -> "read", or the one line of the error.

    Neither memory nor time may run out, and nothing else may be raised: each is "ended with ...".
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.foreign.bounded", kind, *map(str, paths)],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(paths)
    return found


def main(kind, *paths):
    if kind == "lsun":
        import cv2  # noqa: F401, so that not every child must
    for path in paths:
        child = os.fork()
        if child == 0:
            _read(kind, path)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            print(json.dumps(f"ended with {code}"), flush=True)


def _read(kind, path):
    """Reads one file and ends the process."""
    with open("/proc/self/statm") as file:
        most = int(file.read().split()[5]) * resource.getpagesize() + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
    try:
        READERS[kind](path)
        outcome = "read"
    except (ValueError, OSError) as error:
        outcome = str(error)
    except BaseException as error:
        outcome = f"ended with {error!r}"
    print(json.dumps(outcome), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
