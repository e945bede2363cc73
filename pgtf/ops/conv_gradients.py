"""Convolutions by weight * scale with gradients of any order, arranged for speed and memory.

Each direction takes the form that is fastest on CPUs: oneDNN's, Winograd's or im2col. The scaled
weight is computed where it is used and not kept from pass to pass.
"""

from typing import Any

import tensorflow as tf

from pgtf.ops import im2col, ordering, selection, winograd


def conv2d(
    x: tf.Tensor, weight: tf.Tensor, stride: int, padding: str, scale: Any = 1.0
) -> tf.Tensor:
    """tf.nn.conv2d: [N, H, W, in], [K, K, in, out] -> [N, H', W', out].

    Args:
        x: images, in the dtype to compute in.
        weight: float32, or the dtype of x.
        stride: 1 or 2, for rows and columns.
        padding: "SAME" or "VALID".
        scale: number or scalar tensor, the He constant.
    """
    reference = weight.ref()

    @tf.custom_gradient
    def forward(x: tf.Tensor, weight: tf.Tensor) -> Any:
        def gradients(dy: tf.Tensor) -> Any:
            dw = _weight_gradient(x, dy, weight, stride, padding, scale)
            with tf.control_dependencies([dw] if _comes_first(reference) else []):
                dx = conv2d_transpose(dy, weight, x.shape[1:3], stride, padding, scale, True)
            return dx, dw

        y = _conv2d(_unrecorded(x), _unrecorded(weight), stride, padding, scale)
        return y, gradients

    return forward(x, weight)


def conv2d_transpose(
    x: tf.Tensor,
    weight: tf.Tensor,
    size: Any,
    stride: int,
    padding: str,
    scale: Any = 1.0,
    weight_first: bool = False,
) -> tf.Tensor:
    """The transpose of `conv2d`: [N, H', W', out], [K, K, in, out] -> [N, *size, in].

    With `weight_first` its input gradient waits for its weight gradient, for callers that want
    both: see ordering.weight_gradients_first.
    """
    reference = weight.ref()

    @tf.custom_gradient
    def forward(x: tf.Tensor, weight: tf.Tensor) -> Any:
        def gradients(dy: tf.Tensor) -> Any:
            dw = _weight_gradient(dy, x, weight, stride, padding, scale)
            is_first = weight_first or _comes_first(reference)
            with tf.control_dependencies([dw] if is_first else []):
                return conv2d(dy, weight, stride, padding, scale), dw

        y = _conv2d_transpose(_unrecorded(x), _unrecorded(weight), size, stride, padding, scale)
        return y, gradients

    return forward(x, weight)


def _weight_gradient(
    x: tf.Tensor, dy: tf.Tensor, weight: tf.Tensor, stride: int, padding: str, scale: Any
) -> tf.Tensor:
    """Computes the weight gradient of `conv2d` from x and the gradient of its output."""

    @tf.custom_gradient
    def forward(x: tf.Tensor, dy: tf.Tensor) -> Any:
        def gradients(ddw: tf.Tensor) -> Any:
            ddx = conv2d_transpose(dy, ddw, x.shape[1:3], stride, padding, scale)
            return ddx, conv2d(x, ddw, stride, padding, scale)

        dw = _correlate(_unrecorded(x), _unrecorded(dy), weight, stride, padding, scale)
        return dw, gradients

    return forward(x, dy)


def _unrecorded(x: tf.Tensor) -> tf.Tensor:
    """Stops the gradient tape from recording operations on x.

    Inside a function with its own gradient, recording is useless, and the gradients of loops and of
    what XLA compiles would be traced: at 64x64, minibatch 4, 23,530 operations instead of 15,306
    (November 2026).
    """
    return tf.stop_gradient(x)


def _conv2d(x: tf.Tensor, weight: tf.Tensor, stride: int, padding: str, scale: Any) -> tf.Tensor:
    if selection.uses_winograd(x, weight, stride):
        return winograd.convolution(x, _cast(weight, x), scale)
    if selection.uses_im2col(x, weight, stride):
        return im2col.convolution(x * _cast(scale, x), _cast(weight, x))
    return tf.nn.conv2d(x, _kernel(weight, scale, x), stride, padding)


def _conv2d_transpose(
    x: tf.Tensor, weight: tf.Tensor, size: Any, stride: int, padding: str, scale: Any
) -> tf.Tensor:
    if selection.uses_winograd(x, weight, stride):
        return winograd.transpose(x, _cast(weight, x), scale)
    if selection.uses_im2col(x, weight, stride):
        return im2col.transpose(x * _cast(scale, x), _cast(weight, x))
    output_shape = [tf.shape(x)[0], *size, weight.shape[2]]
    kernel = _kernel(weight, scale, x)
    return tf.nn.conv2d_transpose(x, kernel, output_shape, stride, padding)


def _correlate(
    x: tf.Tensor, dy: tf.Tensor, weight: tf.Tensor, stride: int, padding: str, scale: Any
) -> tf.Tensor:
    if selection.uses_winograd(x, weight, stride):
        return winograd.weight_gradient(x, dy, scale)
    if selection.uses_im2col_gradient(dy, weight, stride):
        gradient = im2col.weight_gradient(x, dy, stride, padding)
    else:
        gradient = tf.raw_ops.Conv2DBackpropFilter(
            input=x,
            filter_sizes=weight.shape,
            out_backprop=dy,
            strides=[1, stride, stride, 1],
            padding=padding,
        )
    return _cast(gradient, weight) * _cast(scale, weight)


def _comes_first(reference: Any) -> bool:
    """True if a weight's gradient must precede the input gradient; `reference` = Tensor.ref()."""
    return ordering.comes_first(reference) and selection.is_wide(reference.deref())


def _kernel(weight: tf.Tensor, scale: Any, x: tf.Tensor) -> tf.Tensor:
    """Computes the scaled weight once x is available.

    Otherwise the scaled weights of all layers would be computed first and stay in memory throughout
    an update.
    """
    scale = _cast(scale, weight)
    with ordering.after(x):
        return _cast(weight * scale, x)


def _cast(values: Any, like: tf.Tensor) -> tf.Tensor:
    return tf.cast(values, like.dtype)
