"""Measures generated images, for python -m metrics."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pgtf import images
from pgtf.commands import classifier, metrics_flags, metrics_privacy, metrics_sources
from pgtf.commands.command_line import one_line_errors
from pgtf.distribution.signals import deferred, exit_after
from pgtf.foreign.terminal import one_line
from pgtf.metrics import inception, plot, records, setup
from pgtf.metrics.datasets import by_label
from pgtf.metrics.during_training import keep_best, summary
from pgtf.metrics.evaluator import Evaluator
from pgtf.metrics.image_sets import ImageSet, in_random_order, of_dataset
from pgtf.metrics.neighbours import NUM_FAKES, neighbour_sheet
from pgtf.metrics.plan import Plan, parse_plan


def main(argv: Sequence[str]) -> None:
    """Runs python -m metrics with these arguments."""
    run(metrics_flags.parse(["metrics", *argv]))


def run(args: argparse.Namespace) -> None:
    """Runs the command that `metrics_flags.parse` found."""
    command = {
        "": measure,
        "plot": draw_plot,
        "neighbours": draw_sheet,
        "privacy": metrics_privacy.run,
        "train_classifier": classifier.run,
    }[args.command]
    try:
        with one_line_errors():
            command(args)
    except KeyboardInterrupt as stop:
        exit_after(stop, ". With --run the same command continues.")


def measure(args: argparse.Namespace) -> None:
    """Measures every set of fakes and prints, or records, the values."""
    if args.download_inception:
        path = inception.download(
            args.inception, sha256=args.inception_sha256, progress=sys.stderr.isatty()
        )
        print(f"{path} (SHA-256 {inception.file_sha256(path)})")
        return
    plan = parse_plan(args.metrics, args.num_images, args.num_reals)
    metrics_sources.choose_run(args)
    reals, dataset = metrics_sources.reals_of(args)
    if not args.per_label:
        _measure_all(args, plan, reals, dataset)
        return
    if dataset is None or not dataset.label_size:
        raise ValueError("`--per_label` needs a dataset with labels. Give it as --dataset.")
    for label, subset in by_label(dataset):
        try:
            part = of_dataset(subset, args.seed if reals.mirror else None, args.split)
            _measure_all(args, plan, part, subset, label)
        except ValueError as error:  # Too few images have it.
            print(f"error: label {one_line(label)}: {one_line(error)}", file=sys.stderr)


def _measure_all(
    args: argparse.Namespace, plan: Plan, reals: ImageSet, dataset: Any, label: str | None = None
) -> None:
    """Measures every set of fakes, all of them or those of one label."""
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
        dataset=dataset,
        num_fakes=None if metrics_sources.is_generated(args) else sources[0][1]().num_images,
        progress=sys.stderr.isatty(),
    )
    hashes = {settings.get("inception_sha256") for settings in evaluator.settings()} - {None}
    if hashes:
        print(f"Inception: SHA-256 {hashes.pop()}, {args.fid_mode} resizing")
    if args.run:
        sources = [s for i, s in enumerate(sources, 1) if i % plan.every == 0 or i == len(sources)]
    fields = {} if label is None else {"label": label}
    # With --records the snapshots are in another folder. The best snapshot of one label, of a
    # split or of other images is not that of the run.
    keeps_best = bool(args.run and not args.records and label is None)
    keeps_best = keeps_best and metrics_sources.are_of_training(args, dataset)
    failures = [
        name
        for name, make in sources
        if not _measure(args, evaluator, name, make, folder, fields, keeps_best)
    ]
    if failures:
        raise ValueError(f"{len(failures)} of {len(sources)} were not measured: {failures[0]} ...")


def draw_plot(args: argparse.Namespace) -> None:
    """Draws the metrics recorded in a run folder."""
    folder = metrics_sources.run_of(args)
    out = args.out or folder / "metrics.png"
    names = plot.plot(folder, out)
    print(f"{one_line(out)}: {one_line(', '.join(names))}")


def draw_sheet(args: argparse.Namespace) -> None:
    """Draws sixteen fakes of the newest snapshot above the training images closest to them."""
    metrics_sources.choose_run(args)
    reals, dataset = metrics_sources.reals_of(args)
    name, make = metrics_sources.fakes_of(args, reals, dataset)[-1]
    fakes = in_random_order(make(), args.seed)
    number = NUM_FAKES if fakes.num_images is None else min(NUM_FAKES, fakes.num_images)
    sheet, differences = neighbour_sheet(reals, fakes.read(0, number), progress=sys.stderr.isatty())
    out = args.out or Path(f"{Path(name).stem}-neighbours.png")
    images.save_png(out, sheet)
    closest = ", ".join(f"{d:.1f}" for d in differences[:, 0])
    above = f"{one_line(name)} above the nearest of {one_line(reals.name)}"
    print(f"{one_line(out)}: {above}; gray levels apart: {closest}")


def _measure(
    args: argparse.Namespace,
    evaluator: Evaluator,
    name: str,
    make: Callable[[], ImageSet],
    folder: str | os.PathLike[str] | None,
    fields: dict[str, Any],
    keeps_best: bool,
) -> bool:
    """Measures one set of fakes. Returns False if a snapshot of a run cannot be measured."""
    if _is_snapshot(args):
        fields = fields | {"snapshot": name, "kimg": records.kimg_of(name)}
    if folder and args.run and not args.again and _is_recorded(evaluator, folder, fields):
        print(f"{one_line(name)}: recorded already (--again measures it once more)")
        return True
    try:
        fakes = make()
        found = evaluator(fakes, **fields)
    except ValueError as error:
        if not args.run:
            raise
        print(f"error: {one_line(name)}: {one_line(error)}", file=sys.stderr)
        return False
    for record in found:
        of = f"  label {one_line(record['label'])}" if "label" in record else ""
        print(f"{one_line(name)}{of}  {summary(record)}  ({records.numbers(record)})", flush=True)
        if not folder:
            print(json.dumps(record), flush=True)
            continue
        with deferred():
            Path(folder).mkdir(parents=True, exist_ok=True)
            records.append(folder, record)
            if keeps_best:
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
