"""create_from_arrays: values of files as people have them, right or refused in one line."""

import re

import numpy as np
import PIL.Image
import pytest

from tests.dataset.scans import fail, make, nibabel, noise, pydicom, scan, volume

tifffile = pytest.importorskip("tifffile")


def values_of(tmp_path, source, *flags):
    dataset = make(tmp_path, source, *flags)
    return dataset.read_images(range(dataset.num_images))


def with_pixels(path, values, **fields):
    """Writes a scan of floating-point numbers."""
    header = pydicom.dcmread(scan(path, noise(8, 8)))
    for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(header, name)
    pixels = "FloatPixelData" if values.dtype == np.float32 else "DoubleFloatPixelData"
    for name, value in {pixels: values.tobytes(), **fields}.items():
        setattr(header, name, value)
    header.BitsAllocated = 8 * values.itemsize
    header.save_as(path)
    return path


def table(entries):
    found = pydicom.Dataset()
    found.LUTDescriptor, found.ModalityLUTType = [len(entries), 0, 16], "OD"
    found.LUTData = np.asarray(entries, "<u2").tobytes()
    return [found]


def packed(bits):
    return np.packbits(bits.ravel(), bitorder="little").tobytes()


STORED = noise(8, 8)
BITS = STORED % 2
TABLE = np.sort(noise(16) + 1000)
PADDED = np.where(np.arange(8)[:, np.newaxis] < 2, -2000, STORED.astype(np.int16) + 5)
FILLED = np.where(PADDED == -2000, PADDED[2:].min(), PADDED)
PADDED_WHITE = np.where(np.arange(8)[:, np.newaxis] < 2, 4095, STORED // 2)
DEEP = {"BitsStored": 12, "HighBit": 11}
# Stored values, fields of the header, values that they mean.
DICOM = {
    "no slope": (STORED, {"RescaleIntercept": -1000}, STORED - 1000.0),
    "blank slope": (STORED, {"RescaleSlope": "", "RescaleIntercept": ""}, STORED),
    "signed 12 bits": (
        (STORED.astype(np.int16) - 2048) & 0xFFF,
        {"PixelRepresentation": 1, **DEEP},
        STORED - 2048.0,
    ),
    "overlay": (STORED | 0xF000, DEEP, STORED),
    "dose": (STORED, {"DoseGridScaling": "0.5", "DoseUnits": "GY"}, STORED * 0.5),
    "bits": (
        STORED,
        {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "PixelData": packed(BITS)},
        255 * BITS,
    ),
    "padding": (PADDED.astype(np.int16), {"PixelPaddingValue": -2000}, FILLED),
    "padding in units": (
        PADDED.astype(np.int16),
        {"PixelPaddingValue": -2000, "RescaleSlope": 1, "RescaleIntercept": -1024},
        FILLED - 1024.0,
    ),
    "padding range": (
        np.where(STORED < 2000, STORED % 2 + 6, STORED),
        {"PixelPaddingValue": 6, "PixelPaddingRangeLimit": 7},
        np.where(STORED < 2000, STORED[STORED >= 2000].min(), STORED),
    ),
    "white padding": (
        PADDED_WHITE.astype(np.uint16),
        {"PhotometricInterpretation": "MONOCHROME1", "PixelPaddingValue": 4095, **DEEP},
        np.where(PADDED_WHITE == 4095, 4095 - PADDED_WHITE[2:].max(), 4095 - PADDED_WHITE),
    ),
    "inverted table": (
        STORED % 16,
        {"PhotometricInterpretation": "MONOCHROME1", "ModalityLUTSequence": table(TABLE)},
        TABLE[0] + TABLE[-1] - TABLE[STORED % 16].astype(int),
    ),
}


@pytest.mark.parametrize("name", DICOM)
def test_a_scan_has_the_values_that_its_header_means(name, tmp_path):
    stored, fields, expected = DICOM[name]
    found = values_of(tmp_path, scan(tmp_path / "x.dcm", stored, **fields))
    np.testing.assert_array_equal(found[0, ..., 0], expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_scan_of_floating_point_numbers_is_read_without_its_padding(dtype, tmp_path):
    values = np.where(STORED < 1000, np.nan, STORED / 7).astype(dtype)
    kind = "Float" if dtype == "float32" else "DoubleFloat"
    fields = {f"{kind}PixelPaddingValue": np.nan}
    found = values_of(tmp_path, with_pixels(tmp_path / "x.dcm", values, **fields))
    expected = np.where(np.isnan(values), np.nanmin(values), values).astype(np.float32)
    np.testing.assert_array_equal(found[0, ..., 0], expected)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"BitsStored": 12, "HighBit": 15}, "bit 15 as the highest of 12 .HighBit."),
        ({"PhotometricInterpretation": "RGB"}, "must have 3 samples per pixel, found 1"),
        ({"RescaleSlope": 0, "RescaleIntercept": 3}, "is constant, all its values are 3"),
    ],
)
def test_a_scan_whose_header_contradicts_its_pixels_is_one_line(fields, message, tmp_path, capsys):
    line = fail(tmp_path, scan(tmp_path / "x.dcm", STORED, **fields), capsys)
    assert "x.dcm: " in line
    assert re.search(message, line), line


def tiff(path, values, **options):
    tifffile.imwrite(path, values, **options)
    return path


def test_low_values_of_a_tiff_file_are_light_where_it_says_so(tmp_path):
    path = tiff(tmp_path / "x.tif", BITS > 0, photometric="miniswhite")
    np.testing.assert_array_equal(values_of(tmp_path, path)[0, ..., 0], 255 - 255 * BITS)


@pytest.mark.parametrize("is_mask", [False, True])
def test_numbers_of_colors_are_values_of_masks_only(is_mask, tmp_path, capsys):
    for folder in ("in", "masks"):
        (tmp_path / folder).mkdir()
    colors = np.zeros((3, 256), np.uint16)
    tiff(tmp_path / "in" / "x.tif", STORED)
    path = tmp_path / "masks" / "x.tif"
    tiff(path, BITS.astype(np.uint8), photometric="palette", colormap=colors)
    if is_mask:
        flag = f"--with_masks={tmp_path / 'masks'}"
        found = values_of(tmp_path, tmp_path / "in", flag, "--range=0,4000")
        np.testing.assert_array_equal(found[0, ..., 1], 4000 * BITS)
    else:
        assert "found a palette; create_from_images reads it" in fail(tmp_path, path, capsys)


@pytest.mark.parametrize(("value", "is_used"), [(-9999, True), (-9999, False), (0, True)])
def test_pixels_of_maps_without_data_are_refused_unless_they_are_0(
    value, is_used, tmp_path, capsys
):
    values = STORED.astype(np.float32) + 1
    if is_used:
        values[0] = value
    tag = (42113, "s", 0, str(value), True)
    path = tiff(tmp_path / "x.tif", values, extratags=[tag])
    if value and is_used:
        assert "x.tif: has 8 pixels without data, which are -9999" in fail(tmp_path, path, capsys)
    else:
        np.testing.assert_array_equal(values_of(tmp_path, path)[0, ..., 0], values)


def test_a_compression_that_needs_a_package_is_named_with_it(tmp_path, capsys):
    image = PIL.Image.fromarray(STORED.astype(np.uint8))
    image.save(tmp_path / "x.tif", compression="jpeg")
    try:
        import imagecodecs  # noqa: F401
    except ImportError:
        line = fail(tmp_path, tmp_path / "x.tif", capsys)
        assert "x.tif: its compression, JPEG, needs a package: imagecodecs" in line
    else:
        assert values_of(tmp_path, tmp_path / "x.tif").shape == (1, 8, 8, 1)


def saved(path, values):
    np.save(path, values)
    return path


@pytest.mark.parametrize(
    "values",
    [
        1e6 + STORED / 4096,
        (STORED % 3).astype(np.int32) + 2**30,
        (STORED % 300).astype(np.int64) + 2**40,
        (STORED / 4096).astype(np.float32) * 1e-40,
    ],
    ids=["float64", "int32", "int64", "tiny"],
)
@pytest.mark.parametrize("flags", [(), ("--range=auto",)])
def test_values_that_float32_cannot_tell_apart_are_refused(values, flags, tmp_path, capsys):
    line = fail(tmp_path, saved(tmp_path / "x.npy", values), capsys, *flags)
    assert "x.npy: values of " in line
    assert "too close to each other for float32; subtract a constant" in line


def test_values_that_are_close_to_each_other_keep_their_range(tmp_path):
    values = np.linspace(10_000, 10_001, 64, dtype=np.float32).reshape(1, 8, 8)
    path = saved(tmp_path / "x.npy", values)
    dataset = make(tmp_path, path, "--percentiles=0,100")
    assert dataset.value_range == (10_000, 10_001)
    np.testing.assert_array_equal(dataset.read_images([0])[..., 0], values)


def test_fractions_are_stretched_to_8_bits_from_a_range_with_fractions(tmp_path):
    values = np.linspace(0, 1e-3, 64).reshape(1, 8, 8)
    path = saved(tmp_path / "x.npy", values)
    found = values_of(tmp_path, path, "--dtype=uint8", "--percentiles=0,100")
    np.testing.assert_array_equal(found[..., 0], np.rint(values * 255e3))


def test_half_precision_gives_no_warnings(tmp_path, recwarn, capsys):
    values = (STORED / 4096).astype(np.float16)[np.newaxis]
    found = values_of(tmp_path, saved(tmp_path / "x.npy", values))
    np.testing.assert_array_equal(found[..., 0], values)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 3, 8, 8), "Received: 3x8. .*--layout=NCHW reads arrays whose channels come"),
        ((2, 8, 8, 65), "must have 1 to 64 channels. Received: 65. --layout=NCHW"),
    ],
)
def test_channels_that_come_first_are_one_line_with_the_flag(shape, message, tmp_path, capsys):
    line = fail(tmp_path, saved(tmp_path / "x.npy", noise(*shape)), capsys)
    assert "x.npy: " in line
    assert re.search(message, line), line


def test_faint_values_and_channels_that_may_be_rows_are_warned_about(tmp_path, caplog):
    make(tmp_path / "a", saved(tmp_path / "a.npy", BITS.astype(np.uint8)))
    assert "--range=0,1 stretches them" in caplog.text
    flags = ("--resolution=4", "--transform=resize")
    make(tmp_path / "b", saved(tmp_path / "b.npy", noise(2, 4, 32, 32)), *flags)
    assert "4 rows and 32 channels. If the channels come first" in caplog.text


def test_a_fifth_axis_of_a_volume_holds_channels(tmp_path):
    values = noise(8, 8, 2, 1, 3, dtype=np.int16)
    found = values_of(tmp_path, volume(tmp_path / "x.nii", values))
    np.testing.assert_array_equal(found, values[:, :, :, 0].transpose(2, 0, 1, 3))


def masked(tmp_path, values, mask, affine, of_mask=None):
    """Folder of a volume and the flag for its mask."""
    for folder in ("in", "masks"):
        (tmp_path / folder).mkdir(parents=True)
    volume(tmp_path / "in" / "x.nii", values, affine)
    volume(tmp_path / "masks" / "x.nii", mask, affine if of_mask is None else of_mask)
    return tmp_path / "in", f"--with_masks={tmp_path / 'masks'}", "--range=0,4000"


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_masks_of_pixels_that_are_not_square_have_no_values_between(dtype, tmp_path):
    values, mask = noise(16, 4, 2, dtype=np.int16), np.zeros((16, 4, 2), dtype)
    mask[:, 2:] = 3
    found = values_of(tmp_path, *masked(tmp_path, values, mask, np.diag([1, 4, 5, 1.0])))
    assert found.shape == (2, 16, 16, 2)
    np.testing.assert_array_equal(found[..., 1], [[[0] * 8 + [4000] * 8] * 16] * 2)


def test_a_mask_is_turned_as_its_volume_is_and_refused_where_it_lies_elsewhere(tmp_path, capsys):
    values, mask = noise(8, 8, 2, dtype=np.int16), noise(8, 8, 2, dtype=np.uint8, high=2)
    turned = np.diag([-1, -1, 1, 1.0])
    turned[:2, 3] = 7
    args = masked(tmp_path / "a", values, mask[::-1, ::-1], np.eye(4), turned)
    np.testing.assert_array_equal(
        values_of(tmp_path / "a", *args)[..., 1], 4000 * np.moveaxis(mask.astype(int), 2, 0)
    )
    args = masked(tmp_path / "b", values, mask, np.eye(4), np.diag([-1, -1, 1, 1.0]))
    line = fail(tmp_path / "b", args[0], capsys, *args[1:])
    assert "must lie where its images do (affine), found 9.9 voxels between them" in line


def test_a_file_of_another_kind_is_one_line_with_the_kinds(tmp_path, capsys):
    nibabel.save(nibabel.Nifti1Pair(noise(8, 8, 2, dtype=np.int16), np.eye(4)), tmp_path / "x.img")
    assert "x.hdr: must be one of .npy, " in fail(tmp_path, tmp_path / "x.hdr", capsys)
