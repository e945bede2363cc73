"""Computes several metrics in one pass over the reals and one over each set of fakes."""

import time

from absl import logging
from tqdm import tqdm

from pgtf.metrics import records
from pgtf.metrics.cache import Cache
from pgtf.metrics.image_sets import MINIBATCH
from pgtf.metrics.measures import MEASURES, NEED_INCEPTION, Batch

SEED = 1000  # of latents, patches, directions and subsets
FEW_FOR_FID = 2048  # below the number of features, the covariance has not full rank


class Evaluator:
    """Measures sets of fakes against one set of reals.

    Args:
        plan: pgtf.metrics.plan.Plan.
        reals: pgtf.metrics.image_sets.ImageSet.
        inception: pgtf.metrics.inception.Inception, or None if no metric needs it.
        classifier: pgtf.metrics.modes.Classifier, or None if `modes` is not asked for.
        num_fakes: size of the sets of fakes; None = as many as wanted.
        seed: of everything drawn here.
        cache_folder: where statistics of reals are kept; None keeps none.
        progress: whether to show progress bars.

    Raises:
        ValueError: too few images, or images that a metric cannot take.
    """

    def __init__(
        self,
        plan,
        reals,
        *,
        inception=None,
        classifier=None,
        num_fakes=None,
        seed=SEED,
        cache_folder=None,
        progress=False,
    ):
        self._reals, self._inception, self._classifier = reals, inception, classifier
        self._seed, self._progress = seed, progress
        self._cache = None if cache_folder is None else Cache(cache_folder)
        self._hashes = {}  # of the first n reals
        self.requests = [r.fitted(reals.num_images, num_fakes) for r in plan.requests]
        self._begin()

    def settings(self, request):
        """What a value depends on besides the fakes: the fields that make records comparable."""
        found = {
            "metric": request.name,
            "num_images": request.num_images,
            "seed": self._seed,
            "minibatch_size": MINIBATCH,
            "reals": self._reals.name,
        }
        if request.name in NEED_INCEPTION:
            found |= {"mode": self._inception.mode, "inception_sha256": self._inception.sha256}
        if request.name == "modes":
            found |= {"classifier_sha256": self._classifier.sha256}
        return found

    def __call__(self, fakes, **fields):
        """Measures one set: -> a record a metric, to be written by pgtf.metrics.records.

        Args:
            fakes: ImageSet of the shape of the reals.
            **fields: what else the records should say, for example snapshot=....

        Raises:
            ValueError: another shape, too few images, or images that are not finite.
        """
        if fakes.shape != self._reals.shape:
            raise ValueError(
                f"{fakes.name}: must have images like {self._reals.name}, "
                f"{list(self._reals.shape)}. Received: {list(fakes.shape)}."
            )
        for request in self.requests:
            request.fitted(fakes.num_images)
        try:
            self._feed_reals()
        except BaseException:
            self._begin()  # half of the reals must not count when they are fed again
            raise
        for measure in self._measures.values():
            measure.begin_fakes()
        feeds = {r: self._measures[r.name].feed_fakes for r in self.requests}
        spent, making = self._feed(fakes, feeds)
        return [self._record(r, spent[r.name], making, fakes, fields) for r in self.requests]

    def _begin(self):
        self._measures = {r.name: self._make(r) for r in self.requests}
        self._has_reals = False

    def _make(self, request):
        options = {}
        if request.name in NEED_INCEPTION and self._inception is None:
            raise ValueError(
                f"`{request.name}` needs the Inception network. Give its file as --inception=FILE, "
                "or fetch it once with python -m metrics --download_inception."
            )
        if request.name == "modes":
            if self._classifier is None:
                raise ValueError(
                    "`modes` needs a classifier. Give its file as --classifier=FILE, or train it "
                    "with python -m metrics train_classifier."
                )
            options = {"classifier": self._classifier}
        if request.name == "fid" and request.num_images < FEW_FOR_FID:
            logging.warning(
                "FID of %d images, fewer than its %d features, says little.",
                request.num_images,
                FEW_FOR_FID,
            )
        return MEASURES[request.name](request.num_images, self._reals.shape, self._seed, **options)

    def _feed_reals(self):
        """Feeds the reals to all measures that need them, or finds what they need in the cache."""
        if self._has_reals:
            return
        feeds, to_save = {}, {}
        for request in self.requests:
            measure = self._measures[request.name]
            if not hasattr(measure, "feed_reals"):
                continue
            if self._cache is not None and hasattr(measure, "STATE"):
                key = self._key(request, measure.STATE)
                state = self._cache.load(**key)
                if state is not None:
                    measure.restore_reals(state)
                    continue
                to_save[request] = measure, key
            feeds[request] = measure.feed_reals
        self._feed(self._reals, feeds)
        for measure, key in to_save.values():
            self._save(measure.reals_state(), key)
        self._has_reals = True

    def _save(self, state, key):
        try:
            self._cache.save(state, **key)
        except OSError as error:
            logging.warning("Statistics of %s were not kept: %s", self._reals.name, error)

    def _key(self, request, state):
        num_images = request.num_images
        if num_images not in self._hashes:
            self._hashes[num_images] = self._reals.sha256(num_images, self._progress)
        key = {"state": state, "images_sha256": self._hashes[num_images]}
        if request.name in NEED_INCEPTION:
            key |= {"inception_sha256": self._inception.sha256, "mode": self._inception.mode}
        return key

    def _feed(self, image_set, feeds):
        """Calls feeds {request: function}: -> {metric: seconds in it}, seconds making images."""
        spent, making, begin = {request.name: 0.0 for request in feeds}, 0.0, 0
        total = max((request.num_images for request in feeds), default=0)
        bar = tqdm(total=total, desc=image_set.name, unit="img", disable=not self._progress)
        started = time.monotonic()
        with bar:
            for images in image_set.batches(total):
                making += time.monotonic() - started
                batch = Batch(images, self._inception)
                for request, feed in feeds.items():
                    left = request.num_images - begin
                    if left > 0:
                        started = time.monotonic()
                        feed(batch.first(left))
                        spent[request.name] += time.monotonic() - started
                begin += len(images)
                bar.update(len(images))
                started = time.monotonic()
        return spent, making

    def _record(self, request, seconds, making, fakes, fields):
        started = time.monotonic()
        values = self._measures[request.name].result()
        record = self.settings(request) | {
            "fakes": fakes.name,
            "value": next(iter(values.values())),
            "values": values,
            "seconds": round(seconds + time.monotonic() - started, 3),
            "seconds_making_images": round(making, 3),  # of all metrics together
            "time": records.now(),
            "versions": records.versions(),
        }
        if request.name in NEED_INCEPTION:
            record["gray_shown_as_rgb"] = self._reals.shape[2] == 1
        if request.name == "modes":
            record["classifier_accuracy"] = self._classifier.accuracy
        if fakes.lod is not None:
            record["lod"] = fakes.lod
        if request.num_images in self._hashes:
            record["reals_sha256"] = self._hashes[request.num_images]
        return record | fields
