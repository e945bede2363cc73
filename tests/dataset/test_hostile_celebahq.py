"""Damaged and hostile inputs of CelebA-HQ: archives of deltas, and photographs."""

import io
import os
import re
import signal
import struct
import zipfile

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset.celebahq import deltas, jpeg


def zip_with(entry, compression=zipfile.ZIP_DEFLATED, spoil=lambda data: data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("delta00000.dat", entry)
    return spoil(buffer.getvalue())


def flip_middle(data):
    half = data.index(b"delta00000.dat") + 40
    return data[:half] + bytes(x ^ 255 for x in data[half : half + 8]) + data[half + 8 :]


def far_offset(data):
    at = data.rindex(b"PK\1\2") + 42  # of the local header
    return data[:at] + struct.pack("<I", 0xFFFFFF) + data[at + 4 :]


def encrypted(data):
    at = data.index(b"PK\1\2") + 8
    return data[:6] + b"\1" + data[7:at] + b"\1" + data[at + 1 :]


def unknown_method(data):
    at = data.index(b"PK\1\2") + 10
    return data[:8] + b"\x63" + data[9:at] + b"\x63" + data[at + 1 :]


BAD_ARCHIVES = {
    "LZMA": zip_with(bytes(range(256)) * 8, zipfile.ZIP_LZMA, flip_middle),
    "bzip2": zip_with(bytes(range(256)) * 8, zipfile.ZIP_BZIP2, flip_middle),
    "deflate": zip_with(os.urandom(500), zipfile.ZIP_DEFLATED, flip_middle),
    "offset": zip_with(b"1", spoil=far_offset),
    "encrypted": zip_with(b"1", spoil=encrypted),
    "method": zip_with(b"1", spoil=unknown_method),
    "directory": zip_with(b"1", spoil=lambda data: data.replace(b"PK\1\2", b"PK\1\3")),
    "empty": b"",
}


@pytest.mark.parametrize("kind", BAD_ARCHIVES)
def test_a_damaged_archive_of_deltas_is_one_line_that_names_it(kind, tmp_path):
    path = tmp_path / "deltas00000.zip"
    path.write_bytes(BAD_ARCHIVES[kind])
    with pytest.raises(deltas.DeltaDamaged, match="^deltas00000.zip: delta00000.dat cannot be"):
        deltas.Archives(str(tmp_path)).read(0)
    assert deltas.check_archive(str(path), [], full=True).startswith("deltas00000.zip")


def test_a_pipe_for_an_archive_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "deltas00000.zip")
    with pytest.raises(deltas.DeltaDamaged, match="deltas00000.zip: .*must be a regular file"):
        deltas.Archives(str(tmp_path)).read(0)


def test_an_archive_has_as_many_entries_as_deltas(tmp_path):
    with zipfile.ZipFile(tmp_path / "deltas00000.zip", "w") as archive:
        for number in range(1001):
            archive.writestr(f"delta{number:05d}.dat", b"")
    problem = deltas.check_archive(str(tmp_path / "deltas00000.zip"), [], full=True)
    assert problem == "deltas00000.zip has 1001 entries, more than 1000"


def small_jpeg(**options):
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (64, 64), (9, 99, 199)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def test_bytes_before_a_marker_change_no_pixel_of_celebahq():
    data = small_jpeg(progressive=True)
    filled = data.replace(b"\xff\xc4", b"\xff\xff\xff\xc4").replace(b"\xff\xd9", b"\xff\xff\xd9")
    assert len(filled) > len(data)
    np.testing.assert_array_equal(jpeg.decode(filled), jpeg.decode(data))


def test_no_jpeg_file_takes_minutes_in_celebahq():
    data = small_jpeg(progressive=True)
    start = data.index(b"\xff\xc2")
    tables = b"\xff\xc4" + struct.pack(">H", 19 + 20 * 17) + 20 * (b"\x10" + bytes(16)) + bytes(17)
    last = data[data.rindex(b"\xff\xc4", 0, data.rindex(b"\xff\xda")) : -2]
    big = data[: start + 5] + struct.pack(">HH", 1024, 1024) + data[start + 9 :]
    huge = data[: start + 5] + struct.pack(">HH", 8192, 8192) + data[start + 9 :]
    bombs = {
        "ends early|no end marker": data[:-2] + (1 << 20) * b"\xff" + b"\0" + data[-2:],
        "too many Huffman tables": data[:start] + 60 * tables + data[start:],
        "must have fewer JPEG scans, found 5": big[:-2] + 560 * last + b"\xff\xd9",
        "claims to be 8192x8192": huge,
    }
    for message, bomb in bombs.items():
        found = _decode(bomb)
        assert re.search(message, found), (message, found)


def _decode(data):
    signal.setitimer(signal.ITIMER_PROF, 5)  # ends the tests
    try:
        jpeg.decode(data)
    except ValueError as error:
        return str(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "ends early"  # Bytes FF before a marker are no fault.
