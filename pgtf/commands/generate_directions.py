"""Sub-command of generate.py that finds directions, and the flags that turn latents along them."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pgtf.commands import generate_networks as networks
from pgtf.dataset.sources.tables import Table, parse_table
from pgtf.export import directions, pictures
from pgtf.export.samples import MAX_SEED, Samples
from pgtf.export.source import Source
from pgtf.foreign.files import open_regular
from pgtf.foreign.terminal import one_line
from pgtf.installation import spelled
from pgtf.networks import latents_from_seeds
from pgtf.publish import (
    direction_boundaries,
    direction_judge,
    direction_search,
    direction_sheet,
    direction_turns,
)
from pgtf.wording import counted

# Images after the first --num_images: for the choice of angles, for the table.
NUM_JUDGED = (200, 500)
MAX_CSV_BYTES = 2**28
Scores = tuple[np.ndarray, dict[str, np.ndarray]]  # seeds [N]; name -> [N]


def find(args: argparse.Namespace) -> None:
    """Finds directions; writes them as named vectors, and a sheet."""
    if args.scores is not None and args.method != "boundary":
        raise ValueError("`--scores` needs `--method=boundary`.")
    if args.method == "boundary" and (args.scores is None) == (args.classifier is None):
        raise ValueError("`--method=boundary` needs either `--scores` or `--classifier`.")
    source = networks.source(args)
    source.depth.check_preview()
    path = Path(args.out or directions.beside(source))
    sheet = path.with_suffix(".png")
    if path == sheet:
        raise ValueError(f"`--out` must be a .json file. Received: {path}; the sheet is beside it.")
    for file in (path, sheet):
        pictures.prepare_file(file, args.overwrite)
    vectors, usual = _found(args, source)
    directions.Directions(source.sha256, args.method, vectors, usual).save(path)
    if source.Gs.config.num_channels in (1, 3):
        direction_sheet.save_sheet(
            source, vectors, sheet, seed=args.seed, largest=args.angle, usual=usual
        )
    print(f"{counted(len(vectors), 'direction')} in {one_line(path)}: {', '.join(vectors)}")


def _found(
    args: argparse.Namespace, source: Source
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Finds the directions of a method. Returns them, and the angles of those that have one."""
    if args.method == "boundary":
        if args.classifier is not None:
            return _judged(args, source)
        seeds, scores = read_scores(args.scores)
        latents = latents_from_seeds(seeds, source.Gs.latent_size).numpy()
        normals = direction_boundaries.normals(latents, scores)
        return direction_boundaries.orthogonal(normals), {}
    num = min(args.num, source.Gs.latent_size)
    if args.method == "sefa":
        vectors = direction_search.sefa(source.Gs, num)
    else:
        if args.num_images <= num:
            raise ValueError(
                f"`--method=pca` needs more images than directions. Received: {args.num_images} "
                f"images, {num} directions."
            )
        labels = source.labels(None, np.arange(args.num_images))
        vectors = direction_search.pca(source.Gs, num, args.num_images, labels)
    if args.classifier is not None:
        reader = direction_judge.Reader(source, _judge(args.classifier, source))
        trial = direction_judge.Trial(reader, np.arange(NUM_JUDGED[-1]))
        print(f"{'direction':20}  angle  images that changed")
        for name, vector in vectors.items():
            print(f"{name:20}  {args.angle:5.2f}  {_shares(trial.changed(vector, args.angle))}")
    return vectors, {}


def _judged(
    args: argparse.Namespace, source: Source
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Lets a classifier read generated images. Finds a direction for each of its values.

    The directions, their angles and the table that is printed have images of their own. Returns the
    directions and their angles.
    """
    judge = _judge(args.classifier, source)
    reader = direction_judge.Reader(source, judge)
    ends = np.cumsum([0, args.num_images, *NUM_JUDGED])
    parts = [np.arange(begin, end) for begin, end in itertools.pairwise(ends)]
    trial, tried, measured = (direction_judge.Trial(reader, part) for part in parts)
    values, scores = {}, {}
    for (factor, names), logits in zip(judge.factors.items(), trial.answers, strict=True):
        for i, value in enumerate(names):
            if len(names) == 2 and i == 0:
                continue  # the opposite of the other one
            name = directions.name_of(f"{factor}-{value}")
            values[name] = direction_judge.Value(factor, i)
            scores[name] = logits[:, i] - np.delete(logits, i, axis=1).max(axis=1)
    normals = direction_boundaries.normals(trial.latents, scores)
    turns = direction_turns.choose(normals, values, trial, tried)
    print(f"{'direction':20}  angle  asked  other factors that changed")
    for name, turn in turns.items():
        moved = measured.moved(turn.vector, turn.angle, values[name])
        print(f"{name:20}  {turn.angle:5.2f}  {moved.asked:5.2f}  {_shares(moved.others)}")
    angle = float(np.median([turn.angle for turn in turns.values()]))
    changed = measured.changed_at_random(angle)
    print(f"{'a random one':20}  {angle:5.2f}  {'':5}  {_shares(changed)}")
    vectors = {name: turn.vector for name, turn in turns.items()}
    return vectors, {name: turn.angle for name, turn in turns.items()}


def _shares(others: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:.2f}" for name, share in others.items())


def _judge(path: str, source: Source) -> direction_judge.Judge:
    """Loads a classifier that reads the network's images.

    Raises:
        ValueError: it reads other images.
    """
    from pgtf.metrics.classifier import load_classifier, resized

    classifier = load_classifier(path)
    channels = source.Gs.config.num_channels
    classifier.check((*pictures.size_of(source.Gs), channels))
    if classifier.num_channels != channels:
        raise ValueError(
            f"{path}: reads images of {classifier.num_channels} channels. "
            f"Received: {channels} channels."
        )

    def logits(fakes: Any) -> Any:
        return classifier.model(resized(fakes), training=False)

    return direction_judge.Judge(logits, classifier.factors)


def read_scores(path: str) -> Scores:
    """Reads a table with a column `seed` and a column of numbers per score.

    Raises:
        OSError: it cannot be read.
        ValueError: it has no such columns, or a cell is no number.
    """
    with open_regular(path) as file:
        table = parse_table(path, file.read(MAX_CSV_BYTES))
    seed_column = table.number_of("seed", "--scores")
    scores: dict[str, np.ndarray] = {}
    seeds = _column(table, seed_column)
    if ((seeds != np.rint(seeds)) | (seeds < 0) | (seeds > MAX_SEED)).any():
        raise ValueError(f"{path}: column `seed` must hold seeds.")
    for number, name in enumerate(table.columns):
        if number != seed_column and not table.is_unnamed(number):
            shown = directions.name_of(name)
            if shown in scores:
                raise ValueError(f"{path}: has two columns of scores named `{shown}`.")
            scores[shown] = _column(table, number)
    if not scores:
        raise ValueError(f"{path}: must have a column of scores beside `seed`.")
    return np.array([int(x) for x in table.column(seed_column)], np.int64), scores


def _column(table: Table, number: int) -> np.ndarray:
    """Converts a column to numbers. Raises ValueError that names the line of another cell."""
    values = np.zeros(len(table.rows))
    for i, cell in enumerate(table.column(number)):
        try:
            values[i] = table.decimal(cell)
        except ValueError:
            values[i] = np.nan
        if not np.isfinite(values[i]):
            raise ValueError(
                f"{table.path} line {table.lines[i]}: column `{table.columns[number]}` must hold "
                f"numbers. Received: {cell[:40]!r}."
            )
    return values


def loaded(args: argparse.Namespace, source: Source) -> directions.Directions | None:
    """Loads the directions that --directions names, or those beside the snapshot; None without."""
    if args.directions is None and not directions.beside(source).exists():
        return None
    return directions.load(args.directions or directions.beside(source), source)


def vectors(args: argparse.Namespace, source: Source) -> dict[str, np.ndarray]:
    """Loads the unit vectors of the directions by name, {} without any."""
    found = loaded(args, source)
    return {} if found is None else dict(found.vectors)


def turned(args: argparse.Namespace, source: Source, sampled: Samples) -> Samples:
    """Turns samples along the directions that --direction names."""
    if not args.direction:
        return sampled
    found = loaded(args, source)
    if found is None:
        raise ValueError(
            f"{directions.beside(source)}: no such file. {spelled('Run generate.py directions')} "
            "first, or name a file with `--directions`."
        )
    return found.of(sampled, args.direction)


def refuse(args: argparse.Namespace) -> None:
    """Raises ValueError for --direction with a random walk."""
    if args.direction:
        raise ValueError("`--direction` needs `--seeds` or `--latents`.")
