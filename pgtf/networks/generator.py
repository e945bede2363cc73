"""The generator of the paper: Table 2, with the options of the original TensorFlow release."""

import contextlib
import itertools

import keras
import numpy as np
import tensorflow as tf

from pgtf.networks.layers import (
    GAIN_LINEAR,
    GAIN_RELU,
    EqualizedConv2D,
    EqualizedDense,
    LeakyReLU,
    NearestUp,
    PixelNorm,
    WeightedSum,
)
from pgtf.networks.network import Network, keras_name
from pgtf.networks.normalization import BatchNorm
from pgtf.networks.options import GeneratorConfig


class Generator(Network):
    """Maps latent vectors to images; keyword arguments are the fields of GeneratorConfig.

    Called with latents [N, latent_size] (any scale when normalized), labels [N, label_size] or
    None for zeros, and a lod (None = `self.lod`), it returns images [N, R, R, num_channels],
    float32 in about [-1, 1], R = resolution >> floor(lod).
    """

    def __init__(self, *, seed=None, compute_dtype="float32", **options):
        super().__init__(GeneratorConfig(**options), seed, compute_dtype)
        latent_size = self.config.latent_size
        self.latent_size = self.nf(0) if latent_size is None else latent_size
        self._blocks, self._to_rgb, self._compiled = {}, {}, {}
        for res in range(2, self.resolution_log2 + 1):
            self._blocks[res] = self._block(res)
            self._to_rgb[res] = self._rgb(res)

    def __call__(self, latents, labels=None, lod=None):
        model, alpha = self.model_at(self.lod if lod is None else lod)
        return model(self.inputs(latents, labels, alpha))

    def run(self, latents, labels=None, lod=None, minibatch_size=16):
        """Makes many images in minibatches through a compiled model; as `__call__`, but NumPy.

        Args:
            latents: [N, latent_size].
            labels: [N, label_size] or None.
            lod: level of detail; None = `self.lod`.
            minibatch_size: images at a time.

        Returns:
            [N, R, R, num_channels] float32, not to be written to: it may be TensorFlow's memory.
        """
        lod = self.lod if lod is None else lod
        model, alpha = self.model_at(lod)
        if model not in self._compiled:
            self._compiled[model] = self._drawing(model, self.stage(lod)[0])
        images = []
        for begin in range(0, len(latents), minibatch_size):
            part = slice(begin, begin + minibatch_size)
            inputs = self.inputs(latents[part], None if labels is None else labels[part], alpha)
            images.append(np.asarray(self._compiled[model](inputs)))  # .numpy() would copy
        return images[0] if len(images) == 1 else np.concatenate(images)  # which copies

    def _drawing(self, model, resolution_log2):
        """A model in a graph of its own, for images made here."""
        last, to_rgb = self._blocks[resolution_log2].layers[-1], self._to_rgb[resolution_log2]

        def draw(inputs):
            with _drawing_with(model, last, to_rgb):
                return model(inputs)

        return tf.function(draw, reduce_retracing=True, autograph=False)

    def inputs(self, latents, labels, alpha):
        """The inputs of a model: [latents, alpha], or [latents, labels, alpha] with labels."""
        latents = tf.convert_to_tensor(latents, tf.float32)
        if not self.config.label_size:
            return [latents, alpha]
        if labels is None:
            labels = tf.zeros([tf.shape(latents)[0], self.config.label_size])
        return [latents, tf.convert_to_tensor(labels, tf.float32), alpha]

    def _block(self, res):
        """Builds the layers that make the feature maps of resolution 2**res."""
        name, fmaps = f"{2**res}x{2**res}", self.nf(res - 1)
        if res == 2:
            num_inputs = self.latent_size + self.config.label_size
            layers = [*self._dense(fmaps), *self._conv(f"{name}/Conv", fmaps)]
            shape = (None, num_inputs)
        else:
            fused = self.config.fused_scale
            conv0_name = f"{name}/Conv0_up" if fused else f"{name}/Conv0"
            layers = [*self._conv(conv0_name, fmaps, up=fused), *self._conv(f"{name}/Conv1", fmaps)]
            shape = (None, 2 ** (res - 1), 2 ** (res - 1), self.nf(res - 2))
            if not fused:
                layers.insert(0, NearestUp(dtype=self.policy))
        block = keras.Sequential(layers, name=name)
        block.build(shape)
        return block

    def _dense(self, fmaps):
        """The layers from a latent vector to the feature maps at 4x4."""
        # Gain as if the 16 outputs of a channel were one 4x4 convolution: original release.
        options = self._options("4x4/Dense", gain=0.25) | {"use_bias": self._use_bias}
        dense = EqualizedDense(fmaps, map_size=4, **options)
        layers = self._epilogue("4x4/Dense", dense)
        if self.config.normalize_latents:
            layers.insert(0, PixelNorm(self.config.pixelnorm_epsilon))
        return layers

    def _conv(self, layer_name, fmaps, up=False):
        """A 3x3 convolution and what follows it."""
        options = self._options(layer_name) | {"use_bias": self._use_bias}
        return self._epilogue(layer_name, EqualizedConv2D(fmaps, 3, up=up, **options))

    @property
    def _use_bias(self):
        return not self.config.use_batchnorm  # which has its own

    def _epilogue(self, layer_name, layer):
        """A layer with what follows it: batch norm, activation, pixel norm."""
        self.layers[layer_name] = layer
        layers = [layer]
        if self.config.use_batchnorm:
            norm_name = f"{layer_name}/BatchNorm"
            self.layers[norm_name] = BatchNorm(name=keras_name(norm_name))
            layers.append(self.layers[norm_name])
        slope = self.config.leakyrelu_slope if self.config.use_leakyrelu else 0.0
        if self.config.use_pixelnorm:
            last = PixelNorm(self.config.pixelnorm_epsilon, slope, dtype=self.policy)
        else:
            last = LeakyReLU(negative_slope=slope, dtype=self.policy)
        return [*layers, last]

    def _rgb(self, res, kernel_size=1):
        layer_name = f"ToRGB_lod{self.resolution_log2 - res}"
        options = self._options(layer_name) | {"gain": GAIN_LINEAR, "dtype": "float32"}
        layer = EqualizedConv2D(self.config.num_channels, kernel_size, **options)
        layer.build((None, 2**res, 2**res, self.nf(res - 1)))
        self.layers[layer_name] = layer
        return layer

    def _options(self, layer_name, gain=1.0):
        return {
            "name": keras_name(layer_name),
            "gain": GAIN_RELU * gain,
            "use_wscale": self.config.use_wscale,
            "wscale_constant": self.config.wscale_constant,
            "seed": self._seed_of(layer_name),
            "dtype": self.policy,
        }

    def _wire(self, resolution_log2, fading):
        latents = keras.Input((self.latent_size,), name="latents")  # [N, latent_size]
        alpha = keras.Input(batch_shape=(), name="alpha")  # true scalar: one trace per resolution
        keras.layers.Identity()(alpha)  # Keras 3.10-3.13 refuse an unused input, as at 4x4
        inputs, x = [latents, alpha], latents
        if self.config.label_size:
            labels = keras.Input((self.config.label_size,), name="labels")  # [N, label_size]
            inputs = [latents, labels, alpha]
            x = keras.layers.Concatenate()([latents, labels])
        coarser = x
        for res in range(2, resolution_log2 + 1):
            x, coarser = self._blocks[res](x), x  # [N, 2**res, 2**res, nf(res - 1)]
        images = self._to_rgb[resolution_log2](x)  # linear unless asked otherwise: App. A.1
        has_old = resolution_log2 > 2 and self._to_rgb[resolution_log2 - 1] is not None
        if fading and has_old:
            old = NearestUp()(self._to_rgb[resolution_log2 - 1](coarser))
            images = WeightedSum()(old, images, alpha)
        if self.config.tanh_at_end is not None:
            images = keras.layers.Activation("tanh")(images)
            images = keras.layers.Rescaling(self.config.tanh_at_end)(images)
        return keras.Model(inputs, images, name=f"G_{2**resolution_log2}")


@contextlib.contextmanager
def _drawing_with(model, last, to_rgb):
    """Inside a `with`, a Keras model is traced for images made here, on a CPU.

    What is exported or differentiated has more common operations.

    Args:
        model: the generator's model of a resolution.
        last: its layer before `to_rgb`; a pixel norm is left to the latter.
        to_rgb: the EqualizedConv2D that alone looks at the result of `last`.
    """
    if tf.config.list_logical_devices("GPU"):
        yield
        return
    layers = itertools.chain(*(getattr(part, "layers", [part]) for part in model.layers))
    drawing = [layer for layer in layers if isinstance(layer, EqualizedConv2D | PixelNorm)]
    is_left = isinstance(last, PixelNorm)
    try:
        for layer in drawing:
            layer.is_drawing = True
        if is_left:
            last.is_left_to_next, to_rgb.epsilon_before = True, last.epsilon
        yield
    finally:
        for layer in drawing:
            layer.is_drawing = False
        if is_left:
            last.is_left_to_next, to_rgb.epsilon_before = False, None
