"""The table of all presets that train.py --list_presets prints."""

from pgtf.config.config import Config
from pgtf.config.experiments import EXPERIMENTS
from pgtf.config.presets import PRESETS

_TITLES = (
    "preset",
    "source",
    "G parameters",
    "D parameters",
    "schedule",
    "minibatch",
    "expected in the paper",
)
_RELEASE, _PAPER_NETWORK = "TensorFlow release", (23_079_115, 23_087_249)
# Presets that are not experiments of the paper: source, parameters of G and D.
_OTHERS = {
    "v1-1gpu": (f"{_RELEASE}; App. A.1", _PAPER_NETWORK),
    "v2-1gpu": (_RELEASE, _PAPER_NETWORK),
    "v2-2gpus": (_RELEASE, _PAPER_NETWORK),
    "v2-4gpus": (_RELEASE, _PAPER_NETWORK),
    "v2-8gpus": (_RELEASE, _PAPER_NETWORK),
    "v2-1gpu-mb32": ("v2-8gpus on one large GPU", _PAPER_NETWORK),
    "demo": ("this project", (211_580, 212_433)),
}
_NOTES = """\
kimg = thousands of reals; 800+800 = stable phase + fade; - = no figure known for certain.
SWD at 128, 64, 32, 16, and their mean. MNIST-1K, modes found: base < ournorm < mbstddev, which is
about progression, and k4 < k2. Reconstructed: the release has no configuration of this experiment.
The phases of Table 1 are the release's; the paper's text has 600+600:
--config.schedule.lod_training_kimg=600 --config.schedule.lod_transition_kimg=600"""


def table() -> str:
    """Returns one line per preset under a line of titles, then notes."""
    rows = [_TITLES, *(_row(name, config) for name, config in PRESETS.items())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_TITLES))]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join((*lines, "", _NOTES))


def _row(name: str, config: Config) -> tuple[str, ...]:
    expected = "-"
    if name in EXPERIMENTS:
        experiment = EXPERIMENTS[name]
        source, expected = experiment.source, experiment.expected
        parameters = (experiment.G_parameters, experiment.D_parameters)
    else:
        source, parameters = _OTHERS[name]
    counts = (f"{count:,}" for count in parameters)
    return (name, source, *counts, _schedule(config), _minibatch(config), expected)


def _schedule(config: Config) -> str:
    schedule, resolution = config.schedule, 2**config.schedule.resolution_log2
    total = f"{config.training.total_kimg:g} kimg"
    if schedule.initial_resolution == resolution:
        return f"{resolution}x{resolution}, {total}"
    phases = f"{schedule.lod_training_kimg:g}+{schedule.lod_transition_kimg:g}"
    return f"{schedule.initial_resolution} -> {resolution}, {phases}, {total}"


def _minibatch(config: Config) -> str:
    sizes = {config.schedule.minibatch_base, *config.schedule.minibatch_dict.values()}
    repeats = config.training.D_repeats
    text = "-".join(f"{size}" for size in sorted({min(sizes), max(sizes)}))
    return f"{text}, n_critic {repeats}" if repeats > 1 else text
