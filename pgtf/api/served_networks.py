"""Networks of an exported SavedModel, as `pgtf.load` returns them."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgtf.api.networks import Networks
from pgtf.config import Config
from pgtf.export.explorable import ServedModel
from pgtf.export.source import Source


class ServedNetworks(Networks):
    """Gs of an exported SavedModel: a graph at one level of detail, without weights, G and D."""

    def __init__(self, path: Path) -> None:
        self._model = model = ServedModel(path)
        self.kind, self.path = "SavedModel", path
        self.resolution = model.resolution << math.floor(model.lod)
        self.num_channels, self.kimg, self.lod = model.num_channels, model.kimg, model.lod
        self.latent_size, self.label_size = model.latent_size, model.label_size
        self.label_names, self.label_groups = model.label_names, model.groups
        self.depth = model.depth
        # The model knows the size at its level alone; all levels are halves of each other.
        height, width = (side << math.floor(model.lod) for side in model.size)
        self.size = height, width

    @property
    def source(self) -> Source:
        """Raises ValueError: a SavedModel holds a graph and no networks."""
        raise ValueError(
            f"{self.path}: a SavedModel holds only the graph of Gs. Load the run or the snapshot "
            "that it was exported from."
        )

    @functools.cached_property
    def config(self) -> Config | None:
        """None: only the model card knows it."""
        return None

    def _run(
        self, lod: float | None, latents: np.ndarray, labels: np.ndarray | None
    ) -> NDArray[Any]:
        if lod is not None and lod != self.lod:
            raise ValueError(f"`lod` of this SavedModel is {self.lod:g}. Received: lod={lod!r}.")
        if (
            latents.ndim != 2
            or latents.shape[1] != self.latent_size
            or latents.dtype.kind not in "fiu"
        ):
            raise ValueError(
                f"`latents` must be [N, {self.latent_size}], numbers. Received: {latents.dtype} "
                f"{list(latents.shape)}."
            )
        if not len(latents):
            return np.zeros((0, *self._model.size, self.num_channels), self.depth.dtype)
        latents = latents.astype(np.float32)
        if not np.isfinite(latents).all():
            raise ValueError("`latents` must be finite. Received: NaN or infinity.")
        return self._model.run(latents, labels)

    def _summary(self) -> str:
        return "\n".join([repr(self), *filter(None, [self.warning])])
