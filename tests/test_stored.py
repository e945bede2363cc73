import io

import numpy as np
import PIL.Image
import pytest

from pgtf import previews, stored
from pgtf.foreign.pictures import open_picture
from pgtf.foreign.samples import samples


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_a_png_file_that_other_readers_know(channels, tmp_path):
    cv2 = pytest.importorskip("cv2")
    image = np.random.default_rng(0).integers(0, 65536, (5, 7, channels)).astype(np.uint16)
    assert stored.extension(image.dtype, channels) == ".png"
    stored.save(tmp_path / "x.png", image)
    with open_picture(tmp_path / "x.png") as picture:
        np.testing.assert_array_equal(np.ravel(samples(picture).values), image.ravel())
    found = cv2.imread(str(tmp_path / "x.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found.reshape(image.shape), image[..., ::-1])


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 2), ("uint16", 5), ("float32", 1)])
def test_what_png_cannot_hold_is_an_array_file(dtype, channels):
    image = np.arange(4 * 3 * channels).reshape(4, 3, channels).astype(dtype)
    assert stored.extension(dtype, channels) == ".npy"
    found = np.load(io.BytesIO(stored.encoded(image)))
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found, image)


def test_8_bits_are_the_png_file_of_before():
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    found = PIL.Image.open(io.BytesIO(stored.encoded(image)))
    np.testing.assert_array_equal(found, image)


def test_previews_choose_channels_and_stretch_the_range():
    values = np.stack([np.full((2, 2), value) for value in (0, 500, 1000, 2000)], -1)
    values = values.astype(np.uint16)
    assert previews.to_rgb(values, (0, 1000))[0, 0].tolist() == [0, 128, 255]
    assert previews.to_rgb(values, (0, 1000), "3,2,1")[0, 0].tolist() == [255, 255, 128]
    assert previews.to_rgb(values, (0, 1000), "1")[0, 0].tolist() == [128]
    assert previews.to_rgb(values[..., :2], (0, 1000)).shape == (2, 2, 1)
    plain = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(previews.to_rgb(plain), plain)


def test_previews_take_the_color_maps_of_matplotlib():
    matplotlib = pytest.importorskip("matplotlib")
    values = np.linspace(-1, 1, 16, dtype=np.float32).reshape(1, 4, 4, 1)
    found = previews.to_rgb(values, (-1, 1), "viridis")
    colors = matplotlib.colormaps["viridis"](np.rint((values[..., 0] + 1) * 127.5).astype(int))
    np.testing.assert_allclose(found, colors[..., :3] * 255, atol=1)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("4", "channels from 0 to 3. Received: 4"),
        ("0,1", "one channel or three"),
        ("0,1,2,3", "one channel or three"),
        ("", "one channel or three"),
        ("virid", "a color map of matplotlib"),
    ],
)
def test_wrong_mappings_are_refused(mapping, message):
    with pytest.raises(ValueError, match=message):
        previews.check_mapping(mapping, 4)
