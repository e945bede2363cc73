"""Dynamic range, rounding to uint8, grids and PNG files.

Arrays are NHWC in [-1, 1] unless said otherwise; grayscale has C = 1. Only the functions that need
TensorFlow import it, so that the dataset tool and its workers stay small.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import PIL.Image

from pgtf import files

DRANGE = (-1.0, 1.0)  # range of every image tensor in this package
UINT8_DRANGE = (0.0, 255.0)
# Screen -> its (width, height) in pixels and the smallest number of (columns, rows).
SCREENS = {
    "1080p": ((1920, 1080), (3, 2)),
    "4k": ((3840, 2160), (7, 4)),
    "small": ((256, 128), (3, 2)),  # ours, for runs of minutes
}
MAX_GRID_SIDE = 32
MID_GRAY = 128  # `to_uint8` of 0
PICTURE_KINDS = {".png": "PNG", "": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
# Pixels of a JPEG file differ least with these.
PICTURE_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
}


def adjust_drange(x: Any, drange_in: tuple[float, float], drange_out: tuple[float, float]) -> Any:
    """Maps one dynamic range linearly onto another: float array or tensor -> same shape.

    The factor and the offset are rounded to float32, as in the original release.
    """
    if tuple(drange_in) == tuple(drange_out):
        return x
    low_in, high_in, low_out, high_out = (np.float32(bound) for bound in (*drange_in, *drange_out))
    scale = (high_out - low_out) / (high_in - low_in)
    return x * scale + (low_out - low_in * scale)


def to_float(images: np.ndarray) -> np.ndarray:
    """uint8 [...] -> float32 of the same shape in [-1, 1]."""
    return adjust_drange(np.asarray(images).astype(np.float32), UINT8_DRANGE, DRANGE)


def to_uint8(images: np.ndarray, drange: tuple[float, float] = DRANGE) -> np.ndarray:
    """float [...] in `drange` -> uint8, rounded half to even and clipped."""
    x = adjust_drange(np.asarray(images), drange, UINT8_DRANGE)
    return np.rint(x).clip(0, 255).astype(np.uint8)


def tensor_to_uint8(images: Any) -> Any:
    """Does `to_uint8` for TensorFlow tensors in [-1, 1], also inside tf.function."""
    import tensorflow as tf

    x = adjust_drange(images, DRANGE, UINT8_DRANGE)
    return tf.saturate_cast(tf.round(x), tf.uint8)  # tf.round rounds half to even.


def to_model(values: np.ndarray, value_range: tuple[float, float] = UINT8_DRANGE) -> np.ndarray:
    """Stored values [...] of a dataset -> float32 of the same shape in [-1, 1].

    Args:
        values: of uint8, uint16 or float32. What lies outside the range counts as its nearer end.
        value_range: the dataset's: values that become -1 and 1.
    """
    values = np.asarray(values)
    x = values.astype(np.float32)
    if not _has_whole_range(values.dtype, value_range):
        x = x.clip(np.float32(value_range[0]), np.float32(value_range[1]))
    return adjust_drange(x, value_range, DRANGE)


def tensor_to_model(values: Any, value_range: tuple[float, float] = UINT8_DRANGE) -> Any:
    """Does `to_model` for TensorFlow tensors, also inside tf.function."""
    import tensorflow as tf

    dtype = tf.as_dtype(values.dtype).as_numpy_dtype
    x = tf.cast(values, tf.float32)
    if not _has_whole_range(np.dtype(dtype), value_range):
        x = tf.clip_by_value(x, *map(np.float32, value_range))
    return adjust_drange(x, value_range, DRANGE)


def from_model(
    images: np.ndarray,
    value_range: tuple[float, float] = UINT8_DRANGE,
    dtype: Any = np.uint8,
) -> np.ndarray:
    """float [...] in [-1, 1] -> values of a dataset: clipped, and rounded half to even to integers.

    Args:
        images: any shape.
        value_range: the dataset's: values that -1 and 1 become.
        dtype: the dataset's: uint8, uint16 or float32.
    """
    x = adjust_drange(np.asarray(images), DRANGE, value_range)
    if np.dtype(dtype).kind == "f":
        return x.clip(*map(np.float32, value_range)).astype(dtype)
    return np.rint(x).clip(*_whole_numbers(value_range, dtype)).astype(dtype)


def tensor_from_model(
    images: Any,
    value_range: tuple[float, float] = UINT8_DRANGE,
    dtype: Any = np.uint8,
) -> Any:
    """Does `from_model` for TensorFlow tensors, also inside tf.function."""
    import tensorflow as tf

    x = adjust_drange(images, DRANGE, value_range)
    if np.dtype(dtype).kind == "f":
        return tf.cast(tf.clip_by_value(x, *map(np.float32, value_range)), dtype)
    low, high = _whole_numbers(value_range, dtype)
    return tf.cast(tf.clip_by_value(tf.round(x), low, high), dtype)


def _has_whole_range(dtype: np.dtype[Any], value_range: tuple[float, float]) -> bool:
    """True for a type of integers all of which lie in a range."""
    if dtype.kind not in "iu":
        return False
    info = np.iinfo(dtype)
    return value_range[0] <= info.min and info.max <= value_range[1]


def _whole_numbers(value_range: tuple[float, float], dtype: Any) -> tuple[np.float32, np.float32]:
    """Lowest and highest integer of a type that lies in a range."""
    info = np.iinfo(dtype)
    low, high = math.ceil(value_range[0]), math.floor(value_range[1])
    return np.float32(max(low, info.min)), np.float32(min(high, info.max))


def image_grid(
    images: np.ndarray, grid_size: tuple[int, int] | None = None, empty: float = 0
) -> np.ndarray:
    """Tiles images row by row: [N, H, W, C] or [N, H, W] -> [rows * H, columns * W(, C)].

    Args:
        images: any dtype, which the result has too.
        grid_size: (columns, rows); None = the smallest nearly square grid.
        empty: value of cells without an image; 0 is mid-gray in the range [-1, 1].

    Raises:
        ValueError: there are more images than cells.
    """
    images = np.asarray(images)
    num = len(images)
    if grid_size is None:
        columns = max(math.isqrt(max(num - 1, 0)) + 1, 1)  # ceil(sqrt(num))
        grid_size = (columns, max((num - 1) // columns + 1, 1))
    columns, rows = grid_size
    if num > columns * rows:
        raise ValueError(
            "`grid_size` must have a cell for every image. "
            f"Received: grid_size={columns}x{rows}, images={num}."
        )
    height, width, *rest = images.shape[1:]
    cells = np.full((rows * columns, height, width, *rest), empty, images.dtype)
    cells[:num] = images
    cells = cells.reshape(rows, columns, height, width, *rest).swapaxes(1, 2)
    return cells.reshape(rows * height, columns * width, *rest)


def snapshot_grid_size(
    screen: str | None, height: int, width: int | None = None
) -> tuple[int, int]:
    """Columns and rows of images that fill one of SCREENS; (1, 1) for another name.

    Args:
        screen: name of the screen.
        height: of an image, pixels.
        width: of an image; None = that of a square.
    """
    if screen not in SCREENS:
        return 1, 1
    (screen_width, screen_height), (min_columns, min_rows) = SCREENS[screen]
    columns = min(max(screen_width // (width or height), min_columns), MAX_GRID_SIDE)
    rows = min(max(screen_height // height, min_rows), MAX_GRID_SIDE)
    return columns, rows


def row_per_class(labels: Iterable[np.ndarray], grid_size: tuple[int, int]) -> list[int]:
    """Chooses label rows [L] from a stream for a grid whose row r shows class r mod L: -> indices.

    Reads the stream once, in order, and skips items that do not match the row in turn. Without
    labels (L = 0), takes the first columns * rows items.
    """
    columns, rows = grid_size
    chosen: list[int] = []
    for index, label in enumerate(labels):
        if len(chosen) == columns * rows:
            break
        if len(label) == 0 or label[len(chosen) // columns % len(label)] != 0:
            chosen.append(index)
    return chosen


def to_pil(image: np.ndarray, drange: tuple[float, float] = DRANGE) -> PIL.Image.Image:
    """[H, W, 1 or 3] or [H, W], uint8 or float in `drange` -> Pillow image of mode L or RGB."""
    image = np.asarray(image)
    if image.dtype != np.uint8:
        image = to_uint8(image, drange)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim != 2 and (image.ndim != 3 or image.shape[2] != 3):
        raise ValueError(
            f"`image` must be [H, W], [H, W, 1] or [H, W, 3]. Received: {image.shape}."
        )
    return PIL.Image.fromarray(image)


def png_bytes(image: np.ndarray, drange: tuple[float, float] = DRANGE) -> bytes:
    """Encodes one image as PNG: see `to_pil`."""
    buffer = io.BytesIO()
    to_pil(image, drange).save(buffer, "PNG")
    return buffer.getvalue()


def save_png(
    path: str | os.PathLike[str], image: np.ndarray, drange: tuple[float, float] = DRANGE
) -> None:
    """Writes one image as a PNG file, which appears whole or not at all: see `to_pil`."""
    files.write_atomically(path, png_bytes(image, drange))


def save_picture(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Writes one image in the format that the name ends with: PNG, JPEG or WebP.

    Raises:
        ValueError: the name ends in another way.
    """
    kind = PICTURE_KINDS.get(os.path.splitext(path)[1].lower())
    if kind is None:
        raise ValueError(
            f"`save` must end in {', '.join(filter(None, PICTURE_KINDS))}. Received: {path}."
        )
    buffer = io.BytesIO()
    to_pil(image).save(buffer, kind, **PICTURE_OPTIONS.get(kind, {}))
    files.write_atomically(path, buffer.getvalue())


def save_image_grid(
    path: str | os.PathLike[str],
    images: np.ndarray,
    grid_size: tuple[int, int] | None = None,
    drange: tuple[float, float] = DRANGE,
) -> None:
    """Writes images [N, H, W, C] as one PNG file: see `image_grid`."""
    save_png(path, image_grid(images, grid_size), drange)
