"""The signatures of an exported generator's SavedModel.

Every input and output has the batch as its first axis, because the server batches the requests of
different clients together. For the same reason a bad row (latents that are not finite, a class that
does not exist) gets a black image and its `status`, and never fails the whole batch. Only inputs
that are no batch (a wrong shape, no rows) are refused.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pgtf import images
from pgtf.depth import EIGHT_BITS, Depth
from pgtf.export import recipe
from pgtf.export.batches import Specs, Tensors, concrete, rows_of
from pgtf.export.directions import turned
from pgtf.export.walk import interpolate
from pgtf.interop.weights import sha256_of
from pgtf.label_groups import LabelGroup, are_classes, one_class, standardised
from pgtf.marks import PNG_HEADER_BYTES, png_chunk
from pgtf.networks import Generator, latents_from_seeds

STATUS_OK = 0
STATUS_NOT_FINITE = 1  # NaN or infinity in latents, labels or t
STATUS_NO_SUCH_CLASS = 2  # class_id outside 0 ... label_size - 1
STATUS_BROKEN_IMAGE = 3  # the network itself gave NaN or infinity
FLOAT_DRANGE = (0.0, 1.0)  # range of `images_float`, as the published progan-128 module
MAX_PNG_CHANNELS = 4


@dataclasses.dataclass(frozen=True)
class Facts:
    """Facts about a generator beyond its weights, for `info` and the model card."""

    name: str  # name of the model
    label_names: tuple[str, ...] = ()  # one per label column; () = the columns' numbers
    kimg: int | None = None  # thousands of real images shown in training; None = unknown
    dataset: str | None = None  # folder; None = unknown
    licence: str = "unspecified"
    metrics: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # records by name
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # the run's
    source: Mapping[str, str] = dataclasses.field(default_factory=dict)  # file, SHA-256
    command: str | None = None  # command line of the export
    directions: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # unit vectors by name
    marked: bool = True  # if the signature `png` says in each file that its pixels are generated
    depth: Depth = EIGHT_BITS  # type and range of the images
    groups: tuple[LabelGroup, ...] | None = None  # kinds of the label columns; None = one class

    def groups_of(self, Gs: Generator) -> tuple[LabelGroup, ...]:
        """Kinds of the label columns of a generator; () without labels."""
        if self.groups is None:
            return one_class(Gs.config.label_size, self.label_names)
        return self.groups

    @property
    def fid(self) -> float | None:
        """The Fréchet inception distance among the metrics, or None."""
        return self.metrics["fid"]["value"] if "fid" in self.metrics else None


def make_module(Gs: Generator, facts: Facts) -> tuple[tf.Module, dict[str, Any]]:
    """Makes a module and its signatures by name, for `tf.saved_model.save`.

    The network's own lod and alpha become constants; only variables of that resolution are kept.
    """
    sha256 = sha256_of(Gs)
    mark = recipe.Marker("short" if facts.marked else "none", sha256)({})
    served = _Served(Gs, facts, b"" if mark is None else png_chunk(mark.packet))
    seeds, latents, labels = served.seed_inputs, served.latent_inputs, served.label_inputs
    ends = {"latents": latents["latents"], "latents_end": latents["latents"], "t": rows_of()}
    table: dict[str, tuple[Specs, Callable[..., Tensors]]] = {
        "serving_default": (latents | labels, lambda **x: served.stored(**x)),
        "images_float": (latents | labels, lambda **x: served.float(**x)),
        "seeds": (seeds, lambda **x: served.stored(**served.sample(**x))),
        "png": (seeds, lambda **x: served.png(**served.sample(**x))),
        "interpolate": (ends | labels, lambda **x: served.stored(**_between(**x))),
        "info": ({"dummy": rows_of(tf.int64)}, _info(Gs, facts, sha256)),
    }
    if facts.directions:
        vectors = np.stack(list(facts.directions.values()))
        turns = latents | {"strengths": rows_of(size=len(vectors))} | labels
        table["edit"] = (turns, lambda **x: served.stored(**_turned(vectors, **x)))
    if Gs.config.num_channels > MAX_PNG_CHANNELS or facts.depth.dtype == "float32":
        del table["png"]
    module = tf.Module()
    module.variables_by_name = served.variables_by_name
    return module, {name: concrete(*row) for name, row in table.items()}


class _Served:
    """Turns batches into images of the generator at its own lod; not tracked by TensorFlow."""

    def __init__(self, Gs: Generator, facts: Facts, png_mark: bytes) -> None:
        self.Gs, self._depth, self._groups = Gs, facts.depth, facts.groups_of(Gs)
        self._png_mark = png_mark
        self.label_size = Gs.config.label_size
        self._model, alpha = Gs.model_at(Gs.lod)
        self._alpha = float(alpha)
        self.variables_by_name = Gs.stored_at(Gs.stage(Gs.lod)[0])
        self.latent_inputs = {"latents": rows_of(size=Gs.latent_size)}
        self.label_inputs: dict[str, tf.TensorSpec] = {}
        self.seed_inputs = {"seed": rows_of(tf.int64)}
        if self.label_size:
            self.label_inputs = {"labels": rows_of(size=self.label_size)}
            is_class = are_classes(self._groups)
            self.seed_inputs |= {"class_id": rows_of(tf.int64)} if is_class else self.label_inputs
        # All signatures share one function, so that the file holds the network once.
        self._traced = tf.function(self._images, autograph=False)

    def stored(self, **inputs: Any) -> Tensors:
        """Rows -> images [N, H, W, C] of the dataset's type and status int32 [N]."""
        x, status = self._rendered(**inputs)
        is_8bit = self._depth.is_8bit
        x = images.tensor_to_uint8(x) if is_8bit else self._depth.tensor_from_model(x)
        return {"images": _masked(x, status), "status": status}

    def float(self, **inputs: Any) -> Tensors:
        """Rows -> images_float [N, H, W, C] in [0, 1] and status int32 [N]."""
        x, status = self._rendered(**inputs)
        x = images.adjust_drange(x, images.DRANGE, FLOAT_DRANGE)
        x = tf.clip_by_value(x, *FLOAT_DRANGE)
        return {"images_float": _masked(x, status), "status": status}

    def png(self, **inputs: Any) -> Tensors:
        """Rows -> image_bytes string [N], one PNG file each, and status int32 [N].

        The server writes a string output whose name ends in `_bytes` as base64 in its JSON.
        """
        outputs = self.stored(**inputs)
        encode = {"elems": outputs.pop("images"), "fn_output_signature": tf.string}
        return {"image_bytes": self._marked(tf.map_fn(tf.io.encode_png, **encode))} | outputs

    def _marked(self, files: tf.Tensor) -> tf.Tensor:
        """Inserts the mark into PNG files: string [N] -> same."""
        if not self._png_mark:
            return files
        head = tf.strings.substr(files, 0, PNG_HEADER_BYTES)
        rest = tf.strings.substr(files, PNG_HEADER_BYTES, tf.int32.max)
        return tf.strings.join([head, tf.constant(self._png_mark), rest])

    def sample(
        self, seed: tf.Tensor, class_id: tf.Tensor | None = None, labels: tf.Tensor | None = None
    ) -> Tensors:
        """Samples the latents of seeds; makes the labels of classes, or passes labels on."""
        rows = {} if labels is None else {"labels": labels}
        rows |= {"latents": latents_from_seeds(seed, self.Gs.latent_size)}
        rows["status"] = tf.zeros_like(seed, tf.int32)
        if class_id is not None:
            rows["labels"] = tf.one_hot(class_id, self.label_size)
            exists = (class_id >= 0) & (class_id < self.label_size)
            rows["status"] = _worse(rows["status"], exists, STATUS_NO_SUCH_CLASS)
        return rows

    def _rendered(
        self, latents: tf.Tensor, labels: tf.Tensor = None, status: tf.Tensor = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        if status is None:
            status = tf.zeros_like(latents[:, 0], tf.int32)
        return self._traced(latents, labels, status)

    def _images(
        self, latents: tf.Tensor, labels: tf.Tensor | None, status: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Runs the network: latents [N, L], labels, status [N] -> images in [-1, 1], status [N]."""
        finite = _finite(latents, [1])
        if labels is not None:
            finite &= _finite(labels, [1])
            labels = standardised(tf.where(finite[:, tf.newaxis], labels, 0.0), self._groups)
        latents = tf.where(finite[:, tf.newaxis], latents, 0.0)
        inputs = self.Gs.inputs(latents, labels, tf.constant(self._alpha))
        x = self._model(self.Gs.of_any_scale(inputs))
        status = _worse(status, finite, STATUS_NOT_FINITE)
        return x, _worse(status, _finite(x, [1, 2, 3]), STATUS_BROKEN_IMAGE)


def _between(
    latents: tf.Tensor, latents_end: tf.Tensor, t: tf.Tensor, labels: tf.Tensor | None = None
) -> Tensors:
    """Makes rows of latents on the arc from one to the other, with the labels given."""
    rows = {"latents": interpolate(latents, latents_end, t)}
    return rows if labels is None else rows | {"labels": labels}


def _turned(
    vectors: np.ndarray,
    latents: tf.Tensor,
    strengths: tf.Tensor,
    labels: tf.Tensor | None = None,
) -> Tensors:
    """Makes rows of latents turned along directions by angles [N, K], with the labels given."""
    rows = {"latents": turned(latents, vectors, strengths)}
    return rows if labels is None else rows | {"labels": labels}


def _info(Gs: Generator, facts: Facts, sha256: str) -> Callable[[tf.Tensor], Tensors]:
    """Makes the function of the signature `info`: the same facts for every row of `dummy`."""
    resolution_log2, _ = Gs.stage(Gs.lod)
    (height, width), (low, high) = (
        Gs.config.base.size_at(resolution_log2),
        facts.depth.value_range,
    )
    values: dict[str, Any] = {
        "name": facts.name,
        "resolution": 2**resolution_log2,
        "height": height,
        "width": width,
        "channels": Gs.config.num_channels,
        "latent_size": Gs.latent_size,
        "label_size": Gs.config.label_size,
        "lod": f"{Gs.lod:g}",
        "range": f"images: {low:g} ... {high:g}; images_float: 0 ... 1",
        "low": low,
        "high": high,
        "label_groups": json.dumps([group.as_json() for group in facts.groups_of(Gs)]),
        "kimg": -1 if facts.kimg is None else facts.kimg,
        "fid": "unknown" if facts.fid is None else f"{facts.fid:g}",
        "weights_sha256": sha256,
    }
    texts = {"label_names": label_names(Gs, facts)}
    if facts.directions:
        texts["direction_names"] = list(facts.directions)

    def info(dummy: tf.Tensor) -> Tensors:
        num = tf.shape(dummy)[:1]
        constants = {name: tf.constant(value) for name, value in values.items()}
        constants |= {name: tf.constant(value, tf.string) for name, value in texts.items()}
        return {x: tf.broadcast_to(v, tf.concat([num, v.shape], 0)) for x, v in constants.items()}

    return info


def label_names(Gs: Generator, facts: Facts) -> list[str]:
    """Lists one name per label column: the dataset's, or the column's number."""
    names = facts.label_names or tuple(map(str, range(Gs.config.label_size)))
    if len(names) != Gs.config.label_size:
        raise ValueError(
            "`label_names` must have one name per label column. "
            f"Received: {len(names)} names, label_size={Gs.config.label_size}."
        )
    return list(names)


def _finite(x: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    return tf.reduce_all(tf.math.is_finite(x), axis=axes)


def _worse(status: tf.Tensor, sound: tf.Tensor, code: int) -> tf.Tensor:
    """Sets the status of rows that are not sound and had none yet."""
    return tf.where((status == STATUS_OK) & ~sound, code, status)


def _masked(x: tf.Tensor, status: tf.Tensor) -> tf.Tensor:
    """Zeroes the images [N, H, W, C] of spoiled rows, even those that hold NaN."""
    sound = tf.cast(status == STATUS_OK, x.dtype)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    # Multiplying takes 4 ms for eight images of 1024x1024 on the CPU, tf.where takes 70.
    return tf.math.multiply_no_nan(x, sound) if x.dtype.is_floating else x * sound
