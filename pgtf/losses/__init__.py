"""The losses of the paper. Every function returns one value per sample.

Where the original release broadcasts [N, 1] terms with [N] ones into an [N, N] matrix, these are
the [N] values with the same mean (reference, section A).
"""

from pgtf.losses.adversarial import (
    LOSSES,
    LeastSquaresLoss,
    Loss,
    LossConfig,
    LossTerms,
    WassersteinLoss,
    build,
    gradient_norms,
    mix,
)
from pgtf.losses.labels import label_penalty, least_label_penalty

__all__ = [
    "LOSSES",
    "LeastSquaresLoss",
    "Loss",
    "LossConfig",
    "LossTerms",
    "WassersteinLoss",
    "build",
    "gradient_norms",
    "label_penalty",
    "least_label_penalty",
    "mix",
]
