"""All metrics by name: a new one is a module with a subclass of `Measure`, and a line here."""

from __future__ import annotations

from pgtf.metrics import (
    fid,
    inception_score,
    kid,
    label_scores,
    modes,
    ms_ssim,
    precision_recall,
    swd,
)
from pgtf.metrics.interface import Measure

# Their order is that of help texts and plots.
MEASURES: dict[str, type[Measure]] = {
    measure.name: measure
    for measure in (
        swd.Swd,
        ms_ssim.MsSsim,
        fid.Fid,
        inception_score.InceptionScore,
        kid.Kid,
        precision_recall.PrecisionRecall,
        modes.Modes,
        label_scores.LabelScores,
    )
}
