"""Measures PSNR and SSIM on images that a restoration network has not seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import PIL.Image

from pgtf.restoration import degradation

Restore = Callable[[np.ndarray], np.ndarray]  # uint8 [h, w, 3] -> uint8 [H, W, 3]

MAX_IMAGES = 24  # images that are measured at most
SHOWN = 3  # images in the picture
CELL = 192  # side of each cell of the picture, pixels


@dataclasses.dataclass(frozen=True)
class Row:
    """The mean scores of one way to restore."""

    name: str
    psnr: float  # dB
    ssim: float


def baselines(task: str) -> dict[str, Restore]:
    """Returns the ways to restore that a network is compared with, by name."""
    if task == "jpeg":
        return {"no restoration": lambda image: image}
    kinds = PIL.Image.Resampling
    return {
        "no restoration (pixels repeated)": lambda image: degradation.enlarge(image, kinds.NEAREST),
        "bicubic": lambda image: degradation.enlarge(image, kinds.BICUBIC),
        "Lanczos": lambda image: degradation.enlarge(image, kinds.LANCZOS),
    }


def degrade(task: str, image: np.ndarray) -> np.ndarray:
    """Degrades an image as for all measurements: JPEG quality 20, or a bicubic quarter."""
    if task == "jpeg":
        return degradation.compress(image, degradation.MEASURED_QUALITY)
    return degradation.reduce(image)


def evaluate(
    task: str,
    restore: Restore,
    crops: Sequence[np.ndarray],
    ssim: Callable[[np.ndarray, np.ndarray], float],
) -> tuple[list[Row], np.ndarray]:
    """Compares a network with its baselines.

    Args:
        task: "jpeg" or "sr".
        restore: the network.
        crops: clean images, uint8 [H, W, 3].
        ssim: computes the structural similarity of two images, uint8 [H, W, 3].

    Returns:
        Rows, the network last, and a picture uint8 [.., .., 3] with one row per image: the clean
        image, then each way to restore it.
    """
    ways = baselines(task) | {"network": restore}
    values: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    shown = []
    for number, clean in enumerate(crops):
        degraded = degrade(task, clean)
        restored = {name: way(degraded) for name, way in ways.items()}
        for name, image in restored.items():
            values[name].append((psnr(image, clean), ssim(image, clean)))
        if number < SHOWN:
            shown.append(np.concatenate([_cell(x) for x in (clean, *restored.values())], axis=1))
    rows = [Row(name, *np.mean(pairs, axis=0).tolist()) for name, pairs in values.items()]
    return rows, np.concatenate(shown)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Computes the peak signal-to-noise ratio of two uint8 images in dB; 100 if they are equal."""
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else 100.0


def table(rows: Sequence[Row]) -> str:
    """Formats rows as text, one line per row."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'':{width}}    PSNR    SSIM"]
    lines += [f"{row.name:{width}}  {row.psnr:6.2f}  {row.ssim:6.4f}" for row in rows]
    return "\n".join(lines)


def _cell(image: np.ndarray) -> np.ndarray:
    """Cuts a square of CELL pixels from the middle of an image; pads smaller ones with gray."""
    cell = np.full((CELL, CELL, 3), 128, np.uint8)
    height, width = (min(side, CELL) for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    cell[:height, :width] = image[top : top + height, left : left + width]
    return cell
