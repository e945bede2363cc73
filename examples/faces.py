"""Judges generated demo faces: a classifier reads every factor, at the images' own resolution.

python generate.py images --seeds=0-999 --out=demo-fakes
python examples/faces.py demo-fakes          a folder of PNG files; --resolution=16 shrinks them
python examples/faces.py --run=0             500 images at the end of each stage of a run

A run keeps the snapshots that this needs with --config.training.network_snapshot_ticks=1.

An image is clear in a factor if the classifier is sure of its value. The classifier is trained on
faces that are not in the demo dataset, shrunk as the dataset's levels are, and on spoilt faces:
two blended, or two halves side by side. There it learns to be unsure, so that a ghost or
two-coloured hair is not clear. A factor of which it is unsure, or wrong, in more than one of ten
reals is too small to be seen at that resolution: its name is in brackets, and it does not count.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # finds pgtf in this checkout

from pgtf.commands.command_line import (
    announce_tensorflow,
    import_tensorflow_quietly,
    missing_packages_reported,
    one_line_errors,
)
from pgtf.commands.parsers import Parser

with missing_packages_reported():
    import numpy as np
    import PIL.Image

    from pgtf import images as image_functions
    from pgtf import lazy
    from pgtf.config import Config
    from pgtf.dataset import pyramid
    from pgtf.dataset.sources import demo
    from pgtf.runs import run_folder

if TYPE_CHECKING:
    from pgtf import interop
    from pgtf.metrics import classifier, during_training
else:  # The command line does without them.
    interop = lazy.Module("pgtf.interop")
    classifier = lazy.Module("pgtf.metrics.classifier")
    during_training = lazy.Module("pgtf.metrics.during_training")

SURE = 0.75  # probability of a value above which an image is clear; spoilt faces have at most 0.7
VISIBLE = 0.9  # share of clear reals, and of right answers, from which on a factor is visible
FACES, SIDE, SEED, EPOCHS = 12_000, 32, 5, 5  # faces to train on; not the demo's seed
SPOILT = 0.25  # share of them
SHARES = (0.3, 0.7)  # smallest and largest share of the second face in a spoilt one
REALS, REALS_SEED = 1000, 6
FAKES, FAKES_SEED = 500, 0  # per snapshot


def shrink(images: np.ndarray, resolution: int) -> np.ndarray:
    """Shrinks images like the levels of a dataset: uint8 [N, H, H, 3] -> [N, R, R, 3].

    Raises:
        ValueError: if the images have no such level.
    """
    height, width = images.shape[1:3]
    if pyramid.has_pyramid(width, height):
        for level in pyramid.pyramid(np.ascontiguousarray(images.transpose(0, 3, 1, 2))):
            if level.shape[2] == resolution:
                return level.transpose(0, 2, 3, 1)
    raise ValueError(f"Images of {height}x{width} cannot be shrunk to {resolution}x{resolution}.")


def draw_reals(num: int, seed: int, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws faces like a level of the dataset: -> uint8 [num, R, R, 3], labels [num, L]."""
    faces = demo.sample_faces(num, seed)
    images = demo.draw_faces(faces, SIDE).transpose(0, 2, 3, 1)
    return shrink(images, resolution), demo.label_matrix(faces)


def spoil(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mixes some images with others, and their labels in the same proportion.

    Every HELD_OUT-th image stays whole, because these measure the accuracy.
    """
    rng = np.random.RandomState(SEED)
    num, side = len(images), images.shape[1]
    spoilt = (rng.uniform(size=num) < SPOILT) & (np.arange(num) % classifier.HELD_OUT > 0)
    other = rng.randint(num, size=num)
    share = rng.uniform(*SHARES, size=(num, 1)) * spoilt[:, np.newaxis]
    # The second face is on the left or on the right, or everywhere.
    centers = (np.arange(side) + 0.5) / side
    half = np.abs(centers - rng.randint(2, size=(num, 1))) < share
    weight = np.where(rng.randint(2, size=(num, 1)), half, share)[:, np.newaxis, :, np.newaxis]
    mixed = (1 - weight) * images + weight * images[other]
    return np.rint(mixed).astype(np.uint8), (1 - share) * labels + share * labels[other]


def trained_classifier(resolution: int) -> classifier.Classifier:
    """Trains a classifier for faces of R x R pixels."""
    images, labels = spoil(*draw_reals(FACES, SEED, resolution))
    factors = {name: list(values) for name, values in demo.FACTORS.items()}
    return classifier.train(images.__getitem__, labels, factors, 3, epochs=EPOCHS, progress=True)


def image_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Lists the PNG files in a folder."""
    files = sorted(folder.glob("*.png"))
    if not files:
        raise ValueError(f"no PNG files in {folder}. Make some with generate.py images.")
    return files


def read_images(folder: pathlib.Path) -> np.ndarray:
    """Reads the PNG files in a folder: uint8 [N, R, R, 3]."""
    files = image_files(folder)
    return np.stack([np.asarray(PIL.Image.open(file).convert("RGB")) for file in files])


def stage_ends(run: pathlib.Path) -> list[pathlib.Path]:
    """Finds the newest snapshot of each resolution, except those of fades."""
    schedule, newest = run_folder.read_config(run, Config).schedule, dict[int, pathlib.Path]()
    for file in sorted(run.glob(during_training.SNAPSHOTS)):
        state = schedule.at(interop.load_meta(file)["cur_nimg"])
        if state.alpha == 1:
            newest[state.resolution] = file
    if not newest:
        raise ValueError(f"no snapshot of a stable phase in {run}.")
    return list(newest.values())


def generate(file: pathlib.Path) -> np.ndarray:
    """Generates images of a snapshot at its own level of detail: uint8 [FAKES, R, R, 3]."""
    _, _, Gs = interop.load_snapshot(file)
    latents = np.random.RandomState(FAKES_SEED).normal(size=(FAKES, Gs.latent_size))
    return image_functions.to_uint8(Gs.run(latents.astype(np.float32)))


def probabilities(judge: classifier.Classifier, images: np.ndarray) -> list[np.ndarray]:
    """Computes the probabilities of each factor's values: a list of [N, values]."""
    logits = judge.model.predict(classifier.resize(images), verbose=0)
    parts = [np.exp(part - part.max(axis=1, keepdims=True)) for part in split(logits)]
    return [part / part.sum(axis=1, keepdims=True) for part in parts]


def split(columns: np.ndarray) -> list[np.ndarray]:
    """Splits the columns of all factors' values into those of each: a list of [N, values]."""
    return classifier.split(columns, demo.FACTORS)


def table(
    fakes: list[np.ndarray], reals: list[np.ndarray], labels: list[np.ndarray]
) -> Iterator[str]:
    """Yields a line per factor: shares of clear images and of right answers, counts of the values.

    Args:
        fakes: probabilities of each factor's values: [N, values].
        reals: those of reals: [M, values].
        labels: one-hot codes of the reals: [M, values].
    """
    yield f"{'factor':13}  clear  reals  right"
    clear, clear_reals = [], []
    for (name, values), fake, real, label in zip(
        demo.FACTORS.items(), fakes, reals, labels, strict=True
    ):
        right = (real.argmax(axis=1) == label.argmax(axis=1)).mean()
        is_clear, is_clear_real = fake.max(axis=1) > SURE, real.max(axis=1) > SURE
        is_visible = min(right, is_clear_real.mean()) >= VISIBLE
        if is_visible:
            clear.append(is_clear)
            clear_reals.append(is_clear_real)
        counts = np.bincount(fake.argmax(axis=1), minlength=len(values))
        shares = f"{is_clear.mean():.3f}  {is_clear_real.mean():.3f}  {right:.3f}"
        shown = ", ".join(map("{} {}".format, values, counts))
        yield f"{name if is_visible else f'({name})':13}  {shares}  {shown}"
    if clear:
        both = np.all(clear, axis=0).mean(), np.all(clear_reals, axis=0).mean()
        yield "{:13}  {:.3f}  {:.3f}".format("all visible", *both)


def report(judge: classifier.Classifier, images: np.ndarray) -> None:
    """Prints how clear the factors of images are."""
    reals, labels = draw_reals(REALS, REALS_SEED, images.shape[1])
    print(f"{len(images)} images of {images.shape[1]}x{images.shape[2]}")
    for line in table(probabilities(judge, images), probabilities(judge, reals), split(labels)):
        print(line)


def parse() -> argparse.Namespace:
    """Parses the command line and looks for what it names."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("folder", type=pathlib.Path, nargs="?", help="folder of PNG files")
    source.add_argument("--run", help="run whose snapshots to judge: its number, or its folder")
    parser.add_argument("--resolution", type=int, help="shrink the images to so many pixels")
    options = parser.parse_args()
    with one_line_errors():
        if options.run is None:
            image_files(options.folder)
        else:
            options.run = run_folder.locate("results", options.run)
    return options


def main() -> None:
    """Runs the command line."""
    options = parse()
    announce_tensorflow()
    import_tensorflow_quietly()
    judges: dict[int, classifier.Classifier] = {}
    with one_line_errors():
        for path in [options.folder] if options.run is None else stage_ends(options.run):
            images = generate(path) if path.is_file() else read_images(path)
            shown = shrink(images, options.resolution or images.shape[1])
            side = shown.shape[1]
            if side not in judges:
                judges[side] = trained_classifier(side)
            print(path, end=": ")
            report(judges[side], shown)


if __name__ == "__main__":
    main()
