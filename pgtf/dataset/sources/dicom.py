"""DICOM files as stacks of frames, by the package pydicom.

Nothing of a file but its pixels leaves this module, except hashes of what it says of the patient, a
window, and the unit of the values. Messages name tags and types, never their values, which may be
names or dates.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pgtf.dataset.isolated import Isolation
from pgtf.dataset.sources.dicom_values import COLORS, INVERTED, in_units, unit_of
from pgtf.dataset.sources.optional import import_optional
from pgtf.dataset.sources.patients import private_of, subject_of
from pgtf.dataset.sources.ranges import Range
from pgtf.dataset.sources.stacks import (
    MAX_BYTES,
    Reading,
    Stack,
    Unusable,
    errors_of,
    memory_for,
    of_array,
)

MAGIC, MAGIC_AT = b"DICM", 128  # at the start of a file
RGB = 3  # samples of a pixel
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def open_dicom(path: str, reading: Reading) -> Stack:
    """Opens the frames of a file, with its modality LUT: CT in Hounsfield units.

    Another process reads it: decoders of JPEG 2000 and others are written in C, and small files
    may unpack to any size.

    Raises:
        OSError, ValueError: it cannot be read, or has no pixels that can be.
    """
    import_optional("pydicom", "pydicom")
    values, facts = _ISOLATION(path, max_bytes=memory_for(path))
    stack = of_array(values, values.nbytes)
    return dataclasses.replace(stack, is_volume=stack.num > 1, **facts)


def read_dicom(path: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Reads a file: -> values of its frames [N, H, W, C], and some of the fields of its Stack.

    Raises:
        MemoryError, OSError, ValueError: it cannot be read, or has no pixels that can be.
    """
    pydicom = import_optional("pydicom", "pydicom")
    with errors_of("DICOM", "pydicom"):
        header = pydicom.dcmread(path)
        if not any(name in header for name in PIXELS):
            raise Unusable("has no pixel data")
        photometric = str(header.get("PhotometricInterpretation", ""))
        if photometric not in (INVERTED, "MONOCHROME2", *COLORS):
            known = photometric if photometric == "PALETTE COLOR" else "of another kind"
            raise Unusable(f"must be gray or RGB, found {known} (PhotometricInterpretation)")
        _check_decoder(pydicom, header)
        _check_length(header)
        _check_samples(header)
        values = in_units(header)
        facts = {
            "unit": unit_of(header),
            "subject": subject_of(header),
            "private": private_of(header),
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
    found = max(len(header[name].value) for name in PIXELS if name in header)
    if found < num_bytes:
        raise Unusable(f"pixel data are truncated, found {found} of {num_bytes} bytes")


def _check_samples(header: Any) -> None:
    """Raises ValueError for pixels that are not what the header says of them."""
    found = int(header.get("SamplesPerPixel", 1))
    wanted = RGB if header.PhotometricInterpretation in COLORS else 1
    if found != wanted:
        raise Unusable(f"must have {wanted} samples per pixel, found {found} (SamplesPerPixel)")
    highest, bits = header.get("HighBit"), header.get("BitsStored")
    is_plain = not header.file_meta.TransferSyntaxUID.is_encapsulated and "PixelData" in header
    if is_plain and None not in (highest, bits) and int(highest) != int(bits) - 1:
        raise Unusable(
            f"must have values in its lowest bits, found bit {highest} as the highest of {bits} "
            "(HighBit)"
        )


def _window(header: Any) -> Range | None:
    """The header's first window: values to show as black and white; None if it has none."""
    if header.PhotometricInterpretation == INVERTED:  # It is meant for the other way around.
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
