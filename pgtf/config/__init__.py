"""The configuration of a training run, and the presets."""

from pgtf.config.config import (
    FORMER_VALUES,
    Config,
    describe,
    documentation,
    fields,
    parse,
    value_of,
)
from pgtf.config.experiments import EXPERIMENTS, Experiment
from pgtf.config.presets import (
    FORMER_FIELDS,
    GPU_PRESETS,
    PRESETS,
    max_minibatch_per_gpu,
    named,
    preset_for,
)

__all__ = [
    "EXPERIMENTS",
    "FORMER_FIELDS",
    "FORMER_VALUES",
    "GPU_PRESETS",
    "PRESETS",
    "Config",
    "Experiment",
    "describe",
    "documentation",
    "fields",
    "max_minibatch_per_gpu",
    "named",
    "parse",
    "preset_for",
    "value_of",
]
