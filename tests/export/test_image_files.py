"""Files of generated images in the type of the dataset."""

import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from pgtf.depth import Depth
from pgtf.export import image_files
from pgtf.foreign.pictures import open_picture

RANGES = {"uint8": (0, 255), "uint16": (0, 65535), "float32": (-1000, 3000)}


def noise(dtype, channels, height=5, width=4):
    values = np.random.default_rng(0).uniform(*RANGES[dtype], (height, width, channels))
    return values.astype(dtype)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_png_file_holds_every_bit_of_an_image_of_integers(dtype, channels):
    image = noise(dtype, channels)
    content = image_files.encode(image, "png")
    np.testing.assert_array_equal(tf.io.decode_png(content, dtype=dtype), image)


@pytest.mark.parametrize("channels", [1, 2, 3, 13])
@pytest.mark.parametrize("dtype", list(RANGES))
def test_an_npy_file_holds_any_image(dtype, channels):
    image = noise(dtype, channels)
    found = np.load(io.BytesIO(image_files.encode(image, "npy")), allow_pickle=False)
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 1), ("uint8", 3), ("uint16", 1)])
def test_a_tiff_file_is_read_by_others(dtype, channels, tmp_path):
    image = noise(dtype, channels)
    (tmp_path / "a.tiff").write_bytes(image_files.encode(image, "tiff"))
    with PIL.Image.open(tmp_path / "a.tiff") as file:
        np.testing.assert_array_equal(np.asarray(file).reshape(image.shape), image)
    if dtype == "uint8":
        with open_picture(tmp_path / "a.tiff") as file:
            np.testing.assert_array_equal(np.asarray(file).reshape(image.shape), image)


@pytest.mark.parametrize(("dtype", "channels"), [("float32", 1), ("float32", 5), ("uint16", 13)])
def test_a_tiff_file_of_other_types_says_what_its_values_are(dtype, channels, tmp_path):
    image = noise(dtype, channels)
    content = image_files.encode(image, "tiff")
    (tmp_path / "a.tiff").write_bytes(content)
    stored = np.frombuffer(content[8 : 8 + image.nbytes], image.dtype).reshape(image.shape)
    np.testing.assert_array_equal(stored, image)
    tifffile = pytest.importorskip("tifffile")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tiff").reshape(image.shape), image)


def test_the_usual_format_is_png_where_it_can_hold_the_values():
    kinds = {(d, c): image_files.default_format(Depth(d), c) for d in RANGES for c in (1, 2, 3, 5)}
    assert {key for key, kind in kinds.items() if kind == "png"} == {
        ("uint8", 1), ("uint8", 3), ("uint16", 1), ("uint16", 3),
    }  # fmt: skip
    with pytest.raises(ValueError, match="a PNG file has 1 or 3 channels .*5 channels of uint16"):
        image_files.check_format("png", Depth("uint16"), 5)
