"""Hosts: processes that have imported what readers need, and fork the children that read.

Hosts of kinds that need no TensorFlow do not import it. A host runs one round at a time.
"""

from __future__ import annotations

import contextlib
import gc
import math
import os
import signal
import time
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tests.fuzz.cases import Case
from tests.fuzz.catalogue import BY_NAME
from tests.fuzz.children import Outcome
from tests.fuzz.kinds import Kind
from tests.fuzz.rounds import Finding, Tally, round_seed, run_round

MAX_SAVED = 2  # inputs per signature and round
QUICK = 60  # inputs per round, at least, of a kind that takes milliseconds for one

Task = tuple[str, int, int, bool]  # kind, seed, number of inputs; True = odd ones too
Answer = tuple[str, Tally, list[Finding]]


class Host:
    """A process that runs rounds."""

    def __init__(self) -> None:
        self.connection, theirs = Pipe()
        self._pid = os.fork()
        if not self._pid:
            self.connection.close()
            with contextlib.suppress(EOFError, KeyboardInterrupt):
                _serve(theirs)
            os._exit(0)
        theirs.close()

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
        os.waitpid(self._pid, 0)
        self.connection.close()


def _serve(connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The first process tells when to stop.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    while True:
        name, *task = connection.recv()
        try:
            connection.send(_answer(BY_NAME[name], *task))
        except Exception:
            connection.send(traceback.format_exc())


def _answer(kind: Kind, seed: int, num: int, odd: bool) -> Answer:
    tally, kept = Tally(), {}  # signature -> findings, shortest first

    def count(case: Case, outcome: Outcome) -> None:
        tally.add(outcome)
        if outcome.is_finding:
            found = Finding(kind.name, outcome, case)
            kept.setdefault(found.signature, []).append(found)
            kept[found.signature].sort(key=lambda x: len(repr(x.case)))
            del kept[found.signature][MAX_SAVED:]

    kind.imported()
    gc.freeze()  # hypothesis collects garbage in each round.
    run_round(kind, seed, num, count, odd)
    return kind.name, tally, [x for several in kept.values() for x in several]


class Run:
    """Rounds of several kinds in turn, until time or number of inputs is reached.

    Attributes:
        tallies: results by kind.
        findings: signature -> number of inputs that were kept, folder of the first.
    """

    def __init__(
        self,
        kinds: list[Kind],
        seed: int,
        jobs: int,
        out: Path,
        max_seconds: float | None,
        num_inputs: int | None,
    ) -> None:
        self.tallies = {kind.name: Tally() for kind in kinds}
        self.findings: dict[str, tuple[int, Path]] = {}
        self._kinds, self._seed, self._out = kinds, seed, out
        self._max_seconds, self._num_inputs = max_seconds, num_inputs
        share = 1.0  # of the usual number of inputs per round
        if num_inputs:
            share = min(num_inputs / sum(kind.weight for kind in kinds), 1)
        self._weights = {kind.name: max(math.ceil(kind.weight * share), 2) for kind in kinds}
        self._planned = 0
        self._idle: dict[bool, list[Host]] = {False: [], True: []}
        self._busy: dict[Any, tuple[Host, bool]] = {}
        # Fork all hosts now, while this process has imported nothing but readers.
        needed = {kind.needs_tensorflow for kind in kinds}
        for needs_tensorflow in needed:
            self._idle[needs_tensorflow] = [Host() for _ in range(jobs)]
        self._jobs = jobs

    def go(self) -> None:
        """Runs rounds with a bar that shows the time or number left."""
        begin = time.monotonic()
        first = len(self._kinds)  # The first round of each kind is always run.
        total = self._max_seconds or self._num_inputs
        rounds = self._rounds()
        with tqdm(total=total, unit="s" if self._max_seconds else "input", disable=None) as bar:
            while True:
                tried = sum(tally.tried for tally in self.tallies.values())
                elapsed = time.monotonic() - begin
                bar.n = min(elapsed if self._max_seconds else tried, total)
                bar.set_postfix(inputs=tried, findings=len(self.findings), refresh=True)
                is_over = elapsed >= total if self._max_seconds else self._planned >= total
                while (first > 0 or not is_over) and len(self._busy) < self._jobs:
                    self._start(next(rounds))
                    first -= 1
                    is_over = not self._max_seconds and self._planned >= total
                if not self._busy:
                    return
                for connection in wait(list(self._busy), timeout=5):
                    self._take(connection)

    def close(self) -> None:
        """Ends all processes."""
        for host in [*self._idle[False], *self._idle[True], *(x for x, _ in self._busy.values())]:
            host.close()

    def _rounds(self) -> Iterator[tuple[Kind, int]]:
        number = 0
        while True:
            for kind in self._kinds:
                yield kind, number
            number += 1

    def _start(self, planned: tuple[Kind, int]) -> None:
        kind, number = planned
        host = self._idle[kind.needs_tensorflow].pop()
        num = self._weights[kind.name]
        seed = round_seed(self._seed, kind.name, number)
        # A short run spares those that start processes.
        odd = number == 0 and (num == kind.weight or kind.weight >= QUICK)
        task: Task = kind.name, seed, num, odd
        host.connection.send(task)
        self._busy[host.connection] = host, kind.needs_tensorflow
        self._planned += num

    def _take(self, connection: Any) -> None:
        host, needs_tensorflow = self._busy.pop(connection)
        self._idle[needs_tensorflow].append(host)
        answer = connection.recv()
        if isinstance(answer, str):
            raise RuntimeError(answer)
        name, tally, findings = answer
        self.tallies[name].merge(tally)
        for found in findings:
            count, path = self.findings.get(found.signature, (0, None))
            if path is None or count < MAX_SAVED:
                saved = found.save(self._out)
            if path is None:
                tqdm.write(f"finding: {found.signature}: {found.outcome.message[:200]}")
            self.findings[found.signature] = count + 1, path or saved
