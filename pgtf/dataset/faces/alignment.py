"""Cuts out a face upright, with the geometry of CelebA-HQ and today's resampling.

The geometry is computed by `celebahq.geometry` and `celebahq.depth_of_field`, the code that
rebuilds CelebA-HQ. The pixels are computed by Pillow, which is many times as fast as the functions
that repeat the rounding of 2016.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np
import PIL.Image
import PIL.ImageFilter

from pgtf.dataset.celebahq.blur import Axis
from pgtf.dataset.celebahq.depth_of_field import pad
from pgtf.dataset.celebahq.geometry import (
    View,
    crop,
    enlarge,
    enlarged,
    find_face,
    shrink,
    with_border,
)
from pgtf.dataset.description import PAPER_GRID
from pgtf.dataset.faces.landmarks import POINTS
from pgtf.dataset.pyramid import size_of
from pgtf.grids import Grid

OVERSAMPLING = 4  # 4096 pixels for an image of 1024
MIN_SPREAD = 0.05  # least area that eyes and mouth span; a square face has 1, a profile about 0.3


class Network(Protocol):
    """Restores images: uint8 [3, H, W] -> uint8 [3, H * scale, W * scale]."""

    @property
    def scale(self) -> int: ...

    def __call__(self, image: np.ndarray) -> np.ndarray: ...


def check_landmarks(landmarks: np.ndarray, width: int, height: int) -> None:
    """Raises ValueError if five points cannot be the landmarks of a face in the photograph."""
    for name, (x, y) in zip(POINTS, landmarks.tolist(), strict=True):
        # Integer coordinates are the centres of pixels.
        if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
            raise ValueError(
                f"the {name} lies outside the photograph, {width}x{height}. Received: "
                f"x={x:g}, y={y:g}. Do the landmarks belong to a copy of another size?"
            )
    left_eye, right_eye, _, left_mouth, right_mouth = landmarks.astype(np.float64)
    across = right_eye - left_eye
    down = (left_mouth + right_mouth) / 2 - (left_eye + right_eye) / 2
    spread = float(across[0] * down[1] - across[1] * down[0])
    extent = max(float(across @ across), float(down @ down))
    if abs(spread) <= MIN_SPREAD * extent:
        raise ValueError(
            f"the landmarks span no face: eyes and mouth lie on a line or in one place. "
            f"Received: {landmarks.tolist()}."
        )
    if spread < 0 or float((right_mouth - left_mouth) @ across) < 0:
        raise ValueError(
            "the landmarks are mirrored: `left` is what a viewer sees on the left. Received: "
            f"{landmarks.tolist()}. Swap left and right."
        )


def align(
    photograph: np.ndarray,
    landmarks: np.ndarray,
    side: int,
    *,
    grid: Grid = PAPER_GRID,
    clean: Network | None = None,
    upscale: Network | None = None,
    lanczos: bool = True,
    min_face: int = 0,
) -> np.ndarray:
    """Aligns a face.

    Args:
        photograph: uint8 [3, H, W].
        landmarks: float32 [5, 2], x and y in pixels; see `find_face`.
        side: side of the finished image in pixels; with another grid than 4x4, the sides are so
            many quarters of it. The shorter one shows the square of CelebA-HQ, and the longer one
            as much more on either side.
        grid: size of the coarsest level.
        clean: removes JPEG artifacts; None = keep them.
        upscale: enlarges a face that has fewer pixels than the finished image; None = do not.
        lanczos: enlarge a face that is still too small before it is warped.
        min_face: least side in pixels of the square around the face in the photograph.

    Returns:
        uint8 [3, H, W].

    Raises:
        ValueError: the landmarks are not those of a face in the photograph, or it is too small.
    """
    check_landmarks(landmarks, photograph.shape[2], photograph.shape[1])
    height, width = size_of(side, grid)
    view = find_face(photograph, landmarks, min(height, width))
    found = view.side / view.zoom
    if found < min_face:
        raise ValueError(
            f"the face is too small: the square around it must be at least {min_face} pixels wide. "
            f"Received: {found:.0f}."
        )
    if height != width:
        view = extended(view, height / view.side, width / view.side)
    view = crop(with_border(view))  # first, because photographs may be large
    if clean is not None:
        view = enlarged(view, clean(view.image), clean.scale)
    view = shrink(view, resize)
    if upscale is not None and view.zoom > 1:
        view = enlarged(view, upscale(view.image), upscale.scale)
    if lanczos:
        view = enlarge(view, resize)
    return warp(pad(view, soft_blur), (height, width))


def extended(view: View, down: float, across: float) -> View:
    """Extends the square of a view to a rectangle around the same center, by two factors."""
    northwest, southwest, _, northeast = view.quad.astype(np.float64)
    center = (southwest + northeast) / 2
    x, y = (northeast - northwest) / 2 * across, (southwest - northwest) / 2 * down
    corners = np.stack([center - x - y, center - x + y, center + x + y, center + x - y])
    return dataclasses.replace(view, quad=corners.astype(np.float32))


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Lanczos resampling: uint8 [C, H, W] -> uint8 [C, height, width]."""
    return _planes(_picture(image).resize((width, height), PIL.Image.Resampling.LANCZOS))


def soft_blur(plane: np.ndarray, rows: Axis, columns: Axis, sigma: float) -> np.ndarray:
    """Gaussian blur of a mirror-padded plane: uint8 [H, W] -> float32 [distinct, distinct]."""
    padded = PIL.Image.fromarray(plane[rows.mirror].take(columns.mirror, axis=1))
    blurred = np.asarray(padded.filter(PIL.ImageFilter.GaussianBlur(sigma)))
    return np.asarray(blurred[rows.distinct].take(columns.distinct, axis=1), np.float32)


def warp(view: View, size: tuple[int, int]) -> np.ndarray:
    """Warps the view to four times the finished size and reduces it: -> uint8 [3, H, W]."""
    height, width = size
    large = _picture(view.image).transform(
        (width * OVERSAMPLING, height * OVERSAMPLING),
        PIL.Image.Transform.QUAD,
        tuple(view.quad.astype(np.float64).ravel().tolist()),
        PIL.Image.Resampling.BILINEAR,
    )
    return _planes(large.resize((width, height), PIL.Image.Resampling.LANCZOS))


def _picture(image: np.ndarray) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))


def _planes(picture: PIL.Image.Image) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1))
