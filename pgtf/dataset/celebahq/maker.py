"""Makes an image of CelebA-HQ from its photograph and delta, or says what is wrong with them."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable, Iterator

import numpy as np

from pgtf import images as images_lib
from pgtf.dataset.celebahq import deltas
from pgtf.dataset.celebahq.align import align, md5
from pgtf.dataset.celebahq.deltas import DeltaDamaged, JpegDiffers
from pgtf.dataset.celebahq.geometry import SIZE
from pgtf.dataset.celebahq.inputs import IMAGE_FOLDER, Row
from pgtf.dataset.celebahq.jpeg import decode
from pgtf.dataset.celebahq.report import Outcome, Result, append_result
from pgtf.dataset.encoder import Rejected
from pgtf.dataset.pyramid import pyramid
from pgtf.files import PASSING, retried
from pgtf.foreign.files import read_bytes

MAX_JPEG = 1 << 28  # bytes of a photograph; those of CelebA have a few megabytes
SKIP = "--on_error=skip leaves such images out."


@dataclasses.dataclass(frozen=True)
class Item:
    """The inputs of one image."""

    row: Row
    landmarks: np.ndarray  # float32 [5, 2]


@dataclasses.dataclass(frozen=True)
class Maker:
    """Makes images in the workers, each of which opens the archives for itself."""

    celeba_dir: str
    delta_dir: str
    resolution: int = SIZE
    tolerant: bool = False  # keep images whose pixels differ from those the delta was made for
    skip: bool = False  # continue after an image that cannot be made
    report: str | None = None  # file that receives one line per image
    images_dir: str | None = None  # folder that receives one PNG file per image

    def __call__(self, items: Iterable[Item]) -> Iterator[np.ndarray | Rejected]:
        """Makes images: uint8 [3, R, R] each, or Rejected if `skip` is True.

        Raises:
            ValueError: an image cannot be made, and `skip` is False.
        """
        for item in items:
            image, result = self.make(item)
            if self.report is not None:
                append_result(self.report, result)
            if image is not None:
                if self.images_dir is not None:
                    path = os.path.join(self.images_dir, f"{item.row.idx:05d}.png")
                    images_lib.save_png(path, image.transpose(1, 2, 0))
                levels = pyramid(image[np.newaxis])
                yield levels[SIZE.bit_length() - self.resolution.bit_length()][0]
            elif self.skip:
                yield Rejected(item.row.orig_file, f"{result.outcome.value}: {result.detail}")
            else:
                raise ValueError(f"{str(result).rstrip('.')}. {SKIP}")

    def make(self, item: Item) -> tuple[np.ndarray | None, Result]:
        """Makes one image -> uint8 [3, 1024, 1024] or None, and the outcome."""
        row = item.row
        try:
            jpeg = self._read_jpeg(row)
            token = retried(lambda: self._archives.read(row.idx), deltas.zip_name(row.idx))
            delta = deltas.open_token(token, jpeg, row.orig_file)
        except OSError as error:
            if error.errno in PASSING:  # The file may be whole, so it is not left out.
                raise
            detail = f"cannot be read: {error}" if error.errno else str(error)
            return None, Result(row, Outcome.MISSING, detail)
        except DeltaDamaged as error:
            return None, Result(row, Outcome.DELTA_DAMAGED, str(error))
        except JpegDiffers as error:
            detail = _defect(jpeg) or f"{error}: a re-encoded, aligned or renamed copy"
            return None, Result(row, Outcome.JPEG_DIFFERS, detail)
        try:
            aligned = align(decode(jpeg), item.landmarks)
        except ValueError as error:
            return None, Result(row, Outcome.PIXELS_DIFFER, str(error))
        if md5(aligned) != row.proc_md5:
            if self.tolerant:
                image = deltas.apply_tolerantly(aligned, delta)
                return image, Result(row, Outcome.TOLERATED, "proc_md5 does not match")
            return None, Result(row, Outcome.PIXELS_DIFFER, "proc_md5 does not match")
        image = deltas.apply(aligned, delta)
        if md5(image) != row.final_md5:
            return None, Result(row, Outcome.FINAL_DIFFERS, "final_md5 does not match")
        return image, Result(row, Outcome.OK)

    def _read_jpeg(self, row: Row) -> bytes:
        try:
            return read_bytes(os.path.join(self.celeba_dir, IMAGE_FOLDER, row.orig_file), MAX_JPEG)
        except FileNotFoundError:
            raise FileNotFoundError(f"{row.orig_file} is missing") from None
        except ValueError as error:
            raise OSError(str(error)) from None

    @functools.cached_property
    def _archives(self) -> deltas.Archives:
        return deltas.Archives(self.delta_dir)

    def __getstate__(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def _defect(jpeg: bytes) -> str:
    """The reason why a JPEG file cannot be decoded; "" if it can."""
    try:
        decode(jpeg)
    except ValueError as error:
        return str(error)
    return ""
