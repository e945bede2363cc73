"""Walks through latent space: smooth loops, and arcs from one latent vector to the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.ndimage
import scipy.optimize
import tensorflow as tf

from pgtf.networks.latents import extreme_scale

# Below this sine the arc between two latents is as good as straight, or has no direction.
MIN_SINE = 1e-6
# Loops that last fewer standard deviations of the smoothing than this need less smoothing.
SMOOTH_LENGTH = 6
NUM_HARMONICS = 16  # of a loop that needs less; those above are below e^-100
MAX_VALUES = 2**27  # latent values of a smooth loop, of which 16 bytes each are in memory


def smooth_loop(
    num_frames: int,
    num_cells: int,
    latent_size: int,
    smoothing_frames: float,
    random_state: int,
) -> np.ndarray:
    """Samples latents that drift smoothly in a loop: float32 [frames, cells, latent_size].

    White noise is smoothed along time by a Gaussian that wraps around, then scaled to unit mean
    square: the walk of the original release's interpolation videos. Its speed is that of a long
    walk; see `loop_smoothing`.

    Args:
        num_frames: length of the loop.
        num_cells: number of independent walks.
        latent_size: length of a latent vector.
        smoothing_frames: standard deviation of the Gaussian, in frames.
        random_state: seed for NumPy's RandomState.

    Raises:
        ValueError: there are more than 2^27 values.
    """
    num_values = num_frames * num_cells * latent_size
    if num_values > MAX_VALUES:
        raise ValueError(
            f"`--seconds` times `--fps` times the cells of `--grid` must be at most "
            f"{MAX_VALUES // latent_size} latent vectors. Received: {num_frames * num_cells}."
        )
    smoothing_frames = loop_smoothing(num_frames, smoothing_frames)
    noise = np.random.RandomState(random_state).randn(num_frames, num_cells, latent_size)
    smooth = scipy.ndimage.gaussian_filter(
        noise.astype(np.float32), [smoothing_frames, 0, 0], mode="wrap"
    )
    unit: np.ndarray = smooth / np.sqrt(np.mean(np.square(smooth)))
    return unit


def loop_smoothing(length: float, smoothing: float) -> float:
    """Chooses the smoothing that gives a loop of any length the speed of a long walk.

    Smoothed noise turns by 1 / sqrt(2) radians per standard deviation of the Gaussian, 40 degrees.
    In a loop shorter than six of them the Gaussian wraps around everything, and the walk would
    stand still. There the smoothing is reduced until the speed is the same.

    Args:
        length: time of the loop, in any unit.
        smoothing: standard deviation of the Gaussian, in the same unit.
    """
    if length >= SMOOTH_LENGTH * smoothing:
        return smoothing
    # Deviation: a random walk shorter than six times its smoothing moves as fast as longer ones;
    # the original's hardly moves.
    speed = 1 / (np.sqrt(2) * smoothing)  # radians per unit of time
    frequencies = 2 * np.pi * np.arange(1, NUM_HARMONICS) / length

    def excess(candidate: float) -> float:
        """Computes how much faster the loop is, from the spectrum of Gaussian smoothing."""
        powers = 2 * np.exp(-np.square(frequencies * candidate))
        squared = np.sum(powers * np.square(frequencies)) / (1 + np.sum(powers))
        return float(np.sqrt(squared) - speed)

    fastest = length / (SMOOTH_LENGTH + 2)
    found: float = scipy.optimize.brentq(excess, fastest, smoothing)
    return found


def along_arcs(
    keys: np.ndarray, num_frames: int, loop: bool
) -> Iterator[tuple[np.ndarray, int, int, float]]:
    """Walks from key to key in equal times: yields (latents [cells, L], from, to, t) per frame.

    The first frame is the first key, to the bit, and the last frame the last key. With `loop` the
    walk goes on to the first key, and the frame after the last one would be the first.

    Args:
        keys: [K, cells, latent_size], at least two keys.
        num_frames: number of frames.
        loop: if the walk returns to the first key.
    """
    num_arcs = len(keys) - 1 + loop
    num_steps = max(num_frames - 1 + loop, 1)
    for frame in range(num_frames):
        arc, rest = divmod(frame * num_arcs, num_steps)  # in integers, which are exact
        if arc == num_arcs:
            arc, rest = arc - 1, num_steps
        begin, end, t = arc, (arc + 1) % len(keys), rest / num_steps
        ts = np.full(keys.shape[1], t, np.float32)
        yield interpolate(keys[begin], keys[end], ts).numpy(), begin, end, t


def interpolate(begin: Any, end: Any, t: Any) -> tf.Tensor:
    """Interpolates along arcs between latents: two [N, latent_size], t [N] in 0 ... 1 -> same.

    The length changes linearly with t. At t = 0 and t = 1 the result has the bits of the latents
    given. The path is a straight line between parallel latents, and between opposite ones, for
    which no arc is the shortest.
    """
    begin, end = tf.convert_to_tensor(begin), tf.convert_to_tensor(end)
    t = tf.convert_to_tensor(t, begin.dtype)[:, tf.newaxis]  # [N, 1]
    begin_unit, begin_norm = _direction(begin)
    end_unit, end_norm = _direction(end)
    cosine = tf.reduce_sum(begin_unit * end_unit, axis=1, keepdims=True)
    angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))
    sine = tf.sin(angle)
    curved = sine > MIN_SINE
    divisor = tf.where(curved, sine, 1.0)
    begin_weight = tf.where(curved, tf.sin((1 - t) * angle) / divisor, 1 - t)
    end_weight = tf.where(curved, tf.sin(t * angle) / divisor, t)
    norm = begin_norm * (1 - t) + end_norm * t
    begin_weight = tf.math.divide_no_nan(begin_weight * norm, begin_norm)
    end_weight = tf.math.divide_no_nan(end_weight * norm, end_norm)
    return begin * begin_weight + end * end_weight


def _direction(latents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Splits latents into unit vectors and lengths: [N, L] -> same, [N, 1]; 0 has no direction."""
    scale = extreme_scale(latents)
    scaled = latents / scale
    norm = tf.norm(scaled, axis=1, keepdims=True)
    return tf.math.divide_no_nan(scaled, norm), norm * scale
