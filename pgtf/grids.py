"""Base grids: the size of the smallest images, of which all others are a power of two larger.

The paper's is 4x4. Level r has images of 2^(r - 2) times the grid, and 4 * 2^(r - 2) = 2^r stays
its name in schedules, layers and files.
"""

from __future__ import annotations

import dataclasses
import re

MAX_SIDE = 64
MIN_RESOLUTION_LOG2 = 2  # level of the smallest images, where G and D start
SQUARE = "4x4"  # the paper's


@dataclasses.dataclass(frozen=True)
class Grid:
    """Height and width of the smallest images, in pixels."""

    height: int
    width: int

    @classmethod
    def parse(cls, text: str) -> Grid:
        """Reads "5x4": height x width.

        Raises:
            ValueError: it is something else, or a side is above MAX_SIDE.
        """
        match = re.fullmatch(r"([1-9]\d?)x([1-9]\d?)", text)
        sides = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 0 < max(sides) <= MAX_SIDE:
            raise ValueError(
                f"`grid` must be HEIGHTxWIDTH, each 1 ... {MAX_SIDE}, such as 5x4. "
                f"Received: grid={text[:20]!r}."
            )
        return cls(*sides)

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"

    def size_at(self, level: int) -> tuple[int, int]:
        """Height and width of the images of a level from 2: the grid times 2^(level - 2)."""
        finer = level - MIN_RESOLUTION_LOG2
        return self.height << finer, self.width << finer

    @property
    def area(self) -> int:
        """Number of pixels of the smallest images."""
        return self.height * self.width

    def size_text(self, resolution: int) -> str:
        """Formats the size of the images of level 2^r, its resolution: 1024 of 5x4 is 1280x1024."""
        height, width = self.size_at(resolution.bit_length() - 1)
        return f"{height}x{width}"

    def level_of(self, height: int, width: int) -> int | None:
        """Level whose images have this size, or None."""
        factor = height // self.height
        is_level = factor > 0 and factor & (factor - 1) == 0
        if not is_level or (height, width) != (self.height * factor, self.width * factor):
            return None
        return factor.bit_length() - 1 + MIN_RESOLUTION_LOG2


SQUARE_GRID = Grid.parse(SQUARE)
