"""Images to measure: sums of waves whose spectrum falls like that of photographs."""

import numpy as np
import scipy.ndimage


def waves(num, side, seed, channels=3):
    """uint8 [num, side, side, channels]; another seed gives other images of the same kind."""
    rng = np.random.RandomState(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    spectrum = rng.randn(num, channels, side, side) + 1j * rng.randn(num, channels, side, side)
    x = np.fft.ifft2(spectrum / (frequency + 1 / side)).real
    x = 128 + 45 * x / x.std()
    return x.clip(0, 255).round().astype(np.uint8).transpose(0, 2, 3, 1)


def blurred(images, sigma):
    """Gaussian blur in the plane."""
    x = scipy.ndimage.gaussian_filter(images.astype(float), (0, sigma, sigma, 0))
    return x.round().astype(np.uint8)
