"""Sub-command of python -m metrics that tests if a run's network repeats its training images."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pgtf import files
from pgtf.commands import metrics_sources
from pgtf.config import Config
from pgtf.dataset import Dataset
from pgtf.export import reproduction
from pgtf.export.source import Source
from pgtf.foreign.terminal import one_line
from pgtf.metrics import privacy, privacy_page, privacy_vectors
from pgtf.metrics.inception import Inception
from pgtf.networks import latents_from_seeds
from pgtf.runs import run_folder
from pgtf.runs.datasets import open_dataset_of

BATCH = 32
NUM_STARTS = 2  # starts of each search for an image's latents
BY_IMAGE = (
    "Held-out images were chosen one by one. If a person has several images, some may be on both "
    "sides, and a network that knows the person looks harmless: see the limits."
)
BY_GROUP = (
    "Held-out images were chosen by {by}. Images of one {by} are alike, so the tests, which count "
    "images, may give an alarm too soon."
)


def run(args: argparse.Namespace) -> None:
    """Writes the page about a run."""
    folder = metrics_sources.run_of(args)
    config = run_folder.read_config(folder, Config).dataset
    held_out = open_dataset_of(folder, config, 0, "held_out")
    training = open_dataset_of(folder, config, 0, "train")
    source = Source.from_snapshot(run_folder.newest_snapshot(folder))
    source.depth.check_preview()
    sides = [_Reals.chosen(x, args, source) for x in (training, held_out)]
    numbers = {"generated": args.num}
    numbers |= {x: len(y.indices) for x, y in zip(("training", "held_out"), sides, strict=True)}
    privacy.check_numbers(**numbers)
    inception = None if args.inception is None else Inception(args.inception)
    out = args.out or folder / "privacy.html"
    found, pairs = _measured(args, source, sides, inception, bool(config.mirror_augment))
    text = privacy_page.page(folder.name, found, pairs)
    files.write_atomically(Path(out), text.encode())
    title, sentence = found.verdict
    print(f"{title}: {sentence}")
    for name, p in found.p_values.items():
        print(f"{name}: p = {p:.4f}")
    for name, member in found.members.items():
        print(f"{name}: AUC = {member.auc:.3f} ({member.low:.3f} to {member.high:.3f})")
    print(one_line(out))


@dataclasses.dataclass(frozen=True)
class _Reals:
    """Images of one part of the dataset, in a random order, read as they are needed."""

    dataset: Dataset
    indices: np.ndarray
    log2: int
    source: Source

    @classmethod
    def chosen(cls, dataset: Dataset, args: argparse.Namespace, source: Source) -> _Reals:
        """Chooses at most so many images as the flags say."""
        order = np.random.default_rng(args.seed).permutation(dataset.num_images)
        log2, _ = source.Gs.stage(source.Gs.lod)
        return cls(dataset, order[: args.num_reals], log2, source)

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Reads images by their place in the order: [n] -> [n, H, W, C], as they are stored."""
        return self.dataset.read_images(self.indices[numbers], self.log2)

    def batches(self, mirrored: bool = False) -> Iterator[np.ndarray]:
        """Yields all images, of 0 to 255."""
        for numbers in _batches(len(self.indices)):
            found = self.source.depth.levels(self.read(numbers))
            yield found[:, :, ::-1] if mirrored else found

    def scores(self) -> np.ndarray:
        """Computes D's scores of all images: [N]."""
        to_model = self.source.depth.to_model
        parts = (to_model(self.read(x)) for x in _batches(len(self.indices)))
        return np.concatenate([scores(self.source, part) for part in parts])


def _measured(
    args: argparse.Namespace,
    source: Source,
    sides: list[_Reals],
    inception: Inception | None,
    is_mirrored: bool,
) -> tuple[privacy_page.Findings, np.ndarray]:
    """Measures everything. Returns it and the picture of the closest pairs."""
    kinds = privacy_vectors.kinds(inception)
    depth, seeds = source.depth, np.arange(args.num)
    levels = (
        depth.levels(depth.from_model(_generated(source, seeds[x]))) for x in _batches(args.num)
    )
    fakes = privacy_vectors.gathered(levels, kinds)
    reals = privacy_vectors.gathered((x for side in sides for x in side.batches()), kinds)
    mirrored = {}
    if is_mirrored:
        turned = (x for side in sides for x in side.batches(mirrored=True))
        mirrored = privacy_vectors.gathered(turned, kinds)
    numbers = [len(side.indices) for side in sides]
    is_training = np.arange(sum(numbers)) < numbers[0]
    nearnesses = {}
    for name in kinds:
        found = privacy.distances(fakes[name], reals[name], mirrored.get(name), args.seed)
        nearnesses[name] = privacy.compare(found, is_training, args.seed)
    members = {"D's score": privacy.membership(*(side.scores() for side in sides))}
    if args.num_projected:
        members["search for the image"] = _searched(args, source, sides, fakes, reals)
    names = ("generated images", "training images", "held-out images")
    counts = dict(zip(names, (args.num, *numbers), strict=True))
    by = (sides[0].dataset.meta.get("split") or {}).get("by")
    notes = (BY_GROUP.format(by=str(by)[:60]) if by else BY_IMAGE,)
    findings = privacy_page.Findings(counts, nearnesses, members, notes)
    return findings, _pairs(source, sides[0], fakes["pixels"], reals["pixels"][: numbers[0]])


def _searched(
    args: argparse.Namespace,
    source: Source,
    sides: list[_Reals],
    fakes: dict[str, np.ndarray],
    reals: dict[str, np.ndarray],
) -> privacy.Membership:
    """Guesses from the errors of a search for the latents of images."""
    found, begin = [], 0
    num = min(args.num_projected, *(len(side.indices) for side in sides))
    for side in sides:
        numbers = np.arange(num)
        # The search starts at the generated images that are closest already.
        starts, _ = privacy.nearest(reals["pixels"][begin + numbers], fakes["pixels"], NUM_STARTS)
        latents = latents_from_seeds(starts.ravel(), source.Gs.latent_size).numpy()
        labels = source.labels(None, starts.ravel())
        errors = reproduction.errors(
            source.Gs,
            source.depth.to_model(side.read(numbers)),
            latents.reshape(*starts.shape, -1),
            None if labels is None else labels.reshape(*starts.shape, -1),
            num_steps=args.projection_steps,
        )
        found.append(-errors)
        begin += len(side.indices)
    return privacy.membership(*found)


def _pairs(source: Source, training: _Reals, fakes: np.ndarray, reals: np.ndarray) -> np.ndarray:
    """Draws the generated images that are closest to training images, and these."""
    indices, distances = privacy.nearest(fakes, reals)
    order = np.argsort(distances[:, 0], kind="stable")[: privacy_page.NUM_PAIRS]
    generated = source.depth.shown(_generated(source, order))
    closest = source.depth.shown_values(training.read(indices[order, 0]))
    return privacy_page.pairs_of(generated, closest)


def _batches(num: int) -> Iterator[np.ndarray]:
    """Yields 0, 1, ... num - 1 in parts."""
    for begin in range(0, num, BATCH):
        yield np.arange(begin, min(begin + BATCH, num))


def _generated(source: Source, seeds: np.ndarray) -> np.ndarray:
    """Generates the images of seeds: [N, H, W, C] in [-1, 1]."""
    latents = latents_from_seeds(seeds, source.Gs.latent_size).numpy()
    found: np.ndarray = source.Gs.run(latents, source.labels(None, seeds))
    return found


def scores(source: Source, reals: np.ndarray) -> np.ndarray:
    """Computes D's scores of images: [N, H, W, C] in [-1, 1] -> [N].

    Each image is in a group with copies of itself: minibatch statistics would otherwise let the
    other images change its score.
    """
    D = source.D
    if D is None:
        raise ValueError(
            f"{source.path}: holds Gs only, and scores of D are needed. Name a run or a snapshot."
        )
    group = D.config.mbstd_group_size
    batch, num_copies = (1, 1) if group == "all" else (BATCH, max(group, 1))
    found = []
    for begin in range(0, len(reals), batch):
        part = reals[begin : begin + batch]
        copies = np.tile(part, (num_copies, 1, 1, 1))
        found.append(np.asarray(D(copies, D.lod)[0])[: len(part), 0])
    return np.concatenate(found)
