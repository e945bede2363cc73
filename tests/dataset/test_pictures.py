"""Single files as real people have them."""

import io
import struct

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest

from pgtf.dataset.sources import pictures
from pgtf.dataset.sources.pictures import Conversion, read_picture
from tests.dataset.folders import gradient

ORIENTATION = 0x0112  # EXIF


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


@pytest.mark.parametrize("kind", ["png", "tif", "jpg", "webp"])
def test_exif_rotation_is_applied_without_flags_too(kind, tmp_path):
    exif = PIL.Image.Exif()
    options = {"webp": {"lossless": True}}.get(kind, {})
    for orientation in (1, 6):
        exif[ORIENTATION] = orientation
        path = tmp_path / f"{orientation}.{kind}"
        PIL.Image.fromarray(gradient(16, 16)).save(path, exif=exif, **options)
    plain, turned = (read_picture(str(tmp_path / f"{i}.{kind}"), Conversion(3, 16)) for i in (1, 6))
    np.testing.assert_array_equal(turned, np.rot90(plain, -1, (1, 2)))


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_colors_of_an_icc_profile_become_srgb_without_flags_too(kind, tmp_path):
    colors = np.tile(np.uint8([200, 40, 90]), (8, 8, 1))
    path = tmp_path / f"x.{kind}"
    PIL.Image.fromarray(colors).save(path, icc_profile=swapped_profile(), quality=100)
    found = read_picture(str(path), Conversion(3, 8))
    expected = np.tile(np.uint8([40, 200, 90])[:, None, None], (1, 8, 8))
    assert np.abs(found.astype(int) - expected).max() <= 4


def test_a_profile_of_srgb_changes_no_pixel(tmp_path):
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    assert pictures.is_srgb(profile)
    assert not pictures.is_srgb(swapped_profile())
    pixels = np.random.RandomState(0).randint(0, 256, (16, 16, 3)).astype(np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "x.png", icc_profile=profile)
    found = read_picture(str(tmp_path / "x.png"), Conversion(3, 16))
    np.testing.assert_array_equal(found, pixels.transpose(2, 0, 1))


def test_a_transparent_color_is_an_error_without_flags_too(tmp_path):
    pixels = gradient(16, 16)
    key = tuple(map(int, pixels[0, 0]))
    PIL.Image.fromarray(pixels).save(tmp_path / "x.png", transparency=key)
    with pytest.raises(ValueError, match="is transparent; --alpha=white"):
        read_picture(str(tmp_path / "x.png"), Conversion(3, 16))
    PIL.Image.fromarray(pixels).save(tmp_path / "x.png", transparency=(1, 2, 3))  # no pixel has it
    found = read_picture(str(tmp_path / "x.png"), Conversion(3, 16))
    np.testing.assert_array_equal(found, pixels.transpose(2, 0, 1))


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


@pytest.mark.parametrize("kind", ["AVIF", "BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"])
def test_a_damaged_byte_never_ends_in_an_exception_of_another_kind(kind, tmp_path):
    if kind == "AVIF" and ".avif" not in PIL.Image.registered_extensions():
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
