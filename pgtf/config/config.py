"""One typed configuration for a training run: presets, single overrides, JSON in and out."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pgtf.augment import AugmentConfig
from pgtf.config import checks
from pgtf.dataset import DatasetConfig
from pgtf.foreign import json_files, numbers
from pgtf.foreign.messages import shown
from pgtf.losses import LossConfig
from pgtf.networks import DiscriminatorConfig, GeneratorConfig
from pgtf.schedule import Schedule
from pgtf.training.config import TrainingConfig

# 1e-8 is 0 in float16, and pixel norm of a zero pixel would be NaN. Original release, fp16.
HALF_PIXELNORM_EPSILON = 1e-4
HALF_PRECISIONS = ("bf16", "fp16")
# Values that fields had before they existed, where these are not their defaults.
FORMER_VALUES: dict[str, Any] = {"loss.label_kinds": "class"}


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides the numbers of a run."""

    dataset: DatasetConfig = DatasetConfig()
    G: GeneratorConfig = GeneratorConfig()
    D: DiscriminatorConfig = DiscriminatorConfig()
    loss: LossConfig = LossConfig()
    schedule: Schedule = Schedule()
    training: TrainingConfig = TrainingConfig()
    augment: AugmentConfig = AugmentConfig()

    def replace(self, changes: Mapping[str, Any]) -> Config:
        """Returns a copy with fields changed by dotted name: {"schedule.minibatch_base": 8}.

        Raises:
            ValueError: for a name that is no field; names the nearest one.
        """
        known = dict(fields(self))
        grouped: dict[str, dict[str, Any]] = {}
        for name, value in changes.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
                raise ValueError(f"no configuration field `{name}`. Did you mean `{near}`?")
            group, _, field = name.partition(".")
            grouped.setdefault(group, {})[field] = value
        parts = {
            group: dataclasses.replace(getattr(self, group), **values)
            for group, values in grouped.items()
        }
        return dataclasses.replace(self, **parts)

    def for_dataset(
        self,
        resolution_log2: int,
        num_channels: int,
        label_size: int,
        num_gpus: int,
        mirror: bool = False,
        grid: str = GeneratorConfig.grid,
    ) -> Config:
        """Returns a copy made for a dataset and a number of replicas.

        Args:
            resolution_log2: finest level of the dataset.
            num_channels: channels of its images.
            label_size: label columns in use.
            num_gpus: number of replicas.
            mirror: the dataset's default of mirror_augment; a value in the configuration wins.
            grid: height x width of its smallest images.
        """
        shape = {
            "num_channels": num_channels,
            "resolution": 2**resolution_log2,
            "label_size": label_size,
            "grid": grid,
        }
        changes: dict[str, Any] = {f"G.{k}": v for k, v in shape.items()}
        changes |= {f"D.{k}": v for k, v in shape.items()}
        changes |= {"schedule.resolution_log2": resolution_log2, "schedule.num_gpus": num_gpus}
        if self.dataset.mirror_augment is None:
            changes["dataset.mirror_augment"] = mirror
        if self.training.precision in HALF_PRECISIONS:
            epsilon = max(self.G.pixelnorm_epsilon, HALF_PIXELNORM_EPSILON)
            changes["G.pixelnorm_epsilon"] = epsilon
        return self.replace(changes)

    def check(self) -> None:
        """Raises ValueError unless the parts fit each other. Call it after `for_dataset`."""
        checks.check(self)

    def to_json(self) -> str:
        """Returns readable JSON, with the fields in the order of their definition."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: bytes | str, source: str = "configuration") -> Config:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: it is another text; the message begins with `source` and names unknown
                fields and values of another type.
        """
        # NaN and infinity are refused below, where the field has a name.
        groups = json_files.parse_json(
            text, source, max_bytes=json_files.SMALL_BYTES, allow_nan=True
        )
        return cls.from_fields(groups, source)

    @classmethod
    def from_fields(cls, groups: Any, source: str) -> Config:
        """Reads the parsed JSON of `to_json`, also of an earlier version; see `from_json`."""
        if not isinstance(groups, dict) or not all(isinstance(v, dict) for v in groups.values()):
            raise ValueError(
                f"{source}: a configuration must be a JSON object of objects of fields."
            )
        former = FORMER_VALUES.items()
        changes = {name: value for name, value in former if name.partition(".")[0] in groups}
        known = dict(fields(cls()))
        try:
            for group, values in groups.items():
                for field, value in values.items():
                    name = f"{group}.{field}"
                    changes[name] = value_of(name, value, known[name]) if name in known else value
            return cls().replace(changes)
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from None

    def differences(self, other: Config) -> list[str]:
        """Returns one line per field whose value differs; `other` is the newer configuration."""
        return [
            f"{name}: {_value(self, name)!r} -> {_value(other, name)!r}"
            for name, _ in fields(self)
            if _value(self, name) != _value(other, name)
        ]


def fields(config: Config) -> Iterator[tuple[str, Any]]:
    """Yields (dotted name, type) of every field of a configuration."""
    for group in dataclasses.fields(config):
        owner: Any = type(getattr(config, group.name))
        for field, hint in _hints(owner).items():
            (kind, *_) = typing.get_args(hint)
            yield f"{group.name}.{field}", kind


def documentation(config: Config) -> dict[str, str]:
    """Returns the meaning of every field, with its unit, by dotted name."""
    texts = {}
    for group in dataclasses.fields(config):
        owner: Any = type(getattr(config, group.name))
        for field, hint in _hints(owner).items():
            texts[f"{group.name}.{field}"] = hint.__metadata__[0]
    return texts


def parse(name: str, text: str, kind: Any) -> Any:
    """Turns the text of a flag into a value of a field's type.

    `none` is None where the type allows it; a table is written "256:16,512:8", an empty one "none"
    or "{}".

    Raises:
        ValueError: naming the field and the type, when the text does not fit.
    """
    choices = _choices(kind)
    if types.NoneType in choices and text.lower() == "none":
        return None
    for choice in choices:
        try:
            if typing.get_origin(choice) is Mapping:
                return _parse_table(text, choice)
            if typing.get_origin(choice) is typing.Literal:
                return {word: word for word in typing.get_args(choice)}[text]
            if choice is not types.NoneType:
                return _parse_value(text, choice)
        except (ValueError, KeyError):
            continue
    raise ValueError(f"`--config.{name}` must be {describe(kind)}. Received: {shown(text)}.")


def value_of(name: str, value: Any, kind: Any) -> Any:
    """Turns a value of Python or JSON into one of a field's type; text is read as by `parse`.

    Raises:
        ValueError: naming the field and the type, when the value does not fit.
    """
    if value is None and types.NoneType not in _choices(kind):
        raise ValueError(f"`{name}` must be {describe(kind)}. Received: null.")
    if kind is str and not isinstance(value, str):
        raise ValueError(f"`{name}` must be {describe(kind)}. Received: {shown(value)}.")
    if isinstance(value, dict):
        value = ",".join(f"{k}:{v}" for k, v in value.items())
    elif not isinstance(value, str):
        try:
            value = json.dumps(value) if value is not None else "none"
        except TypeError:
            raise ValueError(
                f"`{name}` must be {describe(kind)}. Received: {shown(value)}."
            ) from None
    return parse(name, value, kind)


def describe(kind: Any) -> str:
    """Returns how a type is written on the command line."""
    if len(choices := _choices(kind)) > 1:
        return " or ".join(map(describe, choices))
    if typing.get_origin(kind) is Mapping:
        return "a table such as 256:16,512:8, or none for an empty one"
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(typing.get_args(kind))
    names = {int: "an integer", float: "a number", bool: "true or false", str: "text"}
    return names.get(kind, "none")


@functools.cache
def _hints(options: Any) -> dict[str, Any]:
    """Types of a dataclass of options by field: Annotated[type, meaning]."""
    return typing.get_type_hints(options, include_extras=True)


def _choices(kind: Any) -> tuple[Any, ...]:
    """Returns the members of a union; any other type is its only member."""
    unions = (types.UnionType, typing.Union)
    return typing.get_args(kind) if typing.get_origin(kind) in unions else (kind,)


def _parse_table(text: str, kind: Any) -> dict[Any, Any]:
    key_type, value_type = typing.get_args(kind)
    if text.strip().lower() in ("", "none", "{}"):
        return {}
    pairs = [pair.split(":") for pair in text.split(",") if pair]
    return {_parse_value(key, key_type): _parse_value(value, value_type) for key, value in pairs}


def _parse_value(text: str, kind: Any) -> bool | int | float | str:
    """Reads one value; ValueError or KeyError if it is none."""
    if kind is str:
        return text
    if kind is bool:
        return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
    # Every comparison with NaN is false, so no later check would refuse it.
    number = numbers.integer(int(text)) if kind is int else numbers.real(float(text))
    if number is None:
        raise ValueError
    return number


def _value(config: Config, name: str) -> Any:
    group, _, field = name.partition(".")
    return getattr(getattr(config, group), field)
