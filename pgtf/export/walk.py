"""Walks through latent space."""

import numpy as np
import scipy.ndimage

# Below this sine the arc between two latents is as good as straight, or has no direction.
MIN_SINE = 1e-6


def smooth_loop(num_frames, num_cells, latent_size, smoothing_frames, random_state):
    """Latents that drift smoothly and end where they began: -> float32 [frames, cells, latent].

    White noise, smoothed along time by a Gaussian that wraps around, then scaled to unit mean
    square: the walk of the original release's interpolation videos.

    Args:
        num_frames: length of the loop.
        num_cells: independent walks.
        latent_size: length of a latent vector.
        smoothing_frames: standard deviation of the Gaussian, in frames.
        random_state: seed of NumPy's RandomState.
    """
    noise = np.random.RandomState(random_state).randn(num_frames, num_cells, latent_size)
    smooth = scipy.ndimage.gaussian_filter(
        noise.astype(np.float32), [smoothing_frames, 0, 0], mode="wrap"
    )
    return smooth / np.sqrt(np.mean(np.square(smooth)))


def on_arc(begin, end, t):
    """The latents between two on the sphere: two [latent_size], t in 0 ... 1 -> [latent_size].

    The length changes linearly; opposite latents, between which no arc is the shortest, are joined
    by a straight line.
    """
    lengths = np.linalg.norm(begin), np.linalg.norm(end)
    a, b = begin / lengths[0], end / lengths[1]
    angle = np.arccos(np.clip(a @ b, -1, 1))
    if np.sin(angle) < MIN_SINE:
        direction = (1 - t) * a + t * b
    else:
        direction = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
    return (direction * (lengths[0] + (lengths[1] - lengths[0]) * t)).astype(np.float32)
