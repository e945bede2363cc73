"""Folders of image files are read as create_from_images reads them."""

import os

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest

from pgtf.dataset import open_dataset
from pgtf.dataset.exporter import Options
from pgtf.dataset.sources import images as images_source
from pgtf.dataset.sources.image_folder import Fitting
from pgtf.dataset.sources.images import ImageOptions
from pgtf.metrics import image_sets

SIDE = 8


def picture(seed, shape=(SIDE, SIDE, 3), dtype=np.uint8):
    values = np.random.RandomState(seed).randint(0, np.iinfo(dtype).max + 1, shape)
    return PIL.Image.fromarray(values.astype(dtype))


@pytest.fixture
def folder(tmp_path):
    """Images of all kinds that create_from_images --channels=3 takes, in folders of classes."""
    root = tmp_path / "images"
    for name in ("cats/tabby", "dogs", ".hidden"):
        (root / name).mkdir(parents=True)
    picture(1, (SIDE, SIDE)).save(root / "cats" / "a.png")
    picture(0).save(root / "cats" / "tabby" / "color.png")
    picture(2, (SIDE, SIDE), np.uint16).save(root / "dogs" / "deep.png")
    opaque = picture(3).convert("RGBA")
    opaque.save(root / "dogs" / "opaque.png")
    picture(4).convert("P").save(root / "dogs" / "palette.gif")
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    picture(5).save(root / "turned.png", exif=exif)
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    picture(6).save(root / "profile.png", icc_profile=profile)
    picture(7).save(root / ".hidden" / "unseen.png")
    picture(7).save(root / ".unseen.png")
    (root / "notes.txt").write_text("not an image")
    (root / "dogs" / "list.csv").write_text("neither")
    return root


def all_of(image_set):
    return image_set.read(0, image_set.num_images)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_those_of_create_from_images(folder, tmp_path, channels):
    options = ImageOptions(shuffle=False, channels=channels)
    images_source.create(str(tmp_path / "dataset"), str(folder), options, Options(1))
    dataset = open_dataset(tmp_path / "dataset")
    found = image_sets.of_folder(folder, Fitting(channels=channels))
    assert (found.num_images, found.shape) == (7, (SIDE, SIDE, channels))
    np.testing.assert_array_equal(all_of(found), dataset.read_images(range(7)))


def test_gray_files_among_colors_become_rgb_and_skipped_files_are_counted(folder, caplog):
    with caplog.at_level("WARNING", logger="absl"):
        found = image_sets.of_folder(folder)
    assert found.shape == (SIDE, SIDE, 3)
    assert found.notes == {"skipped": 2, "converted": 2}
    assert f"{folder}: skipped 2 files that are no images" in caplog.messages
    assert f"{folder}: converted 2 of 7 images to RGB" in caplog.messages
    gray = all_of(found)[0]  # cats/a.png, the first file
    expected = np.asarray(picture(1, (SIDE, SIDE)))
    np.testing.assert_array_equal(gray, np.stack([expected] * 3, axis=2))


def test_a_folder_of_gray_files_has_one_channel(tmp_path, caplog):
    picture(1, (SIDE, SIDE)).save(tmp_path / "a.png")
    picture(2, (SIDE, SIDE), np.uint16).save(tmp_path / "b.tif")
    found = image_sets.of_folder(tmp_path)
    assert found.shape == (SIDE, SIDE, 1)
    assert found.notes == {}
    first, deep = all_of(found)[..., 0]
    np.testing.assert_array_equal(first, np.asarray(picture(1, (SIDE, SIDE))))
    exact = np.asarray(picture(2, (SIDE, SIDE), np.uint16)) / 257
    np.testing.assert_array_equal(deep, np.rint(exact))


def test_transparent_pixels_are_refused_or_filled(tmp_path):
    rgba = np.full((SIDE, SIDE, 4), 100, np.uint8)
    rgba[0, 0, 3], rgba[1:, :, 3] = 0, 255
    PIL.Image.fromarray(rgba).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a.png: is transparent; --alpha=white, black or drop"):
        image_sets.of_folder(tmp_path)
    for alpha, value in (("white", 255), ("black", 0), ("drop", 100)):
        image = all_of(image_sets.of_folder(tmp_path, Fitting(alpha=alpha)))[0]
        np.testing.assert_array_equal(image[0, 0], value)
        np.testing.assert_array_equal(image[1:], 100)


def test_an_image_of_another_size_is_named_with_the_remedy_before_the_work(tmp_path):
    picture(0).save(tmp_path / "a.png")
    picture(1, (12, SIDE, 3)).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match="b.png: must have 8x8 pixels, as .*a.png. Rec.*: 8x12.* "):
        image_sets.of_folder(tmp_path)
    with pytest.raises(ValueError, match="--resolution=8 --transform=center-crop"):
        image_sets.of_folder(tmp_path)
    with pytest.raises(ValueError, match="a.png: must have 4x4 pixels, as --resolution=4. Rec"):
        image_sets.of_folder(tmp_path, Fitting(resolution=4))
    fitted = image_sets.of_folder(tmp_path, Fitting(resolution=SIDE, transform="center-crop"))
    assert fitted.name == f"{tmp_path} (transform center-crop)"  # It is another set of reals.
    np.testing.assert_array_equal(all_of(fitted)[0], picture(0))
    np.testing.assert_array_equal(all_of(fitted)[1], np.asarray(picture(1, (12, SIDE, 3)))[2:10])


def test_images_need_not_be_square_and_are_turned_upright(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    picture(0, (SIDE, 12, 3)).save(tmp_path / "a.png")
    picture(1, (12, SIDE, 3)).save(tmp_path / "b.png", exif=exif)
    found = image_sets.of_folder(tmp_path)
    assert found.shape == (SIDE, 12, 3)
    turned = np.rot90(np.asarray(picture(1, (12, SIDE, 3))), -1)
    np.testing.assert_array_equal(all_of(found)[1], turned)
    picture(2, (12, SIDE, 3)).save(tmp_path / "c.png")  # not turned
    with pytest.raises(ValueError, match="c.png: must have 12x8 pixels, as .*a.png. Rec.*: 8x12"):
        all_of(image_sets.of_folder(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "b.png: the file is empty. Replace or remove the file"),
        (b"damaged", "b.png: not an image, or of a kind that cannot be read. Replace or remove"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, message):
    picture(0).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        image_sets.of_folder(tmp_path)


def test_a_file_whose_end_is_missing_is_named_when_it_is_read(tmp_path):
    for name in ("a", "b"):
        picture(0, (64, 64, 3)).save(tmp_path / f"{name}.png")
    os.truncate(tmp_path / "b.png", 4000)
    found = image_sets.of_folder(tmp_path)
    with pytest.raises(ValueError, match="b.png: .*truncated.* Replace or remove the file"):
        found.read(0, 2)


def test_floating_point_files_have_no_known_range(tmp_path):
    PIL.Image.fromarray(np.full((8, 8), 1000, np.float32)).save(tmp_path / "deep.tif")
    with pytest.raises(ValueError, match="deep.tif: floating-point images have no known range"):
        image_sets.of_folder(tmp_path)


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("not an image")
    with pytest.raises(ValueError, match="no image files in it"):
        image_sets.of_folder(tmp_path)
    with pytest.raises(OSError, match="missing"):
        image_sets.of_folder(tmp_path / "missing")
    with pytest.raises(ValueError, match="`transform` needs a resolution"):
        Fitting(transform="pad")
