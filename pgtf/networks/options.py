"""Options of the networks."""

import dataclasses
from typing import Annotated, Literal

_MNIST1K_FIRST_FMAPS = 64  # of its G at 4x4, whatever fmap_base; original Theano release


@dataclasses.dataclass(frozen=True)
class GeneratorConfig:
    """Options of G; the first three follow from the dataset. Paper, Table 2 and App. A.1."""

    num_channels: Annotated[int, "of the images: 3 = RGB, 1 = gray"] = 1
    resolution: Annotated[int, "of the images, a power of two"] = 32
    label_size: Annotated[int, "length of the label vector, 0 = none"] = 0
    fmap_base: Annotated[
        int, "feature maps of stage s: min(fmap_base / 2**(s * fmap_decay), fmap_max)"
    ] = 8192
    fmap_decay: Annotated[float, "log2 of the ratio of feature maps between stages"] = 1.0
    fmap_max: Annotated[int, "most feature maps of any stage"] = 512
    latent_size: Annotated[
        int | None, "length of a latent vector; None = feature maps of stage 0"
    ] = None
    normalize_latents: Annotated[bool, "pixel norm of [latent, label] before the first layer"] = (
        True
    )
    use_wscale: Annotated[bool, "equalized learning rate"] = True
    use_pixelnorm: Annotated[bool, "pixel norm after each activation"] = True
    pixelnorm_epsilon: Annotated[float, "added to the mean square"] = 1e-8
    use_leakyrelu: Annotated[bool, "False = ReLU"] = True
    fused_scale: Annotated[bool, "upscale inside the convolution"] = True
    wscale_constant: Annotated[
        Literal["he", "rms"], "of the equalized learning rate: He's formula, or RMS of the draw"
    ] = "he"
    use_batchnorm: Annotated[bool, "batch norm before each activation, instead of a bias"] = False
    leakyrelu_slope: Annotated[float, "of the leaky ReLU below zero"] = 0.2
    tanh_at_end: Annotated[
        float | None, "factor of tanh(images); None = linear images, no tanh"
    ] = None
    structure: Annotated[
        Literal["paper", "mnist1k"], "Table 2, or the small network of Appendix E's MNIST-1K test"
    ] = "paper"
    progressive: Annotated[bool, "mnist1k: False = no layers for growing"] = True

    def __post_init__(self) -> None:
        _check_at_least(self, 1, "fmap_base", "fmap_max", "latent_size")
        _check_at_least(self, 0, "fmap_decay", "pixelnorm_epsilon", "leakyrelu_slope")
        _check_structure(self, "mnist1k", progressive=True)
        if self.tanh_at_end is not None and self.tanh_at_end <= 0:
            raise ValueError(
                f"`tanh_at_end` must be above 0, or none. Received: tanh_at_end={self.tanh_at_end}."
            )

    def nf(self, stage: int) -> int:
        """Number of feature maps of a stage; resolution 2**r is stage r - 1."""
        if self.structure == "mnist1k":
            return _MNIST1K_FIRST_FMAPS if stage < 2 else _num_fmaps(self, stage - 1)
        return _num_fmaps(self, stage)

    @property
    def fewest_fmaps(self) -> int:
        """Feature maps at the finest resolution."""
        return self.nf(self.resolution.bit_length() - 2)


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
    mbstd_group_size: Annotated[
        int | Literal["all"],
        "samples of a minibatch standard deviation; 0 or 1 = off, all = the whole minibatch",
    ] = 4
    fused_scale: Annotated[bool, "downscale inside the convolution, before the activation"] = True
    wscale_constant: Annotated[
        Literal["he", "rms"], "of the equalized learning rate: He's formula, or RMS of the draw"
    ] = "he"
    use_layernorm: Annotated[bool, "layer norm before each activation, instead of a bias"] = False
    use_batchnorm: Annotated[bool, "batch norm there, after the layer norm if any"] = False
    use_gdrop: Annotated[
        bool, "multiplicative noise before convolutions, of the loss's noise strength"
    ] = False
    mbstat_func: Annotated[
        Literal["Tstdeps", "Tstd", "Tmean", "Tsum"],
        "minibatch statistic: standard deviation with or without epsilon, mean, sum",
    ] = "Tstdeps"
    mbstat_avg: Annotated[
        Literal["all", "flat", "group", "spatial", "none", "gpool"],
        "what the statistic is averaged over: see networks.MinibatchStatistic",
    ] = "all"
    mbstat_num_splits: Annotated[int, "mbstat_avg=group: parts of the feature maps"] = 1
    mbdisc_kernels: Annotated[int | None, "of minibatch discrimination, None = without"] = None
    structure: Annotated[
        Literal["paper", "mnist1k"], "Table 2, or the small network of Appendix E's MNIST-1K test"
    ] = "paper"
    progressive: Annotated[bool, "mnist1k: False = no layers for growing"] = True
    fmap_divisor: Annotated[int, "mnist1k: K of the paper's K/2 and K/4"] = 1

    def __post_init__(self) -> None:
        _check_at_least(self, 1, "fmap_base", "fmap_max", "mbstat_num_splits", "mbdisc_kernels")
        _check_at_least(self, 1, "fmap_divisor")
        _check_at_least(self, 0, "fmap_decay", "mbstd_group_size")
        _check_structure(self, "mnist1k", progressive=True, fmap_divisor=1)
        _check_structure(self, "paper", mbdisc_kernels=None)

    def nf(self, stage: int) -> int:
        """Number of feature maps of a stage; resolution 2**r is stage r - 1."""
        divisor = self.fmap_divisor if self.structure == "mnist1k" else 1
        return _num_fmaps(self, stage) // divisor

    @property
    def fewest_fmaps(self) -> int:
        """Feature maps at the finest resolution that has any of its own."""
        skipped = 1 if self.structure == "mnist1k" else 0  # its first convolution sees the image
        return self.nf(self.resolution.bit_length() - 2 - skipped)

    def check_splits(self) -> None:
        """Raises ValueError unless `mbstat_num_splits` divides the feature maps at 4x4."""
        if self.mbstat_avg == "group" and self.nf(1) % self.mbstat_num_splits:
            raise ValueError(
                "`mbstat_num_splits` must divide the feature maps at 4x4. Received: "
                f"mbstat_num_splits={self.mbstat_num_splits}, feature maps={self.nf(1)}."
            )

    def group_of(self, minibatch: int) -> int:
        """How many of `minibatch` samples share a minibatch statistic: 1 when it is off."""
        if self.mbstd_group_size == "all":
            return minibatch
        return min(max(self.mbstd_group_size, 1), minibatch)


def _num_fmaps(config, stage):
    """Number of feature maps of a stage by the options of G or D. Paper, Table 2."""
    return min(int(config.fmap_base / 2.0 ** (stage * config.fmap_decay)), config.fmap_max)


def _check_at_least(config, minimum, *names):
    """Raises ValueError for an option below `minimum`; None and words are not looked at."""
    for name in names:
        value = getattr(config, name)
        if isinstance(value, int | float) and value < minimum:
            raise ValueError(f"`{name}` must be at least {minimum}. Received: {name}={value}.")


def _check_structure(config, structure, **defaults):
    """Raises ValueError for an option that is only for one structure, and set in another."""
    for name, default in defaults.items():
        value = getattr(config, name)
        if value != default and config.structure != structure:
            raise ValueError(
                f"`{name}` is for networks of `structure` {structure}. "
                f"Received: {name}={value}, structure={config.structure}."
            )
