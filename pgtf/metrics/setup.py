"""Makes an evaluator from options, for the command line and for training."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from absl import logging

from pgtf.metrics import cache, inception
from pgtf.metrics.classifier import Classifier, load_classifier
from pgtf.metrics.evaluator import SEED, Evaluator
from pgtf.metrics.image_sets import ImageSet
from pgtf.metrics.label_scores import label_data
from pgtf.metrics.measures import MEASURES
from pgtf.metrics.modes import CLASSIFIER
from pgtf.metrics.plan import Plan


@dataclasses.dataclass(frozen=True)
class MetricOptions:
    """Settings of measurements, besides the pgtf.metrics.plan.Plan that lists them."""

    inception: str | None = None  # frozen graph; None = where --download_inception puts it
    inception_sha256: str | None = None  # refuse another file; None = any
    fid_mode: str = "legacy"  # resizing of images for Inception; or "clean"
    classifier: str | None = None  # for `modes`; None = classifier.npz in the dataset folder
    seed: int = SEED
    use_cache: bool = True  # keep statistics of reals in ~/.cache/pgtf


def make_evaluator(
    plan: Plan,
    reals: ImageSet,
    options: MetricOptions,
    *,
    dataset_folder: str | os.PathLike[str] | None = None,
    dataset: Any = None,
    num_fakes: int | None = None,
    progress: bool = False,
) -> Evaluator:
    """Makes an evaluator, with the networks that the metrics of a plan need.

    Args:
        plan: metrics to compute.
        reals: real images.
        options: MetricOptions.
        dataset_folder: folder that may hold a classifier, or None.
        dataset: pgtf.dataset.Dataset of the reals, or None.
        num_fakes: size of the sets of fakes; None = any number.
        progress: show progress bars.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is missing or not the expected one, or there are too few images.
    """
    needs = {MEASURES[request.name].needs for request in plan.requests}
    return Evaluator(
        plan,
        reals,
        inception=_inception(options) if "inception" in needs else None,
        classifier=_classifier(options, dataset_folder) if "classifier" in needs else None,
        labels=label_data(dataset) if "labels" in needs and dataset is not None else None,
        num_fakes=num_fakes,
        seed=options.seed,
        cache_folder=cache.default_folder() if options.use_cache else None,
        progress=progress,
    )


def _inception(options: MetricOptions) -> inception.Inception | None:
    path = Path(options.inception or inception.default_path())
    if options.inception is None and not path.exists():
        return None  # The evaluator's error names the metric that needs it.
    network = inception.Inception(path, options.inception_sha256, options.fid_mode)
    logging.info("Inception: %s, SHA-256 %s, %s resizing", path, network.sha256, network.mode)
    return network


def _classifier(
    options: MetricOptions, dataset_folder: str | os.PathLike[str] | None
) -> Classifier | None:
    if options.classifier is not None:
        return load_classifier(options.classifier)
    beside = Path(dataset_folder or "") / CLASSIFIER
    return load_classifier(beside) if dataset_folder and beside.exists() else None
