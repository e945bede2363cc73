"""Walks through latent space: smooth loops, and arcs between two latents."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
import tensorflow as tf

# Below this sine the arc between two latents is as good as straight, or has no direction.
MIN_SINE = 1e-6


def smooth_loop(
    num_frames: int,
    num_cells: int,
    latent_size: int,
    smoothing_frames: float,
    random_state: int,
) -> np.ndarray:
    """Samples latents that drift smoothly in a loop: float32 [frames, cells, latent_size].

    White noise is smoothed along time by a Gaussian that wraps around, then scaled to unit mean
    square: the walk of the original release's interpolation videos.

    Args:
        num_frames: length of the loop.
        num_cells: number of independent walks.
        latent_size: length of a latent vector.
        smoothing_frames: standard deviation of the Gaussian, in frames.
        random_state: seed for NumPy's RandomState.
    """
    noise = np.random.RandomState(random_state).randn(num_frames, num_cells, latent_size)
    smooth = scipy.ndimage.gaussian_filter(
        noise.astype(np.float32), [smoothing_frames, 0, 0], mode="wrap"
    )
    unit: np.ndarray = smooth / np.sqrt(np.mean(np.square(smooth)))
    return unit


def interpolate(begin: Any, end: Any, t: Any) -> tf.Tensor:
    """Interpolates along arcs between latents: two [N, latent_size], t [N] in 0 ... 1 -> same.

    The length changes linearly with t. At t = 0 and t = 1 the result has the bits of the latents
    given. The path is a straight line between parallel latents, and between opposite ones, for
    which no arc is the shortest.
    """
    begin, end = tf.convert_to_tensor(begin), tf.convert_to_tensor(end)
    t = tf.convert_to_tensor(t, begin.dtype)[:, tf.newaxis]  # [N, 1]
    begin_unit, begin_norm = tf.linalg.normalize(begin, axis=1)
    end_unit, end_norm = tf.linalg.normalize(end, axis=1)
    cosine = tf.reduce_sum(begin_unit * end_unit, axis=1, keepdims=True)
    angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))
    sine = tf.sin(angle)
    curved = sine > MIN_SINE
    divisor = tf.where(curved, sine, 1.0)
    begin_weight = tf.where(curved, tf.sin((1 - t) * angle) / divisor, 1 - t)
    end_weight = tf.where(curved, tf.sin(t * angle) / divisor, t)
    norm = begin_norm * (1 - t) + end_norm * t
    begin_weight, end_weight = begin_weight * norm / begin_norm, end_weight * norm / end_norm
    return begin * begin_weight + end * end_weight
