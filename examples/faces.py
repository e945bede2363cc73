"""Measures how clearly generated demo faces show their factors, by a classifier.

python generate.py images --seeds=0-999 --out=demo-fakes
python examples/faces.py demo-fakes
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # finds pgtf in this checkout

from pgtf.commands.command_line import import_tensorflow_quietly, one_line_errors

if __name__ == "__main__":  # The imports below import TensorFlow.
    import_tensorflow_quietly()

import numpy as np
import PIL.Image
from scipy.special import softmax

from pgtf.dataset.sources import demo
from pgtf.metrics.classifier import Classifier, resize, split, train

CONFIDENT = 0.9
JUDGED = ("skin", "hair", "glasses")
FACES, SIDE, SEED, EPOCHS = 12_000, 32, 5, 4  # faces to train on; not the demo's seed


def trained_classifier() -> Classifier:
    """Trains a classifier with faces that are not in the demo dataset."""
    faces = demo.sample_faces(FACES, SEED)
    factors = {name: list(values) for name, values in demo.FACTORS.items()}

    def read(indices: Any) -> np.ndarray:
        return demo.draw_faces(faces[indices], SIDE).transpose(0, 2, 3, 1)

    return train(read, demo.label_matrix(faces), factors, 3, epochs=EPOCHS, progress=True)


def read_images(folder: pathlib.Path) -> np.ndarray:
    """Reads the PNG files in a folder: uint8 [N, R, R, 3]."""
    files = sorted(folder.glob("*.png"))
    if not files:
        raise ValueError(f"no PNG files in {folder}. Make some with generate.py images.")
    return np.stack([np.asarray(PIL.Image.open(file).convert("RGB")) for file in files])


def judge(images: np.ndarray) -> None:
    """Prints the share of images whose factors are classified with confidence > 0.9."""
    classifier = trained_classifier()
    logits = classifier.model.predict(resize(images), verbose=0)
    clear = []
    for name, part in zip(demo.FACTORS, split(logits, demo.FACTORS), strict=True):
        if name in JUDGED:
            clear.append(softmax(part, axis=1).max(axis=1) > CONFIDENT)
            counts = np.bincount(part.argmax(axis=1), minlength=part.shape[1])
            values = ", ".join(map("{} {}".format, demo.FACTORS[name], counts))
            accuracy = classifier.accuracy[name]
            print(f"{name:8} clear {clear[-1].mean():.3f}  classifier {accuracy:.3f}  {values}")
    print(f"all      clear {np.all(clear, axis=0).mean():.3f}")


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path)
    with one_line_errors():
        judge(read_images(parser.parse_args().folder))


if __name__ == "__main__":
    main()
