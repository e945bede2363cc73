"""Photographs are read upright, with one or three channels, without Pillow's warnings."""

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset.encoder import Rejected
from pgtf.dataset.faces.photographs import LoadPhotographs, read_photograph


def write(path, pixels, orientation=1):
    """Writes uint8 [H, W] or [H, W, 3] as a PNG file with an EXIF orientation."""
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.fromarray(pixels).save(path, exif=exif)
    return str(path)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_channels_come_first(tmp_path, rng, shape):
    pixels = rng.integers(0, 256, shape).astype(np.uint8)
    found = read_photograph(write(tmp_path / "a.png", pixels), "error")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.moveaxis(np.atleast_3d(pixels), 2, 0))


def test_a_photograph_that_was_taken_sideways_is_turned(tmp_path, rng):
    pixels = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    found = read_photograph(write(tmp_path / "a.png", pixels, orientation=6), "error")
    np.testing.assert_array_equal(found, np.rot90(pixels, -1).transpose(2, 0, 1))


def test_a_warning_of_pillow_is_not_shown(tmp_path, rng, monkeypatch):
    path = write(tmp_path / "a.png", rng.integers(0, 256, (10, 10)).astype(np.uint8))
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 60)  # warns from here, refuses from 121 on
    with pytest.warns(PIL.Image.DecompressionBombWarning):
        PIL.Image.open(path).close()
    assert read_photograph(path, "error").shape == (1, 10, 10)


def test_a_damaged_file_is_rejected_in_its_place(tmp_path, rng):
    write(tmp_path / "a.png", rng.integers(0, 256, (4, 4, 3)).astype(np.uint8))
    (tmp_path / "b.png").write_bytes(b"")
    first, second, third = LoadPhotographs(str(tmp_path), "error")(["a.png", "b.png", "a.png"])
    np.testing.assert_array_equal(first, third)
    assert second == Rejected(str(tmp_path / "b.png"), "the file is empty")
