"""DICOM files as stacks of frames, by the package pydicom.

Nothing of a file but its pixels leaves this module, except a hash of the patient, a window, and the
unit of the values. Messages name tags and types, never their values, which may be names or dates.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from pgtf.dataset.exporter import SHUFFLE_SEED
from pgtf.dataset.isolated import Isolation
from pgtf.dataset.sources.optional import import_optional
from pgtf.dataset.sources.ranges import Range
from pgtf.dataset.sources.stacks import (
    MAX_BYTES,
    Reading,
    Stack,
    Unusable,
    errors_of,
    memory_for,
)

COLORS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420")
MAGIC, MAGIC_AT = b"DICM", 128  # at the start of a file
HASH_DIGITS = 16
MAX_UNIT = 16  # letters of a unit


def open_dicom(path: str, reading: Reading) -> Stack:
    """Opens the frames of a file, with its modality LUT: CT in Hounsfield units.

    Another process reads it: decoders of JPEG 2000 and others are written in C, and small files
    may unpack to any size.

    Raises:
        OSError, ValueError: it cannot be read, or has no pixels that can be.
    """
    import_optional("pydicom", "pydicom")
    values, facts = _ISOLATION(path, max_bytes=memory_for(path))
    num, height, width, channels = values.shape
    return Stack(
        num=num,
        shape=(height, width, channels),
        read=lambda number: values[number],
        num_bytes=values.nbytes,
        is_volume=num > 1,
        **facts,
    )


def read_dicom(path: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Reads a file: -> values of its frames [N, H, W, C], and some of the fields of its Stack.

    Raises:
        MemoryError, OSError, ValueError: it cannot be read, or has no pixels that can be.
    """
    pydicom = import_optional("pydicom", "pydicom")
    with errors_of("DICOM", "pydicom"):
        header = pydicom.dcmread(path)
        if "PixelData" not in header:
            raise Unusable("has no pixel data")
        photometric = str(header.get("PhotometricInterpretation", ""))
        if photometric not in ("MONOCHROME1", "MONOCHROME2", *COLORS):
            known = photometric if photometric == "PALETTE COLOR" else "of another kind"
            raise Unusable(f"must be gray or RGB, found {known} (PhotometricInterpretation)")
        _check_decoder(pydicom, header)
        _check_length(header)
        frames = _frames(header)
        values = np.stack([_in_units(header, x, i) for i, x in enumerate(frames)])
        facts = {
            "unit": _unit(header),
            "subject": _subject(header),
            "window": _window(header),
            "is_burned_in": str(header.get("BurnedInAnnotation", "")).strip().upper() == "YES",
        }
    if photometric not in COLORS:
        values = values[..., np.newaxis]
    return values, facts


_ISOLATION = Isolation(read_dicom)  # of this process


def _check_decoder(pydicom: Any, header: Any) -> None:
    """Raises ValueError for pixels that nothing installed can decode; names what could."""
    syntax = header.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return
    try:
        decoder = pydicom.pixels.get_decoder(syntax)
    except NotImplementedError:
        raise Unusable(f"nothing decodes its transfer syntax, {syntax.name}") from None
    if not decoder.is_available:
        packages = "; or ".join(
            text.split(" requires ")[-1] for text in decoder.missing_dependencies
        )
        raise Unusable(f"its transfer syntax, {syntax.name}, needs a package: {packages}")


def _check_length(header: Any) -> None:
    """Raises ValueError for pixels that are not there, or too many."""
    num_values = (
        int(header.Rows)
        * int(header.Columns)
        * int(header.get("SamplesPerPixel", 1))
        * int(header.get("NumberOfFrames", 1) or 1)
    )
    if num_values * 8 > MAX_BYTES:
        raise Unusable(f"must have at most {MAX_BYTES >> 30} GiB of values")
    if header.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    num_bytes = num_values * int(header.BitsAllocated) // 8
    if header.get("PhotometricInterpretation") == "YBR_FULL_422":
        num_bytes = num_bytes * 2 // 3
    if len(header.PixelData) < num_bytes:
        raise Unusable(
            f"pixel data are truncated, found {len(header.PixelData)} of {num_bytes} bytes"
        )


def _frames(header: Any) -> np.ndarray:
    """Stored values of all frames: [N, H, W], or RGB [N, H, W, 3]; MONOCHROME1 is inverted."""
    try:
        pixels: np.ndarray = header.pixel_array
    except RuntimeError:  # Every decoder that is installed has failed.
        syntax = header.file_meta.TransferSyntaxUID.name
        raise Unusable(
            f"nothing installed decodes its pixels, {syntax}: they are damaged, or need another "
            "package, such as pylibjpeg[all]"
        ) from None
    is_color = header.PhotometricInterpretation in COLORS
    if pixels.ndim == (3 if is_color else 2):
        pixels = pixels[np.newaxis]
    if header.PhotometricInterpretation != "MONOCHROME1":
        return pixels
    # The lowest possible value is the highest one, and the other way around.
    bits = int(header.get("BitsStored", header.BitsAllocated))
    ends = -1 if header.get("PixelRepresentation", 0) == 1 else (1 << bits) - 1
    return np.asarray(ends - pixels.astype(np.int64))


def _in_units(header: Any, frame: np.ndarray, number: int) -> np.ndarray:
    """Applies the modality LUT or the rescaling of a frame; integers stay integers."""
    if "ModalityLUTSequence" in header and len(header.ModalityLUTSequence):
        pixels = import_optional("pydicom.pixels", "pydicom")
        return np.asarray(pixels.apply_modality_lut(frame, header))
    place = _rescaling(header, number)
    slope, intercept = float(place.get("RescaleSlope", 1)), float(place.get("RescaleIntercept", 0))
    if (slope, intercept) == (1, 0):
        return frame
    if slope.is_integer() and intercept.is_integer():
        return np.asarray(frame.astype(np.int64) * int(slope) + int(intercept))
    return frame * slope + intercept


def _rescaling(header: Any, number: int) -> Any:
    """The part of a header that holds the rescaling of a frame: its own in enhanced files."""
    groups = [*header.get("PerFrameFunctionalGroupsSequence", [])[number : number + 1]]
    groups += [*header.get("SharedFunctionalGroupsSequence", [])[:1]]
    for group in groups:
        if found := group.get("PixelValueTransformationSequence"):
            return found[0]
    return header


def _unit(header: Any) -> str:
    """Unit of the values: "HU" of CT, others as they are named, "" if that is not known."""
    place = _rescaling(header, 0)
    luts = header.get("ModalityLUTSequence")
    found = luts[0].get("ModalityLUTType") if luts else place.get("RescaleType")
    if not found and "RescaleSlope" in place and header.get("Modality") == "CT":
        found = "HU"  # DICOM PS3.3, C.11.1.1.2
    found = str(found or header.get("Units") or "")
    is_plain = not found or (found.isalnum() and len(found) <= MAX_UNIT)
    return found if is_plain else "another"  # Anybody may have written anything there.


def _window(header: Any) -> Range | None:
    """The header's first window: values to show as black and white; None if it has none."""
    if header.PhotometricInterpretation == "MONOCHROME1":  # It is meant for the other way around.
        return None
    found = []
    for name in ("WindowCenter", "WindowWidth"):
        value = header.get(name)
        value = value[0] if value.__class__.__name__ == "MultiValue" and value else value
        found.append(float(value) if value not in (None, "") else 0.0)
    center, width = found
    if not (np.isfinite(found).all() and width > 1):
        return None
    return center - width / 2, center + width / 2


def _subject(header: Any) -> str | None:
    """A hash that tells patients apart, and nothing else; None if the file names none."""
    text = str(header.get("PatientID") or header.get("StudyInstanceUID") or "").strip()
    if not text:
        return None
    return hashlib.sha256(f"{SHUFFLE_SEED} {text}".encode()).hexdigest()[:HASH_DIGITS]
