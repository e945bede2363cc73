"""The presets of training: named configurations, and a table of them that prints well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pgtf.config import PRESETS, Config, catalogue, named


class Presets(Mapping[str, Config]):
    """Configurations by name; prints as the table of `train.py --list_presets`."""

    def __getitem__(self, name: str) -> Config:
        try:
            return named(name)
        except ValueError as error:
            raise KeyError(str(error)) from None

    def __contains__(self, name: object) -> bool:
        return name in PRESETS

    def __iter__(self) -> Iterator[str]:
        return iter(PRESETS)

    def __len__(self) -> int:
        return len(PRESETS)

    def __repr__(self) -> str:
        return catalogue.table()


def presets() -> Presets:
    """Returns all presets: a mapping from names to configurations, which prints as a table."""
    return Presets()
