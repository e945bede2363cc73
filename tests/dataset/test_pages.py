"""TIFF files and animations with several pictures; bars of a color; large pictures."""

import io
import struct
import zipfile
import zlib

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset import open_dataset
from pgtf.dataset.faces.ranking import rank_images
from pgtf.dataset.sources.pictures import Conversion, read_picture
from pgtf.foreign import tiff_pages
from tests.dataset.commands import run
from tests.dataset.folders import create, save, shades
from tests.foreign.tiffs import png, tiff


def pages(count, size=16):
    return [np.full((size, size), 10 * page + 5, np.uint8) for page in range(count)]


def animation(kind, count):
    first, *rest = (PIL.Image.fromarray(page).convert("RGB") for page in pages(count))
    buffer = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    first.save(buffer, kind, save_all=True, append_images=rest, duration=100, **options)
    return buffer.getvalue()


STACKS = {
    "a.tif": tiff(*pages(4)),
    "big endian.tif": tiff(*pages(4), order=">"),
    "deflate.tif": tiff(*pages(4), compressed=True),
    "a.gif": animation("GIF", 4),
    "a.webp": animation("WEBP", 4),
    "a.png": animation("PNG", 4),
}


@pytest.mark.parametrize("name", STACKS)
def test_all_pages_are_taken_in_order_or_only_the_first_with_a_word(name, tmp_path, caplog):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(STACKS[name])
    options = {"shuffle": False, "channels": 3}
    create(tmp_path, **options)
    assert shades(tmp_path / "out") == [5]
    (line,) = caplog.messages
    assert line.startswith(
        f"{name} has more than one picture, of which the first is taken; --pages="
    )
    caplog.clear()
    (tmp_path / "out").rename(tmp_path / "first")
    create(tmp_path, **options, pages="all")
    assert shades(tmp_path / "out") == [5, 15, 25, 35]
    assert caplog.messages == []


def test_pages_have_the_label_of_their_file_and_are_shuffled_one_by_one(tmp_path):
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / "in" / name).mkdir(parents=True)
        stack = [page + 100 * number for page in pages(8)]
        (tmp_path / "in" / name / "a.tif").write_bytes(tiff(*stack))
    create(tmp_path, labels="folders", pages="all")
    dataset = open_dataset(tmp_path / "out", max_label_size="full")
    found = shades(tmp_path / "out")
    assert sorted(found) == [*range(5, 80, 10), *range(105, 180, 10)]
    assert found != sorted(found)
    np.testing.assert_array_equal(dataset.read_labels(range(16))[:, 1], np.array(found) > 100)


def test_a_page_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tif").write_bytes(tiff(*pages(2), np.zeros((8, 8), np.uint8)))
    summary = create(tmp_path, pages="all", max_errors=1)
    (rejected,) = summary.rejected
    assert rejected.name == f"{tmp_path}/in/a.tif (page 3)"
    assert rejected.reason.startswith("must be 16x16 grayscale like the others, found 8x8")
    assert sorted(shades(tmp_path / "out")) == [5, 15]


@pytest.mark.parametrize("kind", [1, 4])
def test_smaller_copies_and_masks_are_no_pages(kind, tmp_path):
    data = bytearray(tiff(*pages(3), more=[(254, 4, 1, bytes(4))]))
    at = data.index(struct.pack("<HHI", 254, 4, 1)) + 8  # of the first page
    data[at : at + 4] = struct.pack("<I", kind)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tif").write_bytes(data)
    create(tmp_path, shuffle=False, pages="all")
    assert shades(tmp_path / "out") == [15, 25]


def test_directories_in_a_circle_end(tmp_path):
    data = bytearray(tiff(*pages(2)))
    first = struct.unpack_from("<I", data, 4)[0]
    (count,) = struct.unpack_from("<H", data, first)
    second = struct.unpack_from("<I", data, first + 2 + 12 * count)[0]
    struct.pack_into("<I", data, second + 2 + 12 * count, first)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tif").write_bytes(data)
    create(tmp_path, shuffle=False, pages="all")
    assert shades(tmp_path / "out") == [5, 15]


@pytest.mark.parametrize("workers", [1, 2])
def test_auto_is_the_range_of_all_pages(workers, tmp_path):
    (tmp_path / "in").mkdir()
    stack = [np.full((16, 16), 1000 * page + 100, np.uint16) for page in range(3)]
    (tmp_path / "in" / "a.tif").write_bytes(tiff(*stack))
    command = ("create_from_images", tmp_path / "out", tmp_path / "in", "--range=auto")
    assert run(*command, "--pages=all", "--shuffle=0", f"--num_workers={workers}") == 0
    assert shades(tmp_path / "out") == [0, 128, 255]


@pytest.mark.parametrize(
    ("alpha", "pad", "color"),
    [
        ("error", None, (0, 0, 0)),
        ("black", None, (0, 0, 0)),
        ("drop", None, (0, 0, 0)),
        ("white", None, (255, 255, 255)),
        ("white", "black", (0, 0, 0)),
        ("error", "#20c0ff", (0x20, 0xC0, 0xFF)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_bars_have_the_color_of_alpha_or_their_own(alpha, pad, color, channels, tmp_path):
    PIL.Image.new("RGB", (16, 4), (9, 9, 9)).save(tmp_path / "x.png")
    conversion = Conversion(channels, 16, "pad", alpha, strict=False, pad=pad)
    found = read_picture(str(tmp_path / "x.png"), conversion)
    assert (found[:, 6:10] == 9).all()
    bars = np.concatenate([found[:, :6], found[:, 10:]], axis=1).reshape(channels, -1)
    red, green, blue = color
    gray = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16  # Pillow's weights
    expected = color if channels == 3 else (gray,)
    assert np.array_equal(bars, np.repeat(np.reshape(expected, (-1, 1)), bars.shape[1], axis=1))


def test_the_flag_for_bars_needs_bars(tmp_path, capsys):
    save(tmp_path / "in" / "a.png", 1)
    assert run("create_from_images", tmp_path / "out", tmp_path / "in", "--pad=white") == 2
    assert "Add --transform=pad" in capsys.readouterr().err
    assert run("create_from_images", tmp_path / "out", tmp_path / "in", "--pad=plaid") == 2
    assert "must be a color, such as white or #20c0ff. Received: 'plaid'" in capsys.readouterr().err


def test_a_transparent_panorama_is_padded_in_white(tmp_path):
    (tmp_path / "in").mkdir()
    PIL.Image.new("RGBA", (64, 16), (10, 200, 30, 0)).save(tmp_path / "in" / "a.png")
    create(tmp_path, resolution=32, transform="pad", alpha="white")
    dataset = open_dataset(tmp_path / "out")
    assert (dataset.num_channels, dataset.read_images([0]).min()) == (3, 255)


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "gif", "webp"])
def test_a_picture_over_the_limit_is_told_the_flag_that_accepts_it(kind, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    PIL.Image.new("RGB", (16, 17), (9, 9, 9)).save(tmp_path / "in" / f"a.{kind}")
    command = ["create_from_images", tmp_path / "out", tmp_path / "in", "--channels=3"]
    command += ["--resolution=4", "--transform=center-crop"]
    assert run(*command, "--max_pixels=271") == 2
    line = capsys.readouterr().err
    assert "must have at most 271 pixels, found 16x17; --max_pixels=272 accepts it" in line
    assert run(*command, "--max_pixels=272", "--resume") == 0


def test_the_limit_without_a_flag_has_the_remedy_too(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    content = bytearray(png(np.zeros((4, 4), np.uint8)))
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "in" / "a.png").write_bytes(content)
    assert run("create_from_images", tmp_path / "out", tmp_path / "in", "--channels=1") == 2
    assert "found 3600000000; --max_pixels=3600000000 accepts it" in capsys.readouterr().err


def test_a_tiny_picture_is_rejected_by_name(tmp_path):
    save(tmp_path / "in" / "a.png", 1, (64, 64))
    for side in range(1, 8):
        save(tmp_path / "in" / f"spacer{side}.gif", 2, (side, 30))
    source, out = str(tmp_path / "in"), str(tmp_path / "out")
    with pytest.raises(ValueError, match=r"in/spacer1.gif: must have at least 8 pixels each way"):
        rank_images(source, 1, out)
    ranked = rank_images(source, 1, out + "2", max_errors=7)
    assert (ranked.num_kept, len(ranked.rejected)) == (1, 7)
    assert ranked.rejected[0].reason == "must have at least 8 pixels each way, found 1x30"


def test_the_pages_of_a_file_are_listed_once_however_many_are_read(tmp_path, monkeypatch):
    listed = []
    directories = tiff_pages.directories
    monkeypatch.setattr(
        tiff_pages, "directories", lambda content: listed.append(1) or directories(content)
    )
    monkeypatch.setattr(tiff_pages, "_last", (None, []))
    conversion = Conversion(1, 16)
    for path in (tmp_path / "a.tif", tmp_path / "in.zip" / "a.tif"):
        listed.clear()
        if path.parent == tmp_path:
            path.write_bytes(tiff(*pages(4)))
        else:
            with zipfile.ZipFile(path.parent, "w") as archive:
                archive.write(tmp_path / "a.tif", "a.tif")
        found = [read_picture(str(path), conversion, page=page)[0, 0, 0] for page in range(4)]
        assert (found, len(listed)) == ([5, 15, 25, 35], 1)
    (tmp_path / "a.tif").write_bytes(tiff(*pages(2)))  # Another file of this name is listed again.
    with pytest.raises(ValueError, match="must have a page 3, found 2 pages"):
        read_picture(str(tmp_path / "a.tif"), conversion, page=2)
