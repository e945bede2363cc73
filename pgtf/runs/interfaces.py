"""Interfaces of the objects that are stored in run folders; their rooms import this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from pgtf.dataset import DatasetConfig

Arrays = dict[str, dict[str, np.ndarray]]  # by group and name


class Length(Protocol):
    """Part of config.Config.training."""

    @property
    def total_kimg(self) -> float: ...


class RunConfig(Protocol):
    """The part of config.Config that run folders need."""

    @property
    def dataset(self) -> DatasetConfig: ...

    @property
    def training(self) -> Length: ...

    def replace(self, changes: Mapping[str, Any]) -> RunConfig: ...

    def to_json(self) -> str: ...

    @classmethod
    def from_json(cls, text: bytes | str, source: str = ...) -> Any: ...  # a RunConfig

    @classmethod
    def from_fields(cls, groups: Any, source: str) -> Any: ...  # of the parsed JSON

    def differences(self, other: Any) -> list[str]: ...


class Progress(Protocol):
    """The part of training.state.Progress that names a checkpoint."""

    @property
    def cur_nimg(self) -> int: ...


class State(Protocol):
    """The part of training.state.TrainingState that checkpoints need."""

    @property
    def progress(self) -> Progress: ...

    def pack(self) -> tuple[Arrays, dict[str, Any]]: ...

    def unpack(self, groups: Arrays, attributes: dict[str, Any], source: Any) -> None: ...

    def is_skipping(self, attributes: dict[str, Any], source: Any) -> bool: ...


class Workers(Protocol):
    """The part of distribution.workers.Workers that run folders need."""

    @property
    def num(self) -> int: ...

    @property
    def is_chief(self) -> bool: ...

    def broadcast(self, make: Any) -> bytes: ...
