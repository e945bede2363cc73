"""Copies the photographs in scikit-image and scikit-learn, to train restoration networks on them.

python examples/photographs.py datasets/photographs
python -m pgtf.restoration train --task=jpeg --images=datasets/photographs/train \
    --held_out=datasets/photographs/held-out
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # finds pgtf in this checkout

from pgtf.commands.command_line import (
    check_packages,
    missing_packages_reported,
    one_line_errors,
)
from pgtf.commands.parsers import Parser
from pgtf.installation import OPTIONAL

with missing_packages_reported():
    import numpy as np
    import PIL.Image

HELD_OUT = ("astronaut", "china", "coffee", "coins")
TRAIN = (
    *("brick", "camera", "cell", "chelsea", "flower", "grass", "gravel", "hubble_deep_field"),
    *("ihc", "moon", "motorcycle_left", "motorcycle_right", "retina", "rocket"),
)


def photographs() -> dict[str, np.ndarray]:
    """Reads all photographs, uint8 [H, W, 3] by name; downloads nothing."""
    import skimage
    import sklearn.datasets

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
    parser.add_argument("folder", type=pathlib.Path, help="folder to write to")
    folder = parser.parse_args().folder
    with one_line_errors():
        if os.path.lexists(folder):
            raise FileExistsError(f"{folder} exists. Name a folder that does not.")
        check_packages({name: OPTIONAL[name] for name in ("skimage", "sklearn")})
        images = photographs()
        for kind in ("train", "held-out"):
            (folder / kind).mkdir(parents=True)
        for name, image in images.items():
            kind = "held-out" if name in HELD_OUT else "train"
            PIL.Image.fromarray(image).save(folder / kind / f"{name}.png")
    print(f"Wrote {len(TRAIN)} photographs to train on and {len(HELD_OUT)} others to {folder}")


if __name__ == "__main__":
    main()
