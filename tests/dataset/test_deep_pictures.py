"""Pictures of 16 bits whose depth is kept."""

import json

import numpy as np
import PIL.Image
import pytest

from pgtf import stored
from pgtf.dataset import inspection, open_dataset
from tests.dataset.commands import run

FLAGS = ("--dtype=uint16", "--shuffle=0")


def save(folder, channels=1, size=(20, 16), count=4, high=4096):
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, high, (count, *size, channels)).astype(np.uint16)
    for i, image in enumerate(images):
        stored.save(folder / f"{i}.png", image)
    return images


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_kept_and_the_range_is_that_of_the_whole_set(channels, tmp_path, capsys):
    images = save(tmp_path / "in", channels)
    flags = (*FLAGS, "--grid=5x4")
    assert run("create_from_images", tmp_path / "out", tmp_path / "in", *flags) == 0
    dataset = inspection.verify(str(tmp_path / "out"))
    assert (dataset.dtype, dataset.num_channels) == (np.uint16, channels)
    np.testing.assert_array_equal(dataset.read_images(range(4)), images)
    low, high = np.percentile(images, (0.1, 99.9))
    assert dataset.value_range == (np.floor(low), np.ceil(high))
    kind = "gray" if channels == 1 else "RGB"
    line = f"20x16 {kind} (height x width), uint16 of {np.floor(low):g} to {np.ceil(high):g}"
    assert line in capsys.readouterr().out
    assert run("extract", tmp_path / "out", tmp_path / "again") == 0
    for i in range(4):
        first = (tmp_path / "again" / f"img{i:08d}.png").read_bytes()
        assert first == (tmp_path / "in" / f"{i}.png").read_bytes()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--range=5,900"], (5, 900)),
        (["--range=auto"], None),
        (["--percentiles=0,100"], None),
        (["--percentiles=25,75"], (25, 75)),
    ],
)
def test_the_range_is_given_or_found_once_for_all_files(flags, expected, tmp_path):
    images = save(tmp_path / "in", size=(16, 16))
    assert run("create_from_images", tmp_path / "out", tmp_path / "in", *FLAGS, *flags) == 0
    if expected is None:
        expected = (images.min(), images.max())
    elif expected == (25, 75):
        low, high = np.percentile(images, expected)
        expected = (np.floor(low), np.ceil(high))
    assert open_dataset(tmp_path / "out").value_range == expected
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["dtype"] == "uint16"


def test_deep_pictures_are_resized_turned_and_converted_without_losing_their_depth(tmp_path):
    (image,) = save(tmp_path / "in", size=(30, 40), count=1, high=65536)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    picture = PIL.Image.fromarray(image[..., 0])
    picture.save(tmp_path / "in" / "0.png", exif=exif)
    flags = (*FLAGS, "--resolution=8", "--transform=resize", "--channels=3")
    assert run("create_from_images", tmp_path / "out", tmp_path / "in", *flags) == 0
    (found,) = open_dataset(tmp_path / "out").read_images([0])
    upright = PIL.Image.fromarray(np.rot90(image[..., 0], -1).astype(np.float32))
    exact = np.rint(upright.resize((8, 8), PIL.Image.Resampling.LANCZOS)).clip(0, 65535)
    for channel in range(3):
        np.testing.assert_array_equal(found[..., channel], exact)


def test_8_bit_files_of_a_deep_set_are_as_bright(tmp_path):
    (tmp_path / "in").mkdir()
    gray = np.arange(16, dtype=np.uint8).reshape(4, 4) * 17
    PIL.Image.fromarray(gray).save(tmp_path / "in" / "a.png")
    stored.save(tmp_path / "in" / "b.png", gray[..., np.newaxis].astype(np.uint16) * 257)
    assert run("create_from_images", tmp_path / "out", tmp_path / "in", *FLAGS) == 0
    first, second = open_dataset(tmp_path / "out").read_images([0, 1])
    np.testing.assert_array_equal(first, second)


def test_numbers_that_a_type_cannot_hold_are_one_line(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    values = np.full((8, 8), 0.5, np.float32)
    values[0] = 2
    PIL.Image.fromarray(values).save(tmp_path / "in" / "x.tif")
    assert run("create_from_images", tmp_path / "out", tmp_path / "in", *FLAGS) == 2
    assert "whole numbers of 0 to 65535 for --dtype=uint16" in capsys.readouterr().err
    flags = ("--dtype=float32", "--percentiles=0,100")
    assert run("create_from_images", tmp_path / "out", tmp_path / "in", *flags) == 0
    dataset = open_dataset(tmp_path / "out")
    assert (dataset.dtype, dataset.value_range) == (np.float32, (0.5, 2))
    np.testing.assert_array_equal(dataset.read_images([0])[0, ..., 0], values)


def test_colors_among_gray_pictures_are_converted_only_where_that_is_asked_for(tmp_path, capsys):
    save(tmp_path / "in", size=(8, 8), count=2)
    stored.save(tmp_path / "in" / "z.png", np.full((8, 8, 3), (100, 200, 400), np.uint16))
    assert run("create_from_images", tmp_path / "out", tmp_path / "in", *FLAGS) == 2
    assert "z.png: must be grayscale like the others, found RGB; --channels" in (
        capsys.readouterr().err
    )
    flags = (*FLAGS, "--channels=1", "--resolution=8")
    assert run("create_from_images", tmp_path / "out", tmp_path / "in", *flags) == 0
    luminance = round(0.299 * 100 + 0.587 * 200 + 0.114 * 400)
    assert (open_dataset(tmp_path / "out").read_images([2]) == luminance).all()


def test_8_bit_datasets_are_as_before(tmp_path):
    images = save(tmp_path / "in", size=(16, 16), high=65536)
    flags = ("--shuffle=0", "--channels=1")
    assert run("create_from_images", tmp_path / "out", tmp_path / "in", *flags) == 0
    found = open_dataset(tmp_path / "out").read_images(range(4))
    np.testing.assert_array_equal(found, np.rint(images / 257))
