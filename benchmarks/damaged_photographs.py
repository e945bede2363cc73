"""Reads damaged photographs as the commands do: python -m benchmarks.damaged_photographs

Makes photographs on the spot: JPEG (gray, color, CMYK; baseline, progressive, arithmetic; with and
without restart markers), PNG, WebP, TIFF and AVIF. Damages the EXIF data of some, whose pictures
stay good and must be accepted upright; and the picture data of JPEG files, of which each that
libjpeg itself warns about must be refused, in one line that names the file. Prints both as tables,
and ends with exit code 1 if one of these claims is broken.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import importlib.metadata
import mmap
import platform
import re
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.libjpeg import Judge, Verdict
from benchmarks.photograph_cases import Case, exif_cases, jpeg_cases
from benchmarks.photograph_files import CONTAINERS
from pgtf.commands.parsers import Parser
from pgtf.dataset.sources.pictures import Conversion, read_picture
from pgtf.dataset.sources.reading import read_or_refuse
from tests.fuzz.children import ACCEPTED, REFUSED, Children, Outcome

# libjpeg warns about these values, which have no effect on the pixels.
HARMLESS = re.compile("unknown JFIF revision|Invalid SOS parameters for sequential")
FAR, SHARE_FAR = 40, 0.01  # levels; share of the pixels that are as far off
HEAD = struct.Struct("III")  # channels, height, width of what a child has read
PACKAGES = ("pillow", "simplejpeg", "numpy")


class Reader:
    """Reads files in a child process, as the commands do; a context manager."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._shared = mmap.mmap(-1, 1 << 20)
        self._children = Children(self._read, Path(self._folder.name))

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exception: object) -> None:
        self._children.close()
        self._folder.cleanup()

    def __call__(self, case: Case, plain: bool) -> tuple[Outcome, np.ndarray | None]:
        """Reads a file: -> outcome, and uint8 [C, H, W] if it was accepted.

        Args:
            case: the file.
            plain: as create_from_images does without flags, which converts nothing.
        """
        channels, side = case.photo.pixels.shape[:2]
        how = "plain" if plain and case.photo.is_plain else "converted"
        name = f"{how}-{channels}-{side}.{CONTAINERS[case.photo.kind]}"
        outcome = self._children.outcome({name: case.content})
        if outcome.verdict != ACCEPTED:
            return outcome, None
        shape = HEAD.unpack_from(self._shared)
        pixels = np.frombuffer(self._shared, np.uint8, int(np.prod(shape)), HEAD.size)
        return outcome, pixels.reshape(shape).copy()

    def _read(self, folder: Path) -> None:
        """Runs in the child."""
        (path,) = folder.iterdir()
        how, channels, side = path.stem.split("-")
        conversion = Conversion(int(channels), int(side), strict=how == "plain")
        pixels = read_or_refuse(str(path), lambda: read_picture(str(path), conversion))
        HEAD.pack_into(self._shared, 0, *pixels.shape)
        self._shared[HEAD.size : HEAD.size + pixels.size] = pixels.tobytes()


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns uint8 [C, H, W] as EXIF says, with NumPy alone."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(0, 2, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[:, ::-1]
    return pixels[:, :, ::-1] if orientation in (2, 3, 6, 7) else pixels


@dataclasses.dataclass(frozen=True)
class Result:
    """One damaged file and what became of it.

    Attributes:
        case: the file.
        is_bad: libjpeg warns about it or gives up; False for files of other kinds.
        outcome: as the reader ended.
        share_off: pixels that are not those of the whole file; 0 unless it was accepted.
        share_far: pixels that differ from it by more than FAR levels.
    """

    case: Case
    is_bad: bool
    outcome: Outcome
    share_off: float = 0.0
    share_far: float = 0.0

    @property
    def verdict(self) -> str:
        """One of accepted, other pixels, refused, or a finding."""
        return "other pixels" if self.share_off else self.outcome.verdict


def results(cases: Iterator[Case], is_exif: bool) -> Iterator[Result]:
    """Reads damaged files, of which libjpeg judges those of its kind."""
    with Judge() as judge, Reader() as read:
        for number, case in enumerate(cases):
            is_bad = False
            if case.photo.kind == "JPEG":
                if judge(case.photo.content) != Verdict([], None, case.photo.checksum):
                    raise ValueError(f"libjpeg and Pillow differ about a whole {case.photo.name}")
                found = judge(case.content)
                # Bytes that a wrong length leaves over do not make a picture bad.
                is_bad = _has_other_pixels(found, case) if is_exif else _is_damaged(found)
            outcome, pixels = read(case, plain=bool(number % 2))
            result = Result(case, is_bad, outcome)
            if pixels is not None:
                off = _differences(pixels, upright(case.photo.pixels, case.orientation))
                shares = float((off > 0).mean()), float((off > FAR).mean())
                result = Result(case, is_bad, outcome, *shares)
            yield result


def _is_damaged(found: Verdict) -> bool:
    warnings = [line for line in found.warnings if not HARMLESS.search(line)]
    return bool(warnings) or found.failure is not None


def _has_other_pixels(found: Verdict, case: Case) -> bool:
    return found.failure is not None or found.checksum != case.photo.checksum


def _differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Largest difference of each pixel; that of pictures of other sizes is 255 everywhere."""
    if a.shape != b.shape:
        return np.full(1, 255)
    return np.abs(a.astype(int) - b).max(axis=0)


def broken_claims(found: list[Result], is_exif: bool) -> list[str]:
    """Describes every file that became of something else than it should."""
    broken = []
    for result in found:
        allowed = {REFUSED} if result.is_bad else {ACCEPTED}
        if is_exif and result.is_bad:
            allowed = {REFUSED, ACCEPTED}
        elif not is_exif and not result.is_bad:  # libjpeg does not notice everything
            allowed = {ACCEPTED, "other pixels"}
        if result.verdict not in allowed:
            kind = "bad" if result.is_bad else "good"
            message = result.outcome.message.partition(": ")[2]
            broken.append(
                f"{result.case.damage}, {kind} {result.case.photo.name}: "
                f"{result.verdict} {message}".rstrip()
            )
    return broken


def exif_table(found: list[Result]) -> list[str]:
    """Rows of a Markdown table: files with damaged EXIF data."""
    rows = ["| EXIF data | files | good pictures | accepted, upright | otherwise | refused |"]
    rows.append("| --- | ---: | ---: | ---: | ---: | ---: |")
    for damage, group in _grouped(found):
        good = [x for x in group if not x.is_bad]
        counts = collections.Counter(x.verdict for x in good)
        others = len(good) - counts[ACCEPTED] - counts[REFUSED]
        cells = [len(group), len(good), counts[ACCEPTED], others, counts[REFUSED]]
        rows.append(f"| {damage} | {' | '.join(map(str, cells))} |")
    return rows


def jpeg_table(found: list[Result]) -> list[str]:
    """Rows of a Markdown table: damaged JPEG files."""
    rows = ["| damage | files | libjpeg warns | of these refused | accepted, same pixels |"]
    rows[0] += " other pixels | over 40 levels off in 1% |"
    rows.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for damage, group in _grouped(found):
        bad = [x for x in group if x.is_bad]
        refused = sum(x.verdict == REFUSED for x in bad)
        same, other = (
            sum(x.verdict == verdict for x in group) for verdict in (ACCEPTED, "other pixels")
        )
        far = sum(x.share_far > SHARE_FAR for x in group)
        shares = [f"{100 * number / len(group):.1f}%" for number in (same, other, far)]
        rows.append(f"| {damage} | {len(group)} | {len(bad)} | {refused} | {' | '.join(shares)} |")
    return rows


def _grouped(found: list[Result]) -> list[tuple[str, list[Result]]]:
    groups: dict[str, list[Result]] = {}
    for result in found:
        groups.setdefault(result.case.damage, []).append(result)
    return [*groups.items(), ("all", found)]


def main() -> None:
    """Runs the command."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--exifs", type=int, default=3000, help="(default: %(default)s)")
    parser.add_argument("--jpegs", type=int, default=3000, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    args = parser.parse_args()
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    versions += [f"Python {platform.python_version()}", f"{datetime.date.today()}"]
    print(
        f"python -m benchmarks.{Path(__file__).stem} --exifs={args.exifs} --jpegs={args.jpegs} "
        f"--seed={args.seed}: {', '.join(versions)}\n"
    )
    exifs = list(results(exif_cases(args.exifs, args.seed), is_exif=True))
    print("\n".join(exif_table(exifs)), end="\n\n", flush=True)
    jpegs = list(results(jpeg_cases(args.jpegs, args.seed), is_exif=False))
    print("\n".join(jpeg_table(jpegs)), end="\n\n", flush=True)
    broken = broken_claims(exifs, is_exif=True) + broken_claims(jpegs, is_exif=False)
    for line, number in collections.Counter(broken).most_common():
        print(f"{number} x {line}")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
