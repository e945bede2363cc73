"""Convolutions by weights times a constant, the gradients arranged for speed and memory.

Each direction takes the fastest form on CPUs: oneDNN's, or matrix products of `winograd` or
`products`. The scaled weight is made where it is used and not held from pass to pass. Gradients are
of any order.
"""

import contextlib
import contextvars

import tensorflow as tf

from pgtf.networks import products, winograd

# By stride: the largest side of an output, in pixels, whose weight gradient is faster as a product,
# in float32; twice that in half precision, whose weight gradients are slower still.
LARGEST_PRODUCT = {1: 8, 2: 128}
PRODUCT_SIZE = [4, 4]  # of images whose convolution itself is faster as a product
FEWEST_MAPS = 64 * 128  # in times out; thinner layers, such as the demo's, take longer as products
# Maps, in times out, sides in pixels, and pixels of all images for which `winograd` is faster, in
# float32.
FEWEST_MAPS_WINOGRAD = 256 * 256
SIDES_WINOGRAD = range(4, 130, 2)
FEWEST_PIXELS_WINOGRAD = 256

# Weights, by Tensor.ref().
_wanted: contextvars.ContextVar[frozenset] = contextvars.ContextVar("wanted", default=frozenset())


@contextlib.contextmanager
def weights_first(weights):
    """Inside a `with`, gradients of these weights come before those of what they convolve.

    TensorFlow would run ahead to the first layer, and what the weight gradients of all layers look
    at be in memory at the same time. For weights of which all gradients are wanted: none of them
    can be left out of the graph then. Thin layers have little to hold and two gradients at once are
    faster there: the demo's iterations take 8% longer otherwise.
    """
    token = _wanted.set(frozenset(weight.ref() for weight in weights))
    try:
        yield
    finally:
        _wanted.reset(token)


def convolved(x, weight, stride, padding, scale=1.0):
    """tf.nn.conv2d by weight * scale: [N, H, W, in], [K, K, in, out] -> [N, H', W', out].

    Args:
        x: images, of the dtype to compute in.
        weight: in float32, or in the dtype of x.
        stride: 1 or 2, of rows and columns.
        padding: "SAME" or "VALID".
        scale: number or scalar tensor, the He constant.
    """
    reference = weight.ref()

    @tf.custom_gradient
    def forward(x, weight):
        def gradients(dy):
            dw = _weight_gradient(x, dy, weight, stride, padding, scale)
            with tf.control_dependencies([dw] if _comes_first(reference) else []):
                dx = transposed(dy, weight, x.shape[1:3], stride, padding, scale, True)
            return dx, dw

        return _convolved(*_unrecorded(x, weight), stride, padding, scale), gradients

    return forward(x, weight)


def transposed(x, weight, size, stride, padding, scale=1.0, weight_first=False):
    """The transpose of `convolved`: [N, H', W', out], [K, K, in, out] -> [N, *size, in].

    With `weight_first` its gradient of x waits for that of the weight, for those who want both: it
    would run ahead, and all that the weight gradients look at be in memory at the same time.
    """
    reference = weight.ref()

    @tf.custom_gradient
    def forward(x, weight):
        def gradients(dy):
            dw = _weight_gradient(dy, x, weight, stride, padding, scale)
            is_first = weight_first or _comes_first(reference)
            with tf.control_dependencies([dw] if is_first else []):
                return convolved(dy, weight, stride, padding, scale), dw

        return _transposed(*_unrecorded(x, weight), size, stride, padding, scale), gradients

    return forward(x, weight)


def _weight_gradient(x, dy, weight, stride, padding, scale):
    """Of `convolved`, of x and the gradient of its result: -> as weight."""

    @tf.custom_gradient
    def forward(x, dy):
        def gradients(ddw):
            ddx = transposed(dy, ddw, x.shape[1:3], stride, padding, scale)
            return ddx, convolved(x, ddw, stride, padding, scale)

        return _correlated(*_unrecorded(x, dy), weight, stride, padding, scale), gradients

    return forward(x, dy)


def _unrecorded(*tensors):
    """As they are, but a tape takes no notice of what they are used for.

    Inside a function with a gradient of its own it would record operations in vain, and trace the
    gradients of loops and of what XLA compiles.
    """
    return map(tf.stop_gradient, tensors)


def _convolved(x, weight, stride, padding, scale):
    if has_winograd(x, weight, stride):
        return winograd.convolution(x, _cast(weight, x), scale)
    if _is_small(x, weight, stride):
        return products.convolution(x * _cast(scale, x), _cast(weight, x))
    return tf.nn.conv2d(x, _kernel(weight, scale, x), stride, padding)


def _transposed(x, weight, size, stride, padding, scale):
    if has_winograd(x, weight, stride):
        return winograd.transpose(x, _cast(weight, x), scale)
    if _is_small(x, weight, stride):
        return products.transpose(x * _cast(scale, x), _cast(weight, x))
    output_shape = [tf.shape(x)[0], *size, weight.shape[2]]
    kernel = _kernel(weight, scale, x)
    return tf.nn.conv2d_transpose(x, kernel, output_shape, stride, padding)


def _correlated(x, dy, weight, stride, padding, scale):
    if has_winograd(x, weight, stride):
        return winograd.weight_gradient(x, dy, scale)
    largest = LARGEST_PRODUCT[stride] * (2 if x.dtype.size < 4 else 1)
    if max(dy.shape[1:3]) <= largest and has_product(weight):
        gradient = products.weight_gradient(x, dy, stride, padding)
    else:
        gradient = tf.raw_ops.Conv2DBackpropFilter(
            input=x,
            filter_sizes=weight.shape,
            out_backprop=dy,
            strides=[1, stride, stride, 1],
            padding=padding,
        )
    return _cast(gradient, weight) * _cast(scale, weight)


def _comes_first(reference):
    """Whether the gradient of a weight, given as Tensor.ref(), is to come before that of images."""
    return reference in _wanted.get() and has_product(reference.deref())


def _kernel(weight, scale, x):
    """The scaled weight, made when `x` is there."""
    scale = _cast(scale, weight)
    with products.after(x):
        return _cast(weight * scale, x)


def has_winograd(x, weight, stride):
    """Whether `winograd` is faster for images, be it one if that is not known, and a weight."""
    num_images, height, width = x.shape[:3]
    is_square = height == width and height in SIDES_WINOGRAD
    is_much = (num_images or 1) * height * width >= FEWEST_PIXELS_WINOGRAD
    is_wide = weight.shape[2] * weight.shape[3] >= FEWEST_MAPS_WINOGRAD
    fits = stride == 1 and is_square and is_much and is_wide
    return fits and x.dtype.size >= 4 and has_product(weight)


def _is_small(x, weight, stride):
    return stride == 1 and x.shape[1:3] == PRODUCT_SIZE and has_product(weight)


def has_product(weight):
    """Whether a 3x3 convolution may be faster as products of matrices."""
    is_wide = weight.shape[0] == 3 and weight.shape[2] * weight.shape[3] >= FEWEST_MAPS
    return is_wide and not tf.config.list_logical_devices("GPU")  # where cuDNN is faster


def _cast(values, like):
    return tf.cast(values, like.dtype)
