"""Sub-command of python -m metrics that tests if a run's network repeats its training images."""

from __future__ import annotations

import argparse

import numpy as np

from pgtf import files, images
from pgtf.commands import metrics_sources
from pgtf.config import Config
from pgtf.dataset import Dataset
from pgtf.export.source import Source
from pgtf.foreign.terminal import one_line
from pgtf.metrics import privacy, privacy_page
from pgtf.networks import latents_from_seeds
from pgtf.runs import run_folder
from pgtf.runs.datasets import open_dataset_of

BATCH = 32


def run(args: argparse.Namespace) -> None:
    """Writes the page about a run."""
    folder = metrics_sources.run_of(args)
    out = args.out or folder / "privacy.html"
    config = run_folder.read_config(folder, Config).dataset
    held_out = open_dataset_of(folder, config, 0, "held_out")
    training = open_dataset_of(folder, config, 0, "train")
    source = Source.from_snapshot(run_folder.newest_snapshot(folder))
    log2 = source.Gs.stage(source.Gs.lod)[0]
    real, unseen = (_images(x, args.num_reals, args.seed, log2) for x in (training, held_out))
    fakes = _fakes(source, args.num)
    kinds = {"pixels": privacy.pixels, "shapes": privacy.shapes}
    found = {
        name: privacy.nearness(make(fakes), make(real), make(unseen), args.seed)
        for name, make in kinds.items()
    }
    scores = [_scores(source, x) for x in (real, unseen)]
    member = privacy.membership(*scores)
    p_values = {f"distances of {name}": x.p for name, x in found.items()} | {"D's score": member.p}
    copies = max(x.copies_per_thousand for x in found.values())
    title, sentence = privacy.verdict(p_values, copies)
    counts = {"generated images": len(fakes), "training images": len(real)}
    counts |= {"held-out images": len(unseen)}
    pairs = privacy_page.pairs_of(found["pixels"], fakes, real)
    text = privacy_page.page(folder.name, (title, sentence), found, member, counts, pairs)
    files.write_atomically(out, text.encode())
    print(f"{title}: {sentence}")
    for name, p in p_values.items():
        print(f"{name}: p = {p:.4f}")
    print(one_line(out))


def _images(dataset: Dataset, num: int, seed: int, log2: int) -> np.ndarray:
    """Reads images at the network's resolution, in a random order if there are more."""
    order = np.random.default_rng(seed).permutation(dataset.num_images)[:num]
    return np.concatenate(
        [
            dataset.read_images(np.sort(order)[i : i + BATCH], log2)
            for i in range(0, len(order), BATCH)
        ]
    )


def _fakes(source: Source, num: int) -> np.ndarray:
    """Generates the images of seeds 0, 1, ...: uint8 NHWC."""
    parts = []
    for begin in range(0, num, BATCH):
        seeds = np.arange(begin, min(begin + BATCH, num))
        latents = latents_from_seeds(seeds, source.Gs.latent_size).numpy()
        parts.append(images.to_uint8(source.Gs.run(latents, source.labels(None, seeds))))
    return np.concatenate(parts)


def _scores(source: Source, reals: np.ndarray) -> np.ndarray:
    """Computes D's scores of images: uint8 [N, R, R, C] -> [N].

    Each image is in a group with copies of itself: minibatch statistics would otherwise let the
    other images change its score.
    """
    D = source.D
    if D is None:
        raise ValueError(f"{source.path}: holds Gs only.")
    group = D.config.mbstd_group_size
    batch, num_copies = (1, 1) if group == "all" else (BATCH, max(group, 1))
    found = []
    for begin in range(0, len(reals), batch):
        part = images.to_float(reals[begin : begin + batch])
        copies = np.tile(part, (num_copies, 1, 1, 1))
        found.append(np.asarray(D(copies, D.lod)[0])[: len(part), 0])
    return np.concatenate(found)
