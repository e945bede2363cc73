"""Damaged photographs and what is right for each: where it lies, and how it was before."""

from __future__ import annotations

import dataclasses
import functools
import struct
from collections.abc import Iterator

import numpy as np

from benchmarks import photograph_exif
from benchmarks.photograph_damage import DAMAGES
from benchmarks.photograph_exif import MUTATIONS, orientation_of
from benchmarks.photograph_files import Photograph, jpeg, photograph, tiff, with_metadata
from pgtf.foreign.pictures import formats

EXIF_SIDE, JPEG_SIDE, THUMBNAIL_SIDE = 32, 64, 16  # pixels
# Damages around the EXIF data, and the kinds of file that can have them.
AROUND = {
    "length of the segment wrong": ("JPEG",),
    "segment twice": ("JPEG",),
    "checksum wrong": ("PNG",),
    "XMP data as well": ("JPEG", "PNG", "WEBP"),
}
SHARES = {"JPEG": 0.55, "PNG": 0.17, "WEBP": 0.12, "TIFF": 0.12, "AVIF": 0.04}  # AVIF takes long
IN_TIFF = (
    *("none", "types changed", "counts changed", "orientation out of range", "two orientations"),
)
METADATA_TAGS = (0x10F, 0x110, 0x11A, 0x131, 0x8769, 0x8825, 0x9286)


@dataclasses.dataclass(frozen=True)
class Case:
    """A damaged file, and what is right."""

    damage: str
    photo: Photograph  # before
    content: bytes
    orientation: int = 1  # that a tolerant reader finds


def exif_cases(count: int, seed: int) -> Iterator[Case]:
    """Makes files with damaged EXIF data, whose pictures are good."""
    rng = np.random.default_rng(seed)
    damages = [*MUTATIONS, *AROUND]
    kinds = [kind for kind in SHARES if kind in formats()]
    for number in range(count):
        damage = damages[number % len(damages)]
        possible = [kind for kind in kinds if _suits(damage, kind)]
        shares = np.array([SHARES[kind] for kind in possible])
        kind = str(rng.choice(possible, p=shares / shares.sum()))
        thumbnail = _thumbnail() if rng.integers(2) else b""
        block = photograph_exif.whole(rng, int(rng.integers(1, 9)), thumbnail)
        if kind == "TIFF":
            yield _tiff_case(rng, damage, block)
        else:
            photo = photograph(rng, kind, EXIF_SIDE)
            yield _exif_case(rng, damage, photo, block)


@functools.cache
def _thumbnail() -> bytes:
    return jpeg(np.random.default_rng(0), THUMBNAIL_SIDE).content


def _suits(damage: str, kind: str) -> bool:
    if kind == "TIFF":
        return damage in IN_TIFF
    return damage in MUTATIONS or kind in AROUND[damage]


def _tiff_case(rng: np.random.Generator, damage: str, block: photograph_exif.Block) -> Case:
    photo = photograph(rng, "TIFF", EXIF_SIDE)
    if damage == "two orientations":
        changed = block.content
        second = struct.pack(block.order + "HHIHH", 274, 3, 1, int(rng.integers(0, 12)), 0)
    else:
        changed, second = MUTATIONS[damage](rng, block), b""
    records = [changed[block.place : block.place + photograph_exif.RECORD]]
    records += [second] if second else []
    for tag in rng.choice(METADATA_TAGS, int(rng.integers(0, 4)), replace=False):
        odd = photograph_exif.odd_record(rng, block.order)
        records.append(struct.pack(block.order + "H", int(tag)) + odd[2:])
    content = tiff(block.order, photo.pixels, records)
    return Case(damage, photo, content, orientation_of(content) or 1)


def _exif_case(
    rng: np.random.Generator, damage: str, photo: Photograph, block: photograph_exif.Block
) -> Case:
    if damage in MUTATIONS:
        changed = MUTATIONS[damage](rng, block)
        found = 0 if photo.kind == "AVIF" else orientation_of(changed)
        return Case(damage, photo, with_metadata(photo, changed), found or 1)
    if damage == "segment twice":
        first = MUTATIONS[str(rng.choice(["none", "cut off", "empty, zeros or noise"]))](rng, block)
        other = photograph_exif.whole(rng, int(rng.integers(1, 9))).content
        found = orientation_of(first) or orientation_of(other)
        return Case(damage, photo, with_metadata(photo, first, more=(other,)), found)
    if damage == "XMP data as well":
        first = MUTATIONS[str(rng.choice(["none", "orientation out of range"]))](rng, block)
        xmp = int(rng.integers(1, 9))
        content = with_metadata(photo, first if rng.integers(4) else None, xmp=xmp)
        found = orientation_of(first) if first in content else 0
        return Case(damage, photo, content, found or xmp)
    if damage == "checksum wrong":  # Readers of PNG files leave out such a chunk.
        return Case(damage, photo, with_metadata(photo, block.content, broken_checksum=True))
    extra = int(rng.integers(-len(block.content), 40))
    content = with_metadata(photo, block.content, extra=extra)
    return Case(
        damage, photo, content, orientation_of(block.content[: len(block.content) + extra]) or 1
    )


def jpeg_cases(count: int, seed: int) -> Iterator[Case]:
    """Makes JPEG files whose data are damaged."""
    rng = np.random.default_rng(seed)
    damages = list(DAMAGES)
    other = jpeg(rng, JPEG_SIDE)
    for number in range(count):
        photo, damage = jpeg(rng, JPEG_SIDE), damages[number % len(damages)]
        content = photo.content
        while content == photo.content:  # A random byte may be the one that was there.
            content = DAMAGES[damage](rng, photo.content, other.content)
        yield Case(damage, photo, content)
        other = photo
