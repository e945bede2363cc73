"""LSUN: an LMDB folder of encoded images per category."""

from __future__ import annotations

import argparse
import dataclasses
import io
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image

from pgtf.dataset.commands import Commands, positive
from pgtf.dataset.encoder import Rejected
from pgtf.dataset.exporter import Options, Summary, export
from pgtf.dataset.sources.optional import import_optional
from pgtf.dataset.sources.pictures import FILE_ERRORS, reason

RESOLUTION = 256  # default of the original release


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
    lmdb = import_optional("lmdb", "lmdb")
    import_optional("cv2", "opencv-python-headless")
    if not os.path.isdir(lmdb_dir):
        raise FileNotFoundError(f"{lmdb_dir}: no such LMDB folder.")
    try:
        environment = lmdb.open(lmdb_dir, readonly=True, lock=False)
    except lmdb.Error as error:
        raise ValueError(f"{lmdb_dir}: not an LMDB folder ({error}).") from error
    size = os.path.getsize(os.path.join(lmdb_dir, "data.mdb"))
    needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    if size < needed:  # Reading past the end would kill the process.
        raise ValueError(
            f"{lmdb_dir}: data.mdb is truncated. Received: {size} bytes, not {needed}. "
            "Download it again."
        )
    with environment, environment.begin() as transaction:
        num_items = transaction.stat()["entries"]
        if num_items == 0:
            raise ValueError(f"{lmdb_dir}: no images in it.")
        return export(
            tfrecord_dir,
            items=transaction.cursor(),
            num_items=num_items,
            load=_Decode(resolution),
            shape=(3, resolution, resolution),
            job={"command": "create_lsun", "lmdb_dir": os.path.abspath(lmdb_dir)},
            meta={"mirror": max_images is not None},
            max_images=max_images,
            max_errors=None,
            options=options,
        )


@dataclasses.dataclass(frozen=True)
class _Decode:
    """The `load` of LSUN; items are (key, encoded image)."""

    resolution: int

    def __call__(self, items: list[tuple[bytes, bytes]]) -> Iterator[np.ndarray | Rejected]:
        for key, encoded in items:
            try:
                yield decode(encoded, self.resolution)
            except FILE_ERRORS as error:
                yield Rejected(key.decode("latin1"), reason(error))


def decode(encoded: bytes, resolution: int) -> np.ndarray:
    """Decodes JPEG, PNG, WebP and others, crops the center, resizes: -> uint8 [3, R, R]."""
    if not encoded:
        raise ValueError("the entry is empty")
    cv2: Any = import_optional("cv2", "opencv-python-headless")
    # As the original: OpenCV first, which drops alpha and converts 16 bits to 8, then Pillow.
    try:
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ValueError(f"OpenCV refuses it: {error.err}") from None
    if image is not None:
        image = np.ascontiguousarray(image[:, :, ::-1])  # BGR -> RGB
    else:
        with PIL.Image.open(io.BytesIO(encoded)) as file:
            image = np.asarray(file.convert("RGB"))
    height, width = image.shape[:2]
    crop = min(height, width)
    top, left = (height - crop) // 2, (width - crop) // 2
    square = PIL.Image.fromarray(image[top : top + crop, left : left + crop])
    square = square.resize((resolution, resolution), PIL.Image.Resampling.LANCZOS)
    return np.asarray(square).transpose(2, 0, 1)


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
    help = "pixels (default: %(default)s)"
    p.add_argument("--resolution", type=positive, default=RESOLUTION, help=help)
    p.add_argument("--max_images", type=positive, help="images to write at most (default: all)")


def _run(args: argparse.Namespace, options: Options) -> Summary:
    return create(args.tfrecord_dir, args.lmdb_dir, args.resolution, args.max_images, options)
