"""Deltas, which are added to aligned images, and their decryption: section 7 of docs/celebahq.md.

The key is derived from the bytes of the original JPEG file and its name. A delta can be decrypted
only by people who have the unchanged files of CelebA.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import errno
import hashlib
import os
import re
import zipfile
from collections.abc import Iterable

import numpy as np
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from pgtf.dataset.celebahq.geometry import SIZE
from pgtf.foreign import zips
from pgtf.foreign.files import open_regular

SHAPE = (3, SIZE, SIZE)
DELTAS_PER_ZIP = 1000
ENTRY_NAME = re.compile(r"delta\d{5}\.dat")
ITERATIONS = 100_000  # PBKDF2
MAX_DIRECTORY = 1 << 20  # bytes of the list of deltas in an archive; the published ones have 60,000
MAX_TOKEN_BYTES = 8 << 20  # twice the size of a token of 3 MiB that do not compress
# A Fernet token: version, timestamp (8), initialization vector (16), ciphertext, HMAC (32).
IV_AT, CIPHERTEXT_AT, HMAC_SIZE = 9, 25, 32
BZ2_MAGIC = b"BZh9", b"1AY&SY"  # stream, block
# In tolerant mode a sum outside 0..255 counts as an overflow, not a wrap, if the delta is at most
# MAX_STEP and the sum is at most OVERFLOW beyond the range.
MAX_STEP, OVERFLOW = 64, 16


class DeltaDamaged(ValueError):
    """Raised for a delta that no JPEG file could decrypt."""


class JpegDiffers(ValueError):
    """Raised for an intact delta that this JPEG file does not decrypt."""


def zip_name(idx: int) -> str:
    """Name of the archive that contains a delta."""
    return f"deltas{idx - idx % DELTAS_PER_ZIP:05d}.zip"


def entry_name(idx: int) -> str:
    """Name of a delta in its archive."""
    return f"delta{idx:05d}.dat"


class Archives:
    """The zip files in a folder. Each is opened once, when it is first needed."""

    def __init__(self, delta_dir: str):
        self._delta_dir = delta_dir
        self._open: dict[str, zipfile.ZipFile] = {}

    def read(self, idx: int) -> bytes:
        """Reads the encrypted delta of an image.

        Raises:
            FileNotFoundError: the archive, or the delta in it, is missing.
            DeltaDamaged: the delta cannot be unpacked, or is too large.
        """
        name, entry = zip_name(idx), entry_name(idx)
        try:
            if name not in self._open:
                self._open[name] = _open_archive(os.path.join(self._delta_dir, name))
            info = self._open[name].getinfo(entry)
            if info.compress_type not in zips.METHODS:
                raise ValueError(_OTHER_METHOD)
            with self._open[name].open(info) as file:
                token = file.read(MAX_TOKEN_BYTES + 1)
        except KeyError:
            raise FileNotFoundError(f"{name} has no {entry}") from None
        except FileNotFoundError:
            raise FileNotFoundError(f"{name} is missing") from None
        except Exception as why:
            if isinstance(why, OSError) and _is_of_disk(why):
                self._open.pop(name, None)  # A stale handle stays stale.
                raise OSError(why.errno, why.strerror, name) from None
            raise DeltaDamaged(f"{name}: {entry} cannot be unpacked ({_what(why)})") from None
        if len(token) > MAX_TOKEN_BYTES:
            raise DeltaDamaged(f"{name}: {entry} is larger than any delta, a zip bomb")
        return token


# `zipfile` unpacks a file of another method whole, whatever size is asked.
_OTHER_METHOD = "it is compressed in a way that no delta is"


def _open_archive(path: str) -> zipfile.ZipFile:
    with open_regular(path) as file:  # `zipfile` would wait for a pipe.
        zips.check_directory(file, MAX_DIRECTORY)
    return zipfile.ZipFile(path)


def _is_of_disk(error: OSError) -> bool:
    """True for an error of the disk. `zipfile` raises nearly anything for a damaged archive."""
    return error.errno not in (None, errno.EINVAL)


def _what(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def open_token(token: bytes, jpeg: bytes, file_name: str) -> np.ndarray:
    """Decrypts and unpacks a delta.

    Args:
        token: content of deltaNNNNN.dat.
        jpeg: content of the original JPEG file.
        file_name: name of the original JPEG file.

    Returns:
        uint8 [3, 1024, 1024].

    Raises:
        DeltaDamaged: the delta is damaged.
        JpegDiffers: the file or its name is not the original one.
    """
    key = hashlib.pbkdf2_hmac("sha256", jpeg, file_name.encode("ascii"), ITERATIONS, dklen=32)
    try:
        packed = Fernet(base64.urlsafe_b64encode(key)).decrypt(token)
    except InvalidToken:
        if _opens_unsigned(key, token):
            raise DeltaDamaged("its signature does not match its content") from None
        raise JpegDiffers("the delta does not open with this file and name") from None
    size = int(np.prod(SHAPE))
    try:
        decompressor = bz2.BZ2Decompressor()
        data = decompressor.decompress(packed, max_length=size + 1)
    except (OSError, EOFError) as why:
        raise DeltaDamaged(f"it cannot be decompressed ({why})") from None
    if len(data) != size or not decompressor.eof:
        raise DeltaDamaged(
            f"it must unpack to {size} bytes, not {'more' if data[size:] else 'less'}"
        )
    return np.frombuffer(data, np.uint8).reshape(SHAPE)


def _opens_unsigned(key: bytes, token: bytes) -> bool:
    """True if the token is at fault: it is malformed, or the key does decrypt it.

    A changed byte spoils only its own block of 16 bytes and one byte of the next block, so that
    the beginning of the plain text still tells if the key is right.
    """
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
    except binascii.Error:
        return True
    ciphertext = raw[CIPHERTEXT_AT:-HMAC_SIZE]
    if raw[:1] != b"\x80" or not ciphertext or len(ciphertext) % 16:
        return True
    decryptor = Cipher(algorithms.AES(key[16:]), modes.CBC(raw[IV_AT:CIPHERTEXT_AT])).decryptor()
    plain = decryptor.update(ciphertext)
    stream, block = BZ2_MAGIC
    return plain.startswith(stream) or plain[len(stream) :].startswith(block)


def apply(aligned: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """Adds a delta modulo 256: uint8 [3, 1024, 1024] each -> same."""
    return np.asarray(aligned + delta)


def apply_tolerantly(aligned: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """Adds a delta to an image that differs slightly from the one for which the delta was made.

    Modulo 256, a white sample that is slightly too bright would turn black. A sum that is evidently
    such an overflow is clipped to the range instead.
    """
    step = delta.view(np.int8).astype(np.int16)
    total = aligned + step
    evident = (np.abs(step) <= MAX_STEP) & (total >= -OVERFLOW) & (total <= 255 + OVERFLOW)
    return np.where(evident, total.clip(0, 255), total % 256).astype(np.uint8)


def check_archive(path: str, needed: Iterable[str], full: bool) -> str | None:
    """Checks an archive without unpacking it; `full` also compares all checksums.

    Returns:
        The problem: damage, a foreign entry, or a missing one of those needed. None = no problem.
    """
    name = os.path.basename(path)
    with open_regular(path) as file:
        head = file.read(512).lstrip()
    if head[:1] == b"<":
        return f"{name} is a web page, as the download service sends when its quota is used up"
    try:
        with _open_archive(path) as archive:
            entries = archive.infolist()
            if len(entries) > DELTAS_PER_ZIP:
                return f"{name} has {len(entries)} entries, more than {DELTAS_PER_ZIP}"
            for entry in entries:
                if not ENTRY_NAME.fullmatch(entry.filename):
                    return f"{name} has an entry that is no delta: {entry.filename[:80]!r}"
                if entry.file_size > MAX_TOKEN_BYTES:
                    return f"{name}: {entry.filename} claims {entry.file_size} bytes, a zip bomb"
                if entry.compress_type not in zips.METHODS:
                    return f"{name}: {entry.filename}: {_OTHER_METHOD}"
            if missing := sorted(set(needed) - {entry.filename for entry in entries}):
                return f"{name} lacks {len(missing)} deltas, {missing[0]} first"
            if full and (bad := archive.testzip()):
                return f"{name}: {bad} is damaged"
    except Exception as why:
        if isinstance(why, OSError) and _is_of_disk(why):
            raise
        return f"{name} is damaged or incomplete ({_what(why)})"
    return None
