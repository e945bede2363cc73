"""Trains the classifier of mode coverage: python -m metrics train_classifier

The factors are those that dataset.json names (the demo dataset), else one factor whose values are
the label columns (the digits of create_mnist).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import keras
import numpy as np

from pgtf.dataset import open_dataset
from pgtf.depth import Depth
from pgtf.foreign.terminal import one_line
from pgtf.label_groups import are_classes
from pgtf.metrics import classifier as classifiers
from pgtf.metrics.modes import CLASSIFIER


def run(args: argparse.Namespace) -> None:
    """Trains on a dataset folder and writes the classifier with its accuracy."""
    path, epochs = args.dataset, args.epochs
    if epochs < 1:
        raise ValueError(f"`epochs` must be at least 1. Received: epochs={epochs}.")
    dataset = open_dataset(path, max_label_size="full")
    if not dataset.label_size:
        raise ValueError(f"{path}: a classifier needs labels, and there are none.")
    if not dataset.meta.get("factors") and not are_classes(dataset.label_groups):
        raise ValueError(
            f"{path}: a classifier needs labels of classes, and there are others. Measure how well "
            f"fakes show them with --metrics=labels."
        )
    depth = Depth.of(dataset)
    names = dataset.label_names or tuple(map(str, range(dataset.label_size)))
    factors = dataset.meta.get("factors") or {"class": list(names)}
    keras.utils.set_random_seed(args.seed)
    classifier = classifiers.train(
        lambda indices: depth.levels(dataset.read_images(indices)),
        dataset.read_labels(np.arange(dataset.num_images)),
        factors,
        dataset.num_channels,
        epochs=epochs,
        seed=args.seed,
        progress=sys.stderr.isatty(),
    )
    out = args.out or Path(path) / CLASSIFIER
    classifiers.save_classifier(out, classifier)
    for name, accuracy in classifier.accuracy.items():
        print(f"{one_line(name):12s} {100 * accuracy:.2f} % of the images held out")
    print(f"Classifier: {one_line(out)} (SHA-256 {classifier.sha256})")
