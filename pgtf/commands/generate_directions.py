"""Sub-command of generate.py that finds directions, and the flags that turn latents along them."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pgtf import images
from pgtf.commands import generate_networks as networks
from pgtf.dataset.sources.tables import Table, parse_table
from pgtf.export import directions, pictures
from pgtf.export.samples import MAX_SEED, Samples
from pgtf.export.source import Source
from pgtf.foreign.files import open_regular
from pgtf.foreign.terminal import one_line
from pgtf.installation import spelled
from pgtf.networks import latents_from_seeds
from pgtf.publish import direction_search, direction_sheet
from pgtf.wording import counted

BATCH = 64
MAX_CSV_BYTES = 2**28
Scores = tuple[np.ndarray, dict[str, np.ndarray]]  # seeds [N]; name -> [N]


def find(args: argparse.Namespace) -> None:
    """Finds directions; writes them as named vectors, and a sheet."""
    source = networks.source(args)
    path = Path(args.out or directions.beside(source))
    sheet = path.with_suffix(".png")
    for file in (path, sheet):
        pictures.prepare_file(file, args.overwrite)
    num = min(args.num, source.Gs.latent_size)
    if args.method == "sefa":
        vectors = direction_search.sefa(source.Gs, num)
    elif args.method == "pca":
        vectors = direction_search.pca(source.Gs, num, args.num_images)
    else:
        seeds, scores, factors = _scores(args, source)
        latents = latents_from_seeds(seeds, source.Gs.latent_size).numpy()
        vectors = direction_search.boundaries(latents, scores, factors)
    directions.Directions(source.sha256, args.method, vectors).save(path)
    if source.Gs.config.num_channels in (1, 3):
        direction_sheet.save_sheet(source, vectors, sheet, seed=args.seed, largest=args.angle)
    print(f"{counted(len(vectors), 'direction')} in {one_line(path)}: {', '.join(vectors)}")


def _scores(
    args: argparse.Namespace, source: Source
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, str] | None]:
    """Reads the scores of a table, or lets a classifier score generated images.

    Returns seeds, scores by name, and the factor of each name, None without.
    """
    if (args.scores is None) == (args.classifier is None):
        raise ValueError("`--method=boundary` needs either `--scores` or `--classifier`.")
    if args.scores is not None:
        return *read_scores(args.scores), None
    from pgtf.metrics.classifier import load_classifier, resize, split

    classifier = load_classifier(args.classifier)
    seeds = np.arange(args.num_images)
    found = []
    for begin in tqdm(range(0, len(seeds), BATCH), unit="batch", disable=None):
        part = seeds[begin : begin + BATCH]
        latents = latents_from_seeds(part, source.Gs.latent_size).numpy()
        fakes = images.to_uint8(source.Gs.run(latents, source.labels(None, part)))
        classifier.check(fakes.shape[1:])
        found.append(np.asarray(classifier.model(resize(fakes), training=False)))
    scores, factors = {}, {}
    parts = split(np.concatenate(found), classifier.factors)
    for (factor, values), logits in zip(classifier.factors.items(), parts, strict=True):
        for i, value in enumerate(values[1:] if len(values) == 2 else values, len(values) == 2):
            name = f"{factor}-{value}".replace(" ", "-")
            rest = np.delete(logits, i, axis=1).max(axis=1)
            scores[name], factors[name] = logits[:, i] - rest, factor
    return seeds, scores, factors


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
            scores[name.replace(" ", "-")] = _column(table, number)
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
