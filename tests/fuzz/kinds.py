"""A kind of file that somebody else may have made: its seeds, ways to damage them, its reader."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import strategies as st

from pgtf.commands.command_line import import_tensorflow_quietly
from tests.fuzz import mutations, repairs
from tests.fuzz.cases import Case
from tests.fuzz.mutations import Mutate, bytes_edited
from tests.fuzz.seeds.datasets import idx_words

PLAIN, TENSORFLOW = "tests.fuzz.readers", "tests.fuzz.readers_tensorflow"
Damage = Callable[[Sequence[bytes]], Sequence[Mutate]]  # contents of seeds -> ways to damage one

# Parts that mean something in files of some kinds.
PICTURE_WORDS = (
    b"\xff\xd8 \xff\xda IDAT IHDR iCCP acTL VP8X ICCP RIFF !\xf9\x04 II*\0 MM\0* ftyp".split()
)
JSON_WORDS = [b"[", b"{", b"]", b"}", b'"', b",", b":", b"null", b"NaN", b"1e999", b'{"a":']
CSV_WORDS = [b",", b'"', b"\n", b"\r", b"\0", b";", b"nan", b"1e999", b"\xff"]
NPY_WORDS = [b"\x93NUMPY", b"'descr'", b"'<f4'", b"'|O'", b"'<U9'", b"(", b"L", b"True", b"9" * 20]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: as in the table of results.
        reader: name of the function of `module` that reads a folder.
        make_seeds: makes cases to damage.
        damage: makes ways to damage one of their files.
        names: true for the names of files that are damaged.
        weight: inputs per round; fewer for readers that start a process or build a network.
        continues: the reader may continue a job in a folder NAME.partial.
    """

    name: str
    reader: str
    make_seeds: Callable[[], Sequence[Case]]
    damage: Damage
    names: Callable[[str], bool] = lambda _: True
    weight: int = 100
    module: str = PLAIN
    continues: bool = False

    @property
    def needs_tensorflow(self) -> bool:
        """True if the reader's module imports TensorFlow."""
        return self.module == TENSORFLOW

    @functools.cached_property
    def seeds(self) -> list[Case]:
        """Cases to damage."""
        return list(self.make_seeds())

    @functools.cached_property
    def cases(self) -> st.SearchStrategy[Case]:
        """Damaged cases."""
        contents = [
            content
            for case in self.seeds
            for name, content in case.items()
            if self.names(name) and isinstance(content, bytes)
        ]
        return mutations.damaged(self.seeds, self.damage(contents), self.names)

    def imported(self) -> Kind:
        """Returns itself, after importing its reader, so that children need not."""
        if self.needs_tensorflow:
            import_tensorflow_quietly()
        importlib.import_module(self.module)
        return self

    def read(self, folder: Path) -> None:
        """Reads a case."""
        getattr(importlib.import_module(self.module), self.reader)(folder)


def edited(*words: bytes) -> Damage:
    """Damages bytes."""
    return lambda contents: [bytes_edited(contents, words)]


def repaired(repair: Callable[[bytes], bytes], *words: bytes) -> Damage:
    """Damages bytes, and in half of the files makes checksums right again."""

    def make(contents: Sequence[bytes]) -> list[Mutate]:
        plain = bytes_edited(contents, words)
        return [plain, mutations.repaired(plain, repair)]

    return make


def json_edited(contents: Sequence[bytes]) -> list[Mutate]:
    """Damages values of JSON, or bytes."""
    return [_value, _value, bytes_edited(contents, JSON_WORDS)]


def lines_edited(contents: Sequence[bytes]) -> list[Mutate]:
    """Damages a line of JSON, or bytes."""
    return [mutations.json_lines, mutations.json_lines, bytes_edited(contents, JSON_WORDS)]


def _value(content: bytes) -> st.SearchStrategy[bytes]:
    try:
        return mutations.json_file(content)
    except ValueError:  # A seed that once did harm need not be JSON.
        return bytes_edited()(content)


def pickle_edited(contents: Sequence[bytes]) -> list[Mutate]:
    """Damages instructions of a pickle, or bytes."""
    instructions = mutations.pickle_edited
    return [instructions, instructions, bytes_edited([], mutations.PICKLED)]


def gzip_edited(contents: Sequence[bytes]) -> list[Mutate]:
    """Damages bytes of a compressed file, before or after compression."""
    inside = bytes_edited([], idx_words())
    return [bytes_edited(), mutations.unpacked(inside, gzip.decompress, gzip.compress)]


def zip_edited(contents: Sequence[bytes]) -> list[Mutate]:
    """Damages bytes of an archive, or of a file in it, compressed or not."""
    inside = bytes_edited([], NPY_WORDS)
    return [bytes_edited(), repairs.member_edited(inside), repairs.member_edited(inside, 0)]


def hdf5_edited(*names: str) -> Damage:
    """Damages bytes of a snapshot, with or without a right checksum, or these JSON attributes."""

    def make(contents: Sequence[bytes]) -> list[Mutate]:
        plain, attributes = bytes_edited(), repairs.attributes_edited(*names)
        return [plain, mutations.repaired(plain, repairs.snapshot), attributes, attributes]

    return make


def ends(*suffixes: str) -> Callable[[str], bool]:
    """True for names that end with one of these."""
    return lambda name: name.endswith(suffixes)
