"""Computes several metrics in one pass over the reals and one over each set of fakes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from absl import logging
from tqdm import tqdm

from pgtf.foreign.terminal import one_line
from pgtf.installation import spelled
from pgtf.metrics import records
from pgtf.metrics.cache import Cache
from pgtf.metrics.image_sets import MINIBATCH, ImageSet, in_random_order
from pgtf.metrics.interface import NEEDS, Batch, Counts, Measure
from pgtf.metrics.measures import MEASURES
from pgtf.metrics.plan import Plan

if TYPE_CHECKING:  # Both import TensorFlow, which not every metric needs.
    from pgtf.metrics.classifier import Classifier
    from pgtf.metrics.inception import Inception
    from pgtf.metrics.label_scores import LabelData

SEED = 1000  # default seed of latents, orders, patches, directions and subsets
_REALS, _FAKES = 1, 2  # independent orders of one seed
_MAX_CACHED_BYTES = 1 << 30  # features of 131,072 reals


class Evaluator:
    """Measures sets of fakes against one set of reals, both in an order drawn from the seed.

    Args:
        plan: metrics to compute.
        reals: real images.
        inception: None if no metric needs it.
        classifier: None if no metric needs it.
        labels: those of the dataset; None if no metric needs them.
        num_fakes: size of the sets of fakes, for errors before the work; None = any number.
        seed: seed of everything random here.
        cache_folder: folder for statistics of reals; None = keep none.
        progress: show progress bars.

    Raises:
        ValueError: too few images, a missing network, or images that a metric cannot take.
    """

    def __init__(
        self,
        plan: Plan,
        reals: ImageSet,
        *,
        inception: Inception | None = None,
        classifier: Classifier | None = None,
        labels: LabelData | None = None,
        num_fakes: int | None = None,
        seed: int = SEED,
        cache_folder: str | os.PathLike[str] | None = None,
        progress: bool = False,
    ) -> None:
        # Deviation: the reals are a random choice, for FID all of them; the original takes the
        # first ones of the dataset, as many as fakes, and begins again after the last.
        reals = in_random_order(reals, seed, _REALS)
        self._reals, self._seed, self._progress = reals, seed, progress
        self._networks: dict[str, Any] = {"inception": inception, "classifier": classifier}
        self._networks["labels"] = labels
        self._cache = None if cache_folder is None else _RealsCache(cache_folder, reals, progress)
        self._plan = plan
        self._begin(self._count(num_fakes))

    def settings(self) -> list[dict[str, Any]]:
        """For each metric, the fields of its records that make values comparable."""
        return [_settings(measure, self._reals) for measure in self._measures]

    def __call__(
        self, fakes: ImageSet, check: Callable[[], None] = lambda: None, **fields: Any
    ) -> list[records.Record]:
        """Measures one set of fakes. Returns one record per metric for pgtf.metrics.records.

        Args:
            fakes: images of the same shape as the reals.
            check: called between batches; may raise an exception that ends the measurement.
            **fields: further fields of the records, for example snapshot=....

        Raises:
            ValueError: another shape, too few images, or images that are not finite.
        """
        if fakes.shape != self._reals.shape:
            raise ValueError(
                f"{fakes.name}: must have images like {self._reals.name}, "
                f"{list(self._reals.shape)}. Received: {list(fakes.shape)}."
            )
        counts = self._count(fakes.num_images)
        if counts != self._counts:
            self._begin(counts)
        fakes = in_random_order(fakes, self._seed, _FAKES)
        try:
            self._feed_reals(check)
        except BaseException:
            self._begin(counts)  # Some reals may have been counted; all are fed again next time.
            raise
        for measure in self._measures:
            measure.begin_fakes()
        feeds = {m: (m.counts.fakes, m.feed_fakes) for m in self._measures}
        spent, reading = self._feed(fakes, feeds, check)
        return [self._record(m, spent[m], reading, fakes) | fields for m in self._measures]

    def _count(self, num_fakes: int | None) -> dict[str, Counts]:
        num_reals = self._reals.num_images
        return {r.name: r.counts(num_reals, num_fakes) for r in self._plan.requests}

    def _begin(self, counts: dict[str, Counts]) -> None:
        self._counts = counts
        self._measures = [self._make(*item) for item in counts.items()]
        self._has_reals = False

    def _make(self, name: str, counts: Counts) -> Measure:
        kind, network = MEASURES[name], None
        if kind.needs is not None:
            network = self._networks[kind.needs]
            if network is None:
                raise ValueError(f"`{name}` needs {spelled(NEEDS[kind.needs])}.")
        return kind(counts, self._reals.shape, self._seed, network)

    def _feed_reals(self, check: Callable[[], None]) -> None:
        """Feeds the reals to the measures that use them and are not restored from the cache."""
        if self._has_reals:
            return
        feeds = {
            m: (m.counts.reals, m.feed_reals)
            for m in self._measures
            if m.uses_reals and not (self._cache and self._cache.restore(m))
        }
        self._feed(self._reals, feeds, check)
        if self._cache:
            for measure in feeds:
                self._cache.save(measure)
        self._has_reals = True

    def _feed(
        self,
        image_set: ImageSet,
        feeds: Mapping[Measure, tuple[int, Callable[[Batch], None]]],
        check: Callable[[], None],
    ) -> tuple[dict[Measure, float], float]:
        """Feeds n images to each function. Returns the seconds spent in each and in reading."""
        spent, reading, begin = dict.fromkeys(feeds, 0.0), 0.0, 0
        total = max((number for number, _ in feeds.values()), default=0)
        bar = tqdm(
            total=total, desc=one_line(image_set.name), unit="img", disable=not self._progress
        )
        read_labels = image_set.labels if any(m.needs == "labels" for m in feeds) else None
        started = time.monotonic()
        with bar:
            for images in image_set.batches(total):
                check()
                reading += time.monotonic() - started
                labels = None
                if read_labels is not None:
                    labels = read_labels(begin, begin + len(images))
                batch = Batch(images, self._networks["inception"], labels, image_set.head)
                for measure, (number, feed) in feeds.items():
                    left = number - begin
                    if left > 0:
                        started = time.monotonic()
                        feed(batch.first(left))
                        spent[measure] += time.monotonic() - started
                begin += len(images)
                bar.update(len(images))
                started = time.monotonic()
        return spent, reading

    def _record(
        self, measure: Measure, seconds: float, reading: float, fakes: ImageSet
    ) -> records.Record:
        started = time.monotonic()
        values = measure.result()
        record = _settings(measure, self._reals) | {
            "fakes": fakes.name,
            "value": next(iter(values.values())),
            "values": values,
            "seconds": round(seconds + time.monotonic() - started, 3),
            "seconds_making_images": round(reading, 3),  # all metrics together
            "time": records.now(),
            "versions": records.versions(),
        }
        record |= measure.notes()
        if fakes.lod is not None:
            record["lod"] = fakes.lod
        notes = {"reals_notes": self._reals.notes, "fakes_notes": fakes.notes}
        record |= {name: dict(found) for name, found in notes.items() if found}
        if self._cache and measure.counts.reals in self._cache.hashes:
            record["reals_sha256"] = self._cache.hashes[measure.counts.reals]
        return record


def _settings(measure: Measure, reals: ImageSet) -> dict[str, Any]:
    height, width, channels = reals.shape
    return {
        "metric": measure.name,
        "num_images": measure.counts.images,
        "num_reals": measure.counts.reals,
        "evaluations": measure.counts.evaluations,
        "order": "random",
        "seed": measure.seed,
        "minibatch_size": MINIBATCH,
        "reals": reals.name,
        "mirror": reals.mirror,
        "grid": [height, width],
        "channels": channels,
    } | measure.settings()


class _RealsCache:
    """Arrays that measures compute from the reals, kept under a hash of the images."""

    def __init__(self, folder: str | os.PathLike[str], reals: ImageSet, progress: bool) -> None:
        self._cache, self._reals, self._progress = Cache(folder), reals, progress
        self.hashes: dict[int, str] = {}  # {n: SHA-256 of the first n reals}

    def restore(self, measure: Measure) -> bool:
        """Gives a measure its arrays. Returns False if they are not in the cache."""
        if measure.state_name is None:
            return False
        state = self._cache.load(**self._key(measure))
        if state is None:
            return False
        measure.restore_reals(state)
        return True

    def save(self, measure: Measure) -> None:
        """Keeps the arrays of a measure. A cache that cannot be written is a warning."""
        if measure.state_name is None:
            return
        state = measure.reals_state()
        if sum(array.nbytes for array in state.values()) > _MAX_CACHED_BYTES:
            return  # Writing it would need it in memory three times.
        try:
            self._cache.save(state, **self._key(measure))
        except OSError as error:
            logging.warning("Statistics of %s were not kept: %s", self._reals.name, error)

    def _key(self, measure: Measure) -> dict[str, Any]:
        number = measure.counts.reals
        if number not in self.hashes:
            self.hashes[number] = self._reals.sha256(number, self._progress)
        key = {"state": measure.state_name, "images_sha256": self.hashes[number]}
        return key | measure.settings()
