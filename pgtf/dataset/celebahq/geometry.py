"""The square of a face in a photograph, and its crop: section 3 of docs/celebahq.md.

The original ran on NumPy 1. NumPy 2 mixes float32 arrays and Python floats by other rules, so each
rounding is written out here: points are float32 arrays; distances and zoom are Python floats, that
is float64. `round` rounds half to even.

Steps that resample take the function to use; the default is the exact one of 2016.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from pgtf.dataset.celebahq.resize import resize

SIZE = 1024  # side of the finished image in pixels, unless a View has another
BORDER = 0.1  # kept around the square for the filters that follow; fraction of the finished side
MIN_BORDER = 3  # pixels
F32 = np.float32
Resize = Callable[[np.ndarray, int, int], np.ndarray]  # uint8 [C, H, W], width, height


@dataclasses.dataclass(frozen=True)
class View:
    """An image and the square in it that becomes the finished image."""

    image: np.ndarray  # uint8 [3, H, W]
    quad: np.ndarray  # float32 [4, 2]: x, y in pixels of the corners NW, SW, SE, NE
    zoom: float  # finished pixels per pixel of this image
    border: int = 0  # pixels kept around the square
    side: int = SIZE  # side of the finished image in pixels

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image."""
        return self.image.shape[2], self.image.shape[1]

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """Smallest box of whole pixels around square and border: left, top, right, bottom."""
        low, high = np.floor(self.quad.min(axis=0)), np.ceil(self.quad.max(axis=0))
        left, top = (int(value) - self.border for value in low)
        right, bottom = (int(value) + self.border for value in high)
        return left, top, right, bottom


def find_face(image: np.ndarray, landmarks: np.ndarray, side: int = SIZE) -> View:
    """Finds the square of a face from its landmarks.

    Args:
        image: uint8 [3, H, W].
        landmarks: float32 [5, 2], x and y in pixels of left eye, right eye, nose, left and right
            corner of the mouth.
        side: side of the finished image in pixels.

    Raises:
        ValueError: the landmarks span no square.
    """
    left_eye, right_eye, _, left_mouth, right_mouth = landmarks.astype(F32)
    half = F32(0.5)
    eyes = (left_eye + right_eye) * half + half
    mouth = (left_mouth + right_mouth) * half + half
    across, down = right_eye - left_eye, mouth - eyes
    x = across - _rotated(down)
    if not _length(x) > 0:  # zero or not a number
        raise ValueError(f"the landmarks must span a face. Received: {landmarks.tolist()}.")
    x = x / F32(_length(x))
    x = x * F32(max(_length(across) * 2.0, _length(down) * 1.8))
    y = _rotated(x)
    center = eyes + down * F32(0.1)
    quad = np.stack([center - x - y, center - x + y, center + x + y, center + x - y])
    return View(image, quad, zoom=side / (_length(x) * 2), side=side)


def _rotated(vector: np.ndarray) -> np.ndarray:
    """Rotates float32 [2] by 90 degrees."""
    return np.array([-vector[1], vector[0]], F32)


def _length(vector: np.ndarray) -> float:
    """Length of float32 [2], rounded to float32."""
    return float(F32(math.sqrt(float(vector[0]) ** 2 + float(vector[1]) ** 2)))


def with_border(view: View) -> View:
    """Sets the border that is kept around the square."""
    border = max(round(view.side * BORDER / view.zoom), MIN_BORDER)
    return dataclasses.replace(view, border=border)


def shrink(view: View, resize: Resize = resize) -> View:
    """Shrinks a photograph whose square is at least 4 finished sides wide; sets the border."""
    factor = math.floor(0.5 / view.zoom)
    if factor > 1:
        width, height = (round(side / factor) for side in view.size)
        view = dataclasses.replace(
            view,
            image=resize(view.image, width, height),
            quad=view.quad / F32(factor),
            zoom=view.zoom * factor,
        )
    return with_border(view)


def crop(view: View) -> View:
    """Crops the image to the square and its border.

    Raises:
        ValueError: both lie outside the image.
    """
    width, height = view.size
    left, top, right, bottom = view.bounds
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if not (left < right and top < bottom):
        raise ValueError(
            f"the landmarks must lie in the image, {width}x{height}. Received: a face with "
            f"corners {view.quad.tolist()}."
        )
    if right - left == width and bottom - top == height:
        return view
    quad = (view.quad.astype(np.float64) - (left, top)).astype(F32)
    return dataclasses.replace(view, image=view.image[:, top:bottom, left:right], quad=quad)


def enlarge(view: View, resize: Resize = resize) -> View:
    """Enlarges a photograph whose square is below the finished side, by a power of two."""
    factor = int(2.0 ** math.ceil(math.log2(view.zoom)))
    if factor <= 1:
        return view
    width, height = view.size
    return enlarged(view, resize(view.image, width * factor, height * factor), factor)


def enlarged(view: View, image: np.ndarray, factor: int) -> View:
    """The same view in `image`, which has `factor` times the width and height."""
    return dataclasses.replace(
        view, image=image, quad=view.quad * F32(factor), zoom=view.zoom / factor
    )
