"""The generator of the paper: Table 2, with the options of the original TensorFlow release."""

import functools
import math
import numbers
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pgtf import ops
from pgtf.networks.latents import of_any_scale
from pgtf.networks.layers import (
    EqualizedConv2D,
    EqualizedDense,
    LeakyReLU,
    NearestUp,
    NormalizedRGB,
    PixelNorm,
    WeightedSum,
)
from pgtf.networks.network import Network, alpha_input, as_float32
from pgtf.networks.normalization import BatchNorm
from pgtf.networks.options import GAIN_LINEAR, GAIN_RELU, GeneratorConfig


# Longer than other classes: Table 2 with all its options is read best in one place.
class Generator(Network):
    """Maps latent vectors to images; keyword arguments are the fields of GeneratorConfig.

    Called with latents [N, latent_size] (any scale when normalized), labels [N, label_size] or
    None for zeros, and a lod (None = `self.lod`), it returns images [N, H, W, num_channels],
    float32 in about [-1, 1]; H and W are those of `config.image_size` >> floor(lod), for the
    paper's grid both resolution >> floor(lod).
    """

    config: GeneratorConfig

    def __init__(
        self, *, seed: int | None = None, compute_dtype: str = "float32", **options: Any
    ) -> None:
        config = GeneratorConfig(**{"structure": self.structure} | options)
        super().__init__(config, seed, compute_dtype)
        self.latent_size = self.nf(0) if config.latent_size is None else config.latent_size
        self._blocks: dict[int, keras.Sequential] = {}
        self._to_rgb: dict[int, Any] = {}  # None: no images at this resolution
        self._for_inference: dict[tuple[int, bool], Any] = {}
        for res in range(2, self.resolution_log2 + 1):
            self._blocks[res] = self._block(res)
            self._to_rgb[res] = self._rgb(res)

    def __call__(self, latents: Any, labels: Any = None, lod: float | None = None) -> tf.Tensor:
        model, alpha = self.model_at(self.lod if lod is None else lod)
        inputs = self.inputs(latents, labels, alpha)
        if inputs[0].shape[0] == 0:  # TensorFlow cannot add a bias to no images.
            return tf.zeros([0, *model.output_shape[1:]])
        return model(self.of_any_scale(inputs))

    def run(
        self,
        latents: NDArray[Any],
        labels: Any = None,
        lod: float | None = None,
        minibatch_size: int = 16,
    ) -> NDArray[np.float32]:
        """Generates many images with a traced model, in minibatches; `__call__` for NumPy.

        Args:
            latents: [N, latent_size].
            labels: [N, label_size] or None.
            lod: level of detail; None = `self.lod`.
            minibatch_size: images per call of the model.

        Returns:
            [N, H, W, num_channels] float32, read-only: it may be TensorFlow's memory.

        Raises:
            ValueError: an argument has another shape or kind of value, or is not finite.
        """
        if not isinstance(minibatch_size, numbers.Integral) or minibatch_size < 1:
            raise ValueError(
                f"`minibatch_size` must be 1 or more. Received: minibatch_size={minibatch_size!r}."
            )
        resolution_log2, alpha = self.stage(self.lod if lod is None else lod)
        function = self._inference_function(resolution_log2, fading=float(alpha) < 1)
        *tensors, _ = self.inputs(latents, labels, alpha)
        rows = [_finite(*pair) for pair in zip(("latents", "labels"), tensors, strict=False)]
        images = []
        for begin in range(0, len(rows[0]), minibatch_size):
            inputs = [tf.constant(x[begin : begin + minibatch_size]) for x in rows]
            images.append(np.asarray(function([*inputs, alpha])))  # .numpy() would copy
        if not images:
            return np.zeros([0, *self._size(resolution_log2), self.config.num_channels], np.float32)
        return images[0] if len(images) == 1 else np.concatenate(images)  # which copies

    def inputs(self, latents: Any, labels: Any, alpha: tf.Tensor) -> list[tf.Tensor]:
        """The inputs of a model: [latents, alpha], or [latents, labels, alpha] with labels.

        Raises:
            ValueError: latents or labels have another shape or kind of value.
        """
        latents = as_float32("latents", latents, ("N", self.latent_size))
        num, label_size = latents.shape[0], self.config.label_size
        num = "N" if num is None else num
        if labels is not None:
            note = ", one row per latent vector" if label_size else ": the network has no labels"
            labels = as_float32("labels", labels, (num, label_size), note)
        if not label_size:
            return [latents, alpha]
        if labels is None:
            labels = tf.zeros([tf.shape(latents)[0], label_size])
        return [latents, labels, alpha]

    def of_any_scale(self, inputs: list[tf.Tensor]) -> list[tf.Tensor]:
        """Rescales latents and labels of extreme length if they are normalized; see `inputs`.

        Training samples no such latents and leaves this out.
        """
        if not self.config.normalize_latents:
            return inputs
        *rows, alpha = inputs
        return [*of_any_scale(rows, self.config.pixelnorm_epsilon), alpha]

    def _inference_function(self, resolution_log2: int, fading: bool) -> Any:
        """The model of a resolution as a function of its inputs, traced for inference."""
        key = (resolution_log2, fading)
        if key not in self._for_inference:
            self._check_resolution(resolution_log2)
            model = self._wire(*key, normalized_rgb=True)
            # TensorFlow counts the traces of all functions of one `def`, of all networks, and would
            # warn of them. It counts those of a partial apart.
            generate = functools.partial(self._infer, model)
            self._for_inference[key] = tf.function(generate, reduce_retracing=True, autograph=False)
        return self._for_inference[key]

    def _infer(self, model: keras.Model, inputs: list[tf.Tensor]) -> tf.Tensor:
        with ops.implementation("inference"):
            return model(self.of_any_scale(inputs))

    def _block(self, res: int) -> keras.Sequential:
        """Builds the layers of the feature maps of resolution 2**res."""
        name, fmaps = f"{2**res}x{2**res}", self.nf(res - 1)
        if res == 2:
            layers = [*self._dense(fmaps), *self._conv(f"{name}/Conv", fmaps)]
            return self._sequential(layers, self._input_shape(res), name)
        fused = self.config.fused_scale
        conv0_name = f"{name}/Conv0_up" if fused else f"{name}/Conv0"
        layers = [] if fused else [NearestUp(dtype=self.policy)]
        layers += self._conv(conv0_name, fmaps, up=fused)
        layers += self._conv(f"{name}/Conv1", fmaps)
        return self._sequential(layers, self._input_shape(res), name)

    def _input_shape(self, res: int) -> tuple[int | None, ...]:
        """Shape of the inputs of the block of resolution 2**res."""
        if res == 2:
            return (None, self.latent_size + self.config.label_size)
        return (None, *self._size(res - 1), self.nf(res - 2))

    def _dense(self, fmaps: int) -> list[keras.layers.Layer]:
        """Creates the layers from a latent vector to the feature maps of the grid."""
        size = self._size(2)
        # Gain as if the 16 outputs of a channel were one 4x4 convolution: original release.
        gain = GAIN_RELU / math.sqrt(math.prod(size))
        options = self._options("4x4/Dense", gain) | {"use_bias": self._use_bias}
        layers = self._epilogue("4x4/Dense", EqualizedDense(fmaps, map_size=size, **options))
        if self.config.normalize_latents:
            layers.insert(0, PixelNorm(self.config.pixelnorm_epsilon))
        return layers

    def _norms(self) -> list[type[keras.layers.Layer]]:
        return [BatchNorm] if self.config.use_batchnorm else []

    def _activation(self) -> keras.layers.Layer:
        """Creates the activation after a layer, pixel norm included."""
        slope = self.config.leakyrelu_slope if self.config.use_leakyrelu else 0.0
        if self.config.use_pixelnorm:
            return PixelNorm(self.config.pixelnorm_epsilon, slope, dtype=self.policy)
        return LeakyReLU(negative_slope=slope, dtype=self.policy)

    def _rgb(self, res: int, kernel_size: int = 1) -> EqualizedConv2D | None:
        """Builds the layer from feature maps of resolution 2**res to images."""
        layer_name = f"ToRGB_lod{self.resolution_log2 - res}"
        options = self._options(layer_name, GAIN_LINEAR) | {"dtype": "float32"}
        layer = EqualizedConv2D(self.config.num_channels, kernel_size, **options)
        layer.build((None, *self._size(res), self.nf(res - 1)))
        self.layers[layer_name] = layer
        return layer

    def _finest_images(self, x: Any, res: int, normalized_rgb: bool) -> Any:
        """Wires the block of resolution 2**res and its toRGB: symbolic input -> images."""
        block, to_rgb = self._blocks[res], self._to_rgb[res]
        *layers, norm = block.layers
        if not (normalized_rgb and isinstance(norm, PixelNorm)):
            return to_rgb(block(x))  # linear unless asked otherwise: App. A.1
        if norm.negative_slope is not None:
            layers.append(LeakyReLU(norm.negative_slope, dtype=self.policy))
        for layer in layers:
            x = layer(x)
        return NormalizedRGB(to_rgb, norm.epsilon)(x)

    def _wire(
        self, resolution_log2: int, fading: bool, normalized_rgb: bool = False
    ) -> keras.Model:
        """Wires the layers into a model; `normalized_rgb` merges the last pixel norm into toRGB."""
        latents = keras.Input((self.latent_size,), name="latents")  # [N, latent_size]
        alpha = alpha_input()
        inputs, x = [latents, alpha], latents
        if self.config.label_size:
            labels = keras.Input((self.config.label_size,), name="labels")  # [N, label_size]
            inputs = [latents, labels, alpha]
            x = keras.layers.Concatenate()([latents, labels])
        for res in range(2, resolution_log2):
            x = self._blocks[res](x)  # [N, H, W, nf(res - 1)]
        images = self._finest_images(x, resolution_log2, normalized_rgb)
        old_to_rgb = self._to_rgb.get(resolution_log2 - 1)
        if fading and old_to_rgb is not None:
            images = WeightedSum()(NearestUp()(old_to_rgb(x)), images, alpha)
        if self.config.tanh_at_end is not None:
            images = keras.layers.Activation("tanh")(images)
            images = keras.layers.Rescaling(self.config.tanh_at_end)(images)
        return keras.Model(inputs, images, name=f"G_{2**resolution_log2}")


def _finite(name: str, rows: tf.Tensor) -> NDArray[np.float32]:
    """Returns rows as an array. Raises ValueError if one holds NaN or infinity."""
    values: NDArray[np.float32] = rows.numpy()
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise ValueError(
            f"`{name}` must be finite float32 numbers. "
            f"Received: NaN or infinity in row {int(bad.argmax())}."
        )
    return values
