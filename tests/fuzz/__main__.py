"""Reads damaged files of every kind: python -m tests.fuzz --minutes=10

Each input must be read, or refused in one line that names the file, within 5 seconds of CPU time
and 512 MiB of memory, and leave nothing behind. Anything else is a finding: it is saved with the
command that repeats it, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from pgtf.commands.command_line import missing_packages_reported, one_line_errors
from pgtf.commands.generate_parts import positive
from pgtf.commands.parsers import Parser, among, check_files

with missing_packages_reported():
    from tests.fuzz.catalogue import BY_NAME, KINDS
    from tests.fuzz.children import Children
    from tests.fuzz.hosts import Run
    from tests.fuzz.rounds import Tally, load_finding


def parse(argv: list[str]) -> argparse.Namespace:
    """Parses a command line."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = Parser(prog="python -m tests.fuzz", description=summary, epilog=details)
    text = "time to spend (default: 10, or --inputs)"
    parser.add_argument("--minutes", type=positive(float), help=text)
    parser.add_argument("--inputs", type=positive(int), help="number of inputs, at least")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    text = f"names with semicolons between them (default: all): {', '.join(BY_NAME)}"
    parser.add_argument("--kinds", type=among(BY_NAME, ";"), default=[*BY_NAME], help=text)
    parser.add_argument("--plain", action="store_true", help="kinds that need no TensorFlow only")
    parser.add_argument("--jobs", type=positive(int), help="processes (default: one per core)")
    out = "folder for findings (default: %(default)s)"
    parser.add_argument(
        "--out", type=Path, default=Path(tempfile.gettempdir(), "pgtf-fuzz"), help=out
    )
    parser.add_argument("--repeat", type=Path, help="folder of a finding: read that input only")
    args = parser.parse_args(argv)
    if args.plain:
        args.kinds = [name for name in args.kinds if not BY_NAME[name].needs_tensorflow]
    if not args.kinds:
        parser.error("--plain leaves none of these --kinds")
    with one_line_errors():
        if args.out.is_file():
            raise NotADirectoryError(f"{args.out}: `--out` must be a folder.")
        if args.repeat:
            check_files(args, folders=["repeat"])
            if not (args.repeat / "finding.json").is_file():
                raise FileNotFoundError(f"{args.repeat}: no finding.json in it.")
    return args


def repeat(folder: Path) -> int:
    """Reads the input of a finding once more."""
    name, case = load_finding(folder)
    kind = BY_NAME[name]
    with tempfile.TemporaryDirectory() as work:
        children = Children(kind.imported().read, Path(work), continues=kind.continues)
        found = children.outcome(case)
        children.close()
    print(f"{name}: {found.verdict}: {found.message}")
    print(f"{found.seconds:.2f} s of CPU time, {found.peak / 2**20:.0f} MiB")
    return int(found.is_finding)


def table(tallies: dict[str, Tally]) -> str:
    """Formats the results of all kinds."""
    rows = [("kind", "tried", "read", "refused", "findings", "MiB", "s")]
    total = Tally()
    for name, tally in [*tallies.items(), ("all", total)]:
        numbers = (tally.tried, tally.accepted, tally.refused, tally.findings)
        most = f"{tally.peak / 2**20:.0f}", f"{tally.seconds:.1f}"
        rows.append((name, *(f"{number:,}" for number in numbers), *most))
        if tally is not total:
            total.merge(tally)
    return "\n".join(
        f"{name:22}" + "".join(f"{value:>10}" for value in values) for name, *values in rows
    )


def main(argv: list[str]) -> int:
    """Runs the command; returns the exit code."""
    args = parse(argv)
    if args.repeat:
        return repeat(args.repeat)
    kinds = [kind for kind in KINDS if kind.name in args.kinds]
    minutes = args.minutes if args.minutes or args.inputs else 10.0
    jobs = args.jobs or len(os.sched_getaffinity(0))
    for number in (signal.SIGINT, signal.SIGTERM):  # A shell may have made us ignore the first.
        signal.signal(number, signal.default_int_handler)
    run = Run(kinds, args.seed, jobs, args.out, minutes and minutes * 60, args.inputs)
    try:
        run.go()
    except KeyboardInterrupt:
        print("Interrupted; these are the results so far.", file=sys.stderr)
    finally:
        run.close()
    print(table(run.tallies))
    for signature, (_, path) in run.findings.items():
        print(f"finding: {signature}: python -m tests.fuzz --repeat={path}")
    return int(bool(run.findings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
