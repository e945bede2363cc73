"""Scans and volumes as hospitals have them, and the command that reads them."""

import pathlib

import numpy as np
import pytest

from pgtf.dataset import inspection
from tests.dataset.commands import run

nibabel = pytest.importorskip("nibabel")
pydicom = pytest.importorskip("pydicom")
SCANS = pathlib.Path(pydicom.__file__).parent / "data" / "test_files"
NAME, DATE = "Doe^Jane", "19630413"


def make(tmp_path, source, *flags):
    assert run("create_from_arrays", tmp_path / "out", source, "--shuffle=0", *flags) == 0
    return inspection.verify(str(tmp_path / "out"))


def fail(tmp_path, source, capsys, *flags):
    """Returns the one line of a command that ends with exit code 2."""
    assert run("create_from_arrays", tmp_path / "out", source, *flags) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert not (tmp_path / "out").exists()
    return line


def volume(path, values, affine=None, slope=None):
    image = nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine)
    if slope is not None:
        image.header.set_data_dtype(np.int16)
        image.header.set_slope_inter(*slope)
    nibabel.save(image, path)
    return path


def scan(path, values, **fields):
    """Writes a scan with a patient's data in all places that usually have some."""
    header = pydicom.Dataset()
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.SOPClassUID = pydicom.uid.CTImageStorage
    header.SOPInstanceUID = header.StudyInstanceUID = "1.2.840.77777"
    header.PatientName, header.PatientID, header.StudyDate = NAME, f"id {NAME}", DATE
    header.PatientBirthDate = DATE
    header.SamplesPerPixel = 3 if values.shape[-1] == 3 else 1
    header.PlanarConfiguration = 0
    header.PhotometricInterpretation = "RGB" if values.shape[-1] == 3 else "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 8 * values.itemsize
    header.HighBit = header.BitsStored - 1
    header.PixelRepresentation = int(values.dtype.kind == "i")
    shape = values.shape[:-1] if values.shape[-1] == 3 else values.shape
    *frames, header.Rows, header.Columns = shape
    if frames:
        header.NumberOfFrames = frames[0]
    header.PixelData = values.tobytes()
    for name, value in fields.items():
        setattr(header, name, value)
    header.save_as(path, enforce_file_format=True)
    return path


def noise(*shape, dtype=np.uint16, high=4096):
    return np.random.default_rng(0).integers(0, high, shape).astype(dtype)
