"""Shapes of all weights of a network, computed from its options without building it.

A file from elsewhere may ask for a network of any size. With this its weights are compared first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from pgtf.networks.options import DISCRIMINATION_DIMS, DiscriminatorConfig, GeneratorConfig

Shape = tuple[int, ...]
Named = Iterator[tuple[str, Shape]]


def weight_shapes(config: GeneratorConfig | DiscriminatorConfig) -> dict[str, Shape]:
    """Computes the shape of each variable of `networks.build(config)`, by the original's names.

    Raises:
        ValueError: if there are no feature maps at some resolution.
    """
    if isinstance(config, GeneratorConfig):
        shapes = dict(_generator(config))
    else:
        shapes = dict(_discriminator(config))
    if any(0 in shape for shape in shapes.values()):
        raise ValueError(
            "`fmap_base` must leave feature maps at "
            f"{config.resolution}x{config.resolution}. Received: fmap_base={config.fmap_base}."
        )
    return shapes


def _generator(config: GeneratorConfig) -> Named:
    nf, last = config.nf, config.resolution.bit_length() - 1
    is_paper, is_fused = config.structure == "paper", config.fused_scale
    latent_size = nf(0) if config.latent_size is None else config.latent_size
    dense = (latent_size + config.label_size, math.prod(config.base.size_at(2)) * nf(1))
    yield from _with_norms(config, "4x4/Dense", dense, nf(1))
    if is_paper:
        yield from _with_norms(config, "4x4/Conv", (3, 3, nf(1), nf(1)), nf(1))
    for res in range(3, last + 1):
        name, fmaps, fmaps_in = f"{2**res}x{2**res}", nf(res - 1), nf(res - 2)
        if not is_paper:
            yield from _with_norms(config, f"{name}/Conv", (3, 3, fmaps_in, fmaps), fmaps)
            continue
        shape = (3, 3, fmaps, fmaps_in) if is_fused else (3, 3, fmaps_in, fmaps)
        yield from _with_norms(config, f"{name}/Conv0{'_up' if is_fused else ''}", shape, fmaps)
        yield from _with_norms(config, f"{name}/Conv1", (3, 3, fmaps, fmaps), fmaps)
    size = 1 if is_paper else 3
    for res in range(2 if is_paper or config.progressive else last, last + 1):
        shape = (size, size, nf(res - 1), config.num_channels)
        yield from _with_bias(config, f"ToRGB_lod{last - res}", shape)


def _discriminator(config: DiscriminatorConfig) -> Named:
    nf, last = config.nf, config.resolution.bit_length() - 1
    is_paper = config.structure == "paper"
    if is_paper or config.progressive:
        for res in range(2, last + 1 if is_paper else last):
            shape = (1, 1, config.num_channels, nf(res - 1))
            yield from _with_bias(config, f"FromRGB_lod{last - res}", shape)
    for res in range(last, 2, -1):
        name, fmaps, fmaps_out = f"{2**res}x{2**res}", nf(res - 1), nf(res - 2)
        if not is_paper:  # Its first convolution sees the image.
            fmaps = config.num_channels if res == last else fmaps
            yield from _with_norms(config, f"{name}/Conv", (3, 3, fmaps, fmaps_out), fmaps_out)
            continue
        yield from _with_norms(config, f"{name}/Conv0", (3, 3, fmaps, fmaps), fmaps)
        conv1 = f"{name}/Conv1{'_down' if config.fused_scale else ''}"
        yield from _with_norms(config, conv1, (3, 3, fmaps, fmaps_out), fmaps_out)
    fmaps, num_outputs = nf(1) + config.num_statistics, 1 + config.label_size
    num_places = math.prod(config.base.size_at(2))
    if not is_paper:
        yield from _with_bias(config, "4x4/Dense", (num_places * fmaps, num_outputs))
        return
    yield from _with_norms(config, "4x4/Conv", (3, 3, fmaps, nf(1)), nf(1))
    yield from _with_norms(config, "4x4/Dense0", (num_places * nf(1), nf(0)), nf(0))
    kernels = config.mbdisc_kernels or 0
    if kernels:
        name = "4x4/MinibatchDiscrimination"
        yield f"{name}/theta", (nf(0), kernels, DISCRIMINATION_DIMS)
        yield f"{name}/log_scale", (kernels, DISCRIMINATION_DIMS)
        yield f"{name}/bias", (kernels,)
    yield from _with_bias(config, "4x4/Dense1", (nf(0) + kernels, num_outputs))


def _with_norms(
    config: GeneratorConfig | DiscriminatorConfig, layer_name: str, shape: Shape, fmaps: int
) -> Named:
    """Yields the weight of a layer, and those of the normalizations after it or its bias."""
    has_layernorm = isinstance(config, DiscriminatorConfig) and config.use_layernorm
    if not (has_layernorm or config.use_batchnorm):
        yield from _with_bias(config, layer_name, shape, fmaps)
        return
    yield from _weight(config, layer_name, shape)
    if has_layernorm:
        yield from (
            (f"{layer_name}/LayerNorm/gain", ()),
            (f"{layer_name}/LayerNorm/bias", (fmaps,)),
        )
    if config.use_batchnorm:
        yield from ((f"{layer_name}/BatchNorm/{name}", (fmaps,)) for name in ("gamma", "beta"))


def _with_bias(
    config: GeneratorConfig | DiscriminatorConfig,
    layer_name: str,
    shape: Shape,
    fmaps: int | None = None,
) -> Named:
    """Yields the weight and the bias of a layer, by default one bias per output."""
    yield from _weight(config, layer_name, shape)
    yield f"{layer_name}/bias", (shape[-1] if fmaps is None else fmaps,)


def _weight(config: GeneratorConfig | DiscriminatorConfig, layer_name: str, shape: Shape) -> Named:
    yield f"{layer_name}/weight", shape
    if config.use_wscale and config.wscale_constant == "rms":
        yield f"{layer_name}/scale", ()
