"""Values of the pixels of DICOM files, in the unit that the file means."""

from __future__ import annotations

from typing import Any

import numpy as np

from pgtf.dataset.sources.optional import import_optional
from pgtf.dataset.sources.patients import hashed
from pgtf.dataset.sources.stacks import Unusable

COLORS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420")
INVERTED = "MONOCHROME1"
# Units of CT and others, PET, and doses: DICOM PS3.3, C.11.1.1.2, C.8.9.1 and C.8.8.3.
UNITS = frozenset(
    "OD HU US MGML Z_EFF ED EDW HU_MOD PCT CNTS NONE CM2 CM2ML PCNT CPS BQML MGMINML UMOLMINML "
    "MLMING MLG 1CM UMOLML PROPCNTS PROPCPS MLMINML MLML GML STDDEV GY RELATIVE".split()
)


def in_units(header: Any) -> np.ndarray:
    """Values of all frames: [N, H, W], or RGB [N, H, W, 3]; integers where units have no fractions.

    MONOCHROME1 is inverted: the lowest possible value becomes the highest one, and the other way
    around. Padding becomes the lowest of the other values, and bits are bools.
    """
    stored = _frames(header)
    is_inverted = header.PhotometricInterpretation == INVERTED
    padding = None if header.PhotometricInterpretation in COLORS else _padding(header, stored)
    if "ModalityLUTSequence" in header and len(header.ModalityLUTSequence):
        values = np.stack([_from_table(header, frame, is_inverted) for frame in stored])
    else:
        pixels = _inverted(header, stored) if is_inverted else stored
        values = np.stack([_rescaled(header, x, i) for i, x in enumerate(pixels)])
    if padding is not None and padding.any() and not padding.all():
        values = np.where(padding, values[~padding].min(), values)
    return values != 0 if int(header.BitsAllocated) == 1 else values


def unit_of(header: Any) -> str:
    """Unit of the values, "" if that is not known.

    Anybody may have written anything there, so any other text than a known unit is a hash.
    """
    place = _rescaling(header, 0)
    luts = header.get("ModalityLUTSequence")
    found = luts[0].get("ModalityLUTType") if luts else place.get("RescaleType")
    if not found and "RescaleSlope" in place and header.get("Modality") == "CT":
        found = "HU"
    found = str(found or header.get("Units") or header.get("DoseUnits") or "").strip().upper()
    return found if not found or found in UNITS else f"another unit ({hashed(found)[:4]})"


def _frames(header: Any) -> np.ndarray:
    """Stored values: [N, H, W], or [N, H, W, 3]."""
    try:
        pixels: np.ndarray = header.pixel_array
    except RuntimeError:  # Every decoder that is installed has failed.
        syntax = header.file_meta.TransferSyntaxUID.name
        raise Unusable(
            f"nothing installed decodes its pixels, {syntax}: they are damaged, or need another "
            "package, such as pylibjpeg[all]"
        ) from None
    is_color = header.PhotometricInterpretation in COLORS
    return pixels[np.newaxis] if pixels.ndim == (3 if is_color else 2) else pixels


def _inverted(header: Any, pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype.kind == "f":
        return -pixels
    bits = int(header.get("BitsStored", header.BitsAllocated))
    ends = -1 if header.get("PixelRepresentation", 0) == 1 else (1 << bits) - 1
    return np.asarray(ends - pixels.astype(np.int64))


def _padding(header: Any, stored: np.ndarray) -> np.ndarray | None:
    """True for pixels that are none, such as those around the circle of a CT; None without any."""
    kind = "Float" if "FloatPixelData" in header else "DoubleFloat"
    name = f"{kind}Pixel" if stored.dtype.kind == "f" else "Pixel"
    found = header.get(f"{name}PaddingValue")
    if found in (None, ""):
        return None
    limit = header.get(f"{name}PaddingRangeLimit")
    ends = [found, found if limit in (None, "") else limit]
    if stored.dtype.kind == "f":
        low, high = sorted(map(float, ends))
        return np.isnan(stored) if np.isnan(low) else (stored >= low) & (stored <= high)
    # Some files give the value of signed pixels as an unsigned number.
    bits = 8 * stored.itemsize
    whole = [int(end) % (1 << bits) for end in ends]
    if stored.dtype.kind == "i":
        whole = [end - (1 << bits) if end >> (bits - 1) else end for end in whole]
    return (stored >= min(whole)) & (stored <= max(whole))


def _from_table(header: Any, frame: np.ndarray, is_inverted: bool) -> np.ndarray:
    """Looks the pixels of a frame up in the modality LUT."""
    pixels = import_optional("pydicom.pixels", "pydicom")
    values = np.asarray(pixels.apply_modality_lut(frame, header))
    if not is_inverted:
        return values
    num, first, _ = header.ModalityLUTSequence[0].LUTDescriptor
    entries = int(first) + np.arange(int(num) or 1 << 16)
    table = np.asarray(pixels.apply_modality_lut(entries, header)).astype(np.int64)
    return np.asarray(table.min() + table.max() - values)


def _rescaled(header: Any, frame: np.ndarray, number: int) -> np.ndarray:
    """Applies the rescaling of a frame; integers stay integers."""
    place = _rescaling(header, number)
    slope, intercept = _number(place, "RescaleSlope", 1), _number(place, "RescaleIntercept", 0)
    slope *= _number(header, "DoseGridScaling", 1)
    if (slope, intercept) == (1, 0):
        return frame
    if slope.is_integer() and intercept.is_integer() and frame.dtype.kind in "iu":
        return np.asarray(frame.astype(np.int64) * int(slope) + int(intercept))
    return frame * slope + intercept


def _number(place: Any, name: str, default: float) -> float:
    """A field that may be missing or blank."""
    value = place.get(name)
    return float(default if value in (None, "") else value)


def _rescaling(header: Any, number: int) -> Any:
    """The part of a header that holds the rescaling of a frame: its own in enhanced files."""
    groups = [*header.get("PerFrameFunctionalGroupsSequence", [])[number : number + 1]]
    groups += [*header.get("SharedFunctionalGroupsSequence", [])[:1]]
    for group in groups:
        if found := group.get("PixelValueTransformationSequence"):
            return found[0]
    return header
