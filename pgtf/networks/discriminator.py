"""The discriminator of the paper: Table 2, with the options of the original TensorFlow release."""

import keras
import tensorflow as tf

from pgtf.networks.layers import (
    GAIN_LINEAR,
    GAIN_RELU,
    EqualizedConv2D,
    EqualizedDense,
    LeakyReLU,
    MinibatchStdDev,
    WeightedSum,
    check_group,
)
from pgtf.networks.minibatch_statistics import MinibatchDiscrimination, MinibatchStatistic
from pgtf.networks.network import Network, keras_name
from pgtf.networks.noise import MultiplicativeNoise, NoiseSource
from pgtf.networks.normalization import BatchNorm, LayerNorm
from pgtf.networks.options import DiscriminatorConfig

LARGEST_JOINED = 2**22  # bytes of the finest float32 maps of a minibatch: docs/performance.md


class Discriminator(Network):
    """Scores images and predicts their labels; keyword arguments are DiscriminatorConfig's fields.

    Called with images [N, R, R, num_channels] (R = resolution >> floor(lod), or the full
    resolution, which is box-averaged down) and a lod (None = `self.lod`), it returns
    scores [N, 1] and label logits [N, label_size].

    Attributes:
        noise: NoiseSource of its noise layers, None without `use_gdrop`.
    """

    def __init__(self, *, seed=None, compute_dtype="float32", **options):
        super().__init__(DiscriminatorConfig(**options), seed, compute_dtype)
        self.noise = NoiseSource() if self.config.use_gdrop else None
        self._from_rgb, self._blocks = {}, {}
        for res in range(self.resolution_log2, 1, -1):
            self._from_rgb[res] = self._rgb(res)
            self._blocks[res] = self._block(res) if res > 2 else self._last_block()

    def __call__(self, images, lod=None):
        model, alpha = self.model_at(self.lod if lod is None else lod)
        images = tf.convert_to_tensor(images, tf.float32)
        if self._has_statistic and self.config.mbstd_group_size != "all":
            check_group(images.shape[0], self.config.mbstd_group_size)
        factor = images.shape[1] // model.inputs[0].shape[1]
        if factor > 1 and images.shape[1] == self.config.resolution:
            images = tf.nn.avg_pool2d(images, factor, factor, "VALID")
        return model([images, alpha])

    def joins(self, shape):
        """Whether `scores_of_two` can score two minibatches [N, R, R, num_channels] and pays.

        It can where a sample's scores are the same in a minibatch twice as large. Large feature
        maps would take more memory than the saved passes over weights are worth.
        """
        minibatch, resolution = shape[0], shape[1]
        config, size = self.config, self.config.mbstd_group_size
        if config.use_batchnorm or config.use_gdrop or config.mbdisc_kernels is not None:
            return False
        if size == "all" or minibatch is None or minibatch < size:
            return False
        map_bytes = 4 * minibatch * resolution**2 * self.nf(resolution.bit_length() - 2)
        return map_bytes <= LARGEST_JOINED

    def scores_of_two(self, first, second, alpha):
        """Scores and label logits of two minibatches in one pass, as if scored one by one.

        Saves half of the work that is done once a pass: weights rearranged, gradients added. For
        minibatches that it `joins`.

        Args:
            first, second: [N, R, R, num_channels].
            alpha: [] weight of the finest branch; None: 1, the other one is left out.

        Returns:
            (scores [N, 1], label logits [N, label_size]), twice.
        """
        # A group of the statistic is every (N / group)-th sample.
        group = self.config.group_of(first.shape[0])
        both = [tf.reshape(x, [group, 1, -1, *x.shape[1:]]) for x in (first, second)]
        images = tf.reshape(tf.concat(both, axis=1), [2 * first.shape[0], *first.shape[1:]])
        model = self.model(first.shape[1].bit_length() - 1, fading=alpha is not None)
        alpha = tf.constant(1.0) if alpha is None else alpha
        parted = [
            tf.reshape(y, [group, 2, first.shape[0] // group, y.shape[1]])
            for y in model([images, alpha], training=True)
        ]
        return tuple(
            [tf.reshape(y[:, which], [first.shape[0], y.shape[3]]) for y in parted]
            for which in range(2)
        )

    def initialize_discrimination(self, images, lod):
        """Fits scales and biases of minibatch discrimination to reals; does nothing without it.

        Args:
            images: as for a call, many at once; original Theano release: 500.
            lod: level of detail.
        """
        discrimination = self.layers.get("4x4/MinibatchDiscrimination")
        if discrimination is not None:
            resolution_log2, alpha = self.stage(lod)
            block = self._blocks[2]
            before = block.layers[: block.layers.index(discrimination)]
            features = keras.Model(*self._features(resolution_log2, fading=True))
            x = features([tf.convert_to_tensor(images), alpha])
            for layer in before:
                x = layer(x)
            discrimination.initialize(x)

    def _rgb(self, res):
        layer_name = f"FromRGB_lod{self.resolution_log2 - res}"
        options = self._options(layer_name) | {"dtype": "float32"}
        conv = EqualizedConv2D(self.nf(res - 1), 1, **options)
        self.layers[layer_name] = conv
        shape = (None, 2**res, 2**res, self.config.num_channels)
        layers = [conv, LeakyReLU(negative_slope=0.2)]
        return self._sequential(layers, shape, keras_name(layer_name))

    def _block(self, res):
        """Builds the layers from resolution 2**res to half of it."""
        name, fused = f"{2**res}x{2**res}", self.config.fused_scale
        conv1_name = f"{name}/Conv1_down" if fused else f"{name}/Conv1"
        layers = self._conv(f"{name}/Conv0", self.nf(res - 1))
        layers += self._conv(conv1_name, self.nf(res - 2), down=fused)
        if not fused:
            # after the activation
            layers.append(keras.layers.AveragePooling2D(2, dtype=self.policy))
        return self._sequential(layers, (None, 2**res, 2**res, self.nf(res - 1)), name)

    def _last_block(self):
        """Builds the layers from 4x4 to the score and the label logits."""
        layers = [*self._statistic(), *self._conv("4x4/Conv", self.nf(1)), *self._noise()]
        # The original flattens channel-major.
        layers += [
            keras.layers.Permute((3, 1, 2), dtype=self.policy),
            keras.layers.Flatten(dtype=self.policy),
        ]
        options = self._options("4x4/Dense0") | {"use_bias": self._use_bias}
        layers += self._epilogue("4x4/Dense0", EqualizedDense(self.nf(0), **options))
        if self.config.mbdisc_kernels is not None:
            name = "4x4/MinibatchDiscrimination"
            self.layers[name] = MinibatchDiscrimination(
                self.config.mbdisc_kernels, seed=self._seed_of(name), name=keras_name(name)
            )
            layers.append(self.layers[name])
        layers.append(self._outputs("4x4/Dense1"))
        return self._sequential(layers, (None, 4, 4, self.nf(1)), "4x4")

    def _outputs(self, layer_name):
        """The linear layer that gives score and label logits."""
        options = self._options(layer_name) | {"gain": GAIN_LINEAR, "dtype": "float32"}
        self.layers[layer_name] = EqualizedDense(1 + self.config.label_size, **options)
        return self.layers[layer_name]

    @property
    def _has_statistic(self):
        size = self.config.mbstd_group_size
        return size == "all" or size > 1

    def _statistic(self):
        config = self.config
        if not self._has_statistic:
            return []
        if (config.mbstat_func, config.mbstat_avg) == ("Tstdeps", "all"):
            return [MinibatchStdDev(config.mbstd_group_size)]
        return [
            MinibatchStatistic(
                config.mbstat_func,
                config.mbstat_avg,
                config.mbstat_num_splits,
                group_size=config.mbstd_group_size,
            )
        ]

    def _noise(self):
        return [] if self.noise is None else [MultiplicativeNoise(self.noise, dtype=self.policy)]

    def _conv(self, layer_name, fmaps, down=False):
        """A 3x3 convolution with the noise before it and what follows it."""
        options = self._options(layer_name) | {"use_bias": self._use_bias}
        conv = EqualizedConv2D(fmaps, 3, down=down, **options)
        return [*self._noise(), *self._epilogue(layer_name, conv)]

    @property
    def _use_bias(self):
        return not (self.config.use_layernorm or self.config.use_batchnorm)  # they have their own

    def _epilogue(self, layer_name, layer):
        """A layer with what follows it: normalizations and activation."""
        self.layers[layer_name] = layer
        layers = [layer]
        norms = (
            ("LayerNorm", LayerNorm, self.config.use_layernorm),
            ("BatchNorm", BatchNorm, self.config.use_batchnorm),
        )
        for kind, norm, is_used in norms:
            if is_used:
                name = f"{layer_name}/{kind}"
                self.layers[name] = norm(name=keras_name(name))
                layers.append(self.layers[name])
        return [*layers, self._activation()]

    def _activation(self):
        return LeakyReLU(negative_slope=0.2, dtype=self.policy)

    def _sequential(self, layers, shape, name):
        block = keras.Sequential(layers, name=name)
        block.build(shape)
        return block

    def _options(self, layer_name):
        return {
            "name": keras_name(layer_name) if "/" in layer_name else f"{layer_name}_conv",
            "gain": GAIN_RELU,
            "use_wscale": self.config.use_wscale,
            "wscale_constant": self.config.wscale_constant,
            "seed": self._seed_of(layer_name),
            "dtype": self.policy,
        }

    def _wire(self, resolution_log2, fading):
        inputs, x = self._features(resolution_log2, fading)
        outputs = self._blocks[2](x)  # [N, 1 + label_size]
        scores, label_logits = outputs[:, :1], outputs[:, 1:]
        return keras.Model(inputs, [scores, label_logits], name=f"D_{2**resolution_log2}")

    def _features(self, resolution_log2, fading):
        """Wires inputs and what leads to the feature maps at 4x4: -> inputs, symbolic maps."""
        images, alpha = self._inputs(resolution_log2)
        x = self._from_rgb[resolution_log2](images)
        for res in range(resolution_log2, 2, -1):
            x = self._blocks[res](x)  # [N, 2**(res - 1), 2**(res - 1), nf(res - 2)]
            if fading and res == resolution_log2:
                old = self._from_rgb[res - 1](keras.layers.AveragePooling2D(2)(images))
                x = WeightedSum(dtype=self.policy)(old, x, alpha)
        return [images, alpha], x

    def _inputs(self, resolution_log2):
        size = 2**resolution_log2
        images = keras.Input((size, size, self.config.num_channels), name="images")
        alpha = keras.Input(batch_shape=(), name="alpha")  # true scalar: one trace per resolution
        keras.layers.Identity()(alpha)  # Keras 3.10-3.13 refuse an unused input, as at 4x4
        return images, alpha
