"""The layers of the paper. Images and feature maps are NHWC; weights keep the layout and the names
of the original TensorFlow release, so that its networks load without rearranging anything.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pgtf import ops
from pgtf.networks import initial
from pgtf.networks.options import GAIN_RELU

Shape = tuple[int | None, ...]


class SameShape(keras.layers.Layer):
    """A layer whose output has its first input's shape. Keras would trace it to learn that."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


class _Equalized(keras.layers.Layer):
    """Holds a weight whose He constant is applied at run time. Paper, Section 4.1.

    With `wscale_constant` "rms" the constant is the root mean square of the weight's initial
    values, which are stored divided by it: original Theano release.
    """

    def __init__(
        self,
        gain: float = GAIN_RELU,
        use_wscale: bool = True,
        wscale_constant: str = "he",
        use_bias: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.gain = gain
        self.use_wscale = use_wscale  # False: the He constant goes into the initial value instead
        self.wscale_constant = wscale_constant
        self.use_bias = use_bias
        self.seed = seed  # seed of the initial weight; None = a new one each time

    def _add_weights(self, shape: Shape, fan_in: int, num_biases: int) -> None:
        he_std = self.gain / np.sqrt(fan_in)
        stddev = 1.0 if self.use_wscale else float(he_std)
        initializer = initial.normal(stddev, self.seed)
        self._scale: Any = float(he_std) if self.use_wscale else 1.0
        if self.use_wscale and self.wscale_constant == "rms":
            values = tf.convert_to_tensor(initializer(shape)).numpy()
            rms = float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
            initializer = _constant(values / np.float32(rms or 1))  # zeros stay zeros
            self._scale = self.add_weight(
                name="scale",
                shape=(),
                initializer=_constant(np.float32(he_std * rms)),
                trainable=False,
                autocast=False,
            )
        # The weight stays float32 until it is scaled, whatever the layer computes with.
        self.weight = self.add_weight(
            name="weight", shape=shape, initializer=initializer, autocast=False
        )
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(num_biases,), initializer="zeros")

    def factor(self) -> Any:
        """The constant that multiplies the weight: a number or a scalar tensor."""
        return self._scale if isinstance(self._scale, float) else tf.convert_to_tensor(self._scale)

    def _add_bias(self, y: tf.Tensor) -> tf.Tensor:
        return tf.nn.bias_add(y, tf.convert_to_tensor(self.bias)) if self.use_bias else y

    def get_config(self) -> dict[str, Any]:
        names = ("gain", "use_wscale", "wscale_constant", "use_bias", "seed")
        return super().get_config() | {name: getattr(self, name) for name in names}


def _constant(values: Any) -> Callable[..., tf.Tensor]:
    """Creates an initializer that returns these values for any shape."""
    return lambda shape, dtype=None: tf.convert_to_tensor(values, dtype)


@keras.saving.register_keras_serializable(package="pgtf")
class EqualizedDense(_Equalized):
    """Dense layer with equalized learning rate: [N, in] -> [N, units]. Paper, Section 4.1.

    With `map_size`, (H, W) or one number for both, the output is a feature map [N, H, W, units]
    with one bias per channel: the first layer of G.
    """

    def __init__(
        self, units: int, map_size: int | Sequence[int] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.map_size = map_size
        sides = (map_size, map_size) if isinstance(map_size, int) else map_size
        self._map_sides = tuple(sides or ())

    def build(self, input_shape: Shape) -> None:
        fan_in: Any = input_shape[-1]
        num_outputs = self.units * math.prod(self._map_sides)
        self._add_weights((fan_in, num_outputs), fan_in, self.units)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        # Scale x, which is much smaller than the weight.
        weight = tf.cast(tf.convert_to_tensor(self.weight), x.dtype)
        y = tf.matmul(x * tf.cast(self.factor(), x.dtype), weight)
        if self._map_sides:
            y = tf.reshape(y, [-1, self.units, *self._map_sides])  # channel is slow
            y = tf.transpose(y, [0, 2, 3, 1])  # [N, H, W, units]
        return self._add_bias(y)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], *self._map_sides, self.units)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.units, "map_size": self.map_size}


@keras.saving.register_keras_serializable(package="pgtf")
class EqualizedConv2D(_Equalized):
    """Convolution with equalized learning rate: [N, H, W, in] -> [N, H', W', filters].

    `up` doubles and `down` halves the size inside the convolution: ops.conv2d_up, ops.conv2d_down.
    Original release, `fused_scale`; without them the size stays. Paper, Sections 2 and 4.1.
    """

    def __init__(
        self, filters: int, kernel_size: int, up: bool = False, down: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if up and down:
            raise ValueError("`up` and `down` exclude each other. Received: up=True, down=True.")
        if (up or down) and kernel_size != 3:
            raise ValueError(f"`kernel_size` must be 3. Received: kernel_size={kernel_size}.")
        self.filters = filters
        self.kernel_size = kernel_size
        self.up = up
        self.down = down

    def build(self, input_shape: Shape) -> None:
        size: int = self.kernel_size
        fmaps: Any = input_shape[-1]
        channels = (self.filters, fmaps) if self.up else (fmaps, self.filters)
        self._add_weights((size, size, *channels), size * size * fmaps, self.filters)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        convolve = ops.conv2d_up if self.up else ops.conv2d_down if self.down else ops.conv2d
        return self._add_bias(convolve(x, tf.convert_to_tensor(self.weight), self.factor()))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        num, *sides, _ = input_shape
        if self.up:
            sides = [size and 2 * size for size in sides]
        if self.down:
            sides = [size and size // 2 for size in sides]
        return (num, *sides, self.filters)

    def get_config(self) -> dict[str, Any]:
        config = {"filters": self.filters, "kernel_size": self.kernel_size}
        return super().get_config() | config | {"up": self.up, "down": self.down}


@keras.saving.register_keras_serializable(package="pgtf")
class LeakyReLU(SameShape):
    """x where positive, negative_slope * x elsewhere: any shape -> same."""

    def __init__(self, negative_slope: float = 0.2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = negative_slope

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return ops.leaky_relu(x, self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"negative_slope": self.negative_slope}


@keras.saving.register_keras_serializable(package="pgtf")
class PixelNorm(SameShape):
    """Scales each pixel's features to unit mean square: [N, ..., C] -> same. Paper, Section 4.2.

    With `negative_slope` it is leaky ReLU followed by pixel norm.
    """

    def __init__(
        self, epsilon: float = 1e-8, negative_slope: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.negative_slope = negative_slope

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return ops.pixel_norm(x, self.epsilon, self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        config = {"epsilon": self.epsilon, "negative_slope": self.negative_slope}
        return super().get_config() | config


class NormalizedRGB(keras.layers.Layer):
    """Pixel norm followed by an existing toRGB layer, as one operation: ops.normalized_rgb."""

    def __init__(self, to_rgb: EqualizedConv2D, epsilon: float, **kwargs: Any) -> None:
        super().__init__(dtype=to_rgb.dtype_policy, **kwargs)
        self.to_rgb = to_rgb
        self.epsilon = epsilon

    def call(self, x: tf.Tensor) -> tf.Tensor:
        kernel = tf.convert_to_tensor(self.to_rgb.weight) * self.to_rgb.factor()
        bias = tf.convert_to_tensor(self.to_rgb.bias)
        return ops.normalized_rgb(x, kernel, bias, self.epsilon)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.to_rgb.compute_output_shape(input_shape)


@keras.saving.register_keras_serializable(package="pgtf")
class NearestUp(keras.layers.Layer):
    """Repeats every pixel: [N, H, W, C] -> [N, 2H, 2W, C].

    It is keras.layers.UpSampling2D in operations that keep H, W and C known in the graph, because
    TensorFlow Lite cannot convolve an unknown number of channels.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        height, width, channels = x.shape[1:]
        x = tf.reshape(x, [-1, height, 1, width, 1, channels])
        return tf.reshape(tf.tile(x, [1, 1, 2, 1, 2, 1]), [-1, 2 * height, 2 * width, channels])

    def compute_output_shape(self, input_shape: Any) -> Shape:
        num, height, width, channels = input_shape
        return (num, 2 * height, 2 * width, channels)

    # Keras derives no configuration from a dtype that is given as an object.
    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().get_config()
        return config


@keras.saving.register_keras_serializable(package="pgtf")
class WeightedSum(SameShape):
    """Fades from `old` to `new`: two [N, H, W, C], alpha [] in [0, 1] -> same. Paper, Figure 2.

    Exactly `old` at alpha 0 and exactly `new` at alpha 1.
    """

    def call(self, old: tf.Tensor, new: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        alpha = tf.cast(alpha, new.dtype)
        return new * alpha + old * (1 - alpha)
