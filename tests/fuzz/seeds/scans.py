"""Arrays, volumes and scans for create_from_arrays."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from pgtf import lazy
from tests.fuzz.cases import Case
from tests.fuzz.seeds import files
from tests.fuzz.seeds.tables import npy

# The command line does without them.
nibabel = lazy.Module("nibabel")
pydicom = lazy.Module("pydicom")
tifffile = lazy.Module("tifffile")

PLAIN = ("MR_small.dcm", "MR_small_bigendian.dcm", "liver_expb_1frame.dcm", "rtdose_1frame.dcm")
PACKED = (
    *("MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_jpeg_dcmtk.dcm", "image_dfl.dcm"),
    *("SC_rgb_rle_2frame.dcm", "JPEG2000.dcm"),
)


def volumes() -> list[Case]:
    """Uncompressed NIfTI files of several types, scaled, of both versions, and colors."""
    values = np.random.RandomState(2).randint(0, 1000, (8, 8, 3))
    scaled = nibabel.Nifti1Image(values.astype(np.int16), np.diag([2, 1, 1, 1]))
    scaled.header.set_slope_inter(0.5, -3)
    colors = np.zeros((8, 8, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    colors["G"] = values[..., :2] % 256
    images = [
        scaled,
        nibabel.Nifti1Image(values.astype(np.float32)[..., np.newaxis], np.eye(4)[[1, 0, 2, 3]]),
        nibabel.Nifti2Image(values.astype(np.uint8), np.eye(4)),
        nibabel.Nifti1Image(colors, np.eye(4)),
    ]
    return [{"in/a.nii": image.to_bytes()} for image in images]


def dicom(*names: str) -> list[Case]:
    """Scans of pydicom's own tests."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    return [{"in/a.dcm": content} for content in files(*names, folder=folder).values()]


def arrays() -> list[Case]:
    """NumPy files of several types, with masks."""
    values = np.random.RandomState(3).randint(0, 255, (5, 8, 8, 2))
    packed = io.BytesIO()
    np.savez_compressed(packed, images=values.astype(np.uint16), labels=np.arange(5))
    return [
        {"in/a.npy": npy(values.astype(np.float32)), "in/b.npy": npy(values.astype(np.uint8))},
        {"in/a.npz": packed.getvalue()},
    ]


def tiff() -> list[Case]:
    """TIFF files of pages or planes, packed or not, small or big, with what programs note."""
    values = np.random.RandomState(4).randint(0, 1000, (3, 16, 16)).astype(np.uint16)
    zeros = np.zeros((3, 16, 16), np.float32) + np.eye(16, dtype=np.float32)
    kinds = [
        (values, {}),
        (values, {"bigtiff": True, "metadata": None}),
        (zeros, {"compression": "zlib", "tile": (16, 16)}),
        (values, {"photometric": "minisblack", "planarconfig": "separate"}),
        (values, {"ome": True}),
        (values, {"imagej": True}),
    ]
    found = []
    for array, options in kinds:
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, array, **options)
        found.append({"in/a.tif": buffer.getvalue()})
    return found
