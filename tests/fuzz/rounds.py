"""Rounds of damaged inputs of one kind: results, and findings saved with what repeats them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis.configuration import set_hypothesis_home_dir

from tests.fuzz import mutations
from tests.fuzz.cases import Case, write
from tests.fuzz.children import ACCEPTED, REFUSED, Children, Outcome
from tests.fuzz.kinds import Kind

MEMORY = Path("/dev/shm")  # Inputs are written to memory if there is such a folder.


@dataclasses.dataclass
class Tally:
    """Results of one kind."""

    tried: int = 0
    accepted: int = 0
    refused: int = 0
    findings: int = 0
    seconds: float = 0.0  # CPU time of the slowest input
    peak: int = 0  # bytes of memory of the largest
    total_seconds: float = 0.0  # CPU time of all

    def add(self, found: Outcome) -> None:
        """Counts an outcome."""
        self.tried += 1
        self.accepted += found.verdict == ACCEPTED
        self.refused += found.verdict == REFUSED
        self.findings += found.is_finding
        self.seconds = max(self.seconds, found.seconds)
        self.peak = max(self.peak, found.peak)
        self.total_seconds += found.seconds

    def merge(self, other: Tally) -> None:
        """Adds the results of another round."""
        for field in dataclasses.fields(self):
            a, b = getattr(self, field.name), getattr(other, field.name)
            largest = field.name in ("seconds", "peak")
            setattr(self, field.name, max(a, b) if largest else a + b)


@dataclasses.dataclass(frozen=True)
class Finding:
    """An input that was neither read nor refused as it should be."""

    kind: str
    outcome: Outcome
    case: Case

    @property
    def signature(self) -> str:
        """Equal for findings that probably have one cause: the verdict, and where it came from."""
        message = self.outcome.message
        place = message[message.rindex("[") :] if message.endswith("]") else ""
        return f"{self.kind}: {self.outcome.verdict} {place}"

    def save(self, folder: Path) -> Path:
        """Writes the input, its outcome, and the command that repeats it."""
        digest = hashlib.sha256(repr(sorted(self.case.items())).encode()).hexdigest()[:8]
        path = folder / f"{self.kind.replace(' ', '-').replace('*', 'x')}-{digest}"
        shutil.rmtree(path, ignore_errors=True)
        (path / "input").mkdir(parents=True)
        odd = {name: content for name, content in self.case.items() if isinstance(content, str)}
        plain = {name: content for name, content in self.case.items() if name not in odd}
        write(plain, path / "input", resolve=False)
        about = {"kind": self.kind, "odd": odd, "outcome": dataclasses.asdict(self.outcome)}
        about["repeat"] = f"python -m tests.fuzz --repeat={path}"
        (path / "finding.json").write_text(json.dumps(about, indent=1) + "\n")
        return path


def run_round(
    kind: Kind,
    seed: int,
    num: int,
    on_outcome: Callable[[Case, Outcome], None],
    odd: bool = False,
) -> None:
    """Reads `num` damaged inputs of a kind; the same seed gives the same inputs.

    Args:
        kind: the kind.
        seed: seed of hypothesis for this round.
        num: number of inputs.
        on_outcome: called with every case and its outcome.
        odd: before, read a seed with each file missing, empty, a pipe and the like.
    """
    # Tables that hypothesis keeps; by default it writes them beside the sources.
    set_hypothesis_home_dir(Path(tempfile.gettempdir(), f"pgtf-hypothesis-{os.getuid()}"))
    parent = MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="pgtf-fuzz-", dir=parent) as folder:
        children = Children(kind.read, Path(folder), continues=kind.continues)

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=num,
            phases=[Phase.generate],  # Outcomes are counted, never raised, so nothing shrinks.
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(kind.cases)
        def attempt(case: Case) -> None:
            on_outcome(case, children.outcome(case))

        try:
            for case in mutations.odd(kind.seeds[0], kind.names) if odd else ():
                on_outcome(case, children.outcome(case))
            attempt()
        finally:
            children.close()


def round_seed(seed: int, kind: str, number: int) -> int:
    """Seed of a round, which depends on nothing else that is run."""
    text = f"{seed} {kind} {number}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big")


def load_finding(folder: Path) -> tuple[str, Case]:
    """Reads what `Finding.save` wrote: -> kind, case."""
    about: dict[str, Any] = json.loads((folder / "finding.json").read_text())
    root = folder / "input"
    case: Case = dict(about["odd"])
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if path.is_file() and name not in case:
            case[name] = path.read_bytes()
    return about["kind"], case
