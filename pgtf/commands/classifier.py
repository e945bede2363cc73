"""Trains the classifier of mode coverage: python -m metrics train_classifier

The factors are those that dataset.json names (the demo dataset), else one factor whose values are
the label columns (the digits of create_mnist).
"""

import os

import keras
import numpy as np

from pgtf.dataset import open_dataset
from pgtf.metrics import modes


def add_flags(parser):
    parser.add_argument(
        "--dataset",
        default="datasets/mnist",
        help="labelled dataset to train on (default: %(default)s; datasets/demo for cartoon faces)",
    )
    parser.add_argument(
        "--out", help="file to write (default: classifier.npz in the dataset folder)"
    )
    parser.add_argument("--epochs", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")


def run(args):
    train_classifier(args.dataset, args.out, args.epochs, args.seed)


def train_classifier(path, out, epochs, seed):
    """Trains on a dataset folder and writes the classifier with its accuracy."""
    if epochs < 1:
        raise ValueError(f"`epochs` must be at least 1. Received: epochs={epochs}.")
    dataset = open_dataset(path, max_label_size="full")
    if not dataset.label_size:
        raise ValueError(f"{path}: a classifier needs labels, and there are none.")
    names = dataset.label_names or tuple(map(str, range(dataset.label_size)))
    factors = dataset.meta.get("factors") or {"class": list(names)}
    keras.utils.set_random_seed(seed)
    classifier = modes.train(
        dataset.read_images,
        dataset.read_labels(np.arange(dataset.num_images)),
        factors,
        dataset.num_channels,
        epochs=epochs,
        seed=seed,
        progress=True,
    )
    out = out or os.path.join(path, "classifier.npz")
    modes.save_classifier(out, classifier)
    for name, accuracy in classifier.accuracy.items():
        print(f"{name:12s} {100 * accuracy:.2f} % of the images held out")
    print(f"Classifier: {out} (SHA-256 {classifier.sha256})")
