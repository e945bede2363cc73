"""Shape, type and range of a dataset of arrays, which all its files decide together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from pgtf.dataset.description import DTYPE
from pgtf.dataset.exporter import Options
from pgtf.dataset.pyramid import refuse_size, size_of
from pgtf.dataset.sources.array_options import ArrayOptions
from pgtf.dataset.sources.array_survey import REAL, Facts
from pgtf.dataset.sources.deep import check_resolved, full_range, percentile_range
from pgtf.dataset.sources.ranges import Range
from pgtf.dataset.tfrecords import MAX_CHANNELS
from pgtf.foreign.samples import UINT16_MAX

RGB = 3  # channels of color pictures
FIRST_CHANNELS = " --layout=NCHW reads arrays whose channels come first."


@dataclasses.dataclass(frozen=True)
class Target:
    """Shape, type and range of the images of a dataset, and the values of masks."""

    size: tuple[int, int]
    channels: int  # without those of masks
    dtype: str
    value_range: Range
    stretched: bool  # The range of the files becomes all of uint8.
    masks: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W]."""
        return self.channels + len(self.masks), *self.size

    @property
    def mask_range(self) -> Range:
        """Values that mean no and yes: the ends of the range, as far as the type holds them."""
        if self.dtype == "float32":
            return self.value_range
        low, high = full_range(self.dtype, self.value_range)
        if self.dtype == DTYPE:
            return low, high
        return max(low, self.value_range[0]), min(high, self.value_range[1])


def target_of(first: str, facts: Sequence[Facts], arrays: ArrayOptions, options: Options) -> Target:
    """Decides shape, type and range of the dataset.

    Raises:
        ValueError: the images have no pyramid, or the range is none.
    """
    height, width, channels = facts[0].shape
    if arrays.resolution is not None:
        size = size_of(arrays.resolution, options.grid)
    elif options.grid.level_of(height, width) is None:
        is_first = arrays.layout == "NHWC" and options.grid.level_of(width, channels) is not None
        raise ValueError(
            f"{first}: {refuse_size(height, width, options.grid)} Received: {height}x{width}. "
            f"--resolution and --transform convert.{FIRST_CHANNELS if is_first else ''}"
        )
    else:
        size = (height, width)
    extent = min(x.extent[0] for x in facts), max(x.extent[1] for x in facts)
    kinds = {x.kind for x in facts}
    dtype = arrays.dtype
    if dtype is None:
        is_small = REAL not in kinds and 0 <= extent[0] and extent[1] <= UINT16_MAX
        dtype = "float32" if not is_small else "uint8" if kinds == {"uint8"} else "uint16"
    stretched = dtype == DTYPE and (kinds != {"uint8"} or arrays.value_range is not None)
    try:
        value_range = _range_of(facts, arrays, extent, dtype, stretched)
    except ValueError as error:
        raise ValueError(f"{first}: {error}.") from None
    masks = tuple(sorted({value for x in facts for value in x.masks}))
    if arrays.with_masks is not None and not masks:
        raise ValueError(f"{arrays.with_masks}: all masks are empty.")
    if channels + len(masks) > MAX_CHANNELS:
        of_masks = f", {len(masks)} of them of masks" if masks else ""
        raise ValueError(
            f"{first}: must have 1 to {MAX_CHANNELS} channels. Received: "
            f"{channels + len(masks)}{of_masks}.{FIRST_CHANNELS if not masks else ''}"
        )
    return Target(size, channels, dtype, value_range, stretched, masks)


def _range_of(
    facts: Sequence[Facts], arrays: ArrayOptions, extent: Range, dtype: str, stretched: bool
) -> Range:
    if arrays.value_range is None and dtype == DTYPE and not stretched:
        return full_range(DTYPE, extent)
    if arrays.value_range is None:
        # Fractions that are stretched to 8 bits need bounds with fractions.
        has_fractions = stretched and any(x.kind == REAL for x in facts)
        samples = (x.samples for x in facts)
        of_bounds = "float32" if has_fractions else dtype
        return percentile_range(samples, extent, arrays.percentiles, of_bounds)
    value_range = extent if arrays.value_range == "auto" else arrays.value_range
    if dtype == "float32":
        check_resolved(value_range)
    return value_range


def facts_of(facts: Sequence[Facts], target: Target) -> dict[str, Any]:
    """Fields of dataset.json."""
    meta: dict[str, Any] = {}
    if target.dtype != DTYPE or target.stretched:
        bounds = target.value_range
        meta["range"] = [int(bound) if bound.is_integer() else bound for bound in bounds]
    windows = [x.window for x in facts if x.window is not None]
    if windows and target.dtype != DTYPE:
        meta["preview_range"] = [float(bound) for bound in np.median(windows, axis=0)]
    if target.masks:
        meta["masks"] = list(target.masks)  # Value i of the masks is channel i of the last ones.
        if target.channels < RGB <= target.channels + len(target.masks):
            meta["preview"] = "0"  # Masks are no colors.
    return meta
