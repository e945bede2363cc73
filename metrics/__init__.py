"""Metrics of generated images: SWD, MS-SSIM, FID, Inception score, KID, precision/recall, modes.

    python -m metrics --run=results/003-celebahq-v2-8gpus --metrics=swd,fid:10k

The modules are those of `pgtf.metrics`.
"""

from pgtf.metrics import (
    evaluator,
    fid,
    image_sets,
    inception_score,
    kid,
    modes,
    ms_ssim,
    precision_recall,
    swd,
)

__all__ = [
    "evaluator",
    "fid",
    "image_sets",
    "inception_score",
    "kid",
    "modes",
    "ms_ssim",
    "precision_recall",
    "swd",
]
