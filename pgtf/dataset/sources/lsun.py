"""LSUN: an LMDB folder of encoded images per category."""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import itertools
import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
from absl import logging

from pgtf.dataset.commands import Commands, positive
from pgtf.dataset.description import PAPER_GRID
from pgtf.dataset.encoder import Rejected
from pgtf.dataset.exporter import Options, Summary, export
from pgtf.dataset.isolated import isolated
from pgtf.dataset.pyramid import has_pyramid, size_of
from pgtf.dataset.sources.optional import import_optional
from pgtf.dataset.sources.pictures import FILE_ERRORS, converted, fit
from pgtf.foreign.files import open_regular
from pgtf.foreign.pictures import decode_encoded_jpeg, open_encoded, reason, suits_opencv
from pgtf.grids import Grid

RESOLUTION = 256  # default of the original release
DATA_FILE = "data.mdb"
CHUNK_BYTES, CHUNK_ENTRIES = 1 << 22, 1024  # encoded images read at a time
MAX_BYTES = 1 << 30  # memory for reading
WITH_SIDE = re.compile(rb"([1-9]\d{0,4})-\d+")  # key of an image in an LMDB of several resolutions
Entry = tuple[bytes, bytes]  # key, encoded image


def create(
    tfrecord_dir: str,
    lmdb_dir: str,
    resolution: int = RESOLUTION,
    max_images: int | None = None,
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Summary:
    """Creates a dataset of center crops, in the order of the keys.

    With `max_images`, training mirrors the images by default, as the original release does with
    its sets of 100,000 images; it does not mirror a whole category.

    Skips entries that cannot be decoded, and reports them; `max_images` does not count them.
    """
    import_optional("lmdb", "lmdb")
    import_optional("cv2", "opencv-python-headless")
    if not os.path.isdir(lmdb_dir):
        raise FileNotFoundError(f"{lmdb_dir}: no such LMDB folder.")
    size = size_of(resolution, options.grid)
    with contextlib.closing(  # type: ignore[type-var]
        isolated(lmdb_dir, _read, lmdb_dir, max(size), max_bytes=MAX_BYTES)
    ) as stream:
        num_items, side = next(stream)
        if not num_items:
            raise ValueError(f"{lmdb_dir}: has no entries. Download it again.")
        if side:
            logging.info("%s holds several resolutions; that of %d is taken.", lmdb_dir, side)
        return export(
            tfrecord_dir,
            items=_entries(lmdb_dir, stream, num_items),
            num_items=num_items,
            load=_Decode(resolution, options.grid),
            shape=(3, *size),
            job={"command": "create_lsun", "lmdb_dir": os.path.abspath(lmdb_dir)},
            meta={"mirror": max_images is not None},
            max_images=max_images,
            max_errors=None,
            options=options,
        )


@dataclasses.dataclass(frozen=True)
class _Chunk:
    """Some entries; the encoded images are an array, which returns from a process faster."""

    keys: list[bytes]
    sizes: list[int]
    encoded: np.ndarray  # uint8, one image after the other


def _chunk(entries: list[Entry]) -> _Chunk:
    keys, images = [key for key, _ in entries], [encoded for _, encoded in entries]
    return _Chunk(keys, list(map(len, images)), np.frombuffer(b"".join(images), np.uint8))


def _read(lmdb_dir: str, longer_side: int) -> Iterator[tuple[int, int] | _Chunk]:
    """Yields the number of entries, then the entries; runs in a process of its own.

    If the keys name several resolutions, only the entries of one are yielded, whose side comes with
    the number of entries; otherwise 0 does.

    LMDB trusts its files: damaged ones are read past their end, or end the process.
    """
    import lmdb

    try:
        with open_regular(os.path.join(lmdb_dir, DATA_FILE)):  # LMDB would wait for a pipe.
            environment = lmdb.open(lmdb_dir, readonly=True, lock=False)
    except (FileNotFoundError, lmdb.Error) as error:
        raise ValueError(f"{lmdb_dir}: not an LMDB folder ({error}).") from None
    size = os.path.getsize(os.path.join(lmdb_dir, DATA_FILE))
    try:
        with environment, environment.begin() as transaction:
            needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
            if size < needed:
                raise ValueError(
                    f"{lmdb_dir}: {DATA_FILE} is truncated. Received: {size} bytes, not {needed}. "
                    "Download it again."
                )
            side, count = _one_resolution(transaction.cursor(), longer_side)
            yield count or transaction.stat()["entries"], side
            start = b"%d-" % side if side else b""
            cursor = transaction.cursor()
            cursor.set_range(start)
            entries: list[Entry] = []
            num_bytes = 0
            for key, encoded in itertools.takewhile(lambda x: x[0].startswith(start), cursor):
                entries.append((key, encoded))
                num_bytes += len(encoded)
                if num_bytes >= CHUNK_BYTES or len(entries) == CHUNK_ENTRIES:
                    yield _chunk(entries)
                    entries, num_bytes = [], 0
            yield _chunk(entries)
    except lmdb.Error as error:
        raise ValueError(f"{lmdb_dir}: damaged ({error}). Download it again.") from None


def _one_resolution(cursor: Any, longer_side: int) -> tuple[int, int]:
    """Chooses one of several resolutions that all keys name, as in 256-00012.

    Returns its side and the number of its entries: the smallest that need not be enlarged, or the
    largest. (0, 0) if any key is of another form, as those of LSUN are.
    """
    counts: collections.Counter[int] = collections.Counter()
    for key in cursor.iternext(keys=True, values=False):
        match = WITH_SIDE.fullmatch(key)
        if match and has_pyramid(int(match[1]), int(match[1])):
            counts[int(match[1])] += 1
        elif key != b"length":  # their number
            return 0, 0
    if not counts:
        return 0, 0
    side = min((x for x in counts if x >= longer_side), default=max(counts))
    return side, counts[side]


def _entries(lmdb_dir: str, chunks: Iterator[_Chunk], num_items: int) -> Iterator[Entry]:
    """Yields the entries of chunks; ValueError if there are not as many as there must be."""
    count = 0
    for chunk in chunks:
        encoded, at = chunk.encoded.data, 0
        for key, size in zip(chunk.keys, chunk.sizes, strict=True):
            yield key, encoded[at : at + size].tobytes()
            at += size
        count += len(chunk.keys)
    if count != num_items:
        raise ValueError(
            f"{lmdb_dir}: damaged: it must hold {num_items} entries. Received: {count}. "
            "Download it again."
        )


@dataclasses.dataclass(frozen=True)
class _Decode:
    """The `load` of LSUN; items are (key, encoded image)."""

    resolution: int
    grid: Grid = PAPER_GRID

    def __call__(self, items: list[tuple[bytes, bytes]]) -> Iterator[np.ndarray | Rejected]:
        for key, encoded in items:
            try:
                yield decode(encoded, self.resolution, self.grid)
            except FILE_ERRORS as error:
                yield Rejected(key.decode("latin1"), reason(error))


def decode(encoded: bytes, resolution: int, grid: Grid = PAPER_GRID) -> np.ndarray:
    """Decodes JPEG, PNG, WebP and others, crops the center, resizes: -> uint8 [3, H, W].

    The size is that of a resolution of the grid; the crop is the largest of its shape.
    """
    if not encoded:
        raise ValueError("the entry is empty")
    # As the original: OpenCV first, which drops alpha and converts 16 bits to 8, then Pillow. JPEG
    # files have the same pixels as OpenCV's, but damaged ones are refused.
    image = decode_encoded_jpeg(encoded)
    if image is None and suits_opencv(encoded):
        image = _decode_by_opencv(encoded)
    if image is None:
        with open_encoded(encoded) as file:
            image = np.asarray(converted(file, "RGB"))
    fitted = fit(PIL.Image.fromarray(image), size_of(resolution, grid), "center-crop")
    return np.asarray(fitted).transpose(2, 0, 1)


def _decode_by_opencv(encoded: bytes) -> np.ndarray | None:
    """Decodes an image: -> uint8 [H, W, 3]; None if OpenCV does not know it."""
    cv2: Any = import_optional("cv2", "opencv-python-headless")
    try:
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ValueError(f"OpenCV refuses it: {error.err}") from None
    return None if image is None else np.ascontiguousarray(image[:, :, ::-1])  # BGR -> RGB


def add_command(commands: Commands) -> None:
    """Adds create_lsun to the sub-commands of dataset_tool.py."""
    p = commands.add_create(
        "create_lsun",
        "A category of LSUN, center crops.",
        "datasets/bedroom ~/lsun/bedroom_train_lmdb --resolution=256 --max_images=100000",
        _run,
        "lmdb_dir",
        "folder with data.mdb",
    )
    help = "pixels; with --grid, the images are so many quarters of it (default: %(default)s)"
    p.add_argument("--resolution", type=positive, default=RESOLUTION, help=help)
    p.add_argument("--max_images", type=positive, help="images to write at most (default: all)")


def _run(args: argparse.Namespace, options: Options) -> Summary:
    return create(args.tfrecord_dir, args.lmdb_dir, args.resolution, args.max_images, options)
