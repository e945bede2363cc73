"""Labels of image files: from the names of their folders, or from a CSV, JSON or NumPy file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging

from pgtf.dataset.sources.label_tables import Entries, LabelOptions, collected, from_table
from pgtf.dataset.sources.label_values import FileLabels, classes, combine, read_matrix, shown
from pgtf.dataset.sources.matching import match_names
from pgtf.dataset.sources.tables import parse_table, shortened
from pgtf.foreign import zips
from pgtf.foreign.files import read_bytes
from pgtf.foreign.json_files import parse_json

MAX_BYTES = 1 << 30  # of a file with labels
__all__ = ["FileLabels", "LabelOptions", "read_column", "read_labels"]

TABLES = (".csv", ".tsv")
KINDS = "folders, or a .csv, .tsv, .json or .npy file"


def read_labels(
    source: str,
    image_dir: str,
    names: Sequence[str],
    options: LabelOptions = LabelOptions(),  # noqa: B008 (frozen)
) -> FileLabels | None:
    """Finds the label of each file. Returns None if the source says that there are no labels.

    One whole number per file is its class, one text the name of its class; one other number is a
    label of one column. Several numbers are a label of as many columns.

    Args:
        source: "folders": the class is the folder that the file is in, by its path below those that
            all files share. NAME.csv: a header, the
            file in the first column; then either one column with its class or one column for each
            number of its label. NAME.json: {file: label}, or {"labels": [[file, label], ...]} as
            StyleGAN's tools write it; a label is a class name, a number or a list of numbers.
            NAME.npy: numbers, or a matrix with a row for each file, in the order of their names.
            Files that are not found are looked for among the images.
        image_dir: the folder that file names are relative to.
        names: files below it.
        options: parts of a table that are used.

    Raises:
        ValueError: a file has no label, or the labels do not fit together.
        OSError: the file with the labels cannot be read.
    """
    if source == "folders":
        return classes(_folders(names))
    source = located(source, image_dir)
    extension = os.path.splitext(source)[1].lower()
    if extension == ".npy":
        return FileLabels(read_matrix(source, len(names)), [])
    if extension in TABLES:
        table = parse_table(source, read_bytes(source, MAX_BYTES), options.header)
        entries = from_table(table, image_dir, names, options)
    elif extension == ".json":
        found = _from_json(source, read_bytes(source, MAX_BYTES))
        if found is None:
            logging.warning('%s: "labels" is null, so the images have no labels.', source)
            return None
        entries = found
    else:
        raise ValueError(f"`labels` must be {KINDS}. Received: labels={source}.")
    labels = _labels_of(entries, image_dir, names)
    return combine(source, names, labels, entries.columns)


def read_column(
    source: str | None,
    column: str,
    image_dir: str,
    names: Sequence[str],
    options: LabelOptions,
) -> list[str]:
    """Reads the text that a column of a table has for each file.

    Raises:
        ValueError: there is no such column, or a file has no row in the table, or a blank cell.
    """
    if source is None or os.path.splitext(source)[1].lower() not in TABLES:
        raise ValueError(
            "`split_by` must be folder, or a column of a .csv file that --labels names (of scans "
            "and volumes also subject). "
            f"Received: split_by={column}."
        )
    source = located(source, image_dir)
    table = parse_table(source, read_bytes(source, MAX_BYTES), options.header)
    wanted = dataclasses.replace(options, label_columns=(column,))
    return _labels_of(from_table(table, image_dir, names, wanted, as_text=True), image_dir, names)


def _folders(names: Sequence[str]) -> list[str]:
    """Returns the folder of each file, without the folders above that all of them share."""
    folders = [os.path.dirname(name) for name in names]
    shared = os.path.commonpath(folders) if all(folders) else ""
    if not shared or shared in folders:
        return [folder or "." for folder in folders]
    return [os.path.relpath(folder, shared) for folder in folders]


def located(source: str, image_dir: str) -> str:
    """Returns the path of a file with labels, which may lie among the images."""
    beside = os.path.join(image_dir, source)
    if os.path.lexists(source) or os.path.isabs(source):
        return source
    return beside if os.path.lexists(beside) or zips.is_zip(image_dir) else source


def _labels_of(entries: Entries, image_dir: str, names: Sequence[str]) -> list[Any]:
    """Looks up the label of each file.

    Raises:
        ValueError: a file has none, a blank one, or several.
    """
    try:
        meant = match_names(entries.by_name, image_dir, names)
    except ValueError as error:
        raise ValueError(f"{entries.source}: {error}") from None
    labels = []
    for name in names:
        if name not in meant:
            raise ValueError(_missing(entries, image_dir, names, meant))
        first, *others = meant[name]
        label = entries.by_name[first]
        for other in others:
            if entries.by_name[other] != label:
                raise ValueError(
                    f"{entries.source}: two labels for {name}: {shown(label)} for {first} and "
                    f"{shown(entries.by_name[other])} for {other}."
                )
        if label == "":
            line = f" line {entries.lines[first]}" if first in entries.lines else ""
            raise ValueError(
                f"{entries.source}{line}: the label of {first} is blank. Fill it in, or remove the "
                "image."
            )
        labels.append(label)
    return labels


def _missing(
    entries: Entries, image_dir: str, names: Sequence[str], meant: Mapping[str, Any]
) -> str:
    """Describes what a table has in place of the name of an image."""
    name = next(name for name in names if name not in meant)
    count = len(names) - len(meant)
    more = f" and {count - 1} others" if count > 1 else ""
    example = next(iter(entries.by_name), None)
    received = "no names" if example is None else f"for example: {shortened(example)!r}"
    return (
        f"{entries.source}: no label for {os.path.join(image_dir, name)}{more}. Add one. "
        f"Received, {received}."
    )


def _from_json(path: str, content: bytes) -> Entries | None:
    """Takes the labels of a JSON file; None if "labels" is null, as for StyleGAN's tools."""
    parsed = parse_json(content, path, allow_nan=True)
    pairs = list(parsed.items()) if isinstance(parsed, Mapping) else None
    if pairs is not None and "labels" in parsed:
        inner = parsed["labels"]
        if inner is None:
            return None
        if isinstance(inner, list):
            pairs = inner
        elif isinstance(inner, Mapping):
            pairs = list(inner.items())
    if pairs is None or not all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str)
        for pair in pairs
    ):
        raise ValueError(f'{path}: must be {{file: label}} or {{"labels": [[file, label], ...]}}.')
    return Entries(path, collected(path, pairs), [])
