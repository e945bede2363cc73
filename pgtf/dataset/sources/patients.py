"""Hashes of what DICOM headers say of patients: labels that repeat it are refused.

The hashes stay in memory. Their salt is no secret, since splits must be the same on every machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from pgtf.dataset.exporter import SHUFFLE_SEED

HASH_DIGITS = 16
FIELDS = (
    "PatientID",
    "PatientName",
    "OtherPatientNames",
    "PatientBirthDate",
    "AccessionNumber",
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "ContentDate",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "SOPInstanceUID",
)
NAMES = ("PatientName", "OtherPatientNames")
WORD = re.compile(r"[^\W_]+")
# Cells of tables in messages; files are named without quotation marks.
CELL = re.compile(r"'[^']*'|\"[^\"]*\"|(?<![\w/.-])\d+(?![\w/-])")
MIN_LETTERS = 3  # Shorter words are no names.


def hashed(text: str) -> str:
    """Hash of a text, the same within this program."""
    return hashlib.sha256(f"{SHUFFLE_SEED} {text}".encode()).hexdigest()[:HASH_DIGITS]


def subject_of(header: Any) -> str | None:
    """A hash that tells patients apart, and nothing else; None if the file names none."""
    text = str(header.get("PatientID") or header.get("StudyInstanceUID") or "").strip()
    return hashed(text) if text else None


def private_of(header: Any) -> frozenset[str]:
    """Hashes of a patient's names, numbers, dates and UIDs."""
    found: set[str] = set()
    for field in FIELDS:
        words = _words(str(header.get(field) or ""))
        found |= {"".join(words), "".join(reversed(words))}
        found |= {*words} if field in NAMES else set()
    found |= {_number(text) for text in found if text.isdecimal()}
    return frozenset(hashed(text) for text in found if text)


def check_labels(
    source: str,
    values: np.ndarray,
    names: Sequence[str],
    private: Sequence[frozenset[str]],
) -> None:
    """Refuses labels that are names, numbers or dates of patients: a dataset would keep them.

    Args:
        source: file with the labels, or "folders".
        values: class numbers [n], or columns of numbers [n, L].
        names: names of the classes or columns, if known.
        private: see `private_of`, for each of the n files.

    Raises:
        ValueError: at least half of the files have such a class, or all of them such a number.
    """
    told = [i for i, hashes in enumerate(private) if hashes]
    if not told:
        return
    if values.ndim == 1 and len(names):
        num = sum(_is_in(_parts(names[int(values[i])]), private[i]) for i in told)
        if 2 * num >= len(told):
            raise ValueError(
                f"{source}: the classes of {num} of {len(told)} files are names, numbers or dates "
                "of their patients, and would be kept in dataset.json. Rename the folders or "
                "classes, or give a table of other labels."
            )
    for column, numbers in enumerate(np.atleast_2d(values.T)):
        is_one = all(_is_in([_number(numbers[i])], private[i]) for i in told)
        if is_one and len(np.unique(numbers[told])) > 1:
            is_named = values.ndim == 2 and len(names)
            which = f"column {names[column]} holds" if is_named else "labels are"
            raise ValueError(
                f"{source}: {which} numbers or dates of patients, and would be kept in the "
                "dataset. Choose others with --label_columns; --split_by=COLUMN keeps a patient's "
                "images together."
            )


@contextlib.contextmanager
def without_patients(private: Iterable[frozenset[str]]) -> Iterator[None]:
    """Context manager that takes what headers say of patients out of messages about a table.

    Raises:
        ValueError: as in the `with` block, with [patient] in place of such cells.
    """
    try:
        yield
    except ValueError as error:
        known = frozenset[str]().union(*private)

        def shown(found: re.Match[str]) -> str:
            return "[patient]" if _is_in(_parts(found[0]), known) else found[0]

        raise ValueError(CELL.sub(shown, str(error))) from None


def _words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def _parts(text: str) -> list[str]:
    """All runs of words of a text, each without what is between them."""
    words = _words(text)[:16]
    ends = range(1, len(words) + 1)
    runs = ["".join(words[first:end]) for end in ends for first in range(end)]
    return [run for run in runs if len(run) >= MIN_LETTERS]


def _is_in(texts: Iterable[str], hashes: frozenset[str]) -> bool:
    return any(hashed(text) in hashes for text in texts)


def _number(value: Any) -> str:
    """A number as labels hold it, which are float32; "" for fractions."""
    number = float(np.float32(value))
    return str(int(number)) if number.is_integer() else ""
