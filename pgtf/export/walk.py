"""Walks through latent space."""

import numpy as np
import scipy.ndimage


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
