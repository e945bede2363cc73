"""The interface of a metric: the facts about it, and the calls that compute it.

The evaluator feeds a measure the reals once, then the fakes of snapshot after snapshot.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from pgtf.metrics.storage import Rows

# Networks that a measure may need, by the name of their argument to Evaluator, with the remedy if
# one is missing.
NEEDS = {
    "inception": "the Inception network. Give its file as --inception=FILE, or fetch it once with "
    "python -m metrics --download_inception",
    "labels": "a dataset with labels. Give it as --dataset",
    "classifier": "a classifier. Give its file as --classifier=FILE, or train it with "
    "python -m metrics train_classifier",
}


@dataclasses.dataclass(frozen=True)
class Counts:
    """Numbers of images of one measurement."""

    images: int  # fakes per evaluation
    reals: int = 0  # 0 for a metric without reals
    evaluations: int = 1  # the values are means over as many sets of fakes

    @property
    def fakes(self) -> int:
        """Number of all fakes."""
        return self.images * self.evaluations


class Batch:
    """Images [n, H, W, C] with the outputs of the Inception network, computed once and on demand.

    Attributes:
        images: uint8, or float32 in 0 ... 255 of deeper images.
        labels: those that networks see, [n, L]; None if they are unknown.
        head: function from such images to D's label logits, of fakes; None if there is none.
    """

    def __init__(
        self,
        images: np.ndarray,
        inception: Callable[[np.ndarray], Sequence[np.ndarray]],
        labels: np.ndarray | None = None,
        head: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self.images, self._inception = images, inception
        self.labels, self.head = labels, head

    @functools.cached_property
    def _outputs(self) -> Sequence[np.ndarray]:
        return self._inception(self.pixels)

    @functools.cached_property
    def pixels(self) -> np.ndarray:
        """The images as uint8, for networks that were made for such."""
        if self.images.dtype == np.uint8:
            return self.images
        return np.rint(self.images).clip(0, 255).astype(np.uint8)

    @property
    def features(self) -> np.ndarray:
        """[n, 2048]"""
        return self._outputs[0]

    @property
    def probabilities(self) -> np.ndarray:
        """[n, 1008]"""
        return self._outputs[1]

    def first(self, num: int) -> Batch:
        """Returns a batch of the first images, which shares the outputs."""
        if num >= len(self.images):
            return self
        labels = None if self.labels is None else self.labels[:num]
        outputs = lambda _: [output[:num] for output in self._outputs]  # noqa: E731
        return Batch(self.images[:num], outputs, labels, self.head)


class Measure(abc.ABC):
    """Base class of all metrics: subclasses state their facts as class attributes.

    Args:
        counts: numbers of images.
        shape: (H, W, C) of the images.
        seed: seed of everything random.
        network: the network that the metric `needs`, or None.

    Raises:
        ValueError: the metric cannot take images of this shape.
    """

    name: ClassVar[str]  # in --metrics and metric-NAME.jsonl
    title: ClassVar[str]  # above its plot, with the unit
    default_images: ClassVar[int]  # fakes if the user gives no number
    min_images: ClassVar[int] = 1  # the metric is not defined for fewer, of either set
    images_per_k: ClassVar[int] = 1000  # what a k means after the number of images
    better: ClassVar[Literal["lower", "higher"] | None] = None  # None: no snapshot is the best one
    needs: ClassVar[str | None] = None  # key of NEEDS
    # Attributes of that network which the value depends on, by their field in a record.
    network_fields: ClassVar[Mapping[str, str]] = {}
    uses_reals: ClassVar[bool] = True
    # As many as fakes, or the whole set. For "same" the default number of fakes is at most that of
    # the reals.
    default_reals: ClassVar[Literal["same", "all"]] = "same"
    max_reals: ClassVar[int | None] = None  # "all" means as many at most; None = all of them
    takes_evaluations: ClassVar[bool] = False  # the mean over several sets of fakes can be asked
    name_suffixes: ClassVar[tuple[str, ...]] = ()  # may follow the number, as the 3 of pr50k3
    # Key under which arrays computed from the reals are cached; None: they are too large to keep.
    state_name: ClassVar[str | None] = None

    def __init__(
        self, counts: Counts, shape: tuple[int, int, int], seed: int, network: Any = None
    ) -> None:
        self.counts, self.shape, self.seed, self.network = counts, shape, seed, network

    def settings(self) -> dict[str, Any]:
        """Returns the fields of a record that the value depends on, such as the network."""
        return {field: getattr(self.network, name) for field, name in self.network_fields.items()}

    def notes(self) -> dict[str, Any]:
        """Returns further fields for the record, on which the value does not depend."""
        return {}

    @classmethod
    def is_plotted(cls, value_name: str) -> bool:
        """True if a plot of the metric shows this one of its values."""
        return True

    # The next three are not abstract, because a metric without reals, or without a cached state,
    # has none of them. They raise so that a metric that forgets one does not measure nothing.

    def feed_reals(self, batch: Batch) -> None:
        """Adds real images. Not called if `uses_reals` is False."""
        raise NotImplementedError

    def reals_state(self) -> dict[str, np.ndarray]:
        """Returns the arrays to be cached under `state_name`."""
        raise NotImplementedError

    def restore_reals(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes the arrays of `reals_state` in place of the real images."""
        raise NotImplementedError

    @abc.abstractmethod
    def begin_fakes(self) -> None:
        """Ends the reals, or forgets the fakes that were fed before."""

    @abc.abstractmethod
    def feed_fakes(self, batch: Batch) -> None:
        """Adds generated images."""

    @abc.abstractmethod
    def result(self) -> dict[str, Any]:
        """Returns the values by name; the first one is the metric itself."""


class InceptionMeasure(Measure):
    """Base class of metrics on the outputs of the Inception network.

    Raises:
        ValueError: the images are neither gray nor RGB, which is all that network knows.
    """

    needs = "inception"
    network_fields = {"mode": "mode", "inception_sha256": "sha256"}

    def __init__(
        self, counts: Counts, shape: tuple[int, int, int], seed: int, network: Any = None
    ) -> None:
        super().__init__(counts, shape, seed, network)
        if shape[2] not in (1, 3):
            raise ValueError(
                f"`{self.name}` needs images of 1 or 3 channels, as the Inception network knows "
                f"them. Received: {shape[2]} channels. Measure them with swd or msssim."
            )

    def notes(self) -> dict[str, Any]:
        return {"gray_shown_as_rgb": self.shape[2] == 1}


class FeatureMeasure(InceptionMeasure):
    """Base class of metrics that compare the Inception features of all images."""

    state_name = "features"
    default_reals = "all"

    def __init__(
        self, counts: Counts, shape: tuple[int, int, int], seed: int, network: Any = None
    ) -> None:
        super().__init__(counts, shape, seed, network)
        self._reals, self._fakes = Rows(counts.reals), Rows(counts.fakes)

    def feed_reals(self, batch: Batch) -> None:
        self._reals.append(batch.features)

    def reals_state(self) -> dict[str, np.ndarray]:
        return {"features": self._reals.array()}

    def restore_reals(self, state: Mapping[str, np.ndarray]) -> None:
        self._reals.append(state["features"])

    def begin_fakes(self) -> None:
        self._fakes = Rows(self.counts.fakes)

    def feed_fakes(self, batch: Batch) -> None:
        self._fakes.append(batch.features)

    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the features of the reals and of the fakes: [N, 2048], [M, 2048]."""
        return self._reals.array(), self._fakes.array()
