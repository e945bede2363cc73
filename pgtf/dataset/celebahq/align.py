"""Alignment: from a photograph to the 1024x1024 image whose MD5 is published."""

from __future__ import annotations

import hashlib

import numpy as np

from pgtf.dataset.celebahq.depth_of_field import pad
from pgtf.dataset.celebahq.geometry import F32, crop, enlarge, find_face, shrink
from pgtf.dataset.celebahq.warp import warp_and_reduce

STEPS = (shrink, crop, enlarge, pad)  # each takes a View and returns one


def align(photograph: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Aligns a face.

    Args:
        photograph: uint8 [3, H, W].
        landmarks: float32 [5, 2], x and y in pixels; see `find_face`.

    Returns:
        uint8 [3, 1024, 1024].

    Raises:
        ValueError: the landmarks span no face, or the face lies outside the photograph.
    """
    view = find_face(photograph, landmarks)
    for step in STEPS:
        view = step(view)
    return warp_and_reduce(view.image, view.quad + F32(0.5))


def md5(image: np.ndarray) -> str:
    """MD5 of an image's bytes in the order of its axes: C, H, W in image_list.txt."""
    return hashlib.md5(np.ascontiguousarray(image).data, usedforsecurity=False).hexdigest()
