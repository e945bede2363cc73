"""Measures generated images: python -m metrics --run=results/003-celebahq-v2-8gpus --metrics=swd

Fakes come from all snapshots of a run (--run; the newest one by default), one snapshot
(--snapshot), a pickle of the original release (--pkl), a SavedModel (--saved_model), a folder of
image files (--fakes), or, with --dataset or --reals alone, from the reals themselves. Reals come
from a dataset (--dataset; by default that of the run) or a folder of image files (--reals).

python -m metrics plot draws the curves of a run, python -m metrics neighbours the training images
closest to sixteen fakes; python -m metrics train_classifier trains the classifier of mode coverage.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from pgtf import images
from pgtf.commands import classifier, metrics_flags, metrics_sources
from pgtf.commands.command_line import one_line_errors
from pgtf.distribution.interrupt import Stopped, deferred, stopped_by_signals
from pgtf.metrics import inception, plot, records, setup
from pgtf.metrics.during_training import keep_best, summary
from pgtf.metrics.evaluator import Evaluator
from pgtf.metrics.image_sets import ImageSet
from pgtf.metrics.neighbours import NUM_FAKES, neighbour_sheet
from pgtf.metrics.plan import parse_plan


class _Parser(argparse.ArgumentParser):
    """Reports bad flags in one line."""

    def error(self, message: str) -> NoReturn:
        with one_line_errors():
            raise ValueError(f"{message} ({self.prog} --help lists the flags)")


def main(argv: list[str] | None = None) -> None:
    """Runs python -m metrics with these arguments; None = those of the process."""
    argv = sys.argv[1:] if argv is None else argv
    commands = {
        "plot": (metrics_flags.add_plot_flags, draw_plot),
        "neighbours": (metrics_flags.add_sheet_flags, draw_sheet),
        "train_classifier": (classifier.add_flags, classifier.run),
    }
    name = argv[0] if argv and argv[0] in commands else ""
    add_flags, command = commands.get(name, (metrics_flags.add_measure_flags, measure))
    parser = _Parser(
        prog=f"python -m metrics {name}".rstrip(),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_flags(parser)
    args = parser.parse_args(argv[1:] if name else argv)
    try:
        with stopped_by_signals(), one_line_errors():
            command(args)
    except Stopped as stop:
        print("\ninterrupted. With --run the same command continues.", file=sys.stderr)
        sys.exit(128 + stop.signum)  # as shells report signals


def measure(args: argparse.Namespace) -> None:
    """Measures every set of fakes and prints, or records, the values."""
    if args.download_inception:
        path = inception.download(args.inception, sha256=args.inception_sha256, progress=True)
        print(f"{path} (SHA-256 {inception.file_sha256(path)})")
        return
    plan = parse_plan(args.metrics, args.num_images)
    metrics_sources.choose_run(args)
    reals, dataset = metrics_sources.reals_of(args)
    sources = metrics_sources.fakes_of(args, reals, dataset)
    folder = args.records or (metrics_sources.run_of(args) if args.run else None)
    options = setup.MetricOptions(
        inception=args.inception,
        inception_sha256=args.inception_sha256,
        fid_mode=args.fid_mode,
        classifier=args.classifier,
        seed=args.seed,
        use_cache=not args.no_cache,
    )
    evaluator = setup.make_evaluator(
        plan,
        reals,
        options,
        dataset_folder=None if dataset is None else dataset.path,
        num_fakes=sources[0][1]().num_images if args.fakes else None,
        progress=True,
    )
    hashes = {settings.get("inception_sha256") for settings in evaluator.settings()} - {None}
    if hashes:
        print(f"Inception: SHA-256 {hashes.pop()}, {args.fid_mode} resizing")
    if args.run:
        sources = [s for i, s in enumerate(sources, 1) if i % plan.every == 0 or i == len(sources)]
    failures = [name for name, make in sources if not _measure(args, evaluator, name, make, folder)]
    if failures:
        raise ValueError(f"{len(failures)} of {len(sources)} were not measured: {failures[0]} ...")


def draw_plot(args: argparse.Namespace) -> None:
    """Draws the metrics recorded in a run folder."""
    folder = metrics_sources.run_of(args)
    out = args.out or folder / "metrics.png"
    names = plot.plot(folder, out)
    print(f"{out}: {', '.join(names)}")


def draw_sheet(args: argparse.Namespace) -> None:
    """Draws sixteen fakes of the newest snapshot above the training images closest to them."""
    metrics_sources.choose_run(args)
    reals, dataset = metrics_sources.reals_of(args)
    name, make = metrics_sources.fakes_of(args, reals, dataset)[-1]
    fakes = make()
    number = NUM_FAKES if fakes.num_images is None else min(NUM_FAKES, fakes.num_images)
    sheet, differences = neighbour_sheet(reals, fakes.read(0, number), progress=True)
    out = args.out or Path(f"{Path(name).stem}-neighbours.png")
    images.save_png(out, sheet)
    closest = ", ".join(f"{d:.1f}" for d in differences[:, 0])
    print(f"{out}: {name} above the nearest of {reals.name}; gray levels apart: {closest}")


def _measure(
    args: argparse.Namespace,
    evaluator: Evaluator,
    name: str,
    make: Callable[[], ImageSet],
    folder: str | os.PathLike[str] | None,
) -> bool:
    """Measures one set of fakes. Returns False if a snapshot of a run cannot be measured."""
    fields: dict[str, Any] = (
        {"snapshot": name, "kimg": records.kimg_of(name)} if _is_snapshot(args) else {}
    )
    if folder and args.run and not args.again and _is_recorded(evaluator, folder, fields):
        print(f"{name}: recorded already (--again measures it once more)")
        return True
    try:
        fakes = make()
        found = evaluator(fakes, **fields)
    except ValueError as error:
        if not args.run:
            raise
        print(f"error: {name}: {error}", file=sys.stderr)
        return False
    for record in found:
        print(f"{name}  {summary(record)}  ({record['num_images']} images)", flush=True)
        if not folder:
            print(json.dumps(record), flush=True)
            continue
        with deferred():
            Path(folder).mkdir(parents=True, exist_ok=True)
            records.append(folder, record)
            if args.run and not args.records:  # Otherwise the snapshots are in another folder.
                keep_best(folder, record)
    return True


def _is_recorded(
    evaluator: Evaluator, folder: str | os.PathLike[str], fields: dict[str, Any]
) -> bool:
    return all(
        any(
            records.matches(record, settings | fields)
            for record in records.load(folder, settings["metric"])
        )
        for settings in evaluator.settings()
    )


def _is_snapshot(args: argparse.Namespace) -> bool:
    return bool(args.run or args.snapshot)
