"""From options to an evaluator: what the command line and training have in common."""

import dataclasses
from pathlib import Path

from absl import logging

from pgtf.metrics import cache, inception, modes
from pgtf.metrics.evaluator import SEED, Evaluator
from pgtf.metrics.measures import NEED_INCEPTION

CLASSIFIER = "classifier.npz"  # in a dataset folder, written by python -m metrics train_classifier


@dataclasses.dataclass(frozen=True)
class MetricOptions:
    """How to measure; what to measure is a pgtf.metrics.plan.Plan."""

    inception: str | None = None  # frozen graph; None = where --download_inception puts it
    inception_sha256: str | None = None  # refuse another file; None = any
    fid_mode: str = "legacy"  # or "clean": how images are resized for Inception
    classifier: str | None = None  # for modes; None = classifier.npz in the dataset folder
    seed: int = SEED
    use_cache: bool = True  # whether to keep statistics of reals in ~/.cache/pgtf


def make_evaluator(plan, reals, options, *, dataset_folder=None, num_fakes=None, progress=False):
    """Loads what the metrics of a plan need: -> pgtf.metrics.evaluator.Evaluator.

    Args:
        plan: pgtf.metrics.plan.Plan.
        reals: pgtf.metrics.image_sets.ImageSet.
        options: MetricOptions.
        dataset_folder: where a classifier may lie; None = nowhere.
        num_fakes: size of the sets of fakes; None = as many as wanted.
        progress: whether to show progress bars.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is missing or another one, or there are too few images.
    """
    names = {request.name for request in plan.requests}
    return Evaluator(
        plan,
        reals,
        inception=_inception(options) if names & NEED_INCEPTION else None,
        classifier=_classifier(options, dataset_folder) if "modes" in names else None,
        num_fakes=num_fakes,
        seed=options.seed,
        cache_folder=cache.default_folder() if options.use_cache else None,
        progress=progress,
    )


def _inception(options):
    path = Path(options.inception or inception.default_path())
    if options.inception is None and not path.exists():
        return None  # the evaluator says which metric needs it
    network = inception.Inception(path, options.inception_sha256, options.fid_mode)
    logging.info("Inception: %s, SHA-256 %s, %s resizing", path, network.sha256, network.mode)
    return network


def _classifier(options, dataset_folder):
    if options.classifier is not None:
        return modes.load_classifier(options.classifier)
    beside = Path(dataset_folder or "") / CLASSIFIER
    return modes.load_classifier(beside) if dataset_folder and beside.exists() else None
