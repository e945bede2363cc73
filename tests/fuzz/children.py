"""Reads inputs in forked processes, and judges how each reading ended.

A child reads many inputs. It is replaced when it dies, and after every finding, because memory that
one input took, or a thread that it left, would be blamed on the next.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import io
import json
import os
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pgtf.commands.command_line import line_of
from tests.fuzz.cases import Case, left_behind, write

MAX_SECONDS = 5.0  # of CPU time per input
MAX_IDLE_SECONDS = 20.0  # without running or being able to; a busy machine does not count
POLL_SECONDS = 0.5
MAX_BYTES = 512 << 20  # of memory per input, beyond that of the idle process
LIMIT_BYTES = 4 << 30  # at which the system stops a process
WORKER_BYTES = 64 << 20  # of an idle process that a reader starts
MAX_LINE = 1500  # characters of an error

ACCEPTED, REFUSED = "accepted", "refused"
Read = Callable[[Path], None]  # reads the files of a folder


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How an input was read.

    Attributes:
        verdict: ACCEPTED, REFUSED (in a line that names the file), or a few words for a finding.
        message: the line, or more about the finding.
        seconds: CPU time.
        peak: bytes of memory beyond those of the idle process.
    """

    verdict: str
    message: str = ""
    seconds: float = 0.0
    peak: int = 0

    @property
    def is_finding(self) -> bool:
        """True if the input was neither read nor refused as it should be."""
        return self.verdict not in (ACCEPTED, REFUSED)


class Children:
    """Reads cases one after the other, in a child that it forks when it needs one.

    Args:
        read: reads the files of a folder; it must have imported what it needs.
        folder: an empty folder for the inputs.
        max_seconds, max_idle_seconds, max_bytes: see the constants.
        continues: see `left_behind`.
    """

    def __init__(
        self,
        read: Read,
        folder: Path,
        *,
        max_seconds: float = MAX_SECONDS,
        max_idle_seconds: float = MAX_IDLE_SECONDS,
        max_bytes: int = MAX_BYTES,
        continues: bool = False,
    ) -> None:
        self._read, self._folder, self._continues = read, folder, continues
        self._limits = max_seconds, max_bytes
        self._max_idle_seconds = max_idle_seconds
        self._pid = 0
        self._to = self._from = -1

    def outcome(self, case: Case) -> Outcome:
        """Reads a case."""
        work = self._folder / "input"
        scratch = self._folder / "scratch"
        for folder in (work, scratch):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        write(case, work)
        if not self._pid:
            self._fork(scratch)
        os.write(self._to, f"{work}\n".encode())
        found = self._answer()
        if not found.is_finding:
            left = left_behind(case, work, found.verdict == ACCEPTED, self._continues)
            left += [f"temporary file {path.name}" for path in scratch.iterdir()]
            if left:
                found = dataclasses.replace(
                    found, verdict="leaves files", message=f"{', '.join(left)} ({found.message})"
                )
        if found.is_finding:
            self.close()
        return found

    def close(self) -> None:
        """Ends the child."""
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
            os.close(self._to)
            os.close(self._from)
            self._pid = 0

    def _fork(self, scratch: Path) -> None:
        asked, self._to = os.pipe()
        self._from, answered = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if not self._pid:
            os.close(self._to)
            os.close(self._from)
            try:
                _serve(self._read, asked, answered, scratch, *self._limits)
            finally:
                os._exit(1)
        with contextlib.suppress(OSError):  # The child does the same; one of the two is first.
            os.setpgid(self._pid, self._pid)
        os.close(asked)
        os.close(answered)

    def _answer(self) -> Outcome:
        idle = 0.0
        while not select.select([self._from], [], [], POLL_SECONDS)[0]:
            idle += 0 if is_busy(self._pid) else POLL_SECONDS
            if idle >= self._max_idle_seconds:
                return Outcome("hangs", f"waits for {idle:g} seconds")
        with os.fdopen(os.dup(self._from), "rb") as file:
            line = file.readline()
        if line:
            return Outcome(**json.loads(line))
        pid, self._pid = self._pid, 0
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(self._to)
        os.close(self._from)
        if code == -signal.SIGXCPU:
            return Outcome("slow", f"stopped after more than {self._limits[0]:g} s of CPU time")
        ended = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Outcome(f"ends the process with {ended}")


def is_busy(pid: int) -> bool:
    """True if a process, or one that it started, runs, could run, or waits for a disk."""
    parents = {
        int(path.parent.name): int(_stat(path)[1]) for path in Path("/proc").glob("[0-9]*/stat")
    }
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    threads = (path for each in family for path in Path(f"/proc/{each}/task").glob("*/stat"))
    return any(_stat(path)[0] in "RD" for path in threads)


def _stat(path: Path) -> list[str]:
    """Reads state and parent of a process or thread, among others; it may have ended."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return ["X", "0"]


def _serve(
    read: Read, asked: int, answered: int, scratch: Path, max_seconds: float, max_bytes: int
) -> None:
    """Runs in the child: reads names of folders, answers with outcomes."""
    os.setpgid(0, 0)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    gc.freeze()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor in (1, 2):  # Libraries print what is of no interest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    tempfile.tempdir = os.environ["TMPDIR"] = str(scratch)
    os.environ["XDG_CACHE_HOME"] = str(scratch.parent / "cache")
    idle = _memory("VmRSS")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (_memory("VmData") + LIMIT_BYTES,) * 2)
    with os.fdopen(asked, "rb") as requests:
        for line in requests:
            folder = Path(line.decode().rstrip("\n"))
            found = _judged(read, folder, idle, max_seconds, max_bytes)
            os.write(answered, json.dumps(dataclasses.asdict(found)).encode() + b"\n")
    os._exit(0)


def _judged(read: Read, folder: Path, idle: int, max_seconds: float, max_bytes: int) -> Outcome:
    """Reads a folder within limits of time and memory."""
    Path("/proc/self/clear_refs").write_text("5")  # Forgets the peak so far.
    before = _cpu_seconds()
    # The system stops this process, and any that it starts, soon after the limit.
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + 2 * max_seconds) + 1, hard))
    found = _read_one(read, folder)
    seconds = _cpu_seconds() - before
    started = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 - WORKER_BYTES
    peak = max(_memory("VmHWM") - idle, started, 0)
    if not found.is_finding and seconds > max_seconds:
        found = Outcome("slow", f"{seconds:.1f} s of CPU time ({found.message})")
    elif not found.is_finding and peak > max_bytes:
        found = Outcome("takes much memory", f"{peak >> 20} MiB ({found.message})")
    return dataclasses.replace(found, seconds=seconds, peak=peak)


def _read_one(read: Read, folder: Path) -> Outcome:
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            read(folder)
    except (ValueError, OSError) as error:
        line = line_of(error)
        return _refusal(line, folder) or Outcome(REFUSED, line)
    except SystemExit as end:
        lines = [line for line in said.getvalue().splitlines() if line]
        if end.code == 2 and len(lines) == 1 and lines[0].startswith("error: "):
            line = lines[0].removeprefix("error: ")
            return _refusal(line, folder) or Outcome(REFUSED, line)
        return Outcome(f"exits with {end.code!r}", said.getvalue()[-MAX_LINE:])
    except BaseException as error:
        return Outcome(f"raises {type(error).__name__}", _place(error))
    return Outcome(ACCEPTED)


def _refusal(line: str, folder: Path) -> Outcome | None:
    """Returns a finding unless a line is one that helps: short, printable, with a file's name."""
    names = [str(folder), *(path.name for path in folder.rglob("*"))]
    if not any(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", line) for name in names):
        return Outcome("names no file", line)
    if not line or "Traceback" in line:
        return Outcome("is not a plain line", line[:MAX_LINE])
    if len(line) > MAX_LINE:
        return Outcome("is a long line", line[:MAX_LINE])
    return None


def _place(error: BaseException) -> str:
    """Describes an exception and the last lines of this project that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        f"{x.filename.rpartition('/pgtf/')[2]}:{x.lineno}" for x in frames if "/pgtf/" in x.filename
    ]
    return f"{' '.join(str(error).split())[:300]} [{' < '.join(ours[::-1][:4])}]"


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _memory(field: str) -> int:
    """Reads a size of this process, in bytes."""
    status: Any = Path("/proc/self/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024
