"""Options of the networks, and the constants that their files need. Nothing here is TensorFlow."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pgtf import grids
from pgtf.grids import Grid

GAIN_RELU = math.sqrt(2)  # He et al. 2015; the paper keeps it for leaky ReLU too
GAIN_LINEAR = 1.0
DISCRIMINATION_DIMS = (
    5  # dimensions per kernel of minibatch discrimination; original Theano release
)

STRUCTURES = ("paper", "mnist1k")
_MNIST1K_FIRST_FMAPS = 64  # feature maps of its G at 4x4 for any fmap_base; original Theano release

# Fields of G and D that stand at different positions in the two.
_UseWscale = Annotated[bool, "equalized learning rate"]
_WscaleConstant = Annotated[
    Literal["he", "rms"],
    "constant of the equalized learning rate: He's formula, or the RMS of the initial values",
]
_Structure = Annotated[
    Literal["paper", "mnist1k"], "Table 2, or the small network of Appendix E's MNIST-1K test"
]
_Progressive = Annotated[bool, "mnist1k: False = no layers for growing"]


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Options that G and D share; the first four follow from the dataset."""

    num_channels: Annotated[int, "image channels: 3 = RGB, 1 = gray"] = 1
    resolution: Annotated[int, "image resolution, a power of two; for another grid its level"] = 32
    label_size: Annotated[int, "length of the label vector, 0 = none"] = 0
    fmap_base: Annotated[
        int, "feature maps of stage s: min(fmap_base / 2**(s * fmap_decay), fmap_max)"
    ] = 8192
    fmap_decay: Annotated[float, "log2 of the ratio of feature maps between stages"] = 1.0
    fmap_max: Annotated[int, "largest number of feature maps of any stage"] = 512
    grid: Annotated[
        str, "height x width of the smallest images; 5x4 times 2^8 is 1280x1024, level 1024"
    ] = grids.SQUARE

    @property
    def base(self) -> Grid:
        """The grid, parsed."""
        return Grid.parse(self.grid)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the images at full resolution."""
        return self.base.size_at(self.resolution_log2)

    def level_of(self, shape: Sequence[int | None]) -> int:
        """Returns r of the resolution 2**r whose images are [N, H, W, C].

        Raises:
            ValueError: if no level of the grid has this size.
        """
        height, width = shape[1:3]
        level = self.base.level_of(height or 0, width or 0)
        if level is None:
            raise ValueError(
                f"`images` must have the size {self.grid}, or it times a power of two. Received: "
                f"{height}x{width}."
            )
        return level

    def nf(self, stage: int) -> int:
        """Number of feature maps of a stage; resolution 2**r is stage r - 1. Paper, Table 2."""
        return min(int(self.fmap_base / 2.0 ** (stage * self.fmap_decay)), self.fmap_max)

    @property
    def resolution_log2(self) -> int:
        """Logarithm of the resolution, which `check_resolution` allows."""
        return self.resolution.bit_length() - 1

    def check_resolution(self) -> None:
        """Raises ValueError for a resolution that no network has."""
        if self.resolution < 4 or self.resolution & (self.resolution - 1):
            raise ValueError(
                "`resolution` must be a power of two, at least 4. "
                f"Received: resolution={self.resolution}."
            )

    def check_lod(self, lod: float) -> None:
        """Raises ValueError for a level of detail that the network does not have."""
        try:
            is_level = 0 <= float(lod) <= self.resolution_log2 - 2
        except (TypeError, ValueError):
            is_level = False
        if not is_level:
            raise ValueError(
                f"`lod` must be in 0 ... {self.resolution_log2 - 2}. Received: lod={lod!r}."
            )

    def _check_at_least(self, minimum: int, *names: str) -> None:
        """Raises ValueError for an option below `minimum`; None and words are skipped."""
        for name in names:
            value = getattr(self, name)
            if isinstance(value, int | float) and value < minimum:
                raise ValueError(f"`{name}` must be at least {minimum}. Received: {name}={value}.")


@dataclasses.dataclass(frozen=True)
class GeneratorConfig(NetworkConfig):
    """Options of G. Paper, Table 2 and App. A.1."""

    latent_size: Annotated[
        int | None, "length of a latent vector; None = feature maps of stage 0"
    ] = None
    normalize_latents: Annotated[bool, "pixel norm of [latent, label] before the first layer"] = (
        True
    )
    use_wscale: _UseWscale = True
    use_pixelnorm: Annotated[bool, "pixel norm after each activation"] = True
    pixelnorm_epsilon: Annotated[float, "added to the mean square"] = 1e-8
    use_leakyrelu: Annotated[bool, "False = ReLU"] = True
    fused_scale: Annotated[bool, "upscale inside the convolution"] = True
    wscale_constant: _WscaleConstant = "he"
    use_batchnorm: Annotated[bool, "batch norm before each activation, instead of a bias"] = False
    leakyrelu_slope: Annotated[float, "slope of the leaky ReLU below zero"] = 0.2
    tanh_at_end: Annotated[
        float | None, "factor of tanh(images); None = linear images, no tanh"
    ] = None
    structure: _Structure = "paper"
    progressive: _Progressive = True

    def __post_init__(self) -> None:
        Grid.parse(self.grid)
        self._check_at_least(1, "fmap_base", "fmap_max", "latent_size")
        self._check_at_least(0, "fmap_decay", "pixelnorm_epsilon", "leakyrelu_slope")
        _check_structure(self, "mnist1k", progressive=True)
        if self.tanh_at_end is not None and self.tanh_at_end <= 0:
            raise ValueError(
                f"`tanh_at_end` must be above 0, or none. Received: tanh_at_end={self.tanh_at_end}."
            )

    def nf(self, stage: int) -> int:
        """Number of feature maps of a stage; resolution 2**r is stage r - 1. Paper, Table 2."""
        if self.structure == "mnist1k":
            return _MNIST1K_FIRST_FMAPS if stage < 2 else super().nf(stage - 1)
        return super().nf(stage)

    @property
    def fewest_fmaps(self) -> int:
        """Feature maps at the finest resolution."""
        return self.nf(self.resolution.bit_length() - 2)


@dataclasses.dataclass(frozen=True)
class DiscriminatorConfig(NetworkConfig):
    """Options of D. Paper, Table 2 and App. A.1."""

    use_wscale: _UseWscale = True
    mbstd_group_size: Annotated[
        int | Literal["all"],
        "samples that share a minibatch standard deviation; 0 or 1 = off, all = the whole "
        "minibatch",
    ] = 4
    fused_scale: Annotated[bool, "downscale inside the convolution, before the activation"] = True
    wscale_constant: _WscaleConstant = "he"
    use_layernorm: Annotated[bool, "layer norm before each activation, instead of a bias"] = False
    use_batchnorm: Annotated[
        bool, "batch norm before each activation, after the layer norm if any"
    ] = False
    use_gdrop: Annotated[
        bool, "multiplicative noise before convolutions, with the loss's noise strength"
    ] = False
    mbstat_func: Annotated[
        Literal["Tstdeps", "Tstd", "Tmean", "Tsum"],
        "minibatch statistic: standard deviation with or without epsilon, mean, sum",
    ] = "Tstdeps"
    mbstat_avg: Annotated[
        Literal["all", "flat", "group", "spatial", "none", "gpool"],
        "axes over which the statistic is averaged: see networks.MinibatchStatistic",
    ] = "all"
    mbstat_num_splits: Annotated[int, "mbstat_avg=group: parts of the feature maps"] = 1
    mbdisc_kernels: Annotated[int | None, "kernels of minibatch discrimination, None = without"] = (
        None
    )
    structure: _Structure = "paper"
    progressive: _Progressive = True
    fmap_divisor: Annotated[int, "mnist1k: K of the paper's K/2 and K/4"] = 1

    def __post_init__(self) -> None:
        Grid.parse(self.grid)
        self._check_at_least(1, "fmap_base", "fmap_max", "mbstat_num_splits", "mbdisc_kernels")
        self._check_at_least(1, "fmap_divisor")
        self._check_at_least(0, "fmap_decay", "mbstd_group_size")
        _check_structure(self, "mnist1k", progressive=True, fmap_divisor=1)
        _check_structure(self, "paper", mbdisc_kernels=None)

    def nf(self, stage: int) -> int:
        """Number of feature maps of a stage; resolution 2**r is stage r - 1. Paper, Table 2."""
        return super().nf(stage) // (self.fmap_divisor if self.structure == "mnist1k" else 1)

    @property
    def fewest_fmaps(self) -> int:
        """Feature maps at the finest resolution that has any of its own."""
        skipped = 1 if self.structure == "mnist1k" else 0  # its first convolution sees the image
        return self.nf(self.resolution.bit_length() - 2 - skipped)

    @property
    def num_statistics(self) -> int:
        """Number of feature maps that the minibatch statistic appends at 4x4."""
        if self.mbstd_group_size != "all" and self.mbstd_group_size <= 1:
            return 0
        if self.mbstat_avg == "group":
            return self.mbstat_num_splits
        return self.nf(1) if self.mbstat_avg in ("spatial", "none", "gpool") else 1

    def check_splits(self) -> None:
        """Raises ValueError unless `mbstat_num_splits` divides the feature maps at 4x4."""
        if self.mbstat_avg == "group":
            check_splits(self.nf(1), self.mbstat_num_splits)

    def group_of(self, minibatch: int) -> int:
        """Number of samples that share a minibatch statistic: 1 when it is off."""
        if self.mbstd_group_size == "all":
            return minibatch
        return min(max(self.mbstd_group_size, 1), minibatch)


def _check_structure(
    config: GeneratorConfig | DiscriminatorConfig, structure: str, **defaults: Any
) -> None:
    """Raises ValueError for a changed option that only networks of `structure` have."""
    if config.structure not in STRUCTURES:
        raise ValueError(
            f"`structure` must be one of {', '.join(STRUCTURES)}. "
            f"Received: structure={config.structure!r}."
        )
    for name, default in defaults.items():
        value = getattr(config, name)
        if value != default and config.structure != structure:
            raise ValueError(
                f"`{name}` is for networks of `structure` {structure}. "
                f"Received: {name}={value}, structure={config.structure}."
            )


def check_splits(num_fmaps: int, num_splits: int) -> None:
    """Raises ValueError unless the feature maps can be split into parts of equal size."""
    if num_fmaps % num_splits:
        raise ValueError(
            "`mbstat_num_splits` must divide the feature maps at 4x4. Received: "
            f"mbstat_num_splits={num_splits}, feature maps={num_fmaps}."
        )
