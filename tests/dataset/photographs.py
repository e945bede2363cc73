"""Tiles of real photographs that ship inside scikit-image and scikit-learn, and ways to spoil them.

Everything is uint8 [H, W, 3].
"""

import io
import pathlib

import numpy as np
import PIL.Image
import scipy.ndimage
import skimage
import sklearn.datasets

RESAMPLING = PIL.Image.Resampling
PHOTOGRAPHS = (
    *("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel"),
    *("hubble_deep_field", "ihc", "moon", "motorcycle_left", "retina", "rocket"),
    *("china", "flower"),
)
BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])


def tiles(side, per_photograph, rng):
    """Yields (photograph, tile), so many of each photograph."""
    folders = (
        pathlib.Path(skimage.__file__).parent / "data",
        pathlib.Path(sklearn.datasets.__file__).parent / "images",
    )
    files = {path.stem: path for folder in folders for path in folder.glob("*.??g")}
    for name in PHOTOGRAPHS:
        with PIL.Image.open(files[name]) as file:
            image = np.asarray(file.convert("RGB"))
        grid = [
            (y, x)
            for y in range(0, image.shape[0] - side + 1, side)
            for x in range(0, image.shape[1] - side + 1, side)
        ]
        for place in rng.permutation(len(grid))[:per_photograph]:
            y, x = grid[place]
            yield name, image[y : y + side, x : x + side]


def blurred(image, sigma):
    return _uint8(scipy.ndimage.gaussian_filter(image.astype(float), (sigma, sigma, 0)))


def squeezed(image, quality):
    buffer = io.BytesIO()
    PIL.Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(PIL.Image.open(buffer))


def enlarged(image, factor, resampling):
    picture = PIL.Image.fromarray(image)
    small = picture.resize([side // factor for side in picture.size], RESAMPLING.BOX)
    return np.asarray(small.resize(picture.size, resampling))


def smeared(image, length, degrees):
    kernel = np.zeros((length, length))
    middle = (length - 1) / 2
    for step in np.linspace(-middle, middle, 8 * length):
        x, y = (middle + step * f(np.deg2rad(degrees)) for f in (np.cos, np.sin))
        kernel[round(y), round(x)] += 1
    return _uint8(scipy.ndimage.convolve(image.astype(float), (kernel / kernel.sum())[..., None]))


def ordered(image):
    """Halftone with Bayer's matrix."""
    height, width, _ = image.shape
    threshold = np.tile((BAYER + 0.5) / 16 * 255, (height // 4 + 1, width // 4 + 1))
    return ((image > threshold[:height, :width, None]) * 255).astype(np.uint8)


def diffused(image):
    """Halftone with Floyd and Steinberg's error diffusion."""
    return np.asarray(PIL.Image.fromarray(image).convert("1").convert("RGB"))


def screened(image, period, degrees):
    """Halftone with round dots, as in print."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] * (2 * np.pi / period)
    angle = np.deg2rad(degrees)
    u = columns * np.cos(angle) + rows * np.sin(angle)
    v = rows * np.cos(angle) - columns * np.sin(angle)
    screen = (np.cos(u) + np.cos(v) + 2) / 4 * 255
    dots = image.mean(axis=2) > screen
    return np.repeat(dots[..., None] * 255, 3, axis=2).astype(np.uint8)


def _uint8(values):
    return np.rint(values).clip(0, 255).astype(np.uint8)


SPOILED = {
    "blur 1": lambda x: blurred(x, 1),
    "blur 2": lambda x: blurred(x, 2),
    "JPEG 10": lambda x: squeezed(x, 10),
    "JPEG 20": lambda x: squeezed(x, 20),
    "JPEG 30": lambda x: squeezed(x, 30),
    "2x bicubic": lambda x: enlarged(x, 2, RESAMPLING.BICUBIC),
    "4x Lanczos": lambda x: enlarged(x, 4, RESAMPLING.LANCZOS),
    "4x nearest": lambda x: enlarged(x, 4, RESAMPLING.NEAREST),
    "Bayer": ordered,
    "Floyd-Steinberg": diffused,
    "dots of 4": lambda x: screened(x, 4, 45),
    "dots of 6": lambda x: screened(x, 6, 45),
    "dots of 8": lambda x: screened(x, 8, 30),
    "smear across": lambda x: smeared(x, 9, 0),
    "smear down": lambda x: smeared(x, 9, 90),
    "smear askew": lambda x: smeared(x, 9, 30),
}
