"""The discriminator of the paper: Table 2, with the options of the original TensorFlow release."""

import dataclasses
from typing import Annotated

import keras
import tensorflow as tf

from pgtf.networks.layers import (
    GAIN_LINEAR,
    GAIN_RELU,
    EqualizedConv2D,
    EqualizedDense,
    MinibatchStdDev,
    WeightedSum,
    check_group,
)
from pgtf.networks.network import Network, keras_name


@dataclasses.dataclass(frozen=True)
class DiscriminatorConfig:
    """Options of D; the first three follow from the dataset. Paper, Table 2 and App. A.1."""

    num_channels: Annotated[int, "of the images: 3 = RGB, 1 = gray"] = 1
    resolution: Annotated[int, "of the images, a power of two"] = 32
    label_size: Annotated[int, "length of the label vector, 0 = none"] = 0
    fmap_base: Annotated[
        int, "feature maps of stage s: min(fmap_base / 2**(s * fmap_decay), fmap_max)"
    ] = 8192
    fmap_decay: Annotated[float, "log2 of the ratio of feature maps between stages"] = 1.0
    fmap_max: Annotated[int, "most feature maps of any stage"] = 512
    use_wscale: Annotated[bool, "equalized learning rate"] = True
    mbstd_group_size: Annotated[int, "minibatch standard deviation; 0 or 1 = off"] = 4
    fused_scale: Annotated[bool, "downscale inside the convolution, before the activation"] = True


class Discriminator(Network):
    """Scores images and predicts their labels; keyword arguments are DiscriminatorConfig's fields.

    Called with images [N, R, R, num_channels] (R = resolution >> floor(lod), or the full
    resolution, which is box-averaged down) and a lod (None = `self.lod`), it returns
    scores [N, 1] and label logits [N, label_size].
    """

    def __init__(self, *, seed=None, **options):
        super().__init__(DiscriminatorConfig(**options), seed)
        self._from_rgb, self._blocks = {}, {}
        for res in range(self.resolution_log2, 1, -1):
            self._from_rgb[res] = self._rgb(res)
            self._blocks[res] = self._block(res) if res > 2 else self._last_block()

    def __call__(self, images, lod=None):
        resolution_log2, alpha = self.stage(self.lod if lod is None else lod)
        images = tf.convert_to_tensor(images, tf.float32)
        if self.config.mbstd_group_size > 1:
            check_group(images.shape[0], self.config.mbstd_group_size)
        factor = images.shape[1] // 2**resolution_log2
        if factor > 1 and images.shape[1] == self.config.resolution:
            images = tf.nn.avg_pool2d(images, factor, factor, "VALID")
        return self.model(resolution_log2)([images, alpha])

    def _rgb(self, res):
        layer_name = f"FromRGB_lod{self.resolution_log2 - res}"
        conv = EqualizedConv2D(self.nf(res - 1), 1, **self._options(layer_name))
        self.layers[layer_name] = conv
        shape = (None, 2**res, 2**res, self.config.num_channels)
        return self._sequential([conv, self._activation()], shape, keras_name(layer_name))

    def _block(self, res):
        """Builds the layers from resolution 2**res to half of it."""
        name, fused = f"{2**res}x{2**res}", self.config.fused_scale
        conv1_name = f"{name}/Conv1_down" if fused else f"{name}/Conv1"
        conv0 = EqualizedConv2D(self.nf(res - 1), 3, **self._options(f"{name}/Conv0"))
        conv1 = EqualizedConv2D(self.nf(res - 2), 3, down=fused, **self._options(conv1_name))
        self.layers |= {f"{name}/Conv0": conv0, conv1_name: conv1}
        layers = [conv0, self._activation(), conv1, self._activation()]
        if not fused:
            layers.append(keras.layers.AveragePooling2D(2))  # after the activation
        return self._sequential(layers, (None, 2**res, 2**res, self.nf(res - 1)), name)

    def _last_block(self):
        """Builds the layers from 4x4 to the score and the label logits."""
        conv = EqualizedConv2D(self.nf(1), 3, **self._options("4x4/Conv"))
        dense0 = EqualizedDense(self.nf(0), **self._options("4x4/Dense0"))
        options = self._options("4x4/Dense1") | {"gain": GAIN_LINEAR}
        dense1 = EqualizedDense(1 + self.config.label_size, **options)
        self.layers |= {"4x4/Conv": conv, "4x4/Dense0": dense0, "4x4/Dense1": dense1}
        layers = [conv, self._activation()]
        if self.config.mbstd_group_size > 1:
            layers.insert(0, MinibatchStdDev(self.config.mbstd_group_size))
        # The original flattens channel-major.
        layers += [keras.layers.Permute((3, 1, 2)), keras.layers.Flatten()]
        layers += [dense0, self._activation(), dense1]
        return self._sequential(layers, (None, 4, 4, self.nf(1)), "4x4")

    def _activation(self):
        return keras.layers.LeakyReLU(negative_slope=0.2)

    def _sequential(self, layers, shape, name):
        block = keras.Sequential(layers, name=name)
        block.build(shape)
        return block

    def _options(self, layer_name):
        return {
            "name": keras_name(layer_name) if "/" in layer_name else f"{layer_name}_conv",
            "gain": GAIN_RELU,
            "use_wscale": self.config.use_wscale,
            "seed": self._seed_of(layer_name),
        }

    def _wire(self, resolution_log2):
        size = 2**resolution_log2
        images = keras.Input((size, size, self.config.num_channels), name="images")
        alpha = keras.Input(batch_shape=(), name="alpha")  # true scalar: one trace per resolution
        keras.layers.Identity()(alpha)  # Keras 3.10-3.13 refuse an unused input, as at 4x4
        x = self._from_rgb[resolution_log2](images)
        for res in range(resolution_log2, 2, -1):
            x = self._blocks[res](x)  # [N, 2**(res - 1), 2**(res - 1), nf(res - 2)]
            if res == resolution_log2:
                old = self._from_rgb[res - 1](keras.layers.AveragePooling2D(2)(images))
                x = WeightedSum()(old, x, alpha)
        outputs = self._blocks[2](x)  # [N, 1 + label_size]
        scores, label_logits = outputs[:, :1], outputs[:, 1:]
        return keras.Model([images, alpha], [scores, label_logits], name=f"D_{size}")
