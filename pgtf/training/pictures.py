"""Choice of the ticks that leave pictures, so that those of a whole run fit into a budget.

The choice depends on the configuration alone, so a resumed run writes the same pictures as an
undisturbed one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np

from pgtf import images
from pgtf.training.config import RunConfig

MB = 10**6
EVENTS_SHARE = 0.2  # largest part of the budget for TensorBoard events
PRIORITY = 2  # the finest pictures may take this many times the bytes of any other resolution's
TICK_BYTES = 2048  # limit for the scalars of a tick in the events; 20 of them take 1395
PREVIEW_SIDE = 512  # largest width and height of a preview, pixels
PREVIEW_CELLS = (4, 8)  # fewest and most images along each side of it, if the grid has as many
# Bytes per value of a PNG file whose pixels are repeated `zoom` times in both directions. Noise of
# 1 or 3 channels was measured to take 1.002, 0.32, 0.11, 0.035, and from zoom 16 on 0.011 or less.
LARGEST = {1: 1.01, 2: 0.34, 4: 0.12, 8: 0.04}
LARGEST_BEYOND = 0.02
HEADER_BYTES = 1000  # for small files


@dataclasses.dataclass(frozen=True)
class Plan:
    """Intervals of the pictures in ticks, by resolution. First and last tick always have both."""

    grids: Mapping[int, int]  # of fakesNNNNNN.png
    previews: Mapping[int, int]  # of the pictures in the events
    num_bytes: float  # limit for all pictures and events; more than a budget that is too small

    def has_grid(self, tick: int, resolution: int) -> bool:
        """True if a tick that ended at this resolution writes a PNG file."""
        return tick % self.grids.get(resolution, 1) == 0

    def has_preview(self, tick: int, resolution: int) -> bool:
        """True if a tick that ended at this resolution writes a picture to the events."""
        return tick % self.previews.get(resolution, 1) == 0


def plan(config: RunConfig) -> Plan:
    """Plans the pictures of a run. Its `config` has been made for the dataset.

    All intervals begin as `image_snapshot_ticks`. While the files could exceed the budget, the
    resolution with the most bytes gets fewer pictures.
    """
    training, resolution = config.training, 2**config.schedule.resolution_log2
    cell = config.G.image_size
    columns, rows = images.snapshot_grid_size(training.image_grid, *cell)
    shape = (rows * cell[0], columns * cell[1], 1 if config.G.num_channels == 1 else 3)
    height, width, factor = preview_size(shape, *cell)

    def grid_bytes(shown: int) -> float:
        return largest_png(shape, resolution // shown)

    def preview_bytes(shown: int) -> float:
        small = (height // factor, width // factor, shape[2])
        return largest_png(small, max(resolution // shown // factor, 1))

    num_ticks = _num_ticks(config)
    ends = (config.schedule.initial_resolution, max(num_ticks))
    budget, interval = training.picture_budget_mb * MB, training.image_snapshot_ticks
    fixed = sum(num_ticks.values()) * TICK_BYTES + sum(map(preview_bytes, ends))
    previews, used = _thinned(num_ticks, interval, preview_bytes, budget * EVENTS_SHARE - fixed)
    fixed += used + sum(map(grid_bytes, ends)) + grid_bytes(resolution)  # and reals.png
    grids, used = _thinned(num_ticks, interval, grid_bytes, budget - fixed)
    return Plan(grids, previews, fixed + used)


def preview(grid: np.ndarray, cell: tuple[int, int]) -> np.ndarray:
    """Crops a float grid [H, W, C] of images of size `cell`, and averages blocks.

    See `preview_size`.
    """
    height, width, factor = preview_size(grid.shape, *cell)
    height, width = (side - side % factor for side in (height, width))
    blocks = grid[:height, :width].reshape(height // factor, factor, width // factor, factor, -1)
    means: np.ndarray = blocks.mean(axis=(1, 3))
    return means


def preview_size(
    shape: tuple[int, ...], height: int, width: int | None = None
) -> tuple[int, int, int]:
    """Returns the height and width of the part of a grid [H, W, C] to show, and the block size.

    Args:
        shape: of the grid.
        height: of an image, pixels.
        width: of an image; None = that of a square.
    """
    fewest, most = PREVIEW_CELLS
    longest = [
        side * min(max(PREVIEW_SIDE // side, fewest), most) for side in (height, width or height)
    ]
    height, width = map(min, shape[:2], longest)
    factor = 1
    while max(height, width) > PREVIEW_SIDE * factor:
        factor *= 2
    return height, width, factor


def largest_png(shape: tuple[int, ...], zoom: int) -> float:
    """Limits the bytes of a PNG file of values `shape` whose pixels are repeated `zoom` times."""
    return math.prod(shape) * LARGEST.get(zoom, LARGEST_BEYOND) + HEADER_BYTES


def _num_ticks(config: RunConfig) -> dict[int, int]:
    """Counts the ticks that end at each resolution, at most."""
    training, counts, begin = config.training, dict[int, int](), 0.0
    for end, state in config.schedule.stages(training.total_kimg):
        # A tick ends at an evaluation of the schedule.
        evaluated = state.minibatch * training.D_repeats * training.minibatch_repeats / 1000
        num = math.floor((end - begin) / max(state.tick_kimg, evaluated, 1e-3)) + 1
        counts[state.resolution] = counts.get(state.resolution, 0) + num
        begin = end
    return counts


def _thinned(
    num_ticks: Mapping[int, int],
    interval: int,
    cost: Callable[[int], float],
    budget: float,
) -> tuple[dict[int, int], float]:
    """Chooses multiples of `interval` by resolution. Returns them and the cost of all pictures."""
    every, finest = dict.fromkeys(num_ticks, interval), max(num_ticks)
    while True:
        nums = {resolution: num_ticks[resolution] // every[resolution] + 1 for resolution in every}
        costs = {resolution: num * cost(resolution) for resolution, num in nums.items()}
        weights = {r: costs[r] * (1 if r == finest else PRIORITY) for r in every if nums[r] > 1}
        if sum(costs.values()) <= budget or not weights:
            return every, sum(costs.values())
        every[max(weights, key=weights.__getitem__)] += interval
