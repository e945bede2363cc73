"""The small networks of the MNIST-1K mode-counting test. Paper, Appendix E.

One convolution per resolution, few feature maps in D, and 3x3 toRGB layers. Without growing there
is one toRGB layer and no fromRGB layer; D's first convolution always sees the image itself at full
resolution. Original Theano release.
"""

from typing import Any, ClassVar

import keras

from pgtf.networks.discriminator import Discriminator
from pgtf.networks.generator import Generator
from pgtf.networks.layers import EqualizedConv2D, NearestUp, WeightedSum
from pgtf.networks.network import Network, alpha_input


class _MnistNetwork(Network):
    """Refuses resolutions for which a network that does not grow has no layers."""

    structure: ClassVar[str] = "mnist1k"

    def _check_resolution(self, resolution_log2: int) -> None:
        super()._check_resolution(resolution_log2)
        if not self.config.progressive and resolution_log2 != self.resolution_log2:
            size = self.config.resolution
            raise ValueError(
                f"a network that is not `progressive` has one resolution, {size}x{size}. "
                f"Received: {2**resolution_log2}x{2**resolution_log2}."
            )


class MnistGenerator(_MnistNetwork, Generator):
    """G of the MNIST-1K test, used as Generator; fmap_base 64 gives 64, 32, 16, 8 feature maps."""

    def _block(self, res: int) -> keras.Sequential:
        name = f"{2**res}x{2**res}"
        if res == 2:
            layers = self._dense(self.nf(1))
        else:
            layers = [NearestUp(dtype=self.policy), *self._conv(f"{name}/Conv", self.nf(res - 1))]
        return self._sequential(layers, self._input_shape(res), name)

    def _rgb(self, res: int, kernel_size: int = 3) -> EqualizedConv2D | None:
        if not self.config.progressive and res < self.resolution_log2:
            return None
        return super()._rgb(res, kernel_size)


class MnistDiscriminator(_MnistNetwork, Discriminator):
    """D of the MNIST-1K test, used as Discriminator; fmap_base 64 gives 8, 16, 32 maps over K."""

    def _rgb(self, res: int) -> keras.Sequential | None:
        if not self.config.progressive or res == self.resolution_log2:
            return None
        return super()._rgb(res)

    def _block(self, res: int) -> keras.Sequential:
        name, is_first = f"{2**res}x{2**res}", res == self.resolution_log2
        num_inputs = self.config.num_channels if is_first else self.nf(res - 1)
        layers = self._conv(f"{name}/Conv", self.nf(res - 2))
        layers.append(keras.layers.AveragePooling2D(2, dtype=self.policy))
        return self._sequential(layers, (None, *self._size(res), num_inputs), name)

    def _last_block(self) -> keras.Sequential:
        layers = [*self._statistic(), *self._noise()]
        layers += [keras.layers.Permute((3, 1, 2)), keras.layers.Flatten()]
        layers.append(self._outputs("4x4/Dense"))
        return self._sequential(layers, (None, *self._size(2), self.nf(1)), "4x4")

    def _features(self, resolution_log2: int, fading: bool) -> tuple[list[Any], Any]:
        images = keras.Input(self._image_shape(resolution_log2), name="images")
        alpha = alpha_input()
        is_full = resolution_log2 == self.resolution_log2
        x = images if is_full else self._from_rgb[resolution_log2](images)
        for res in range(resolution_log2, 2, -1):
            x = self._blocks[res](x)  # [N, H / 2, W / 2, nf(res - 2)]
            if fading and res == resolution_log2 and self.config.progressive:
                old = self._from_rgb[res - 1](keras.layers.AveragePooling2D(2)(images))
                x = WeightedSum()(old, x, alpha)
        return [images, alpha], x
