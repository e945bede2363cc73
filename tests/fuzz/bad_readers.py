"""Readers that do what none may do, each once: prints the outcomes as JSON, by name.

They run in a process of their own, because the process of the tests may have threads, and one with
threads should not be forked.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.fuzz.children import Children

CASE = {"a.bin": b"content", "b.bin": b"more"}
MAX_SECONDS, MAX_BYTES = 0.8, 64 << 20
LIMITS = {"max_seconds": MAX_SECONDS, "max_bytes": MAX_BYTES, "max_idle_seconds": 5.0}


def accepts(folder: Path) -> None:
    assert (folder / "a.bin").read_bytes() == b"content"


def accepts_and_writes(folder: Path) -> None:
    (folder / "result").write_text("x")


def names_the_file(folder: Path) -> None:
    raise ValueError(f"{folder}/a.bin: damaged\nin \x1b[31mtwo lines")


def names_no_file(folder: Path) -> None:
    raise ValueError("invalid start byte, as in not-a.bin or a.bin-2")


def names_no_file_of_the_system(folder: Path) -> None:
    raise OSError(5, "Input/output error")


def exits_as_a_command(folder: Path) -> None:
    print(f"error: {folder}/a.bin: damaged", file=sys.stderr)
    sys.exit(2)


def exits_with_two_lines(folder: Path) -> None:
    print(f"Traceback\nerror: {folder}/a.bin: damaged", file=sys.stderr)
    sys.exit(2)


def says_nothing(folder: Path) -> None:
    raise ValueError


def speaks_without_end(folder: Path) -> None:
    print(f"error: {folder}/a.bin: {'9' * 10_000}", file=sys.stderr)
    sys.exit(2)


def raises_key_error(folder: Path) -> None:
    raise KeyError("a.bin")


def recurses(folder: Path) -> None:
    recurses(folder)


def segfaults(folder: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def exits(folder: Path) -> None:
    os._exit(3)


def waits(folder: Path) -> None:
    time.sleep(1000)


def computes_without_end(folder: Path) -> None:
    while True:
        pass


def is_slow(folder: Path) -> None:
    begin = time.process_time()
    while time.process_time() < begin + 1.5 * MAX_SECONDS:
        pass


def takes_memory_for_a_moment(folder: Path) -> None:
    np.ones(2 * MAX_BYTES, np.uint8).sum()


def claims_memory_that_it_does_not_use(folder: Path) -> None:
    np.empty(2 * MAX_BYTES, np.uint8)


def takes_memory_in_a_child(folder: Path) -> None:
    code = f"bytearray({3 * MAX_BYTES})"
    subprocess.run([sys.executable, "-c", code], check=True)


def leaves_a_file_and_refuses(folder: Path) -> None:
    (folder / "half").touch()
    names_the_file(folder)


def leaves_a_folder_and_refuses(folder: Path) -> None:
    (folder / "half").mkdir()
    names_the_file(folder)


def leaves_a_temporary_file(folder: Path) -> None:
    tempfile.mkstemp()


def leaves_a_partial_folder(folder: Path) -> None:
    (folder / "cats.partial").mkdir()
    (folder / "cats.partial" / "x").touch()


def changes_its_input(folder: Path) -> None:
    (folder / "b.bin").write_bytes(b"less")


def deletes_its_input(folder: Path) -> None:
    (folder / "b.bin").unlink()
    names_the_file(folder)


READERS = [
    accepts,
    accepts_and_writes,
    names_the_file,
    names_no_file,
    names_no_file_of_the_system,
    exits_as_a_command,
    exits_with_two_lines,
    says_nothing,
    speaks_without_end,
    raises_key_error,
    recurses,
    segfaults,
    exits,
    waits,
    computes_without_end,
    is_slow,
    takes_memory_for_a_moment,
    claims_memory_that_it_does_not_use,
    takes_memory_in_a_child,
    leaves_a_file_and_refuses,
    leaves_a_folder_and_refuses,
    leaves_a_temporary_file,
    leaves_a_partial_folder,
    changes_its_input,
    deletes_its_input,
]
# One child must read the others after it has died of one.
IN_TURN = [accepts, segfaults, accepts, raises_key_error, accepts]

if __name__ == "__main__":
    found = {}
    with tempfile.TemporaryDirectory() as work:
        for reader in READERS:
            children = Children(reader, Path(work), **LIMITS)
            outcome = children.outcome(CASE)
            found[reader.__name__] = [outcome.verdict, outcome.message]
            children.close()
        turn = Path(work, "turn")
        children = Children(
            lambda folder: IN_TURN[len(turn.read_text())](folder), Path(work), **LIMITS
        )
        verdicts = []
        for number in range(len(IN_TURN)):
            turn.write_text("x" * number)
            verdicts.append(children.outcome(CASE).verdict)
        children.close()
        found["in turn"] = verdicts
    print(json.dumps(found))
