"""Landscapes from above in five bands, to try images of other than three channels with.

python examples/bands.py make datasets/bands-npy
python dataset_tool.py create_from_arrays datasets/bands datasets/bands-npy --grid=5x4 \\
    --preview=2,1,0
python train.py --dataset=datasets/bands --preset=demo ...
python generate.py images --seeds=0-499 --out=bands-fakes
python examples/bands.py measure datasets/bands-npy bands-fakes

The bands are blue, green, red, near and short-wave infrared, as a satellite measures them: float32
reflectances, 0 for black and 1 for white. Fields, woods, soil and towns meet at straight borders,
rivers cross them, and clouds hide some. `measure` computes indices of several bands at a time, so
it says if the bands of generated images fit together.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # finds pgtf in this checkout

from pgtf.commands.command_line import missing_packages_reported, one_line_errors
from pgtf.commands.parsers import Parser

with missing_packages_reported():
    import numpy as np

HEIGHT, WIDTH = 40, 32  # pixels: a grid of 5x4 times 2^3
BANDS = ("blue", "green", "red", "near infrared", "short-wave infrared")
# Reflectance per band, about that of a cloudless summer's day.
LAND = np.array(
    [
        [0.03, 0.05, 0.03, 0.40, 0.16],  # wood
        [0.04, 0.09, 0.05, 0.50, 0.22],  # crops
        [0.06, 0.11, 0.10, 0.32, 0.28],  # grass
        [0.09, 0.14, 0.20, 0.28, 0.38],  # soil
        [0.16, 0.18, 0.20, 0.23, 0.24],  # town
    ]
)
WATER = np.array([0.07, 0.06, 0.04, 0.02, 0.01])
CLOUD = np.array([0.75, 0.77, 0.78, 0.80, 0.55])
FIELDS = 7  # per image
NUM_IMAGES = 2000
PER_FILE = 500
NDVI_OF_PLANTS = 0.5  # an index of near infrared and red that green plants exceed
NDWI_OF_WATER = 0.2  # one of green and near infrared that water exceeds


def landscape(rng: np.random.Generator) -> np.ndarray:
    """Draws one image: float32 [HEIGHT, WIDTH, bands]."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    middles = rng.uniform(0, [HEIGHT, WIDTH], (FIELDS, 2))
    y, x = middles[:, :, np.newaxis, np.newaxis].swapaxes(0, 1)
    distances = np.hypot(rows - y, columns - x)
    kinds = LAND[rng.integers(len(LAND), size=FIELDS)] * rng.uniform(0.8, 1.2, (FIELDS, 1))
    image = kinds[distances.argmin(axis=0)]
    if rng.random() < 0.5:
        bends = rng.uniform(2, 5) * np.sin(rows / rng.uniform(5, 10) + rng.uniform(0, 6))
        middle = rng.uniform(6, WIDTH - 6) + rng.uniform(-0.4, 0.4) * (rows - HEIGHT / 2) + bends
        image[np.abs(columns - middle) < rng.uniform(1.5, 3)] = WATER
    if rng.random() < 0.3:
        y, x, size = rng.uniform(0, HEIGHT), rng.uniform(0, WIDTH), rng.uniform(5, 9)
        cover = np.exp(-(((rows - y) / size) ** 2 + ((columns - x) / size) ** 2))[..., None]
        image = image + (CLOUD - image) * np.minimum(1.3 * cover, 1)
    noise = rng.normal(1, 0.03, image.shape)
    return np.asarray(image * noise, np.float32)


def make(target: pathlib.Path, num: int = NUM_IMAGES) -> None:
    """Writes .npy files of images: float32 [N, HEIGHT, WIDTH, bands]."""
    target.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number, first in enumerate(range(0, num, PER_FILE)):
        images = [landscape(rng) for _ in range(min(PER_FILE, num - first))]
        np.save(target / f"bands-{number:03d}.npy", np.stack(images))
    print(f"Wrote {num} images of {HEIGHT}x{WIDTH} in {len(BANDS)} bands to {target}")


def indices_of(images: np.ndarray) -> dict[str, float]:
    """Shares of the pixels [..., bands] that show plants and water."""
    _, green, red, infrared, _ = np.moveaxis(images.astype(np.float64), -1, 0)
    floor = 1e-3  # Generated reflectances may be zero.
    ndvi = (infrared - red) / np.maximum(infrared + red, floor)
    ndwi = (green - infrared) / np.maximum(green + infrared, floor)
    plants, water = ndvi > NDVI_OF_PLANTS, ndwi > NDWI_OF_WATER
    return {"plants": float(plants.mean()), "water": float(water.mean())}


def measure(folders: list[pathlib.Path]) -> None:
    """Prints the indices of the images in folders of .npy files."""
    for folder in folders:
        if not (paths := sorted(folder.glob("*.npy"))):
            raise ValueError(f"{folder}: no .npy files in it.")
        arrays = [np.load(path, allow_pickle=False) for path in paths]
        for path, array in zip(paths, arrays, strict=True):
            if array.shape[-1:] != (len(BANDS),):
                raise ValueError(
                    f"{path}: must have {len(BANDS)} bands as its last axis. "
                    f"Received: {list(array.shape)}."
                )
        pixels = np.concatenate([array.reshape(-1, len(BANDS)) for array in arrays])
        shares = ", ".join(f"{name} {share:.1%}" for name, share in indices_of(pixels).items())
        print(f"{folder}: {shares}")


def main() -> None:
    """Runs a sub-command."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("make", help="write images")
    command.add_argument("target", type=pathlib.Path, help="folder to create")
    help = "number of images (default: %(default)s)"
    command.add_argument("--num", type=int, default=NUM_IMAGES, help=help)
    command.set_defaults(run=make)
    command = commands.add_parser("measure", help="shares of pixels that show plants and water")
    command.add_argument("folders", type=pathlib.Path, nargs="+", help="folders of .npy files")
    command.set_defaults(run=measure)
    args = vars(parser.parse_args())
    with one_line_errors():
        args.pop("run")(**args)


if __name__ == "__main__":
    main()
