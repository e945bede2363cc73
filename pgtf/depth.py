"""Type and range of a dataset's values, which generated images have too.

Where a picture is shown, 8 bits of some channels are: see `pgtf.previews`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from pgtf import images, previews

TYPES = ("uint8", "uint16", "float32")
PREVIEW_FIELDS = ("preview", "preview_range")  # of dataset.json and of snapshots


@dataclasses.dataclass(frozen=True)
class Depth:
    """Type of stored values, and those of them that are -1 and 1 to networks."""

    dtype: str = "uint8"
    value_range: tuple[float, float] = images.UINT8_DRANGE
    preview: str | None = None  # channels or colour map of pictures; None = the first channels
    preview_range: tuple[float, float] | None = None  # black and white; None = `value_range`

    def __post_init__(self) -> None:
        low, high = self.value_range
        if self.dtype not in TYPES or not np.isfinite([low, high]).all() or low >= high:
            types = ", ".join(TYPES)
            raise ValueError(
                f"`dtype` must be one of {types}, and `range` two numbers, the lower one first. "
                f"Received: {self.text}."
            )

    @classmethod
    def of(cls, source: Any) -> Depth:
        """Returns that of a dataset, or of anything with a `dtype` and a `value_range`."""
        low, high = source.value_range
        meta = {"dtype": np.dtype(source.dtype).name, "range": (low, high)}
        own = getattr(source, "meta", {})
        return cls.from_json(meta | {name: own[name] for name in PREVIEW_FIELDS if name in own})

    @classmethod
    def from_json(cls, meta: Mapping[str, Any]) -> Depth:
        """Reads `dtype` and `range` of a snapshot's notes; without them, 8-bit images."""
        if "dtype" not in meta:
            return cls()
        low, high = meta["range"]
        shown = meta.get("preview_range")
        return cls(
            meta["dtype"],
            (float(low), float(high)),
            meta.get("preview"),
            None if shown is None else (float(shown[0]), float(shown[1])),
        )

    def as_json(self) -> dict[str, Any]:
        """Describes it as `from_json` reads it."""
        fields: dict[str, Any] = {"dtype": self.dtype, "range": list(self.value_range)}
        fields |= {name: getattr(self, name) for name in PREVIEW_FIELDS if getattr(self, name)}
        return fields

    def check_preview(self) -> None:
        """Raises ValueError if pictures cannot be made here: a color map needs matplotlib.

        Long work calls it first, so that it does not fail when it draws its result.
        """
        if self.preview is not None:
            previews.check_mapping(self.preview)

    @property
    def is_8bit(self) -> bool:
        """True for values of uint8, as the original's."""
        return self.dtype == "uint8"

    @property
    def text(self) -> str:
        """Describes type and range: "uint16, 0 to 4095"."""
        low, high = self.value_range
        return f"{self.dtype}, {low:g} to {high:g}"

    def to_model(self, values: np.ndarray) -> np.ndarray:
        """Maps stored values to [-1, 1]; see `images.to_model`."""
        return images.to_model(values, self.value_range)

    def from_model(self, found: np.ndarray) -> np.ndarray:
        """Maps [-1, 1] to stored values; see `images.from_model`."""
        return images.from_model(found, self.value_range, np.dtype(self.dtype))

    def tensor_from_model(self, found: Any) -> Any:
        """Does `from_model` for tensors of TensorFlow."""
        return images.tensor_from_model(found, self.value_range, np.dtype(self.dtype))

    def levels(self, values: np.ndarray) -> np.ndarray:
        """Puts stored values on the scale 0 to 255: uint8 as they are, others as float32."""
        if values.dtype == np.uint8:
            return values
        return images.adjust_drange(self.to_model(values), images.DRANGE, images.UINT8_DRANGE)

    def shown(self, found: np.ndarray, mapping: str | None = None) -> np.ndarray:
        """Makes a picture of images in [-1, 1]: [..., H, W, C] -> uint8 [..., H, W, 1 or 3]."""
        shown = images.DRANGE
        if self.preview_range is not None:
            low, high = (
                images.adjust_drange(bound, self.value_range, images.DRANGE)
                for bound in self.preview_range
            )
            shown = float(low), float(high)
        return previews.to_rgb(found, shown, mapping or self.preview)

    def shown_values(self, values: np.ndarray, mapping: str | None = None) -> np.ndarray:
        """Makes a picture of stored values: [..., H, W, C] -> uint8 [..., H, W, 1 or 3]."""
        shown = self.preview_range or self.value_range
        return previews.to_rgb(values, shown, mapping or self.preview)

    def picture(self, images_: np.ndarray) -> np.ndarray:
        """Makes a picture of uint8, or of floats in [-1, 1]."""
        return self.shown_values(images_) if images_.dtype == np.uint8 else self.shown(images_)


EIGHT_BITS = Depth()  # the original's
