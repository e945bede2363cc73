"""The snapshots of a run, read when they are shown."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pgtf.depth import EIGHT_BITS, Depth
from pgtf.interop.snapshots import read_snapshot
from pgtf.interop.weights import assign, build
from pgtf.networks import Generator
from pgtf.networks.options import GeneratorConfig


class History:
    """Generates images with the network as it was at each snapshot of its run.

    All snapshots share one generator, which holds the one that was shown last: memory does not
    grow with their number, and models are traced once per resolution.

    Args:
        config: options of the network, which all snapshots must have.
        snapshots: (thousands of images shown, file), oldest first; at least one.
        start: file of the snapshot to show first.
        depth: type and range of the images.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        snapshots: Sequence[tuple[int, Path]],
        start: Path,
        depth: Depth = EIGHT_BITS,
    ) -> None:
        self._depth = depth
        self._config, self._snapshots = config, tuple(snapshots)
        self.start = [path.name for _, path in self._snapshots].index(start.name)
        self._Gs: Generator | None = None
        self._loaded: int | None = None  # index of the snapshot in memory
        self._lock = threading.Lock()  # Several visitors share the generator.

    def __len__(self) -> int:
        return len(self._snapshots)

    def kimg(self, index: int) -> int:
        """Thousands of images shown before a snapshot."""
        return self._snapshots[index][0]

    def generate(
        self, index: int, latents: np.ndarray, labels: np.ndarray | None
    ) -> tuple[np.ndarray, str]:
        """Generates images with a snapshot. Returns them, uint8 [N, H, W, C], and its caption.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is damaged, or holds another network.
        """
        with self._lock:
            Gs = self._load(index)
            found = self._depth.shown(Gs.run(latents, labels))
            return found, f"{self.kimg(index)} kimg: {stage_text(Gs)}"

    def _load(self, index: int) -> Generator:
        if self._Gs is not None and index == self._loaded:
            return self._Gs
        path = self._snapshots[index][1]
        content = read_snapshot(path)[2]
        if content.config != self._config:
            raise ValueError(
                f"{path}: holds a network with other options than the newest snapshot, and is not "
                "of the same run. Move it out of the folder."
            )
        if self._Gs is None:
            self._Gs = build(content)
        else:
            self._loaded = None
            assign(self._Gs, content.arrays, f"{path}, Gs")
            self._Gs.lod = content.lod
        self._loaded = index
        return self._Gs


def stage_text(Gs: Any, lod: float | None = None) -> str:
    """Names the resolution at a level of detail: "8x8", or "8x8 fading into 16x16, 25%"."""
    resolution_log2, alpha = Gs.stage(Gs.lod if lod is None else lod)
    size = Gs.config.base.size_text(2**resolution_log2)
    if alpha == 1:
        return size
    coarser = Gs.config.base.size_text(2 ** (resolution_log2 - 1))
    return f"{coarser} fading into {size}, {float(alpha):.0%}"
