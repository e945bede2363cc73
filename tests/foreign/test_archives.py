"""One file of a tar archive is read, whatever else the archive holds or claims."""

import bz2
import gzip
import io
import lzma
import random
import tarfile

import pytest

from pgtf.foreign import archives
from pgtf.foreign.archives import read_member

CONTENT = random.Random(0).randbytes(5120)


def archive(*members, tar_format=tarfile.DEFAULT_FORMAT):
    """Bytes of a tar archive of TarInfo objects and their contents."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tar_format) as tar:
        for info, content in members:
            info.size = len(content) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def member(name, content=CONTENT, **facts):
    info = tarfile.TarInfo(name)
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info, content


GOOD = archive(member("c/" + "long" * 60), member("c/other"), member("c/train"), member("c/meta"))


@pytest.fixture
def read(tmp_path):
    def read_bytes(data, name="c/train", max_bytes=5120):
        (tmp_path / "c.tar").write_bytes(data)
        return read_member(str(tmp_path / "c.tar"), name, max_bytes)

    return read_bytes


@pytest.mark.parametrize(
    "compress", [bytes, gzip.compress, bz2.compress, lzma.compress], ids=lambda f: f.__module__
)
def test_a_file_is_read_from_archives_of_every_compression(compress, read):
    assert read(compress(GOOD)) == CONTENT
    with pytest.raises(FileNotFoundError, match=r"c\.tar:c/valid: no such file in the archive"):
        read(compress(GOOD), "c/valid")
    for size in (0, 1, 2, 600, len(compress(GOOD)) // 2):
        with pytest.raises(ValueError, match=r"c\.tar: not a tar archive, or damaged \(.+\)"):
            read(compress(GOOD)[:size])


@pytest.mark.parametrize(
    "tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
)
def test_a_file_is_read_from_archives_of_every_format(tar_format, read):
    assert read(archive(member("a"), member("c/train"), tar_format=tar_format)) == CONTENT


def test_a_file_larger_than_expected_is_not_read(read):
    with pytest.raises(ValueError, match="a file of 5120 bytes where at most 5119 are expected"):
        read(GOOD, max_bytes=5119)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE]
)
def test_links_to_themselves_and_other_kinds_are_no_file(kind, read):
    data = archive(member("c/train", type=kind, linkname="c/train"), member("c/meta"))
    with pytest.raises(FileNotFoundError, match="no such file in the archive"):
        read(data)


def test_an_archive_that_decompresses_to_far_more_is_refused(read, monkeypatch):
    monkeypatch.setattr(archives, "MAX_ARCHIVE", 1 << 20)
    bomb = archive(member("c/zeros", bytes(2 << 20)), member("c/train"))
    assert len(gzip.compress(bomb)) < 10_000
    with pytest.raises(ValueError, match="more than 1 MiB after decompression"):
        read(gzip.compress(bomb))


def test_a_header_of_many_bytes_is_not_read(read):
    comment = {"comment": "a" * (1 << 17)}
    data = archive(member("c/train", pax_headers=comment), tar_format=tarfile.PAX_FORMAT)
    with pytest.raises(ValueError, match="a header of more than 64 KiB"):
        read(data)


def test_an_archive_of_a_thousand_other_files_is_not_read_further(read):
    many = [member(f"c/{i}", b"") for i in range(999)]
    assert read(archive(*many, member("c/train"))) == CONTENT
    with pytest.raises(ValueError, match="more than 1000 files"):
        read(archive(*many, member("c/one more", b""), member("c/train")))


def test_a_file_of_negative_size_does_not_send_the_reader_back(read):
    """Some versions of Python read such an archive for ever."""
    data = bytearray(archive(member("c/a"), member("c/b"), member("c/c"), member("c/d")))
    begin = data.index(b"c/c")
    data[begin + 124 : begin + 136] = b"\xff" * 10 + (-6144 % 2**16).to_bytes(2, "big")
    data[begin + 148 : begin + 156] = b" " * 8
    data[begin + 148 : begin + 156] = b"%06o\0 " % sum(data[begin : begin + 512])
    with pytest.raises((ValueError, FileNotFoundError), match=r"c\.tar"):
        read(bytes(data))


def test_a_missing_archive_is_an_error_that_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="No such file"):
        read_member(str(tmp_path / "c.tar"), "c/train", 1)
