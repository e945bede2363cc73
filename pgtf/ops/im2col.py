"""3x3 convolutions and their weight gradients as im2col and a matrix product.

oneDNN's weight gradients of strided convolutions and of small images, and all its convolutions of
4x4 images, reach a quarter to two thirds of the rate of a matrix product. These forms are for what
Winograd's form does not cover (selection.py); conv_gradients.py gives them gradients of any order.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from pgtf.ops import ordering

PATCHES_BYTES = 2**24  # memory for patches; minibatches that need more are processed in parts


def convolution(x: tf.Tensor, kernel: tf.Tensor, at_once: bool = False) -> tf.Tensor:
    """tf.nn.conv2d of stride 1, "SAME": [N, H, W, in] * [3, 3, in, out] -> [N, H, W, out]; H > 2.

    Rows of padding, a sixth of all rows that the kernel sees at 4x4, are not multiplied: 13.2 ms,
    oneDNN 20.8 (512 maps of 4x4, minibatch 64; Intel Xeon, 2 cores, November 2026). With `at_once`
    they are, which is faster for few images, because the kernel is read once.
    """
    size, num_outputs = x.shape[1:3], kernel.shape[3]
    outputs = []
    for rows, taps in [(range(size[0]), range(3))] if at_once else _inner_rows(size[0]):
        patches = _gather(x, _positions(rows, range(size[1]), taps, size, before=1))
        part = tf.reshape(kernel[taps.start : taps.stop], [-1, num_outputs])
        y = tf.matmul(tf.reshape(patches, [-1, part.shape[0]]), part)
        outputs.append(tf.reshape(y, [-1, len(rows), size[1], num_outputs]))
    return tf.concat(outputs, axis=1)


def transpose(y: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Transpose of `convolution`: [N, H, W, out] * [3, 3, in, out] -> [N, H, W, in]; H > 1.

    512 maps of 4x4, minibatch 64: 13.8 ms, oneDNN 21.0 (Intel Xeon, 2 cores, November 2026).
    """
    height, width = y.shape[1:3]
    num_inputs, num_outputs = kernel.shape[2:]
    shares = []
    for tap in range(3):
        first, last = max(1 - tap, 0), min(height + 1 - tap, height)  # rows whose tap is inside
        x = tf.matmul(
            tf.reshape(y[:, first:last], [-1, num_outputs]),
            tf.reshape(kernel[tap : tap + 1], [-1, num_outputs]),
            transpose_b=True,
        )
        x = tf.reshape(x, [-1, last - first, width, 3, num_inputs])
        top = first + tap - 1  # first image row that this row of the kernel saw
        vertical = [top, height - top - (last - first)]
        columns = (x[:, :, 1:, 0], [0, 1]), (x[:, :, :, 1], [0, 0]), (x[:, :, :-1, 2], [1, 0])
        shares += [tf.pad(part, [[0, 0], vertical, sides, [0, 0]]) for part, sides in columns]
    return tf.add_n(shares)


def weight_gradient(x: tf.Tensor, dy: tf.Tensor, stride: int, padding: str) -> tf.Tensor:
    """Weight gradient of a convolution: [N, H, W, in], dL/dy [N, H', W', out] -> [3, 3, in, out].

    Stride 2, 128 to 256 maps, 64x64 outputs, 4 images: 110 ms, oneDNN 401 (one thread of an AMD
    EPYC, busy, November 2026).

    Args:
        x: the images.
        dy: gradients of the outputs.
        stride: for rows and columns.
        padding: "SAME", with stride 1 only, or "VALID".
    """
    row_size, num_outputs = 9 * x.shape[3], dy.shape[3]
    image_bytes = dy.shape[1] * dy.shape[2] * row_size * x.dtype.size
    rows, columns = map(range, dy.shape[1:3])
    before = 1 if padding == "SAME" else 0
    positions = _positions(rows, columns, range(3), x.shape[1:3], before, stride)
    total = None
    for part in _parts(x.shape[0], image_bytes):
        # Wait: patches made in the forward pass, or of several parts at once, would fill memory.
        with ordering.after(dy if total is None else total):
            patches = _gather(x[part], positions)
        patches = tf.reshape(patches, [-1, row_size])
        product = tf.matmul(patches, tf.reshape(dy[part], [-1, num_outputs]), transpose_a=True)
        total = product if total is None else total + product
    return tf.reshape(total, [3, 3, x.shape[3], num_outputs])


def _parts(num_images: int | None, image_bytes: int) -> list[slice]:
    """Slices of a minibatch with at most PATCHES_BYTES each; one if its size is unknown."""
    if not num_images:
        return [slice(None)]
    at_a_time = max(PATCHES_BYTES // image_bytes, 1)
    return [slice(begin, begin + at_a_time) for begin in range(0, num_images, at_a_time)]


def _inner_rows(height: int) -> list[tuple[range, range]]:
    """Pairs (rows of the output, rows of the 3x3 kernel that are inside the image there)."""
    return [
        (range(1), range(1, 3)),
        (range(1, height - 1), range(3)),
        (range(height - 1, height), range(2)),
    ]


def _positions(
    rows: range, columns: range, taps: range, size: Any, before: int, stride: int = 1
) -> np.ndarray[Any, Any]:
    """Computes which pixels a kernel sees: [len(rows) * len(columns) * len(taps) * 3].

    Args:
        rows, columns: of the output.
        taps: rows of the kernel.
        size: height and width of the images; the pixel height * width stands for padding.
        before: pixels of padding above and to the left.
        stride: for rows and columns.
    """
    y = np.add.outer(np.asarray(rows) * stride, np.asarray(taps)) - before
    x = np.add.outer(np.asarray(columns) * stride, np.arange(3)) - before
    y, x = y[:, np.newaxis, :, np.newaxis], x[np.newaxis, :, np.newaxis, :]
    inside = (y >= 0) & (y < size[0]) & (x >= 0) & (x < size[1])
    return np.where(inside, y * size[1] + x, size[0] * size[1]).astype(np.int32).ravel()


def _gather(x: tf.Tensor, positions: np.ndarray[Any, Any]) -> tf.Tensor:
    """Gathers pixels, zeros for padding: [N, H, W, C] -> [N, len(positions), C].

    It copies whole pixels, which is much faster than tf.image.extract_patches.
    """
    height, width, fmaps = x.shape[1:]
    x = tf.reshape(x, [-1, height * width, fmaps])
    if positions.max() == height * width:
        x = tf.concat([x, tf.zeros([tf.shape(x)[0], 1, fmaps], x.dtype)], axis=1)
    return tf.gather(x, positions, axis=1)
