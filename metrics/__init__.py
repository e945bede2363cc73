"""Metrics of generated images: SWD, MS-SSIM, FID, Inception score, KID, precision/recall, modes.

    python -m metrics --run=results/003-celebahq-v2-8gpus --metrics=swd,fid:10k

The modules are those of `pgtf.metrics`. They are imported on first use, because Python imports
this file before `__main__`, which sets up the process before NumPy and TensorFlow are imported.
"""

from __future__ import annotations

import importlib
import types

__all__ = [  # noqa: F822 (see __getattr__)
    "classifier",
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


def __getattr__(name: str) -> types.ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"pgtf.metrics.{name}")
