"""The metrics behind one interface: feed the reals once, then the fakes of snapshot after snapshot.

Each measure has `feed_reals(batch)`, `begin_fakes()`, `feed_fakes(batch)` and `result()`, a dict of
values whose first entry is the metric itself. Those that need of the reals only a few arrays hand
them out with `reals_state()` and take them back with `restore_reals(state)`, so that they can be
kept in a cache under the name `STATE`.
"""

import functools

import numpy as np

from pgtf.metrics import fid, inception_score, kid, ms_ssim, precision_recall
from pgtf.metrics.ms_ssim import MultiScaleSSIM
from pgtf.metrics.swd import SlicedWasserstein


class Batch:
    """uint8 [n, H, W, C] with the outputs of the Inception network, computed once and on demand."""

    def __init__(self, images, network):
        self.images, self._network = images, network

    @functools.cached_property
    def _outputs(self):
        return self._network(self.images)

    @property
    def features(self):
        """[n, 2048]"""
        return self._outputs[0]

    @property
    def probabilities(self):
        """[n, 1008]"""
        return self._outputs[1]

    def first(self, num):
        """A batch of the first images, which shares the outputs."""
        if num >= len(self.images):
            return self
        return Batch(self.images[:num], lambda _: [output[:num] for output in self._outputs])


class Swd:
    """Sliced Wasserstein distance x 10^3: the average, then each level by its side in pixels."""

    def __init__(self, num_images, shape, seed):
        self._swd = SlicedWasserstein(num_images, shape, np.random.RandomState(seed))

    def feed_reals(self, batch):
        self._swd.feed_reals(batch.images)

    def begin_fakes(self):
        self._swd.begin_fakes()

    def feed_fakes(self, batch):
        self._swd.feed_fakes(batch.images)

    def result(self):
        levels = self._swd.result()
        return {"swd": levels.pop("avg")} | {f"swd_{side}": v for side, v in levels.items()}


class MsSsim:
    """MS-SSIM between fakes, and between reals to compare it with."""

    STATE = "msssim"

    def __init__(self, num_images, shape, seed):
        ms_ssim.check_size(*shape[:2], len(ms_ssim.WEIGHTS))
        self._reals, self._fakes = MultiScaleSSIM(), MultiScaleSSIM()
        self._of_reals = None

    def feed_reals(self, batch):
        self._reals.feed(batch.images)

    def reals_state(self):
        return {"msssim": np.float64(self._reals.result())}

    def restore_reals(self, state):
        self._of_reals = float(state["msssim"])

    def begin_fakes(self):
        if self._of_reals is None:
            self._of_reals = self._reals.result()
        self._fakes = MultiScaleSSIM()

    def feed_fakes(self, batch):
        self._fakes.feed(batch.images)

    def result(self):
        return {"msssim": self._fakes.result(), "msssim_reals": self._of_reals}


class Fid:
    """Frechet Inception distance."""

    STATE = "statistics"

    def __init__(self, num_images, shape, seed):
        self._reals, self._fakes = fid.FeatureStatistics(), fid.FeatureStatistics()
        self._state = None

    def feed_reals(self, batch):
        self._reals.feed(batch.features)

    def reals_state(self):
        mean, covariance = self._reals.mean_and_covariance()
        return {"mean": mean, "covariance": covariance}

    def restore_reals(self, state):
        self._state = state

    def begin_fakes(self):
        if self._state is None:
            self._state = self.reals_state()
        self._fakes = fid.FeatureStatistics()

    def feed_fakes(self, batch):
        self._fakes.feed(batch.features)

    def result(self):
        reals = self._state["mean"], self._state["covariance"]
        return {"fid": fid.frechet_distance(*reals, *self._fakes.mean_and_covariance())}


class InceptionScore:
    """Inception score of the fakes and its deviation over ten splits; needs no reals."""

    def __init__(self, num_images, shape, seed):
        self._probabilities = []

    def begin_fakes(self):
        self._probabilities = []

    def feed_fakes(self, batch):
        self._probabilities.append(batch.probabilities)

    def result(self):
        probabilities = np.concatenate(self._probabilities)
        return dict(
            zip(("is", "is_std"), inception_score.inception_score(probabilities), strict=True)
        )


class _FeatureMeasure:
    """What keeps the features of both sets."""

    STATE = "features"

    def __init__(self, num_images, shape, seed):
        self._seed, self._reals, self._fakes = seed, [], []

    def feed_reals(self, batch):
        self._reals.append(batch.features)

    def reals_state(self):
        return {"features": np.concatenate(self._reals)}

    def restore_reals(self, state):
        self._reals = [state["features"]]

    def begin_fakes(self):
        self._fakes = []

    def feed_fakes(self, batch):
        self._fakes.append(batch.features)

    def _features(self):
        return np.concatenate(self._reals), np.concatenate(self._fakes)


class Kid(_FeatureMeasure):
    """Kernel Inception distance x 10^3 and its deviation over subsets."""

    def result(self):
        rng = np.random.RandomState(self._seed)
        mean, std = kid.kernel_distance(*self._features(), rng)
        return {"kid": 1e3 * mean, "kid_std": 1e3 * std}


class PrecisionRecall(_FeatureMeasure):
    """Improved precision and recall."""

    def result(self):
        precision, recall = precision_recall.precision_recall(*self._features())
        return {"precision": precision, "recall": recall}


class Modes:
    """Number of modes hit and reverse KL divergence, as a classifier sees them."""

    def __init__(self, num_images, shape, seed, *, classifier):
        self._classifier, self._values = classifier, []
        classifier.check(shape)

    def begin_fakes(self):
        self._values = []

    def feed_fakes(self, batch):
        self._values.append(self._classifier(batch.images))

    def result(self):
        return self._classifier.coverage(np.concatenate(self._values))


MEASURES = {
    "swd": Swd,
    "msssim": MsSsim,
    "fid": Fid,
    "is": InceptionScore,
    "kid": Kid,
    "pr": PrecisionRecall,
    "modes": Modes,
}
NEED_INCEPTION = {"fid", "is", "kid", "pr"}
# Whether the least or the greatest value marks the best snapshot; the others have no best.
BEST = {"swd": min, "fid": min, "kid": min, "is": max, "modes": max}
