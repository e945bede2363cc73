"""LSUN: an LMDB folder of encoded images, for any of its scenes and objects."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image

from pgtf.dataset.encoder import Rejected
from pgtf.dataset.exporter import Options, Summary, export
from pgtf.dataset.sources.optional import import_optional
from pgtf.dataset.sources.pictures import FILE_ERRORS, reason


def create(
    tfrecord_dir: str,
    lmdb_dir: str,
    resolution: int = 256,
    max_images: int | None = None,
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Summary:
    """Creates a dataset of centre crops, in the order of the keys.

    With `max_images` training mirrors it by default, as the original release does with its sets
    of 100,000 images; a whole category is not mirrored.

    Entries that cannot be decoded are reported and skipped; they do not count for `max_images`.
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
    if size < needed:  # reading what is not there would end the process
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
    """Decodes JPEG, PNG, WebP and others, crops the centre, resizes: -> uint8 [3, R, R]."""
    if not encoded:
        raise ValueError("the entry is empty")
    cv2: Any = import_optional("cv2", "opencv-python-headless")
    # As in the original: OpenCV first, which drops alpha and halves 16 bits, then Pillow.
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
