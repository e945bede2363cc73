"""Converts the state of networks of the 2017 (Theano) release into our options and weights.

Theano convolves where TensorFlow correlates, stores kernels as [out, in, h, w], and keeps the
equalized-learning-rate constant of each layer beside a weight of unit mean square.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pgtf.foreign.messages import joined, plain, shown
from pgtf.interop import contents
from pgtf.networks import DiscriminatorConfig, GeneratorConfig
from pgtf.networks.options import GAIN_LINEAR, GAIN_RELU

# These build functions make the networks of the paper; the release renamed them between versions.
KINDS = {"G_paper": "G", "G_progressive_8": "G", "D_paper": "D", "D_progressive_8": "D"}

_DEFAULTS = {"fmap_base": 4096, "fmap_max": 256}  # where they differ from the TensorFlow release's
_KEPT = {
    "G": "num_channels resolution fmap_base fmap_decay fmap_max latent_size normalize_latents "
    "use_wscale use_pixelnorm use_leakyrelu".split(),
    "D": "num_channels resolution fmap_base fmap_decay fmap_max use_wscale".split(),
}
# Our networks do not have these options; each has one value for which they compute the same.
_REQUIRED = {
    "label_size": 0,
    "use_batchnorm": False,
    "use_layernorm": False,
    "tanh_at_end": None,
    "mbstat_func": "Tstdeps",
    "mbstat_avg": "all",
    "mbdisc_kernels": None,
}
_IGNORED = {"func", "use_gdrop"}  # multiplicative noise acts in training only
_FIXED: dict[str, dict[str, Any]] = {
    "G": {"fused_scale": False},
    # The standard deviation was over the whole minibatch, 16 at most: original import.
    "D": {"fused_scale": False, "mbstd_group_size": 16},
}
_FIRST_GAIN = GAIN_RELU / 4  # G's first layer: 16 outputs share the fan-in of one


def convert(state: dict[Any, Any], source: str) -> contents.NetworkContent:
    """Reads our options and weights from a pickled Theano-era network.

    Args:
        state: its pickled state.
        source: file and network, for error messages.

    Raises:
        ValueError: if the build function, an option or the weights are not those of the paper.
    """
    spec = state["build_func_spec"]
    func = spec.get("func")
    if not isinstance(func, str) or func not in KINDS:
        # Deviation: an unknown build function is an error; the original goes on with a dummy.
        known = ", ".join(KINDS)
        raise ValueError(f"{source}: unknown build function {shown(func)}; known: {known}.")
    config = _convert_options(KINDS[func], spec, source)
    list_layers = _g_layers if isinstance(config, GeneratorConfig) else _d_layers
    names = list_layers(config.resolution_log2)
    arrays = _convert_weights(names, state["param_values"], config.use_wscale, source)
    lod = state["toplevel_params"].get("cur_lod", 0.0)
    if isinstance(lod, np.ndarray) and lod.shape == ():
        lod = lod[()]
    if isinstance(lod, bool | np.bool_) or not isinstance(lod, int | float | np.number):
        raise ValueError(f"{source}: `cur_lod` must be a number. Received: {shown(lod)}.")
    return contents.check_network(config, float(lod), arrays, source)


def _convert_options(
    kind: str, spec: dict[Any, Any], source: str
) -> GeneratorConfig | DiscriminatorConfig:
    for name, required in _REQUIRED.items():
        value = spec.get(name, required)
        value = value.item() if isinstance(value, np.generic) else value
        is_same = isinstance(value, type(required) | int | float) and value == required
        if not is_same:
            raise ValueError(
                f"{source}: `{name}` is supported as {required!r} only. "
                f"Received: {name}={shown(value)}."
            )
    unknown = [name for name in spec if name not in {*_KEPT[kind], *_REQUIRED, *_IGNORED}]
    if unknown:
        names = joined(sorted(map(plain, unknown)))
        raise ValueError(f"{source}: unknown options {names}.")
    options = _DEFAULTS | {name: spec[name] for name in _KEPT[kind] if name in spec}
    config_class = GeneratorConfig if kind == "G" else DiscriminatorConfig
    return contents.read_config(config_class, options | _FIXED[kind], source)


def _g_layers(resolution_log2: int) -> list[str]:
    """Lists the names of G's layers in the order of its parameters."""
    names = ["4x4/Dense", "4x4/Conv"]
    for res in range(3, resolution_log2 + 1):
        names += [f"{2**res}x{2**res}/Conv0", f"{2**res}x{2**res}/Conv1"]
    return names + [f"ToRGB_lod{lod}" for lod in range(resolution_log2 - 1)]


def _d_layers(resolution_log2: int) -> list[str]:
    """Lists the names of D's layers in the order of its parameters."""
    names = ["FromRGB_lod0"]
    for res in range(resolution_log2, 2, -1):
        names += [f"{2**res}x{2**res}/Conv0", f"{2**res}x{2**res}/Conv1"]
        names.append(f"FromRGB_lod{resolution_log2 - res + 1}")
    return [*names, "4x4/Conv", "4x4/Dense0", "4x4/Dense1"]


def _convert_weights(
    names: Sequence[str], params: Sequence[Any], use_wscale: bool, source: str
) -> dict[str, np.ndarray]:
    kinds = ("weight", "scale", "bias") if use_wscale else ("weight", "bias")
    if len(params) != len(names) * len(kinds):
        raise ValueError(
            f"{source}: {len(names)} layers need {len(names) * len(kinds)} arrays. "
            f"Received: {len(params)}."
        )
    for index, param in enumerate(params):
        if not isinstance(param, np.ndarray | np.floating) or param.dtype.kind != "f":
            raise ValueError(f"{source}: parameter {index} must be an array of floats.")
    arrays, remaining = {}, iter(params)
    for name in names:
        layer = {kind: np.asarray(next(remaining)) for kind in kinds}
        weight = _convert_weight(name, layer["weight"], source)
        if use_wscale:
            if layer["scale"].shape:
                raise ValueError(f"{source}: {name}/scale is not a scalar.")
            with np.errstate(all="ignore"):  # Weights may be anything, also infinite.
                weight = weight * layer["scale"] / _he_std(name, weight)
        arrays[f"{name}/weight"], arrays[f"{name}/bias"] = weight, layer["bias"]
    return arrays


def _convert_weight(name: str, weight: np.ndarray, source: str) -> np.ndarray:
    """Rearranges a weight: [out, in, h, w] -> [h, w, in, out]; dense and RGB layers as stored."""
    rank = 2 if "RGB" in name or name == "4x4/Dense1" else 4
    if weight.ndim != rank or not weight.size:
        raise ValueError(
            f"{source}: {name}/weight must be of rank {rank}, and not empty. "
            f"Received: shape={weight.shape}."
        )
    if "RGB" in name:
        return weight[np.newaxis, np.newaxis]  # [1, 1, in, out]
    if name == "4x4/Dense":
        return weight.transpose(1, 0, 2, 3).reshape(weight.shape[1], -1)  # [in, out * 16]
    if name == "4x4/Dense1":
        return weight  # [in, out]
    flipped = weight[:, :, ::-1, ::-1]
    if name == "4x4/Dense0":
        return flipped.transpose(1, 2, 3, 0).reshape(-1, weight.shape[0])  # [in * 16, out]
    return flipped.transpose(2, 3, 1, 0)  # [h, w, in, out]


def _he_std(name: str, weight: np.ndarray) -> np.float32:
    if name == "4x4/Dense":
        gain = _FIRST_GAIN
    else:
        gain = GAIN_LINEAR if name == "4x4/Dense1" or "ToRGB" in name else GAIN_RELU
    return np.float32(gain / np.sqrt(np.prod(weight.shape[:-1])))
