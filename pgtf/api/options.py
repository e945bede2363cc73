"""Options of a training run: what train.py's flags and the arguments of `pgtf.train` say."""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Mapping
from typing import Any, Literal

from pgtf import config as configs
from pgtf.config import PRESETS
from pgtf.foreign import hub

Path = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """Everything that may be said about a run; None = the default of the preset or dataset.

    Each field is a flag of train.py, whose help says more. `fields` holds fields of the
    configuration by dotted name, {"schedule.lod_training_kimg": 2}; text is read as in a flag.
    """

    dataset: Path | None = None  # folder of a dataset or of images; None = the preset's
    preset: str | None = None  # None = demo; with a dataset the v2 preset of the GPUs
    total_kimg: float | None = None  # thousands of images
    resolution: int | None = None  # full resolution in pixels; None = the dataset's
    seed: int | None = None
    precision: Literal["fp32", "tf32", "bf16", "fp16"] | None = None
    jit: Literal["auto", "on", "off"] | None = None
    minibatch: int | None = None  # at every resolution
    grad_accumulation: int | None = None
    aug: Literal["none", "diffaug", "ada"] | None = None
    aug_p: float | None = None
    aug_target: float | None = None
    aug_kimg: float | None = None
    aug_interval: int | None = None
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    fit_schedule: bool = False  # scale the phases of growing to the length
    gpus: int | None = None  # None = 1 if there is one, 0 = CPU
    cpu_replicas: int = 0
    all_reduce: str = "auto"
    outdir: Path = "results"  # receives <number>-<dataset>-<preset>/
    new: bool = False  # start another run instead of continuing one
    allow_config_change: bool = False  # continue a run although options differ
    resume_pkl: Path | None = None  # file whose networks the run begins with
    resume_kimg: float | None = None  # thousands of images that they have seen
    transfer: Path | None = None  # file or run whose blocks the networks begin with
    freeze_D: int | None = None  # number of its finest blocks of D that are not trained
    checkpoint_minutes: float = 10
    on_divergence: Literal["stop", "rollback"] = "stop"
    profile: int = 0  # iterations to record as a TensorBoard trace
    metrics: str | None = None  # NAME[:NUMBER[k]],...[@every=N]
    inception: str | None = None
    inception_sha256: str | None = None
    fid_mode: str = "legacy"
    classifier: str | None = None

    def states(self, field: str) -> bool:
        """True if a field of the configuration is among `fields`."""
        return field in self.fields

    @property
    def states_resolution(self) -> bool:
        """True if the resolution is stated: a preset's is meant for its own dataset."""
        return self.resolution is not None or self.states("dataset.resolution")


def from_keywords(**keywords: Any) -> TrainOptions:
    """Sorts keywords into options and fields of the configuration.

    A field is named as in the configuration, "schedule.lod_training_kimg", or by its last part,
    which sets it in every part that has it: fmap_max is that of G and of D.

    Raises:
        ValueError: for a name that is neither, or a value of the wrong type.
    """
    options = {field.name for field in dataclasses.fields(TrainOptions)} - {"fields"}
    kinds = dict(configs.fields(PRESETS["demo"]))
    given: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    for name, value in keywords.items():
        if name in options:
            given[name] = value
            continue
        named = [x for x in kinds if name in (x, x.rpartition(".")[2])]
        if not named:
            known = [*options, *kinds, *(x.rpartition(".")[2] for x in kinds)]
            near = [x for x in options if x == f"total_{name}"]
            near = near or difflib.get_close_matches(name, known, n=1, cutoff=0)
            raise ValueError(f"no option `{name}`. Did you mean `{near[0]}`?")
        fields |= {x: configs.value_of(x, value, kinds[x]) for x in named}
    _check_types(given)
    for name in ("resume_pkl", "transfer"):
        if given.get(name) is not None:
            given[name] = hub.local(given[name])
    for name in ("dataset", "outdir", "resume_pkl", "transfer"):
        if given.get(name) is not None:
            given[name] = os.path.expanduser(os.fspath(given[name]))
    return TrainOptions(**given, fields=fields)


def _check_types(given: Mapping[str, Any]) -> None:
    """Raises ValueError for an option of the wrong type; the flags check their own."""
    words = {
        "precision": ("fp32", "tf32", "bf16", "fp16"),
        "jit": ("auto", "on", "off"),
        "on_divergence": ("stop", "rollback"),
        "aug": ("none", "diffaug", "ada"),
    }
    for name, kinds, what in (
        ("dataset", (str, os.PathLike), "a path"),
        ("preset", (str,), "the name of a preset"),
        ("total_kimg", (int, float), "a number"),
        ("outdir", (str, os.PathLike), "a path"),
        ("resume_pkl", (str, os.PathLike), "a path"),
        ("resume_kimg", (int, float), "a number"),
        ("transfer", (str, os.PathLike), "a path"),
        ("freeze_D", (int,), "a whole number"),
        ("checkpoint_minutes", (int, float), "a number"),
        ("gpus", (int,), "a whole number"),
        ("cpu_replicas", (int,), "a whole number"),
        ("profile", (int,), "a whole number"),
        ("seed", (int,), "a whole number"),
        ("resolution", (int,), "a whole number"),
        ("minibatch", (int,), "a whole number"),
        ("grad_accumulation", (int,), "a whole number"),
        *((name, (int, float), "a number") for name in ("aug_p", "aug_target", "aug_kimg")),
        ("aug_interval", (int,), "a whole number"),
        ("metrics", (str,), "text"),
    ):
        value = given.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise ValueError(f"`{name}` must be {what}. Received: {value!r}.")
    for name, choices in words.items():
        value = given.get(name)
        if value is not None and value not in choices:
            raise ValueError(f"`{name}` must be {' or '.join(choices)}. Received: {value!r}.")
