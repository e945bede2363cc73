"""How much better images are restored: PSNR and SSIM on images that the network has not seen."""

import dataclasses

import numpy as np
import PIL.Image

from pgtf.restoration import degradation

MAX_IMAGES = 24  # measured
SHOWN = 3  # of them in the picture
CELL = 192  # pixels a side of the parts in the picture


@dataclasses.dataclass(frozen=True)
class Row:
    """One way to restore, on average over images."""

    name: str
    psnr: float  # dB
    ssim: float


def baselines(task):
    """What a network is compared with: name -> (degraded image -> restored image)."""
    if task == "jpeg":
        return {"no restoration": lambda image: image}
    kinds = PIL.Image.Resampling
    return {
        "no restoration (pixels repeated)": lambda image: degradation.enlarge(image, kinds.NEAREST),
        "bicubic": lambda image: degradation.enlarge(image, kinds.BICUBIC),
        "Lanczos": lambda image: degradation.enlarge(image, kinds.LANCZOS),
    }


def degrade(task, image):
    """The degradation that is measured: JPEG quality 20, or a bicubic reduction to a quarter."""
    if task == "jpeg":
        return degradation.compress(image, degradation.MEASURED_QUALITY)
    return degradation.reduce(image)


def evaluate(task, restore, crops, ssim):
    """Compares a network with its baselines.

    Args:
        task: "jpeg" or "sr".
        restore: the network, uint8 [h, w, 3] -> uint8 [H, W, 3].
        crops: clean images, list of uint8 [H, W, 3].
        ssim: function of two uint8 [H, W, 3] -> float.

    Returns:
        Rows, the network last, and a picture uint8 [.., .., 3]: a row an image, with the clean
        image, then each way to restore it.
    """
    ways = baselines(task) | {"network": restore}
    values = {name: [] for name in ways}
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


def psnr(a, b):
    """Peak signal-to-noise ratio of two uint8 images in dB; 100 where they are equal."""
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else 100.0


def table(rows):
    """Rows as text, a line each."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'':{width}}    PSNR    SSIM"]
    lines += [f"{row.name:{width}}  {row.psnr:6.2f}  {row.ssim:6.4f}" for row in rows]
    return "\n".join(lines)


def _cell(image):
    """The middle of an image, CELL pixels a side; gray around smaller ones."""
    cell = np.full((CELL, CELL, 3), 128, np.uint8)
    height, width = (min(side, CELL) for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    cell[:height, :width] = image[top : top + height, left : left + width]
    return cell
