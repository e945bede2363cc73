"""create_from_arrays: NumPy and TIFF files of any type and number of channels."""

import io
import json
import os
import re

import numpy as np
import pytest

from pgtf.dataset import inspection, open_dataset
from pgtf.dataset.sources.stacks import Reading, arranged
from pgtf.grids import Grid
from tests.dataset.commands import run

KEEP = "--shuffle=0"


def noise(*shape, dtype="uint16", high=4096):
    return np.random.default_rng(0).integers(0, high, shape).astype(dtype)


def make(tmp_path, source, *flags):
    """Runs the command and returns the dataset."""
    assert run("create_from_arrays", tmp_path / "out", source, KEEP, *flags) == 0
    return inspection.verify(str(tmp_path / "out"))


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("uint8", "uint8"),
        ("uint16", "uint16"),
        (">i4", "uint16"),
        ("int16", "uint16"),
        ("float32", "float32"),
        ("float64", "float32"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2, 5, 13])
def test_arrays_keep_their_values(dtype, expected, channels, tmp_path):
    values = noise(5, 20, 16, channels, dtype=dtype, high=250)
    np.save(tmp_path / "x.npy", values)
    dataset = make(tmp_path, tmp_path / "x.npy", "--grid=5x4")
    assert (dataset.dtype.name, dataset.num_channels) == (expected, channels)
    np.testing.assert_array_equal(dataset.read_images(range(5)), values)
    if expected == "uint8":
        assert dataset.value_range == (0, 255)
    else:
        low, high = np.percentile(values, (0.1, 99.9))
        assert dataset.value_range == (
            (np.floor(low), np.ceil(high))
            if expected == "uint16"
            else pytest.approx((low, high), rel=1e-5)
        )


def test_negative_values_make_a_set_of_floats(tmp_path):
    values = noise(3, 8, 8).astype(np.int16) - 1000
    np.save(tmp_path / "x.npy", values)
    dataset = make(tmp_path, tmp_path / "x.npy", "--range=-1000,3000")
    assert (dataset.dtype, dataset.value_range) == (np.float32, (-1000, 3000))
    np.testing.assert_array_equal(dataset.read_images(range(3))[..., 0], values)


@pytest.mark.parametrize(
    ("layout", "shape"),
    [
        ("NHWC", (3, 10, 8, 2)),
        ("NCHW", (3, 2, 10, 8)),
        ("NHWC", (3, 10, 8)),
        ("NHW", (3, 10, 8)),
        ("NHWC", (10, 8, 2)),
        ("HWC", (10, 8, 2)),
        ("NCHW", (2, 10, 8)),
        ("CHW", (2, 10, 8)),
        ("NHWC", (10, 8)),
    ],
)
def test_layouts_name_the_axes(layout, shape):
    values = noise(*shape)
    found = arranged(values, Reading(layout, grid=Grid(5, 4)))
    assert found.shape[1:3] == (10, 8)
    assert found.shape[0] == (3 if 3 in shape else 1)
    assert found.shape[3] == (2 if 2 in shape else 1)
    place = dict(zip("NHWC", (found.shape[0] - 1, 7, 5, found.shape[3] - 1), strict=True))
    axes = layout if len(layout) == len(shape) else {"NHWC": "NHW", "NCHW": "CHW"}[layout]
    axes = "HWC" if shape == (10, 8, 2) else "HW" if shape == (10, 8) else axes
    assert found[tuple(place.values())] == values[tuple(place[axis] for axis in axes)]


@pytest.mark.parametrize(
    ("shape", "is_one"),
    [
        ((512, 512, 13), True),
        ((60, 64, 3), True),
        ((1000, 28, 28), False),
        ((155, 240, 240), False),
    ],
)
def test_where_any_size_is_fitted_a_short_last_axis_is_that_of_channels(shape, is_one):
    found = arranged(np.zeros(shape, np.uint8), Reading(any_size=True))
    assert found.shape == ((1, *shape) if is_one else (*shape, 1))


def test_folders_archives_and_tiff_files_are_read_in_the_order_of_their_names(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    (tmp_path / "in" / "b").mkdir(parents=True)
    values = noise(8, 16, 16, 5)
    np.save(tmp_path / "in" / "a.npy", values[0])
    labels = np.zeros((2, 1), np.int64)
    np.savez_compressed(tmp_path / "in" / "b" / "x.npz", one=values[1:3], labels=labels)
    planes = values[3:].transpose(0, 3, 1, 2)
    tifffile.imwrite(tmp_path / "in" / "c.tif", planes[0], planarconfig="separate")
    tifffile.imwrite(tmp_path / "in" / "d.tif", values[4:], planarconfig="contig")
    (tmp_path / "in" / "README.txt").write_text("no array")
    (tmp_path / "in" / ".hidden.npy").write_bytes(b"")
    dataset = make(tmp_path, tmp_path / "in")
    np.testing.assert_array_equal(dataset.read_images(range(8)), values)


def test_pages_of_a_tiff_file_are_images(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    values = noise(6, 8, 8)
    tifffile.imwrite(tmp_path / "x.tif", values, photometric="minisblack")
    dataset = make(tmp_path, tmp_path / "x.tif")
    np.testing.assert_array_equal(dataset.read_images(range(6))[..., 0], values)


def test_8_bits_are_stretched_from_the_range(tmp_path):
    values = np.linspace(-2, 2, 64, dtype=np.float32).reshape(1, 8, 8)
    np.save(tmp_path / "x.npy", values)
    dataset = make(tmp_path, tmp_path / "x.npy", "--dtype=uint8", "--range=-1,1")
    assert (dataset.dtype, dataset.value_range) == (np.uint8, (0, 255))
    expected = np.rint((values.clip(-1, 1) + 1) * 127.5)
    np.testing.assert_array_equal(dataset.read_images([0])[..., 0], expected)
    assert dataset.meta["range"] == [-1, 1]


def test_masks_are_channels_that_reach_the_ends_of_the_range(tmp_path, capsys):
    values = noise(2, 3, 8, 8)
    masks = np.random.default_rng(1).integers(0, 3, (2, 3, 8, 8))  # 2 files of 3 images
    for folder, arrays in (("in", values), ("masks", masks.astype(np.uint8))):
        (tmp_path / folder).mkdir()
        for i, array in enumerate(arrays):
            np.save(tmp_path / folder / f"{i}.npy", array)
    flags = (f"--with_masks={tmp_path / 'masks'}", "--range=10,4000")
    dataset = make(tmp_path, tmp_path / "in", *flags)
    found = dataset.read_images(range(6)).reshape(2, 3, 8, 8, 3)
    np.testing.assert_array_equal(found[..., 0], values)
    for channel in (1, 2):
        np.testing.assert_array_equal(found[..., channel], np.where(masks == channel, 4000, 10))
    assert dataset.meta["masks"] == [1, 2]
    assert dataset.meta["preview"] == "0"
    assert "8x8 gray and 2 masks" in capsys.readouterr().out
    np.testing.assert_array_equal(
        dataset.read_images([0], 2)[0, 0, 0, 1],
        np.rint(np.where(masks[0, 0, :2, :2] == 1, 4000, 10).mean()),
    )


def test_images_and_masks_are_fitted_alike(tmp_path):
    values, masks = np.zeros((2, 32, 32), np.float32)
    values[:, :16], masks[:, :16] = 9, 1
    (tmp_path / "masks").mkdir()
    np.save(tmp_path / "x.npy", values)
    np.save(tmp_path / "masks" / "x.npy", masks)
    flags = ("--resolution=8", "--transform=resize", "--range=0,9")
    dataset = make(tmp_path, tmp_path / "x.npy", f"--with_masks={tmp_path / 'masks'}", *flags)
    (found,) = dataset.read_images([0])
    assert found[:, :3].min() > 8
    assert set(np.unique(found[..., 1])) == {0, 9}
    np.testing.assert_array_equal(found[..., 1], [[9] * 4 + [0] * 4] * 8)


def test_labels_are_rows_of_images_or_of_files(tmp_path):
    values = noise(6, 8, 8)
    (tmp_path / "in").mkdir()
    for i in range(2):
        np.save(tmp_path / "in" / f"{i}.npy", values[3 * i : 3 * i + 3])
    np.save(tmp_path / "rows.npy", np.arange(6, dtype=np.float32)[:, np.newaxis] + 0.5)
    (tmp_path / "table.csv").write_text("file,age\n0.npy,63.5\n1.npy,41.25\n")
    found = {}
    for name in ("rows.npy", "table.csv"):
        target = tmp_path / name.split(".")[0]
        flags = (KEEP, f"--labels={tmp_path / name}")
        assert run("create_from_arrays", target, tmp_path / "in", *flags) == 0
        dataset = open_dataset(target, max_label_size="full")
        found[name] = dataset.read_labels(range(6))[:, 0].tolist()
    assert found["rows.npy"] == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert found["table.csv"] == [63.5] * 3 + [41.25] * 3
    (group,) = dataset.label_groups
    assert (group.kind, group.names) == ("continuous", ("age",))


def test_values_are_shuffled_as_those_of_pictures_are(tmp_path):
    values = np.arange(7, dtype=np.float32)[:, np.newaxis, np.newaxis] + np.eye(4, dtype="f4") / 2
    np.save(tmp_path / "x.npy", values)
    assert run("create_from_arrays", tmp_path / "out", tmp_path / "x.npy") == 0
    order = np.arange(7)
    np.random.RandomState(123).shuffle(order)
    found = open_dataset(tmp_path / "out").read_images(range(7))
    np.testing.assert_array_equal(found[..., 0], values[order])


BAD = {
    "NaN": (np.array([[[np.nan] * 4] * 4] * 2, np.float32), r"not numbers \(NaN\)"),
    "infinite": (np.array([[[np.inf] * 4] * 4] * 2, np.float32), "infinite"),
    "large": (np.array([[[1, -1e31] * 2] * 4] * 2), "values beyond 1e.30, as marks of missing"),
    "constant": (np.full((2, 4, 4), 7, np.uint16), "is constant, all its values are 7"),
    "shape": (noise(2, 12, 10), "4x4 times a power of two .*--grid=6x5 takes these"),
    "text": (np.array(["a", "b"]), "must be numbers"),
    "axes": (noise(2, 4, 4, 4, 4), "must have the axes NHWC, found 5 axes"),
    "empty": (np.zeros((0, 4, 4)), "holds no values"),
}


@pytest.mark.parametrize("name", BAD)
def test_arrays_that_cannot_be_used_are_one_line(name, tmp_path, capsys):
    values, message = BAD[name]
    np.save(tmp_path / "x.npy", values)
    assert run("create_from_arrays", tmp_path / "out", tmp_path / "x.npy") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert re.search(rf"x\.npy: .*{message}", line), line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (noise(1, 8, 8), "must be 4x4 .height x width., as a.npy, found 8x8"),
        (noise(1, 4, 4, 2), "must have 1 channels, as a.npy, found 2"),
        (noise(1, 4, 4) * np.nan, "NaN"),
    ],
)
def test_files_that_differ_from_the_first_are_left_out_where_that_is_allowed(
    other, message, tmp_path, capsys
):
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "a.npy", noise(2, 4, 4))
    np.save(tmp_path / "in" / "b.npy", other)
    assert run("create_from_arrays", tmp_path / "out", tmp_path / "in") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert re.search(rf"b\.npy: .*{message}.*--max_errors=1", line), line
    assert run("create_from_arrays", tmp_path / "out", tmp_path / "in", "--max_errors=1") == 0
    assert open_dataset(tmp_path / "out").num_images == 2


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.tif", "x.nii", "x.dcm"])
@pytest.mark.parametrize("kind", ["pipe", "link to nowhere", "empty", "text"])
def test_what_is_no_file_of_arrays_is_one_line(name, kind, tmp_path, capsys):
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to nowhere":
        path.symlink_to("nowhere")
    else:
        path.write_text("" if kind == "empty" else "no array at all")
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "a.npy", noise(2, 4, 4))
    path.rename(tmp_path / "in" / name)
    assert run("create_from_arrays", tmp_path / "out", tmp_path / "in") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"{name}: " in line
    assert len(line) < 300


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (None, "must be the mask of x.npy"),
        (np.ones((2, 8, 8), np.uint8), "must have 2 images of 4x4, found 2 images of 8x8"),
        (np.ones((3, 4, 4), np.uint8), "must have 2 images of 4x4, found 3 images of 4x4"),
        (np.full((2, 4, 4), 0.5), "must have whole numbers"),
        (np.zeros((2, 4, 4), np.uint8), "all masks are empty"),
    ],
)
def test_masks_that_do_not_fit_are_one_line(mask, message, tmp_path, capsys):
    (tmp_path / "masks").mkdir()
    np.save(tmp_path / "x.npy", noise(2, 4, 4))
    np.save(tmp_path / "masks" / "y.npy", noise(2, 4, 4))
    if mask is not None:
        np.save(tmp_path / "masks" / "x.npy", mask)
    flags = (f"--with_masks={tmp_path / 'masks'}",)
    assert run("create_from_arrays", tmp_path / "out", tmp_path / "x.npy", *flags) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line


def test_an_interrupted_job_is_the_same_job_when_it_is_resumed(tmp_path):
    np.save(tmp_path / "x.npy", noise(4, 4, 4))
    for name in ("a", "b"):
        flags = ("--held_out=2", "--resume")
        assert run("create_from_arrays", tmp_path / name, tmp_path / "x.npy", *flags) == 0
    first, second = (tmp_path / name / f"{name}-r02.tfrecords" for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    meta = json.loads((tmp_path / "a" / "dataset.json").read_text())
    assert meta["split"] == {"held_out": 2, "seed": 123, "by": None}


def test_a_small_tiff_file_cannot_claim_much_memory(tmp_path, capsys):
    tifffile = pytest.importorskip("tifffile")
    zeros = np.zeros((1 << 14, 1 << 15), np.uint8)
    tifffile.imwrite(tmp_path / "x.tif", zeros, compression="zlib", rowsperstrip=1 << 10)
    assert run("create_from_arrays", tmp_path / "out", tmp_path / "x.tif") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert re.search("x[.]tif: damaged: reading it takes more than .* MiB of memory", line), line


def test_a_damaged_archive_is_named_once_in_a_line_that_is_not_long(tmp_path, capsys):
    content = io.BytesIO()
    np.savez(content, images=np.zeros((2, 4, 4), np.uint8))
    name = b"images.npy"
    changed = content.getvalue().replace(name, bytes(range(200, 210)), 1)
    changed = changed.replace((10).to_bytes(2, "little"), (4000).to_bytes(2, "little"), 1)
    (tmp_path / "x.npz").write_bytes(changed + bytes(5000))
    assert run("create_from_arrays", tmp_path / "out", tmp_path / "x.npz") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.count("x.npz") == 1
    assert len(line) < 1500


def test_images_without_subjects_are_not_split_by_them(tmp_path, capsys):
    np.save(tmp_path / "x.npy", noise(8, 4, 4))
    flags = ("--held_out=2", "--split_by=subject")
    assert run("create_from_arrays", tmp_path / "out", tmp_path / "x.npy", *flags) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert re.search("`--split_by=subject` needs volumes, or DICOM files", line), line
    assert not (tmp_path / "out").exists()
