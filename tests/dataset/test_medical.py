"""create_from_arrays: NIfTI volumes and DICOM scans, on files that others made."""

import gzip
import json
import pathlib
import re
import tracemalloc
import zlib

import numpy as np
import pytest

from pgtf.dataset import open_dataset
from pgtf.dataset.sources.nifti import open_nifti
from pgtf.dataset.sources.stacks import Reading
from tests.dataset.commands import run
from tests.dataset.scans import NAME, SCANS, fail, make, noise, scan, volume

nibabel = pytest.importorskip("nibabel")
pydicom = pytest.importorskip("pydicom")
EXAMPLE = pathlib.Path(nibabel.__file__).parent / "tests" / "data" / "example4d.nii.gz"


def test_a_series_of_volumes_has_16_bits_and_a_grid_of_4x3(tmp_path):
    dataset = make(tmp_path, EXAMPLE, "--grid=4x3")
    image = nibabel.as_closest_canonical(nibabel.load(EXAMPLE))
    values = np.asanyarray(image.dataobj)  # [x, y, z, t]
    assert (dataset.size, dataset.num_images) == ((128, 96), 48)
    assert [*dataset.files] == [2, 3, 4, 5, 6, 7]
    assert dataset.dtype == np.uint16
    expected = values.transpose(3, 2, 0, 1).reshape(48, 128, 96)
    np.testing.assert_array_equal(dataset.read_images(range(48))[..., 0], expected)
    low, high = np.percentile(expected[:, ::7, ::5], (0.1, 99.9))
    assert dataset.value_range == pytest.approx((low, high), rel=0.02)


@pytest.mark.parametrize(("axis", "place"), [("x", 0), ("y", 1), ("z", 2)])
def test_slices_lie_across_an_axis_of_the_canonical_orientation(axis, place, tmp_path):
    values = np.arange(8 * 8 * 8, dtype=np.int16).reshape(8, 8, 8)
    affine = np.array([[0, 0, 2, 0], [-2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1]], float)
    path = volume(tmp_path / "x.nii", values, affine)
    dataset = make(tmp_path, path, f"--axis={axis}")
    # World x is the last axis, world y the first one backwards, world z the second.
    canonical = values.transpose(2, 0, 1)[:, ::-1]
    expected = np.moveaxis(canonical, place, 0)
    np.testing.assert_array_equal(dataset.read_images(range(8))[..., 0], expected)


def test_pixels_that_are_not_square_are_resampled_to_the_smaller_side(tmp_path):
    values = np.zeros((8, 4, 2), np.int16)
    values[:, 2:] = 100
    path = volume(tmp_path / "x.nii", values, np.diag([1, 2, 5, 1]))
    found = make(tmp_path, path).read_images([0])[0, ..., 0]
    assert found.shape == (8, 8)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, [[0, 0, 0, 25, 75, 100, 100, 100]] * 8)


def test_a_volume_whose_header_is_repaired_or_absurd_is_one_line_or_read(tmp_path, capfd):
    path = volume(tmp_path / "x.nii", np.arange(128, dtype=np.int16).reshape(8, 8, 2))
    content = bytearray(path.read_bytes())
    content[0:4] = bytes(4)  # sizeof_hdr, which nibabel repairs and would say so
    path.write_bytes(content)
    make(tmp_path, path)
    assert capfd.readouterr().err == ""
    path = volume(
        tmp_path / "y.nii", np.asarray(nibabel.load(path).dataobj), np.diag([1, 1e9, 1, 1])
    )
    assert run("create_from_arrays", tmp_path / "more", path) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert "y.nii: must have pixels that are nearly square, found 1x1e+09" in line


def test_scaled_values_are_those_that_the_header_means(tmp_path):
    values = np.arange(64, dtype=np.int16).reshape(8, 8, 1)
    dataset = make(tmp_path, volume(tmp_path / "x.nii", values, slope=(0.25, -3)))
    assert dataset.dtype == np.float32
    np.testing.assert_allclose(dataset.read_images([0])[0, ..., 0], values[..., 0] / 4 - 3)


def test_ct_is_in_hounsfield_units(tmp_path):
    dataset = make(tmp_path, SCANS / "CT_small.dcm")
    (found,) = dataset.read_images([0])
    stored = pydicom.dcmread(SCANS / "CT_small.dcm").pixel_array
    np.testing.assert_array_equal(found[..., 0], stored.astype(np.float64) - 1024)
    assert (found.dtype, found.min(), found.max()) == (np.float32, -896, 1167)
    assert found.shape == (128, 128, 1)


def test_mr_keeps_its_16_bits_and_its_window_is_for_previews_only(tmp_path):
    dataset = make(tmp_path, SCANS / "MR_small.dcm")
    (found,) = dataset.read_images([0])
    stored = pydicom.dcmread(SCANS / "MR_small.dcm").pixel_array
    np.testing.assert_array_equal(found[..., 0], stored)
    assert found.dtype == np.uint16
    header = pydicom.dcmread(SCANS / "MR_small.dcm")
    low = header.WindowCenter - header.WindowWidth / 2
    assert dataset.meta["preview_range"] == [low, low + header.WindowWidth]
    assert dataset.value_range != tuple(dataset.meta["preview_range"])
    shown = dataset.preview_of(found)[..., 0]
    exact = (stored.astype(float) - low) / header.WindowWidth * 255
    np.testing.assert_allclose(shown, exact.clip(0, 255), atol=0.51)


def test_monochrome1_is_inverted(tmp_path):
    values = noise(8, 8)
    fields = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11}
    dataset = make(tmp_path, scan(tmp_path / "x.dcm", values, **fields))
    np.testing.assert_array_equal(dataset.read_images([0])[0, ..., 0], 4095 - values)


def test_frames_are_images_each_with_its_own_rescaling(tmp_path):
    values = noise(3, 8, 8)
    groups = []
    for slope in (1, 2, 0.5):
        place = pydicom.Dataset()
        place.RescaleSlope, place.RescaleIntercept, place.RescaleType = slope, -10, "HU"
        group = pydicom.Dataset()
        group.PixelValueTransformationSequence = [place]
        groups.append(group)
    path = scan(tmp_path / "x.dcm", values, PerFrameFunctionalGroupsSequence=groups)
    dataset = make(tmp_path, path)
    expected = values * np.array([1, 2, 0.5])[:, np.newaxis, np.newaxis] - 10
    np.testing.assert_array_equal(dataset.read_images(range(3))[..., 0], expected)


def test_colors_are_three_channels(tmp_path):
    values = noise(8, 8, 3, dtype=np.uint8, high=256)
    dataset = make(tmp_path, scan(tmp_path / "x.dcm", values))
    assert dataset.dtype == np.uint8
    np.testing.assert_array_equal(dataset.read_images([0])[0], values)


def test_a_modality_table_is_applied(tmp_path):
    table = pydicom.Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [16, 0, 16], "OD"
    table.LUTData = (1000 + 7 * np.arange(16)).astype("<u2").tobytes()
    values = noise(4, 4, high=16)
    path = scan(tmp_path / "x.dcm", values, ModalityLUTSequence=[table])
    dataset = make(tmp_path, path)
    np.testing.assert_array_equal(dataset.read_images([0])[0, ..., 0], 1000 + 7 * values)


def test_nothing_of_a_patient_reaches_the_dataset_or_the_messages(tmp_path, capsys, caplog):
    (tmp_path / "in").mkdir()
    for i in range(6):
        fields = {"PatientID": f"{NAME} {i // 2}", "BurnedInAnnotation": "YES"}
        scan(tmp_path / "in" / f"{i}", noise(8, 8) + i, **fields)  # without extensions
    flags = ("--held_out=2",)
    assert run("create_from_arrays", tmp_path / "out", tmp_path / "in", *flags) == 0
    bad = scan(tmp_path / "bad.dcm", noise(8, 8), WindowCenter="3", RescaleType=NAME)
    content = bad.read_bytes().replace(b"DS\x02\x003 ", b"DS\x02\x00Xy")
    bad.write_bytes(content)
    assert run("create_from_arrays", tmp_path / "bad", bad) == 2
    meta = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert meta["subjects"] == 3
    assert meta["split"]["held_out"] == 2  # both images of one patient
    texts = [*capsys.readouterr(), caplog.text]
    texts += [path.read_bytes().decode("latin1") for path in (tmp_path / "out").iterdir()]
    assert re.search("6 of 6 files .*BurnedInAnnotation=YES", "".join(texts))
    for text in texts:
        assert not re.search("Doe|Jane|19630413|1\\.2\\.840", text)


def test_the_patients_of_a_set_are_held_out_whole(tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(8):
        fields = {"PatientID": f"patient {i % 4}"}
        scan(tmp_path / "in" / f"{i}.dcm", np.full((4, 4), i, np.uint16) + np.eye(4, dtype="u2"))
        scan(tmp_path / "in" / f"{i}.dcm", noise(4, 4, high=9) + 10 * i, **fields)
    flags = ("--held_out=0.3", "--split_by=subject")
    assert run("create_from_arrays", tmp_path / "out", tmp_path / "in", *flags) == 0
    kept, held = (
        {int(image.min()) // 10 % 4 for image in dataset.read_images(range(dataset.num_images))}
        for dataset in (
            open_dataset(tmp_path / "out"),
            open_dataset(tmp_path / "out", split="held_out"),
        )
    )
    assert len(kept) + len(held) == 4
    assert not kept & held


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("examples_palette.dcm", "gray or RGB, found PALETTE COLOR"),
        ("MR_small_jpeg_ls_lossless.dcm", "JPEG-LS Lossless.*needs a package: .*pylibjpeg"),
        ("JPGExtended.dcm", "decodes its pixels, JPEG Extended.*: .*pylibjpeg"),
        ("MR_truncated.dcm", "truncated"),
        ("rtplan.dcm", "has no pixel data"),
        ("no_meta.dcm", "not a DICOM file, or damaged"),
    ],
)
def test_scans_that_cannot_be_read_are_one_line(name, message, tmp_path, capsys):
    line = fail(tmp_path, SCANS / name, capsys)
    assert re.search(rf"{name}: .*{message}", line), line


def test_scans_of_other_units_are_not_mixed(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for i, unit in enumerate(("HU", "US")):
        fields = {"RescaleSlope": 1, "RescaleIntercept": 0, "RescaleType": unit}
        scan(tmp_path / "in" / f"{i}.dcm", noise(8, 8), **fields)
    line = fail(tmp_path, tmp_path / "in", capsys)
    assert re.search(r"1\.dcm: must have values in HU, as 0\.dcm .*found US", line), line


@pytest.mark.parametrize("cut", [400, 900, 20_000])
def test_damaged_volumes_are_one_line(cut, tmp_path, capsys):
    content = gzip.decompress(EXAMPLE.read_bytes())
    (tmp_path / "x.nii").write_bytes(content[:cut])
    assert "x.nii: " in fail(tmp_path, tmp_path / "x.nii", capsys, "--grid=4x3")
    (tmp_path / "y.nii.gz").write_bytes(EXAMPLE.read_bytes()[:cut])
    assert "y.nii.gz: " in fail(tmp_path, tmp_path / "y.nii.gz", capsys, "--grid=4x3")


def dicom_with(path, **fields):
    """Writes pydicom's run-length encoded example with other fields."""
    header = pydicom.dcmread(SCANS / "MR_small_RLE.dcm")
    for name, value in fields.items():
        setattr(header, name, value)
    header.save_as(path)
    return path


def nifti_with(path, *shape):
    """Writes zeros; .nii.gz packs them a thousand times."""
    content = bytearray(nibabel.Nifti1Image(np.zeros((1, 1, 1), np.uint8), np.eye(4)).to_bytes())
    content[40:56] = np.array([len(shape), *shape, *[1] * (7 - len(shape))], "<i2").tobytes()
    with gzip.open(path, "wb", 6) as file:
        file.write(content[:352])
        for _ in range(int(np.prod(shape, dtype=np.int64)) >> 20):
            file.write(bytes(1 << 20))
    return path


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1024, 1024, 260), "claims to hold 260 MiB, too much for its .* bytes; unpack it with"),
        ((1, 1, 8192, 512), "claims to hold 4194304 images, too many for its .* bytes"),
    ],
)
def test_a_small_file_cannot_claim_a_large_volume(shape, message, tmp_path, capsys):
    line = fail(tmp_path, nifti_with(tmp_path / "x.nii.gz", *shape), capsys)
    assert re.search(rf"x[.]nii[.]gz: {message}", line), line


def test_a_small_scan_cannot_claim_much_memory(tmp_path, capsys):
    path = dicom_with(tmp_path / "x.dcm", Rows=30000, Columns=30000)
    line = fail(tmp_path, path, capsys)
    assert re.search("x[.]dcm: damaged: reading it takes more than 256 MiB of memory", line), line


def test_a_deflated_scan_is_read_and_one_of_a_gigabyte_of_zeros_is_not(tmp_path, capsys):
    content = (SCANS / "image_dfl.dcm").read_bytes()
    make(tmp_path / "whole", SCANS / "image_dfl.dcm")
    start = 132 + 12 + int.from_bytes(content[140:144], "little")
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(zlib.decompress(content[start:], -zlib.MAX_WBITS))
    packed += b"".join(packer.compress(bytes(1 << 20)) for _ in range(1 << 10))
    (tmp_path / "x.dcm").write_bytes(content[:start] + packed + packer.flush())
    line = fail(tmp_path, tmp_path / "x.dcm", capsys)
    assert re.search("x[.]dcm: damaged: reading it takes more than .* MiB of memory", line), line


def test_a_file_of_version_2_is_read_and_the_xml_of_cifti_is_not(tmp_path, monkeypatch):
    values = np.arange(64, dtype=np.int16).reshape(8, 8, 1)
    nibabel.save(nibabel.Nifti2Image(values, np.eye(4)), tmp_path / "x.nii")
    monkeypatch.setattr(nibabel, "load", None)  # It would look for CIFTI.
    found = make(tmp_path, tmp_path / "x.nii").read_images([0])
    np.testing.assert_array_equal(found[0, ..., 0], values[..., 0])


def test_a_slice_is_read_without_the_rest_of_its_volume(tmp_path):
    values = np.zeros((64, 64, 200), np.uint8)
    stack = open_nifti(str(volume(tmp_path / "x.nii", values)), Reading())
    stack.read(0)
    tracemalloc.start()
    stack.read(100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 64 * 64
