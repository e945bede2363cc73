"""The layers of the paper. Images and feature maps are NHWC; weights keep the layout and the names
of the original TensorFlow release, so that its networks load without rearranging anything.
"""

import keras
import numpy as np
import tensorflow as tf

from pgtf.networks import drawing, kernels

GAIN_RELU = float(np.sqrt(2))  # He et al. 2015; the paper keeps it for leaky ReLU too
GAIN_LINEAR = 1.0


class _Equalized(keras.layers.Layer):
    """Holds a weight whose He constant is applied at run time. Paper, Section 4.1.

    With `wscale_constant` "rms" the constant is the root mean square of the values drawn for the
    weight, which are stored divided by it: original Theano release.
    """

    def __init__(
        self,
        gain=GAIN_RELU,
        use_wscale=True,
        wscale_constant="he",
        use_bias=True,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.gain = gain
        self.use_wscale = use_wscale  # False: the He constant goes into the initial value instead
        self.wscale_constant = wscale_constant
        self.use_bias = use_bias
        self.seed = seed  # of the initial weight; None draws a new one each time

    def _add_weights(self, shape, fan_in, num_biases):
        he_std = self.gain / np.sqrt(fan_in)
        stddev = 1.0 if self.use_wscale else float(he_std)
        initializer = keras.initializers.RandomNormal(stddev=stddev, seed=self.seed)
        self._scale = float(he_std) if self.use_wscale else 1.0
        if self.use_wscale and self.wscale_constant == "rms":
            drawn = tf.convert_to_tensor(initializer(shape)).numpy()
            rms = float(np.sqrt(np.mean(np.square(drawn, dtype=np.float64))))
            initializer = _given(drawn / np.float32(rms))
            self._scale = self.add_weight(
                name="scale",
                shape=(),
                initializer=_given(np.float32(he_std * rms)),
                trainable=False,
                autocast=False,
            )
        # In float32 until scaled, whatever the layer computes with.
        self.weight = self.add_weight(
            name="weight", shape=shape, initializer=initializer, autocast=False
        )
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(num_biases,), initializer="zeros")

    def _scale_now(self):
        """What the weight is to be multiplied by: a number or a scalar tensor."""
        return self._scale if isinstance(self._scale, float) else tf.convert_to_tensor(self._scale)

    def _biased(self, y):
        return tf.nn.bias_add(y, tf.convert_to_tensor(self.bias)) if self.use_bias else y

    def get_config(self):
        names = ("gain", "use_wscale", "wscale_constant", "use_bias", "seed")
        return super().get_config() | {name: getattr(self, name) for name in names}


def _given(values):
    """An initializer that returns a NumPy array whatever shape is asked."""
    return lambda shape, dtype=None: tf.convert_to_tensor(values, dtype)


@keras.saving.register_keras_serializable(package="pgtf")
class EqualizedDense(_Equalized):
    """Dense layer with equalized learning rate: [N, in] -> [N, units]. Paper, Section 4.1.

    With `map_size` the output is a feature map [N, map_size, map_size, units] with one bias per
    channel: the first layer of G.
    """

    def __init__(self, units, map_size=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.map_size = map_size

    def build(self, input_shape):
        fan_in = input_shape[-1]
        num_outputs = self.units * (self.map_size or 1) ** 2
        self._add_weights((fan_in, num_outputs), fan_in, self.units)

    def call(self, x):
        # Of the two factors, x is much the smaller one to scale.
        weight = tf.cast(tf.convert_to_tensor(self.weight), x.dtype)
        y = tf.matmul(x * tf.cast(self._scale_now(), x.dtype), weight)
        if self.map_size:
            y = tf.reshape(y, [-1, self.units, self.map_size, self.map_size])  # channel is slow
            y = tf.transpose(y, [0, 2, 3, 1])  # [N, map_size, map_size, units]
        return self._biased(y)

    def get_config(self):
        return super().get_config() | {"units": self.units, "map_size": self.map_size}


@keras.saving.register_keras_serializable(package="pgtf")
class EqualizedConv2D(_Equalized):
    """Convolution with equalized learning rate: [N, H, W, in] -> [N, H', W', filters].

    `up` doubles and `down` halves the size inside the convolution ("fused"), which saves the
    convolution at the larger size (`up`) or the values that pooling would average away (`down`):
    kernels.conv2d_up, kernels.conv2d_down. Original release, `fused_scale`; without `up` and
    `down` the size stays. Paper, Sections 2 and 4.1.

    Attributes:
        is_drawing: whether to take `drawing`'s operations; see Generator.run.
        epsilon_before: that of a pixel norm left to this layer, or None; see Generator.run.
    """

    def __init__(self, filters, kernel_size, up=False, down=False, **kwargs):
        super().__init__(**kwargs)
        if up and down:
            raise ValueError("`up` and `down` exclude each other. Received: up=True, down=True.")
        if (up or down) and kernel_size != 3:
            raise ValueError(f"`kernel_size` must be 3. Received: kernel_size={kernel_size}.")
        self.filters = filters
        self.kernel_size = kernel_size
        self.up = up
        self.down = down
        self.is_drawing = False
        self.epsilon_before = None

    def build(self, input_shape):
        size, fmaps = self.kernel_size, input_shape[-1]
        channels = (self.filters, fmaps) if self.up else (fmaps, self.filters)
        self._add_weights((size, size, *channels), size * size * fmaps, self.filters)

    def call(self, x, training=False):
        weight, scale = tf.convert_to_tensor(self.weight), self._scale_now()
        if self.epsilon_before is not None:
            bias = tf.convert_to_tensor(self.bias) if self.use_bias else tf.zeros([self.filters])
            return drawing.rgb_of_normalized(x, weight * scale, bias, self.epsilon_before)
        if self.is_drawing and not self.down:
            function = drawing.conv2d_up if self.up else drawing.conv2d
            return self._biased(function(x, weight, scale))
        function = kernels.conv2d
        if self.up or self.down:
            function = kernels.conv2d_up if self.up else kernels.conv2d_down
        return self._biased(function(x, weight, scale, training))

    def get_config(self):
        config = {"filters": self.filters, "kernel_size": self.kernel_size}
        return super().get_config() | config | {"up": self.up, "down": self.down}


@keras.saving.register_keras_serializable(package="pgtf")
class LeakyReLU(keras.layers.Layer):
    """x where positive, negative_slope * x elsewhere: any shape -> same.

    With `training` its gradients are kernels.leaky_relu's; without, a graph holds no custom
    gradients, about which TensorFlow would warn whoever loads it.
    """

    def __init__(self, negative_slope=0.2, **kwargs):
        super().__init__(**kwargs)
        self.negative_slope = negative_slope

    def call(self, x, training=False):
        function = kernels.leaky_relu if training else tf.nn.leaky_relu
        return function(x, self.negative_slope)

    def get_config(self):
        return super().get_config() | {"negative_slope": self.negative_slope}


@keras.saving.register_keras_serializable(package="pgtf")
class PixelNorm(keras.layers.Layer):
    """Scales each pixel's features to unit mean square: [N, ..., C] -> same. Paper, Section 4.2.

    With `negative_slope` it is leaky ReLU and pixel norm in one. `training` as in LeakyReLU.

    Attributes:
        is_drawing: whether to take drawing.normalized_pixels outside training; see Generator.run.
        is_left_to_next: whether the next layer does it, and this one leaky ReLU alone.
    """

    def __init__(self, epsilon=1e-8, negative_slope=None, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.negative_slope = negative_slope
        self.is_drawing = False
        self.is_left_to_next = False

    def call(self, x, training=False):
        if training:
            return kernels.pixel_norm(x, self.epsilon, self.negative_slope)
        if self.negative_slope is not None:
            x = tf.nn.leaky_relu(x, self.negative_slope)
        if self.is_left_to_next:
            return x
        if self.is_drawing:
            return drawing.normalized_pixels(x, self.epsilon)
        return kernels.normalized_pixels(x, self.epsilon)[0]

    def get_config(self):
        config = {"epsilon": self.epsilon, "negative_slope": self.negative_slope}
        return super().get_config() | config


@keras.saving.register_keras_serializable(package="pgtf")
class NearestUp(keras.layers.Layer):
    """Repeats every pixel: [N, H, W, C] -> [N, 2H, 2W, C].

    keras.layers.UpSampling2D in operations that keep H, W and C known in the graph: TensorFlow Lite
    has no convolution of an unknown number of channels.
    """

    def call(self, x):
        height, width, channels = x.shape[1:]
        x = tf.reshape(x, [-1, height, 1, width, 1, channels])
        return tf.reshape(tf.tile(x, [1, 1, 2, 1, 2, 1]), [-1, 2 * height, 2 * width, channels])


@keras.saving.register_keras_serializable(package="pgtf")
class MinibatchStdDev(keras.layers.Layer):
    """Appends the mean standard deviation over groups: [N, H, W, C] -> [N, H, W, C + 1].

    A group is every (N / group)-th sample, `group` being at most N ("all" = N). Paper, Section 3;
    groups as in the original release, reference A.

    Raises:
        ValueError: if N is larger than the group and not a multiple of it.
    """

    def __init__(self, group_size=4, epsilon=1e-8, **kwargs):
        super().__init__(**kwargs)
        self.group_size = group_size
        self.epsilon = epsilon

    def call(self, x):
        batch, height, width, fmaps = x.shape
        group = tf.shape(x)[0]
        if self.group_size != "all":
            check_group(batch, self.group_size)
            group = tf.minimum(self.group_size, group)
        y = tf.reshape(x, [group, -1, height, width, fmaps])  # [group, N / group, H, W, C]
        return tf.concat([x, self._maps(y, group)], axis=-1)

    def _maps(self, y, group):
        """Maps to append: groups [group, N / group, H, W, C] -> [N, H, W, 1]."""
        height, width = y.shape[2:4]
        variance = tf.reduce_mean(tf.square(y - tf.reduce_mean(y, axis=0)), axis=0)
        stddev = tf.reduce_mean(tf.sqrt(variance + self.epsilon), axis=[1, 2, 3], keepdims=True)
        return tf.tile(stddev, [group, height, width, 1])

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] + 1)

    def get_config(self):
        config = {"group_size": self.group_size, "epsilon": self.epsilon}
        return super().get_config() | config


def check_group(batch, group_size):
    """Raises ValueError unless `batch` samples (None = unknown) make whole groups."""
    if batch is not None and batch > group_size and batch % group_size:
        raise ValueError(
            "the minibatch of D must be a multiple of `mbstd_group_size`, or smaller than it. "
            f"Received: minibatch={batch}, mbstd_group_size={group_size}."
        )


@keras.saving.register_keras_serializable(package="pgtf")
class WeightedSum(keras.layers.Layer):
    """Fades from `old` to `new`: two [N, H, W, C], alpha [] in [0, 1] -> same. Paper, Figure 2.

    Exactly `old` at alpha 0 and exactly `new` at alpha 1.
    """

    def call(self, old, new, alpha):
        alpha = tf.cast(alpha, new.dtype)
        return new * alpha + old * (1 - alpha)
