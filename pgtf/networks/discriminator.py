"""The discriminator of the paper: Table 2, with the options of the original TensorFlow release."""

from typing import Any

import keras
import tensorflow as tf

from pgtf.networks.layer_factory import keras_name
from pgtf.networks.layers import (
    EqualizedConv2D,
    EqualizedDense,
    LeakyReLU,
    WeightedSum,
)
from pgtf.networks.minibatch_statistics import (
    MinibatchDiscrimination,
    MinibatchStatistic,
    MinibatchStdDev,
    check_group,
)
from pgtf.networks.network import Network, alpha_input, as_float32
from pgtf.networks.noise import MultiplicativeNoise, NoiseSource
from pgtf.networks.normalization import BatchNorm, LayerNorm
from pgtf.networks.options import GAIN_LINEAR, DiscriminatorConfig

Outputs = list[tf.Tensor]  # scores [N, 1], label logits [N, label_size]


# Longer than other classes: Table 2 with all its options is read best in one place.
class Discriminator(Network):
    """Scores images and predicts their labels; keyword arguments are DiscriminatorConfig's fields.

    Called with images [N, H, W, num_channels] (of `config.image_size` >> floor(lod), or the full
    size, which is box-averaged down) and a lod (None = `self.lod`), it returns
    scores [N, 1] and label logits [N, label_size].

    Attributes:
        noise: NoiseSource of its noise layers, None without `use_gdrop`.
    """

    config: DiscriminatorConfig

    def __init__(
        self, *, seed: int | None = None, compute_dtype: str = "float32", **options: Any
    ) -> None:
        config = DiscriminatorConfig(**{"structure": self.structure} | options)
        super().__init__(config, seed, compute_dtype)
        self.noise = NoiseSource() if config.use_gdrop else None
        self._blocks: dict[int, keras.Sequential] = {}
        self._from_rgb: dict[int, Any] = {}  # None: no images at this resolution
        for res in range(self.resolution_log2, 1, -1):
            self._from_rgb[res] = self._rgb(res)
            self._blocks[res] = self._block(res) if res > 2 else self._last_block()

    def __call__(self, images: Any, lod: float | None = None) -> Outputs:
        lod = self.lod if lod is None else lod
        model, alpha = self.model_at(lod)
        size, full = tuple(model.inputs[0].shape[1:3]), self.config.image_size
        shape = ("N", "H", "W", self.config.num_channels)
        images = as_float32("images", images, shape, " in about [-1, 1]", integers=False)
        if tuple(images.shape[1:3]) not in (size, full):
            raise ValueError(
                f"`images` must be {size[0]}x{size[1]}, the size of lod={lod}, or "
                f"{full[0]}x{full[1]}. Received: {images.shape}."
            )
        if images.shape[0] == 0:  # Minibatch statistics of no samples do not exist.
            return [tf.zeros([0, 1]), tf.zeros([0, self.config.label_size])]
        if self._has_statistic and self.config.mbstd_group_size != "all":
            check_group(images.shape[0], self.config.mbstd_group_size)
        if images.shape[1] > size[0]:
            factor = full[0] // size[0]
            images = tf.nn.avg_pool2d(images, factor, factor, "VALID")
        return model([images, alpha])

    def can_score_jointly(self, minibatch: int | None) -> bool:
        """True if `score_jointly` gives two such minibatches the scores they have one by one.

        It requires that a sample's scores do not change in a minibatch twice as large.
        """
        config, size = self.config, self.config.mbstd_group_size
        if config.use_batchnorm or config.use_gdrop or config.mbdisc_kernels is not None:
            return False
        return size != "all" and minibatch is not None and minibatch >= size

    def score_jointly(
        self, first: tf.Tensor, second: tf.Tensor, alpha: tf.Tensor | None
    ) -> tuple[Outputs, Outputs]:
        """Scores two minibatches in one pass; see `can_score_jointly`.

        Args:
            first, second: [N, H, W, num_channels].
            alpha: [] weight of the finest branch; None = 1, without the other branch.

        Returns:
            (scores [N, 1], label logits [N, label_size]) of each minibatch.
        """
        # Every (N / group)-th sample belongs to one group of the statistic: interleave the two.
        group = self.config.group_of(first.shape[0])
        both = [tf.reshape(x, [group, 1, -1, *x.shape[1:]]) for x in (first, second)]
        images = tf.reshape(tf.concat(both, axis=1), [2 * first.shape[0], *first.shape[1:]])
        resolution_log2 = self.config.level_of(first.shape)
        model = self.model(resolution_log2, fading=alpha is not None)
        alpha = tf.constant(1.0) if alpha is None else alpha
        outputs = [
            tf.reshape(y, [group, 2, first.shape[0] // group, y.shape[1]])
            for y in model([images, alpha])
        ]

        def outputs_of(which: int) -> Outputs:
            return [tf.reshape(y[:, which], [first.shape[0], y.shape[3]]) for y in outputs]

        return outputs_of(0), outputs_of(1)

    def initialize_discrimination(self, images: Any, lod: float) -> None:
        """Fits scales and biases of minibatch discrimination to reals; no-op without it.

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

    def _rgb(self, res: int) -> keras.Sequential | None:
        """Builds the layers from images of resolution 2**res to feature maps."""
        layer_name = f"FromRGB_lod{self.resolution_log2 - res}"
        options = self._options(layer_name) | {"name": f"{layer_name}_conv", "dtype": "float32"}
        self.layers[layer_name] = EqualizedConv2D(self.nf(res - 1), 1, **options)
        layers = [self.layers[layer_name], LeakyReLU(negative_slope=0.2)]
        return self._sequential(layers, (None, *self._image_shape(res)), layer_name)

    def _image_shape(self, res: int) -> tuple[int, int, int]:
        return (*self._size(res), self.config.num_channels)

    def _block(self, res: int) -> keras.Sequential:
        """Builds the layers from resolution 2**res to half of it."""
        name, fused = f"{2**res}x{2**res}", self.config.fused_scale
        conv1_name = f"{name}/Conv1_down" if fused else f"{name}/Conv1"
        layers = self._conv(f"{name}/Conv0", self.nf(res - 1))
        layers += self._conv(conv1_name, self.nf(res - 2), down=fused)
        if not fused:
            # after the activation
            layers.append(keras.layers.AveragePooling2D(2, dtype=self.policy))
        return self._sequential(layers, (None, *self._size(res), self.nf(res - 1)), name)

    def _last_block(self) -> keras.Sequential:
        """Builds the layers from the grid, usually 4x4, to the score and the label logits."""
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
        return self._sequential(layers, (None, *self._size(2), self.nf(1)), "4x4")

    def _outputs(self, layer_name: str) -> EqualizedDense:
        """Creates the linear layer of the score and the label logits."""
        options = self._options(layer_name, GAIN_LINEAR) | {"dtype": "float32"}
        self.layers[layer_name] = EqualizedDense(1 + self.config.label_size, **options)
        return self.layers[layer_name]

    @property
    def _has_statistic(self) -> bool:
        size = self.config.mbstd_group_size
        return size == "all" or size > 1

    def _statistic(self) -> list[MinibatchStdDev]:
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

    def _noise(self) -> list[MultiplicativeNoise]:
        return [] if self.noise is None else [MultiplicativeNoise(self.noise, dtype=self.policy)]

    def _conv(self, layer_name: str, fmaps: int, **direction: bool) -> list[keras.layers.Layer]:
        """Creates a 3x3 convolution with the noise before and the layers after it."""
        return [*self._noise(), *super()._conv(layer_name, fmaps, **direction)]

    def _norms(self) -> list[type[keras.layers.Layer]]:
        used = ((LayerNorm, self.config.use_layernorm), (BatchNorm, self.config.use_batchnorm))
        return [norm for norm, is_used in used if is_used]

    def _activation(self) -> keras.layers.Layer:
        return LeakyReLU(negative_slope=0.2, dtype=self.policy)

    def _wire(self, resolution_log2: int, fading: bool) -> keras.Model:
        inputs, x = self._features(resolution_log2, fading)
        outputs = self._blocks[2](x)  # [N, 1 + label_size]
        scores, label_logits = outputs[:, :1], outputs[:, 1:]
        return keras.Model(inputs, [scores, label_logits], name=f"D_{2**resolution_log2}")

    def _features(self, resolution_log2: int, fading: bool) -> tuple[list[Any], Any]:
        """Wires everything up to the feature maps of the grid: -> inputs, symbolic maps."""
        images = keras.Input(self._image_shape(resolution_log2), name="images")
        alpha = alpha_input()
        x = self._from_rgb[resolution_log2](images)
        for res in range(resolution_log2, 2, -1):
            x = self._blocks[res](x)  # [N, H / 2, W / 2, nf(res - 2)]
            if fading and res == resolution_log2:
                old = self._from_rgb[res - 1](keras.layers.AveragePooling2D(2)(images))
                x = WeightedSum(dtype=self.policy)(old, x, alpha)
        return [images, alpha], x
