"""The small networks of the MNIST-1K mode-counting test. Paper, Appendix E.

One convolution a resolution, few feature maps in D, and 3x3 toRGB layers. Without growing there is
one toRGB layer and no fromRGB layer; D's first convolution always sees the image itself at full
resolution. Original Theano release.
"""

import keras

from pgtf.networks.discriminator import Discriminator
from pgtf.networks.generator import Generator
from pgtf.networks.layers import NearestUp, WeightedSum


class MnistGenerator(Generator):
    """G of the MNIST-1K test, used as Generator; fmap_base 64 gives 64, 32, 16, 8 feature maps."""

    structure = "mnist1k"

    def model(self, resolution_log2, fading=True):
        _check_resolution(self, resolution_log2)
        return super().model(resolution_log2, fading)

    def _block(self, res):
        name = f"{2**res}x{2**res}"
        if res == 2:
            layers = self._dense(self.nf(1))
            shape = (None, self.latent_size + self.config.label_size)
        else:
            layers = [
                NearestUp(dtype=self.policy),
                *self._conv(f"{name}/Conv", self.nf(res - 1)),
            ]
            shape = (None, 2 ** (res - 1), 2 ** (res - 1), self.nf(res - 2))
        block = keras.Sequential(layers, name=name)
        block.build(shape)
        return block

    def _rgb(self, res, kernel_size=3):
        if not self.config.progressive and res < self.resolution_log2:
            return None
        return super()._rgb(res, kernel_size)


class MnistDiscriminator(Discriminator):
    """D of the MNIST-1K test, used as Discriminator; fmap_base 64 gives 8, 16, 32 maps over K."""

    structure = "mnist1k"

    def model(self, resolution_log2, fading=True):
        _check_resolution(self, resolution_log2)
        return super().model(resolution_log2, fading)

    def _rgb(self, res):
        if not self.config.progressive or res == self.resolution_log2:
            return None
        return super()._rgb(res)

    def _block(self, res):
        is_first = res == self.resolution_log2
        num_inputs = self.config.num_channels if is_first else self.nf(res - 1)
        layers = self._conv(f"{2**res}x{2**res}/Conv", self.nf(res - 2))
        layers.append(keras.layers.AveragePooling2D(2, dtype=self.policy))
        return self._sequential(layers, (None, 2**res, 2**res, num_inputs), f"{2**res}x{2**res}")

    def _last_block(self):
        layers = [*self._statistic(), *self._noise()]
        layers += [keras.layers.Permute((3, 1, 2)), keras.layers.Flatten()]
        layers.append(self._outputs("4x4/Dense"))
        return self._sequential(layers, (None, 4, 4, self.nf(1)), "4x4")

    def _features(self, resolution_log2, fading):
        images, alpha = self._inputs(resolution_log2)
        is_full = resolution_log2 == self.resolution_log2
        x = images if is_full else self._from_rgb[resolution_log2](images)
        for res in range(resolution_log2, 2, -1):
            x = self._blocks[res](x)  # [N, 2**(res - 1), 2**(res - 1), nf(res - 2)]
            if fading and res == resolution_log2 and self.config.progressive:
                old = self._from_rgb[res - 1](keras.layers.AveragePooling2D(2)(images))
                x = WeightedSum()(old, x, alpha)
        return [images, alpha], x


def _check_resolution(network, resolution_log2):
    """Raises ValueError for a resolution that a network without layers for growing lacks."""
    if not network.config.progressive and resolution_log2 != network.resolution_log2:
        size = network.config.resolution
        raise ValueError(
            f"a network that is not `progressive` has one resolution, {size}x{size}. "
            f"Received: {2**resolution_log2}x{2**resolution_log2}."
        )
