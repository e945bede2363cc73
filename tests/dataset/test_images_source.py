"""Folders as real people have them."""

import io
import json
import os
import re
import struct
import zlib

import h5py
import numpy as np
import PIL.features
import PIL.Image
import PIL.ImageCms
import pytest

import dataset_tool
from pgtf.dataset import open_dataset
from pgtf.dataset.commands import print_summary
from pgtf.dataset.exporter import Options
from pgtf.dataset.sources import hdf5, images, pictures
from pgtf.dataset.sources.images import ImageOptions
from pgtf.dataset.sources.pictures import Conversion, read_picture
from tests.dataset import original, recipes

ORIENTATION = 0x0112  # EXIF


def gradient(width=20, height=10):
    """RGB, different in every corner: red grows to the right, green downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, np.full_like(x, 60)], axis=2).astype(np.uint8)


def convert(path, resolution, channels=3, **options):
    conversion = Conversion(channels, resolution, strict=False, **options)
    return read_picture(str(path), conversion)


def test_center_crop_takes_the_middle_square(tmp_path):
    PIL.Image.fromarray(gradient(24, 8)).save(tmp_path / "x.png")
    cropped = convert(tmp_path / "x.png", 8, transform="center-crop")
    np.testing.assert_array_equal(cropped, gradient(24, 8)[:, 8:16].transpose(2, 0, 1))


def test_pad_adds_black_to_the_shorter_side(tmp_path):
    PIL.Image.fromarray(gradient(8, 4)).save(tmp_path / "x.png")
    padded = convert(tmp_path / "x.png", 8, transform="pad")
    np.testing.assert_array_equal(padded[:, 2:6], gradient(8, 4).transpose(2, 0, 1))
    assert padded[:, [0, 1, 6, 7]].max() == 0


def test_resize_stretches_with_lanczos(tmp_path):
    picture = PIL.Image.fromarray(gradient(20, 10))
    picture.save(tmp_path / "x.png")
    expected = np.asarray(picture.resize((8, 8), PIL.Image.Resampling.LANCZOS))
    resized = convert(tmp_path / "x.png", 8, transform="resize")
    np.testing.assert_array_equal(resized, expected.transpose(2, 0, 1))


def test_without_a_transform_another_size_is_an_error(tmp_path):
    PIL.Image.fromarray(gradient(16, 16)).save(tmp_path / "x.png")
    with pytest.raises(ValueError, match="must be 8x8 RGB like the others, found 16x16 RGB"):
        convert(tmp_path / "x.png", 8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation, tmp_path):
    upright = PIL.Image.fromarray(gradient(16, 16))
    undo = {
        2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
        3: PIL.Image.Transpose.ROTATE_180,
        4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
        5: PIL.Image.Transpose.TRANSPOSE,
        6: PIL.Image.Transpose.ROTATE_90,
        7: PIL.Image.Transpose.TRANSVERSE,
        8: PIL.Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = PIL.Image.Exif()
    exif[ORIENTATION] = orientation
    stored.save(tmp_path / "x.png", exif=exif)
    found = convert(tmp_path / "x.png", 16)
    np.testing.assert_array_equal(found, gradient(16, 16).transpose(2, 0, 1))


def test_exif_is_ignored_without_flags_as_in_the_original(tmp_path):
    exif = PIL.Image.Exif()
    exif[ORIENTATION] = 3
    PIL.Image.fromarray(gradient(16, 16)).save(tmp_path / "x.png", exif=exif)
    found = read_picture(str(tmp_path / "x.png"), Conversion(3, 16))
    np.testing.assert_array_equal(found, gradient(16, 16).transpose(2, 0, 1))


def swapped_profile():
    """An ICC profile of a space whose red is what sRGB calls green, made from Pillow's sRGB."""
    content = bytearray(PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(content[128:132], "big")
    tags = {bytes(content[132 + 12 * i :][:4]): 132 + 12 * i for i in range(count)}
    red, green = (slice(tags[name] + 4, tags[name] + 12) for name in (b"rXYZ", b"gXYZ"))
    content[red], content[green] = content[green], content[red]
    return bytes(content)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colors_of_an_icc_profile_become_srgb(mode, tmp_path):
    colors = np.tile(np.uint8([200, 40, 90]), (8, 8, 1))
    picture = PIL.Image.fromarray(colors)
    picture = picture.quantize() if mode == "P" else picture.convert(mode)
    picture.save(tmp_path / "x.png", icc_profile=swapped_profile())
    found = convert(tmp_path / "x.png", 8)
    expected = np.tile(np.uint8([40, 200, 90])[:, None, None], (1, 8, 8))
    assert np.abs(found.astype(int) - expected).max() <= 2


def gray_profile():
    """A minimal ICC profile of gray that is proportional to light: header, table of tags, tags."""
    white = struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)  # D50
    tags = {
        b"kTRC": b"curv" + bytes(4) + struct.pack(">I2H", 1, 256, 0),  # gamma 1
        b"wtpt": b"XYZ " + bytes(4) + white,
        b"cprt": b"text" + bytes(4) + b"none\0\0\0\0",
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"gray\0" + bytes(79),
    }
    body, table = b"", struct.pack(">I", len(tags))
    for name, content in tags.items():
        at = 128 + 4 + 12 * len(tags) + len(body)
        table += name + struct.pack(">2I", at, len(content))
        body += content
    header = bytes(4) + b"\2\x20\0\0mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(28) + white
    header = struct.pack(">I", 128 + len(table) + len(body)) + header + bytes(48)
    return header + table + body


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_gray_of_an_icc_profile_becomes_srgb(mode, tmp_path):
    light = np.tile(np.uint8([0, 13, 55, 128, 200, 220, 240, 255]), (8, 1))
    picture = PIL.Image.fromarray(np.uint16(light) * 257 if mode == "I;16" else light)
    (picture if mode == "I;16" else picture.convert(mode)).save(
        tmp_path / "x.png", icc_profile=gray_profile()
    )
    x = light / 255  # sRGB, IEC 61966-2-1
    expected = 255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    for channels in (1, 3):
        found = convert(tmp_path / "x.png", 8, channels)
        assert np.abs(found - expected).max() <= 1


def test_a_profile_of_colors_is_ignored_for_a_gray_picture(tmp_path):
    gray = gradient(8, 8)[:, :, 0]
    PIL.Image.fromarray(gray).save(tmp_path / "x.png", icc_profile=swapped_profile())
    np.testing.assert_array_equal(convert(tmp_path / "x.png", 8, 1)[0], gray)


def test_a_panorama_is_padded_without_a_huge_square(tmp_path, monkeypatch):
    PIL.Image.new("RGB", (4000, 3), (9, 9, 9)).save(tmp_path / "x.png")
    new = PIL.Image.new
    sizes = []
    monkeypatch.setattr(
        PIL.Image, "new", lambda mode, size, *rest: sizes.append(size) or new(mode, size, *rest)
    )
    padded = convert(tmp_path / "x.png", 8, transform="pad")
    assert (padded[:, 3] == 9).all()
    assert padded.sum() == 9 * 3 * 8
    assert max(map(max, sizes), default=0) <= 8


def test_a_single_pixel_can_be_enlarged(tmp_path):
    PIL.Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "x.png")
    for transform in ("center-crop", "pad", "resize"):
        enlarged = convert(tmp_path / "x.png", 8, transform=transform)
        assert (enlarged == np.reshape([1, 2, 3], (3, 1, 1))).all()


def test_the_first_picture_of_an_animation_is_taken(tmp_path):
    first, second = (PIL.Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (200, 100))
    first.save(tmp_path / "x.gif", save_all=True, append_images=[second])
    assert (convert(tmp_path / "x.gif", 8)[0] == 200).all()


def test_a_broken_icc_profile_is_ignored(tmp_path):
    PIL.Image.fromarray(gradient(8, 8)).save(tmp_path / "x.png", icc_profile=b"no profile" * 20)
    found = convert(tmp_path / "x.png", 8)
    np.testing.assert_array_equal(found, gradient(8, 8).transpose(2, 0, 1))


def test_cmyk_becomes_rgb(tmp_path):
    red = PIL.Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    red.save(tmp_path / "x.tif")
    assert convert(tmp_path / "x.tif", 8)[:, 0, 0].tolist() == [255, 0, 0]


def test_a_palette_becomes_rgb(tmp_path):
    picture = PIL.Image.fromarray(gradient(8, 8)).quantize(16)
    picture.save(tmp_path / "x.png")
    expected = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    np.testing.assert_array_equal(convert(tmp_path / "x.png", 8), expected)


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_16_bits_become_8_by_rounding(kind, tmp_path):
    values = np.uint16([[0, 128, 129, 257, 385, 386, 32768, 65535]] * 8)
    PIL.Image.fromarray(values).save(tmp_path / f"x.{kind}")
    found = convert(tmp_path / f"x.{kind}", 8, channels=1)
    assert found[0, 0].tolist() == [0, 0, 1, 1, 1, 2, 128, 255]


def test_black_and_white_becomes_gray(tmp_path):
    values = np.eye(8, dtype=bool)
    PIL.Image.fromarray(values).save(tmp_path / "x.png")
    np.testing.assert_array_equal(convert(tmp_path / "x.png", 8, 1)[0], 255 * values)


def test_gray_becomes_rgb_and_rgb_gray(tmp_path):
    gray = PIL.Image.fromarray(gradient(8, 8)[:, :, 0])
    gray.save(tmp_path / "gray.png")
    assert (convert(tmp_path / "gray.png", 8) == np.asarray(gray)).all()
    PIL.Image.fromarray(gradient(8, 8)).save(tmp_path / "rgb.png")
    expected = np.asarray(PIL.Image.fromarray(gradient(8, 8)).convert("L"))
    np.testing.assert_array_equal(convert(tmp_path / "rgb.png", 8, 1)[0], expected)


@pytest.fixture
def transparent(tmp_path):
    """Red, its left half fully transparent, its right half opaque."""
    alpha = np.uint8([[0, 0, 0, 0, 255, 255, 255, 255]] * 8)
    red = np.tile(np.uint8([250, 0, 0]), (8, 8, 1))
    PIL.Image.fromarray(np.dstack([red, alpha])).save(tmp_path / "x.png")
    return tmp_path / "x.png"


@pytest.mark.parametrize(
    ("alpha", "left"), [("white", [255] * 3), ("black", [0] * 3), ("drop", [250, 0, 0])]
)
def test_transparency_is_filled_or_dropped(alpha, left, transparent):
    found = convert(transparent, 8, alpha=alpha)
    assert found[:, 0, 0].tolist() == left
    assert found[:, 0, 7].tolist() == [250, 0, 0]


def test_transparency_is_an_error_unless_a_policy_is_given(transparent):
    with pytest.raises(ValueError, match="is transparent; --alpha="):
        convert(transparent, 8)


def test_an_opaque_alpha_channel_needs_no_policy(tmp_path):
    opaque = np.dstack([gradient(8, 8), np.full((8, 8), 255, np.uint8)])
    PIL.Image.fromarray(opaque).save(tmp_path / "x.png")
    found = convert(tmp_path / "x.png", 8)
    np.testing.assert_array_equal(found, gradient(8, 8).transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_quick_way_of_reading_png_agrees_with_pillow(mode, tmp_path, monkeypatch):
    values = recipes.noise(3, (1, 3, 64, 64))[0].transpose(1, 2, 0)
    picture = PIL.Image.fromarray(values).convert(mode)
    picture.save(tmp_path / "x.png")
    conversion = Conversion(len(picture.getbands()), 64)
    quick = read_picture(str(tmp_path / "x.png"), conversion)
    monkeypatch.setattr(pictures, "_read_plain_png", lambda path, conversion: None)
    np.testing.assert_array_equal(read_picture(str(tmp_path / "x.png"), conversion), quick)
    np.testing.assert_array_equal(np.atleast_3d(np.asarray(picture)).transpose(2, 0, 1), quick)


@pytest.mark.parametrize("kind", ["interlaced", "16-bit", "palette", "RGBA", "gray", "cut", "JPEG"])
def test_the_quick_way_leaves_other_files_to_pillow(kind, tmp_path):
    picture = PIL.Image.fromarray(gradient(64, 64))
    buffer = io.BytesIO()
    others = {
        "palette": picture.quantize(),
        "RGBA": picture.convert("RGBA"),
        "gray": picture.convert("L"),
        "16-bit": PIL.Image.fromarray(np.zeros((64, 64), np.uint16)),
    }
    others.get(kind, picture).save(buffer, "JPEG" if kind == "JPEG" else "PNG")
    data = bytearray(buffer.getvalue())
    if kind == "interlaced":
        data[28] = 1
    (tmp_path / "x").write_bytes(data[:-30] if kind == "cut" else data)
    assert pictures._read_plain_png(str(tmp_path / "x"), Conversion(3, 64)) is None


def test_the_quick_way_decodes_nothing_of_another_size(tmp_path, monkeypatch):
    """A header may promise more pixels than memory holds."""
    size = struct.pack(">II", 60_000, 60_000)
    chunk = b"IHDR" + size + bytes([8, 2, 0, 0, 0])
    data = pictures.PNG_HEAD[:-4] + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "x.png").write_bytes(data + b"\0\0\0\0IEND\xaeB`\x82")
    decoder = pytest.importorskip("kornia_rs.io")
    monkeypatch.setattr(decoder, "read_image_png_u8", lambda *args: pytest.fail("decoded"))
    with pytest.raises(PIL.Image.DecompressionBombError, match="decompression bomb"):
        read_picture(str(tmp_path / "x.png"), Conversion(3, 256))


@pytest.mark.parametrize("kind", ["AVIF", "BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"])
def test_a_damaged_byte_never_ends_in_an_exception_of_another_kind(kind, tmp_path):
    if kind == "AVIF" and not PIL.features.check("avif"):
        pytest.skip("Pillow has no AVIF here")
    buffer = io.BytesIO()
    PIL.Image.fromarray(gradient(8, 8)).save(buffer, kind)
    data = buffer.getvalue()
    conversion = Conversion(3, 8, alpha="drop", strict=False)
    num_refused = 0
    for place in range(len(data)):
        (tmp_path / "x").write_bytes(data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :])
        try:
            read_picture(str(tmp_path / "x"), conversion)
        except pictures.FILE_ERRORS:
            num_refused += 1
    assert num_refused


def save(path, shade, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", size, (shade, shade, shade)).save(path)


def shades(folder):
    dataset = open_dataset(folder, max_label_size="full")
    return dataset.read_images(range(dataset.num_images))[:, 0, 0, 0].tolist()


def create(tmp_path, folder="in", **options):
    return images.create(
        str(tmp_path / "out"), str(tmp_path / folder), ImageOptions(**options), Options(1)
    )


def test_folders_are_walked_in_the_order_of_their_paths(tmp_path):
    for shade, name in enumerate(["a.png", "b/c.png", "b/a/x.jpg", "B.bmp"], 1):
        save(tmp_path / "in" / name, shade)
    save(tmp_path / "in" / ".hidden.png", 9)
    save(tmp_path / "in" / ".thumbnails" / "x.png", 9)
    (tmp_path / "in" / "notes.txt").write_text("no image")
    create(tmp_path, shuffle=False)
    assert shades(tmp_path / "out") == [4, 1, 3, 2]  # B.bmp, a.png, b/a/x.jpg, b/c.png


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path):
    save(tmp_path / "elsewhere" / "a.png", 1)
    save(tmp_path / "in" / "b.png", 2)
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "self").symlink_to("self")
    assert images.list_images(str(tmp_path / "in"))[0] == ["b.png", "linked/a.png", "self"]
    summary = create(tmp_path, shuffle=False, max_errors=1)
    assert shades(tmp_path / "out") == [2, 1]
    assert [x.reason for x in summary.rejected] == ["Too many levels of symbolic links"]


def test_a_pipe_is_passed_over(tmp_path):
    save(tmp_path / "in" / "a.png", 1)
    os.mkfifo(tmp_path / "in" / "b.png")  # opening it would wait for ever
    assert images.list_images(str(tmp_path / "in"))[0] == ["a.png"]


def test_images_of_odd_names_are_taken_and_other_files_counted(tmp_path, capsys):
    for shade, name in enumerate(["a.jpg_large", "b", "c.001", "d e.PNG", "ü.png", "n\nl.png"]):
        save(tmp_path / "x.png", shade)
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "x.png").rename(tmp_path / "in" / name)
    for name in ("labels.csv", "notes.txt", "more.txt", "paper.pdf"):
        (tmp_path / "in" / name).write_text("no image")
    summary = create(tmp_path, shuffle=False)
    assert sorted(shades(tmp_path / "out")) == list(range(6))
    assert summary.passed_over == ("labels.csv", "more.txt", "notes.txt", "paper.pdf")
    print_summary(summary)
    line = "Passed over    4 files that are no images: 2 .txt, 1 .csv, 1 .pdf\n"
    assert line in capsys.readouterr().out


def test_names_that_are_no_text_can_be_labels(tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path / "in") + b"/caf\xe9")
    os.makedirs(folder)
    save(tmp_path / "in" / "b" / "x.png", 1)
    os.rename(tmp_path / "in" / "b" / "x.png", f"{folder}/x.png")
    save(tmp_path / "in" / "b" / "x.png", 2)
    create(tmp_path, labels="folders")
    dataset = open_dataset(tmp_path / "out", max_label_size="full")
    assert dataset.label_names == ("b", "caf\\udce9")


def test_max_images_takes_the_first_of_the_shuffled_order(tmp_path):
    for shade in range(10):
        save(tmp_path / "in" / f"{shade}.png", shade)
    create(tmp_path, max_images=3)
    assert shades(tmp_path / "out") == [4, 0, 7]  # as RandomState(123) shuffles ten


def labels_of(tmp_path, **options):
    for shade, name in enumerate(["dogs/a.png", "cats/b.png", "cats/c.png"], 1):
        save(tmp_path / "in" / name, shade)
    create(tmp_path, shuffle=False, **options)
    dataset = open_dataset(tmp_path / "out", max_label_size="full")
    assert shades(tmp_path / "out") == [2, 3, 1]  # cats/b, cats/c, dogs/a
    return dataset.read_labels(range(3)).tolist(), dataset.label_names


def test_labels_are_the_names_of_folders(tmp_path):
    labels, names = labels_of(tmp_path, labels="folders")
    assert labels == [[1, 0], [1, 0], [0, 1]]
    assert names == ("cats", "dogs")


TABLES = {
    "byte order mark, CRLF, spaces": (
        "\ufefffile, kind\r\ndogs/a.png, 0\r\ncats/c.png, 2\r\ncats/b.png ,1\r\n",
        [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
        (),
    ),
    "a file twice": (
        "file,kind\ndogs/a.png,0\ncats/c.png,0\ncats/b.png,1\n./cats/b.png,1\n",
        [[0, 1], [1, 0], [1, 0]],
        (),
    ),
    "classes": (
        "file,kind\ndogs/a.png,dog\ncats/c.png,cat\ncats/b.png,tiger\n",
        [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
        ("cat", "dog", "tiger"),
    ),
    "numbers": (
        "file,kind\ndogs/a.png,0\ncats/c.png,2\ncats/b.png,1\n",
        [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
        (),
    ),
    "columns": (
        "file,age,size\ndogs/a.png,0.5,-1\ncats/c.png,2,3\ncats/b.png,1,1\n",
        [[1, 1], [2, 3], [0.5, -1]],
        ("age", "size"),
    ),
}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_labels_are_read_from_a_csv(name, tmp_path):
    text, expected, names = TABLES[name]
    (tmp_path / "labels.csv").write_text(text, newline="", encoding="utf-8")
    assert labels_of(tmp_path, labels=str(tmp_path / "labels.csv")) == (expected, names)


JSONS = {
    "mapping": (
        {"dogs/a.png": "dog", "cats/b.png": "cat", "cats/c.png": "cat"},
        [[1, 0], [1, 0], [0, 1]],
    ),
    "StyleGAN's": (
        {"labels": [["dogs/a.png", 0], ["cats/b.png", 1], ["cats/c.png", 1]]},
        [[0, 1], [0, 1], [1, 0]],
    ),
    "numbers": (
        {"dogs/a.png": [0.5, 1], "cats/b.png": [1, 1], "./cats/c.png": [0, 0]},
        [[1, 1], [0, 0], [0.5, 1]],
    ),
}


@pytest.mark.parametrize("name", sorted(JSONS))
def test_labels_are_read_from_json(name, tmp_path):
    content, expected = JSONS[name]
    (tmp_path / "labels.json").write_text("\ufeff" + json.dumps(content))
    assert labels_of(tmp_path, labels=str(tmp_path / "labels.json"))[0] == expected


def test_labels_are_read_from_numpy_in_the_order_of_the_files(tmp_path):
    np.save(tmp_path / "labels.npy", [[1, 2], [3, 4], [5, 6]])
    labels, _ = labels_of(tmp_path, labels=str(tmp_path / "labels.npy"))
    assert labels == [[1, 2], [3, 4], [5, 6]]


def test_class_numbers_are_read_from_numpy(tmp_path):
    np.save(tmp_path / "labels.npy", [1, 0, 2])
    labels, _ = labels_of(tmp_path, labels=str(tmp_path / "labels.npy"))
    assert labels == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]


BAD_ARRAYS = {
    "rows": (np.zeros((4, 2)), "a row for each of 3 files. Received: shape=.4, 2."),
    "no columns": (np.zeros((3, 0)), "must have one number or more"),
    "NaN": ([[0, 0], [0, 0], [1, np.nan]], r"must be finite numbers. Received: \[1.0, nan\]"),
    "beyond float32": ([[0.0], [1e39], [0]], "must be finite numbers"),
    "complex": (np.zeros((3, 2), complex), "must be numbers .not complex128"),
    "text": ([["a"]] * 3, "must be numbers .not <U1"),
    "objects": (np.array([{}] * 3), "not a NumPy file of numbers"),
    "negative class": ([0, 1, -1], "class numbers must be 0 to 999999. Received: -1 to 1"),
    "huge class": ([0, 1, 10**6], "class numbers must be 0 to 999999. Received: 0 to 1000000"),
    "fraction": ([0.5, 1, 2], "class numbers must be integers. Received: float64"),
}


@pytest.mark.parametrize("source", ["labels", "hdf5"])
@pytest.mark.parametrize("name", sorted(BAD_ARRAYS))
def test_bad_label_arrays_are_refused(name, source, tmp_path):
    array, message = BAD_ARRAYS[name]
    np.save(tmp_path / "x-labels.npy", array)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data8x8"] = np.zeros((3, 1, 8, 8), np.uint8)
    make = {
        "labels": lambda: labels_of(tmp_path, labels=str(tmp_path / "x-labels.npy")),
        "hdf5": lambda: hdf5.create(str(tmp_path / "out"), str(tmp_path / "x.h5")),
    }
    with pytest.raises(ValueError, match=f"x-labels.npy: .*{message}"):
        make[source]()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("keep", [0, 9, -1])
def test_damaged_label_arrays_are_refused(keep, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 2)))
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:keep])
    with pytest.raises(ValueError, match="x.npy: not a NumPy file of numbers, or damaged"):
        labels_of(tmp_path, labels=str(tmp_path / "x.npy"))


def test_labels_are_shuffled_with_the_images(tmp_path):
    for shade in range(20):
        save(tmp_path / "in" / f"{shade:02d}.png", shade)
    np.save(tmp_path / "labels.npy", np.arange(20)[:, None])
    create(tmp_path, labels=str(tmp_path / "labels.npy"))
    labels = open_dataset(tmp_path / "out", max_label_size="full").read_labels(range(20))
    assert labels[:, 0].tolist() == shades(tmp_path / "out") != list(range(20))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "file,kind\ndogs/a.png,dog\n", "x.csv: no label for .*cats/b.png"),
        ("x.csv", "file,kind\n", "x.csv: must have a header and rows"),
        ("x.csv", "file,a,b\nx,1,2\ny,1\n", "x.csv: must have a header and rows"),
        ("x.csv", "file,a,b\nx,1,2\ny,1,z\n", "x.csv: more than one label column must hold num"),
        ("x.csv", b"file,kind\ndogs/a.png,caf\xe9\n", "x.csv: not a CSV file in UTF-8"),
        ("x.csv", f"file,kind\nx,{'y' * 200_000}\n", "x.csv: not a CSV file .*field larger"),
        ("x.csv", "", "x.csv: must have a header and rows"),
        ("x.csv", "file,kind\nx,0\n./x,1\n", "x.csv: two labels for ./x: 0 and 1"),
        (
            "x.csv",
            "file,a,b\ndogs/a.png,1,2\ncats/b.png,1,nan\ncats/c.png,1,2\n",
            r"x.csv: labels must be finite numbers. Received: \[1.0, nan\]",
        ),
        (
            "x.csv",
            f"file,a\ndogs/a.png,1\ncats/b.png,{10**20}\ncats/c.png,1\n",
            "x.csv: class numbers must be 0 to 999999. Received: 1 to 1000000000",
        ),
        ("x.json", "{", "x.json: not JSON"),
        ("x.json", b"\xff", "x.json: not JSON"),
        ("x.json", "[" * 100_000, "x.json: not JSON"),
        ("x.json", '{"labels": null}', "x.json: no label for .*cats/b.png"),
        ("x.json", '{"labels": [[1, 2]]}', "x.json: must be {file: label}"),
        (
            "x.json",
            '{"dogs/a.png": [], "cats/b.png": [], "cats/c.png": []}',
            "x.json: labels must have one number or more",
        ),
        (
            "x.json",
            '{"dogs/a.png": 1, "cats/b.png": 1, "cats/c.png": null}',
            "x.json: labels must all be .* for example: 1, None",
        ),
        ("x.json", "[1]", "x.json: must be {file: label}"),
        ("x.json", '{"labels": [1]}', "x.json: must be {file: label}"),
        (
            "x.json",
            '{"dogs/a.png": 1, "cats/b.png": "x", "cats/c.png": [2]}',
            "x.json: labels must all be",
        ),
        (
            "x.json",
            '{"dogs/a.png": [1], "cats/b.png": [1, 2], "cats/c.png": [2]}',
            "x.json: all labels must have as many numbers",
        ),
        ("x.txt", "", "`labels` must be folders, or a .csv"),
    ],
)
def test_bad_labels_are_refused(name, content, message, tmp_path):
    content = content.encode() if isinstance(content, str) else content
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        labels_of(tmp_path, labels=str(tmp_path / name))
    assert not (tmp_path / "out").exists()


def test_a_transform_needs_a_resolution(tmp_path):
    save(tmp_path / "in" / "x.png", 1)
    with pytest.raises(ValueError, match="`transform` needs a resolution"):
        create(tmp_path, transform="pad")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_mixed_folder_is_converted(channels, tmp_path):
    save(tmp_path / "in" / "a.png", 10, (30, 20))
    PIL.Image.new("L", (7, 9), 20).save(tmp_path / "in" / "b.jpg", quality=100)
    PIL.Image.new("P", (16, 16)).save(tmp_path / "in" / "c.gif")
    PIL.Image.new("CMYK", (16, 16)).save(tmp_path / "in" / "d.jpg", quality=100)
    (tmp_path / "in" / "e.png").write_text("no image")
    summary = create(
        tmp_path,
        shuffle=False,
        resolution=16,
        transform="center-crop",
        channels=channels,
        max_errors=1,
    )
    assert (summary.num_images, summary.num_channels, summary.resolution) == (4, channels, 16)
    assert shades(tmp_path / "out") == [10, 20, 0, 255]
    assert [rejected.name for rejected in summary.rejected] == [str(tmp_path / "in" / "e.png")]


def suggestion(tmp_path):
    with pytest.raises(ValueError, match="holds images; make a dataset of them first") as caught:
        open_dataset(tmp_path / "in")
    return re.search("first: python dataset_tool.py (.*)", str(caught.value))[1]


def test_a_folder_of_images_is_told_the_command_it_needs(tmp_path):
    save(tmp_path / "in" / "x.png", 1)
    assert suggestion(tmp_path) == f"create_from_images datasets/in {tmp_path}/in"


def test_the_suggested_dataset_is_not_the_folder_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "datasets" / "cats" / "x.png", 1)
    command = images.suggested_command("datasets/cats").split()
    assert command[2:] == ["create_from_images", "datasets/cats-2", "datasets/cats"]
    dataset_tool.main(command[2:])
    assert images.suggested_command("datasets/cats").split()[3] == "datasets/cats-3"


def test_the_suggested_command_works(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for i in range(30):
        save(tmp_path / "in" / str(i % 3) / f"{i} x.png", i, tuple(rng.integers(90, 200, 2)))
    PIL.Image.new("RGBA", (100, 100)).save(tmp_path / "in" / "transparent.png")
    PIL.Image.new("L", (100, 100)).save(tmp_path / "in" / "gray.png")
    command = suggestion(tmp_path).split()
    assert command[3:] == [
        "--resolution=64",
        "--transform=center-crop",
        "--channels=3",
        "--alpha=white",
    ]
    monkeypatch.chdir(tmp_path)
    dataset_tool.main(command)
    dataset = open_dataset("datasets/in")
    assert (dataset.num_images, dataset.resolution, dataset.num_channels) == (32, 64, 3)


def test_a_folder_of_other_files_is_told_nothing(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    assert images.suggested_command(str(tmp_path)) is None
    (tmp_path / "x.png").write_text("x")
    assert images.suggested_command(str(tmp_path)) is None


def test_files_of_the_original_are_read_the_same_way_through_conversion(tmp_path):
    options = ImageOptions(channels=3, resolution=32)
    images.create(str(tmp_path / "images-rgb"), str(original.INPUTS / "images-rgb"), options)
    original.assert_equals_original(tmp_path / "images-rgb", "images-rgb")
