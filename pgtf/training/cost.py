"""Relative cost of the stages of a run, from the options of its networks alone.

An iteration costs its multiply-adds, more of them in layers with few feature maps, which wait for
memory, and a fixed time per operation. The result has no unit: a measured stage gives the seconds.
"""

from __future__ import annotations

from pgtf.networks import NetworkConfig
from pgtf.schedule import ScheduleState
from pgtf.training.config import RunConfig

# Fitted to measured stages of 512 and of 64 feature maps on two CPU cores and on an H200:
# docs/performance.md.
_OPERATIONS_PER_BLOCK = 420  # of an iteration; a block is a resolution of G and D
_MAPS_AT_HALF_SPEED = 30  # feature maps of a layer that computes half as fast as a wide one
# Multiply-adds of a wide layer in the time of one small operation.
_OPERATION_ON_CORE = 5e6  # per core
_OPERATION_ON_GPU = {"fp32": 6e8, "tf32": 5e9, "bf16": 5e9, "fp16": 5e9}


def iteration_cost(config: RunConfig, state: ScheduleState, num_cores: int | None) -> float:
    """Cost of one iteration on one replica: `D_repeats` updates of D, one of G.

    Args:
        config: whole configuration.
        state: schedule at the iteration.
        num_cores: of the CPU that computes; None = a GPU.
    """
    resolution_log2, fading = state.resolution.bit_length() - 1, state.alpha < 1
    G, D = (_multiply_adds(x, resolution_log2, fading) for x in (config.G, config.D))
    # Passes: D's update runs G forward once, D forward and backward on reals, fakes and mixed
    # images, and once more for the penalty's gradient. G's update needs no weight gradients of D.
    D_update, G_update = G + 12 * D, 3 * G + 2 * D
    images = state.minibatch / config.schedule.num_gpus
    repeats = config.training.D_repeats
    if num_cores is None:
        operation = _OPERATION_ON_GPU[config.training.precision]
    else:
        operation = _OPERATION_ON_CORE * num_cores
    # G's update is about a third of the operations.
    operations = _OPERATIONS_PER_BLOCK * (resolution_log2 - 1) * (2 * repeats + 1) / 3
    operations *= config.schedule.grad_accumulation
    return images * (repeats * D_update + G_update) + operations * operation


def compilation_cost(state: ScheduleState) -> float:
    """Relative time of tracing and compiling a stage: it grows with the number of blocks."""
    return float(state.resolution.bit_length())


def _multiply_adds(config: NetworkConfig, resolution_log2: int, fading: bool) -> float:
    """Multiply-adds of one pass of one image, weighted by the speed of their layers."""

    def layer(taps: float, pixels: int, num_inputs: int, num_outputs: int) -> float:
        slowness = 1 + _MAPS_AT_HALF_SPEED / max(min(num_inputs, num_outputs), 1)
        return taps * pixels * num_inputs * num_outputs * slowness

    nf = config.nf
    pixels = config.base.area
    total = layer(1, pixels, nf(0), nf(1)) + layer(9, pixels, nf(1), nf(1))
    for res in range(3, resolution_log2 + 1):
        pixels = config.base.area * 4 ** (res - 2)
        total += layer(4, pixels, nf(res - 2), nf(res - 1)) + layer(9, pixels, *[nf(res - 1)] * 2)
    for res in (resolution_log2, resolution_log2 - 1) if fading else (resolution_log2,):
        # Images have few channels, but their layers are one small matrix product.
        total += config.num_channels * config.base.area * 4 ** (res - 2) * nf(res - 1)
    return total
