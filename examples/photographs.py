"""Copies the photographs in scikit-image and scikit-learn, to train restoration networks on them.

python examples/photographs.py datasets/photographs
python -m pgtf.restoration train --task=jpeg --images=datasets/photographs/train \
    --held_out=datasets/photographs/held-out
"""

from __future__ import annotations

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # finds pgtf in this checkout

from pgtf.commands.command_line import missing_packages_reported
from pgtf.commands.parsers import Parser

with missing_packages_reported():
    import numpy as np
    import PIL.Image
    import skimage
    import sklearn.datasets

HELD_OUT = ("astronaut", "china", "coffee", "coins")
TRAIN = (
    *("brick", "camera", "cell", "chelsea", "flower", "grass", "gravel", "hubble_deep_field"),
    *("ihc", "moon", "motorcycle_left", "motorcycle_right", "retina", "rocket"),
)


def photographs() -> dict[str, np.ndarray]:
    """Reads all photographs, uint8 [H, W, 3] by name; downloads nothing."""
    folders = (
        pathlib.Path(skimage.__file__).parent / "data",
        pathlib.Path(sklearn.datasets.__file__).parent / "images",
    )
    files = {path.stem: path for folder in folders for path in folder.glob("*.??g")}
    return {
        name: np.asarray(PIL.Image.open(files[name]).convert("RGB"))
        for name in sorted((*TRAIN, *HELD_OUT))
    }


def main() -> None:
    """Runs the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    for kind in ("train", "held-out"):
        (folder / kind).mkdir(parents=True)
    for name, image in photographs().items():
        kind = "held-out" if name in HELD_OUT else "train"
        PIL.Image.fromarray(image).save(folder / kind / f"{name}.png")
    print(f"Wrote {len(TRAIN)} photographs to train on and {len(HELD_OUT)} others to {folder}")


if __name__ == "__main__":
    main()
