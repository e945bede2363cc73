"""Handwritten digits: exports scikit-learn's scans, and judges generated digits by a classifier.

python examples/digits.py export datasets/digits-png
python dataset_tool.py create_from_images datasets/digits datasets/digits-png
python train.py --dataset=datasets/digits --preset=demo ...   (docs/datasets.md)
python generate.py images --run=... --seeds=0-999 --out=digits-fakes
python examples/digits.py judge digits-fakes

A small MNIST-1K, whose images hold three scans as colour planes (docs/experiments.md):
python examples/digits.py stack datasets/stacked     writes .../gray and .../rgb
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
from typing import Any

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

    from pgtf.dataset import exporter

CONFIDENT = 0.9
STACKED, SIDE, SEED = 20_000, 16, 123  # images, pixels, seed of MNIST-1K


def scans() -> tuple[np.ndarray, np.ndarray]:
    """Returns 1,797 scans, uint8 [N, 8, 8], and their classes [N]; scikit-learn stores 0 ... 16."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.rint(digits.images * (255 / 16)).astype(np.uint8), digits.target


def export(folder: pathlib.Path) -> None:
    """Writes the scans as gray PNG files <number>-<class>.png."""
    images, labels = scans()
    folder.mkdir(parents=True)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        PIL.Image.fromarray(image).save(folder / f"{number:04d}-{label}.png")
    print(f"Wrote {number + 1} images to {folder}")


def stack(folder: pathlib.Path) -> None:
    """Writes two datasets: the scans with labels, and images of three random scans each."""
    images, labels = scans()
    enlarged = [PIL.Image.fromarray(x).resize((SIDE, SIDE), PIL.Image.BICUBIC) for x in images]
    planes = np.stack([np.asarray(image) for image in enlarged])
    chosen = np.random.RandomState(SEED).randint(len(planes), size=(STACKED, 3))
    options: dict[str, Any]
    for name, items, options in (
        ("gray", planes[:, np.newaxis], {"labels": np.eye(10, dtype=np.float32)[labels]}),
        ("rgb", planes[chosen], {}),
    ):
        exporter.export(
            str(folder / name),
            items=items,
            num_items=len(items),
            load=exporter.load_arrays,
            shape=items.shape[1:],
            job={"command": "examples/digits.py stack"},
            **options,
        )


def image_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Lists the PNG files in a folder."""
    files = sorted(folder.glob("*.png"))
    if not files:
        raise ValueError(f"no PNG files in {folder}. Make some with generate.py images.")
    return files


def judge(folder: pathlib.Path) -> None:
    """Prints how a classifier trained on the scans judges the images of a folder."""
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler

    files = image_files(folder)
    images, labels = scans()
    train_x, test_x, train_y, test_y = train_test_split(
        images.reshape(len(images), -1), labels, test_size=0.2, random_state=0, stratify=labels
    )
    network = MLPClassifier((256,), alpha=0.01, max_iter=400, random_state=0)
    classifier = make_pipeline(MaxAbsScaler(), network).fit(train_x, train_y)
    reals = classifier.predict_proba(test_x)
    fakes = np.stack([np.asarray(PIL.Image.open(file).convert("L")) for file in files])
    predicted = classifier.predict_proba(fakes.reshape(len(fakes), -1))
    confident = predicted.max(1) > CONFIDENT
    classes = np.bincount(predicted.argmax(1)[confident], minlength=10)
    print(f"classifier accuracy on held-out scans    {classifier.score(test_x, test_y):.3f}")
    print(
        f"held-out scans in one class > {CONFIDENT}       {np.mean(reals.max(1) > CONFIDENT):.3f}"
    )
    print(f"generated digits in one class > {CONFIDENT}     {confident.mean():.3f}")
    print(f"classes that appear                      {np.count_nonzero(classes)} of 10")
    print("confident digits per class               " + " ".join(map(str, classes)))


def parse() -> argparse.Namespace:
    """Parses the command line and looks for what it names, before scikit-learn is imported."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("command", choices=["export", "judge", "stack"])
    parser.add_argument("folder", type=pathlib.Path, help="folder to write, or to judge")
    args = parser.parse_args()
    with one_line_errors():
        if args.command == "judge":
            image_files(args.folder)
        elif os.path.lexists(args.folder):
            raise FileExistsError(f"{args.folder} exists. Name a folder that does not.")
    return args


def main() -> None:
    """Runs the command line."""
    args = parse()
    check_packages({"sklearn": OPTIONAL["sklearn"]})  # It takes seconds to import: see `parse`.
    with one_line_errors():
        {"export": export, "judge": judge, "stack": stack}[args.command](args.folder)


if __name__ == "__main__":
    main()
