"""Mode coverage: how many of the known kinds of images a generator makes, and how evenly.

A classifier reads the factors of each image. For the demo dataset they are skin, hair, glasses and
so on; a mode is one combination. For MNIST-1K (Metz et al. 2017; paper, App. D) it reads the digit
in each colour plane, and a mode is a number from 000 to 999.
"""

from pgtf.metrics.modes.classifier import Classifier, load_classifier, save_classifier, train
from pgtf.metrics.modes.coverage import coverage, reverse_kl

__all__ = [
    "Classifier",
    "coverage",
    "load_classifier",
    "reverse_kl",
    "save_classifier",
    "train",
]
