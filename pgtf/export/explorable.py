"""Models as the web page of `explore` uses them, live or exported."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from pgtf.depth import Depth
from pgtf.export.history import History, stage_text
from pgtf.export.labels import choices, row_of
from pgtf.export.source import Source
from pgtf.export.version_folder import served_version
from pgtf.foreign.json_files import SMALL_BYTES, parse_json
from pgtf.graphs import SavedModel
from pgtf.installation import spelled
from pgtf.interop.snapshots import read_label_groups
from pgtf.label_groups import are_classes, one_class, restored
from pgtf.networks import latents_from_seeds


class LiveModel:
    """A generator in memory, which has every level of detail.

    Args:
        source: the network.
        name: title of the page; None = the name of its file.
        kind: what it is and where it comes from.
        history: the snapshots of its run, if there are several.
    """

    def __init__(
        self,
        source: Source,
        name: str | None = None,
        kind: str = "Network",
        history: History | None = None,
    ) -> None:
        self._Gs, self._depth, self.history = source.Gs, source.depth, history
        self.name = name or source.path.stem
        self.kind = f"{kind}, {stage_text(source.Gs)}"
        self.latent_size = source.Gs.latent_size
        self.label_size = source.label_size
        self.label_names = source.label_names or tuple(map(str, range(source.label_size)))
        self.groups, self.choices = source.groups, choices(source.groups)
        self.lod = source.Gs.lod
        self.max_lod = source.Gs.resolution_log2 - 2  # 4x4

    def generate(self, latents: np.ndarray, class_id: int, lod: float | None = None) -> np.ndarray:
        """Generates images of one of `choices`: [N, latent_size] -> uint8 [N, H, W, 1 or 3]."""
        labels = _labels(self, class_id, len(latents))
        return self._depth.shown(self._Gs.run(latents, labels, lod))

    def size_text(self, growth: int) -> str:
        """Formats the size of the images after so many doublings of the smallest ones."""
        text: str = self._Gs.config.base.size_text(4 << growth)
        return text

    def generate_at(self, index: int, latents: np.ndarray, class_id: int) -> tuple[np.ndarray, str]:
        """Generates images with an earlier snapshot; returns them and a caption. See `History`."""
        if self.history is None:
            raise ValueError("there is one snapshot only.")
        return self.history.generate(index, latents, _labels(self, class_id, len(latents)))


class ServedModel:
    """An exported SavedModel, which has one level of detail."""

    max_lod = None

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._path = folder = served_version(folder)
        try:
            model = SavedModel(folder)
            self._signature = model.signature("serving_default")
            facts = model.signature("info")(dummy=np.zeros(1, np.int64))
            self.name = facts["name"][0].decode()
            resolution = int(facts["resolution"][0])
            # Models of an earlier version are square, of 8 bits, and have classes.
            size = [facts.get(name, [resolution])[0] for name in ("height", "width")]
            self.size = int(size[0]), int(size[1])
            self.kind = f"Exported model, version {folder.name}, {self.size[0]}x{self.size[1]}"
            self.lod = float(facts["lod"][0])
            self.latent_size = int(facts["latent_size"][0])
            self.label_size = int(facts["label_size"][0])
            self.label_names = tuple(name.decode() for name in facts["label_names"][0])
            self.resolution = resolution
            self.num_channels = int(facts["channels"][0])
            self.kimg = int(facts["kimg"][0]) if facts["kimg"][0] >= 0 else None
            shapes = model.input_shapes("serving_default")
            sizes = shapes["latents"][-1], shapes.get("labels", (0,))[-1]
            value_range = (float(facts.get(k, [v])[0]) for k, v in (("low", 0), ("high", 255)))
            dtype = model.output_types("serving_default")["images"]
            self.depth = Depth(dtype, (next(value_range), next(value_range)))
            self.groups = one_class(self.label_size, self.label_names)
            if "label_groups" in facts:
                text, place = facts["label_groups"][0], "label_groups"
                value = parse_json(text, place, max_bytes=SMALL_BYTES)
                self.groups = read_label_groups(value, self.label_size, "its `info`")
            self.choices = choices(self.groups)
            if sizes != (self.latent_size, self.label_size):
                found = f"{self.latent_size}, {self.label_size}"
                raise ValueError(f"latents and labels of {sizes}; its `info` says {found}")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            reason = str(error).removeprefix(f"{folder}: ")
            raise ValueError(
                f"{folder}: not a SavedModel of {spelled('generate.py export')} ({reason})."
            ) from None

    def generate(self, latents: np.ndarray, class_id: int, lod: float | None = None) -> np.ndarray:
        """Generates images of one of `choices`: [N, latent_size] -> uint8 [N, H, W, 1 or 3]."""
        return self.depth.shown_values(self.run(latents, _labels(self, class_id, len(latents))))

    def size_text(self, growth: int) -> str:
        """Formats the size of the images, which is the same at any growth."""
        return f"{self.size[0]}x{self.size[1]}"

    def run(self, latents: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Generates images: [N, latent_size], [N, label_size] or None -> [N, H, W, C].

        Labels are those that networks see, with standardised numbers.
        """
        inputs = {} if labels is None else {"labels": restored(labels, self.groups)}
        found = self._signature(latents=latents, **inputs).get("images", np.zeros(0))
        shape = (len(latents), *self.size, self.num_channels)
        if found.dtype != self.depth.dtype or found.shape != shape:
            raise ValueError(
                f"{self._path}: must make {self.depth.dtype} images {list(shape)}, as its `info` "
                f"says. Received: {found.dtype} {list(found.shape)}."
            )
        return found


Model = LiveModel | ServedModel


def choice_names(model: Model) -> list[str]:
    """Names of the labels that a model can be asked for: of its classes, or of its `choices`."""
    if are_classes(model.groups):
        return list(model.label_names)
    return [choice.name for choice in model.choices]


def latents_of(model: Model, seeds: Any) -> np.ndarray:
    """Samples the latents of seeds, as in every command: float32 [N, latent_size]."""
    latents: np.ndarray = latents_from_seeds(np.asarray(seeds, np.int64), model.latent_size).numpy()
    return latents


def _labels(model: Model, class_id: int, num: int) -> np.ndarray | None:
    if not model.choices:
        return None
    return np.tile(row_of(model.choices[class_id], model.groups), (num, 1))
