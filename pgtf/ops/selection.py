"""Thresholds, measured on CPUs, for the form of a 3x3 convolution.

All were measured on two cores of an Intel Xeon and an AMD EPYC in November 2026.
"""

import tensorflow as tf

from pgtf.ops.devices import has_gpu

# Product of input and output maps. Thinner layers, such as the demo's 64 x 64, are slower as matrix
# products: 24 kimg took 92 s instead of 78.
FEWEST_MAPS = 64 * 128
# Product of input and output maps, side, and pixels of all images from which Winograd's form is
# faster in float32. With 128 x 128 maps of 64x64 it takes 34 ms, oneDNN's form 29.
FEWEST_MAPS_WINOGRAD = 256 * 256
SIDES_WINOGRAD = range(4, 130, 2)
FEWEST_PIXELS_WINOGRAD = 256

IM2COL_SIZE = [4, 4]  # height and width of images that are convolved faster by im2col
# Largest side of an output whose weight gradient is faster by im2col in float32, by stride. It is
# twice as large in half precision, where oneDNN's weight gradients are even slower.
LARGEST_IM2COL_GRADIENT = {1: 8, 2: 128}


def is_wide(weight: tf.Tensor) -> bool:
    """True if a 3x3 convolution by this weight may be faster as matrix products."""
    has_many_maps = weight.shape[2] * weight.shape[3] >= FEWEST_MAPS
    return weight.shape[0] == 3 and has_many_maps and not has_gpu()


def uses_winograd(x: tf.Tensor, weight: tf.Tensor, stride: int) -> bool:
    """True if Winograd's form is faster for these shapes. An unknown batch size counts as 1."""
    num_images, height, width = x.shape[:3]
    has_tiles = height in SIDES_WINOGRAD and width in SIDES_WINOGRAD
    has_many_pixels = (num_images or 1) * height * width >= FEWEST_PIXELS_WINOGRAD
    has_many_maps = weight.shape[2] * weight.shape[3] >= FEWEST_MAPS_WINOGRAD
    fits = stride == 1 and has_tiles and has_many_pixels and has_many_maps
    return fits and x.dtype.size >= 4 and is_wide(weight)


def uses_im2col(x: tf.Tensor, weight: tf.Tensor, stride: int) -> bool:
    """True if a convolution, or its transpose, is faster by im2col."""
    return stride == 1 and x.shape[1:3] == IM2COL_SIZE and is_wide(weight)


def uses_im2col_gradient(dy: tf.Tensor, weight: tf.Tensor, stride: int) -> bool:
    """True if the weight gradient is faster by im2col; dy is the gradient of the output."""
    largest = LARGEST_IM2COL_GRADIENT[stride] * (2 if dy.dtype.size < 4 else 1)
    return max(dy.shape[1:3]) <= largest and is_wide(weight)
