"""Images of one file of arrays: volumes, multi-page files, or a single image."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import logging
import os
import warnings
from collections.abc import Callable, Iterator

import numpy as np

from pgtf.dataset.description import PAPER_GRID
from pgtf.dataset.sources.ranges import Range
from pgtf.grids import Grid

KEPT_BYTES = 1 << 29  # of decoded files that a process keeps, besides the last one
FEW_CHANNELS = 16  # A longer last axis is taken for columns where images may have any size.
MAX_BYTES = 1 << 33  # of a decoded file
# A compressed file may be any number of times as large when it is unpacked, up to so many bytes;
# beyond them at most so many times, and it has no more images than bytes.
FREE_BYTES = 1 << 28
MAX_PACKING = 128
FREE_IMAGES = 1 << 16
BYTES_PER_BYTE = 64  # of memory of a process that unpacks a file, beyond FREE_BYTES


@dataclasses.dataclass(frozen=True)
class Place:
    """Position of a volume in space."""

    affine: np.ndarray  # [4, 4]: indices of voxels -> millimetres
    sides: tuple[int, ...]  # numbers of voxels

    def apart(self, other: Place) -> float:
        """Largest distance of corners of two volumes, in the smallest sides of voxels."""
        ends = [(0, side - 1) for side in self.sides]
        corners = np.array([(*corner, 1) for corner in itertools.product(*ends)])
        distances = np.linalg.norm((corners @ (self.affine - other.affine).T)[:, :3], axis=1)
        voxel = np.linalg.norm(self.affine[:3, :3], axis=0).min()
        return float(distances.max() / voxel)


@dataclasses.dataclass(frozen=True)
class Stack:
    """Images of one file, in order."""

    num: int
    shape: tuple[int, int, int]  # [H, W, C] of each
    read: Callable[[int], np.ndarray]  # number -> [H, W, C] of any type of number
    num_bytes: int = 0  # of memory while it is open; 0 = they stay in the file
    unit: str = ""  # of the values, such as HU
    subject: str | None = None  # a hash of the patient; images of one are held out together
    is_volume: bool = False  # Its images resemble each other, and belong together.
    window: Range | None = None  # values to show as black and white
    is_burned_in: bool = False  # Its pixels may show who the patient is.
    place: Place | None = None  # None = unknown
    private: frozenset[str] = frozenset()  # hashes of what the header says of the patient


@dataclasses.dataclass(frozen=True)
class Reading:
    """Meaning of the axes of arrays and volumes."""

    layout: str = "NHWC"
    axis: str = "z"  # of volumes: their images are slices across it
    grid: Grid = PAPER_GRID
    any_size: bool = False  # Images need not be the grid times a power of two.
    is_mask: bool = False  # Values are names, such as numbers of tissues, that cannot be averaged.


Opener = Callable[[str, Reading], Stack]
_Key = tuple[str, int, int, Reading]


class StackCache:
    """Stacks that were opened last, so that images of one file do not decode it again each."""

    def __init__(self, opener: Opener):
        self._open = opener
        self._stacks: collections.OrderedDict[_Key, Stack] = collections.OrderedDict()

    def open(self, path: str, reading: Reading) -> Stack:
        """Opens a file, or returns its stack if it is open and has not changed.

        Raises:
            OSError, ValueError: it cannot be read.
        """
        found = os.stat(path)
        key = (path, found.st_mtime_ns, found.st_size, reading)
        if key in self._stacks:
            self._stacks.move_to_end(key)
            return self._stacks[key]
        stack = self._open(path, reading)
        if stack.num > max(FREE_IMAGES, found.st_size):
            raise ValueError(
                f"claims to hold {stack.num} images, too many for its {found.st_size} bytes"
            )
        self._stacks[key] = stack
        while len(self._stacks) > 1 and self._num_bytes() > KEPT_BYTES:
            self._stacks.popitem(last=False)
        return stack

    def _num_bytes(self) -> int:
        # A mapped file takes some memory, too.
        return sum(stack.num_bytes + (1 << 16) for stack in self._stacks.values())


@contextlib.contextmanager
def one_kind_of_error() -> Iterator[None]:
    """Context manager that turns all that a damaged file may raise into ValueError or OSError."""
    try:
        yield
    except (OSError, ValueError):
        raise
    except MemoryError:
        raise ValueError("needs more memory than there is") from None
    except Exception as error:
        raise ValueError(f"damaged ({type(error).__name__})") from None


class Unusable(ValueError):
    """Carries a text of ours, which holds nothing of the file."""


@contextlib.contextmanager
def errors_of(kind: str, *loggers: str) -> Iterator[None]:
    """Context manager that silences a library and turns its errors into ones without content.

    Args:
        kind: of the file, for messages.
        loggers: names of loggers whose notes quote values of the file.

    Raises:
        MemoryError, ValueError: as above. OSError: a disk does not recover.
    """
    for name in loggers:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (MemoryError, Unusable):
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise ValueError("truncated or damaged") from None
    except Exception as error:
        raise ValueError(f"not a {kind} file, or damaged ({type(error).__name__})") from None


def of_array(images: np.ndarray, num_bytes: int = 0) -> Stack:
    """Stack of an array [N, H, W, C]; bools become 0 and 255."""

    def read(number: int) -> np.ndarray:
        image = np.asarray(images[number])
        return image.astype(np.uint8) * 255 if image.dtype == bool else image

    num, height, width, channels = images.shape
    return Stack(num, (height, width, channels), read, num_bytes)


def check_packing(num_bytes: int, file_bytes: int, remedy: str = "") -> None:
    """Refuses a compressed file of so many bytes that claims to hold too many.

    Raises:
        Unusable: it does.
    """
    if num_bytes > max(FREE_BYTES, MAX_PACKING * file_bytes):
        raise Unusable(
            f"claims to hold {num_bytes >> 20} MiB, too much for its {file_bytes} bytes{remedy}"
        )


def memory_for(path: str) -> int:
    """Returns the bytes that a process may take to read a file."""
    return min(FREE_BYTES + BYTES_PER_BYTE * os.stat(path).st_size, 4 * MAX_BYTES)


def arranged(array: np.ndarray, reading: Reading) -> np.ndarray:
    """Orders the axes of an array by a layout: -> view [N, H, W, C].

    An array of three axes has images without channels, [N, H, W], or is one image, [H, W, C], if
    only that has the shape of the grid; where images may have any size, if the last axis is much
    shorter than the others. With NCHW it is one image, [C, H, W].

    Raises:
        ValueError: it has other numbers of axes.
    """
    layout = reading.layout
    if array.ndim == 2:
        layout = "HW"
    elif array.ndim == 3 and layout == "NCHW":
        layout = "CHW"
    elif array.ndim == 3 and layout == "NHWC":
        layout = "HWC" if _is_one_image(array.shape, reading) else "NHW"
    if len(layout) != array.ndim:
        raise ValueError(
            f"must have the axes {reading.layout}, found {array.ndim} axes, "
            f"{list(array.shape)}; --layout names them"
        )
    order = [layout.index(axis) for axis in "NHWC" if axis in layout]
    array = array.transpose(order)
    if "N" not in layout:
        array = array[np.newaxis]
    return array if "C" in layout else array[..., np.newaxis]


def _is_one_image(shape: tuple[int, ...], reading: Reading) -> bool:
    if reading.any_size:
        return shape[2] <= min(FEW_CHANNELS, min(shape[:2]) // 4)
    level_of = reading.grid.level_of
    return level_of(*shape[1:]) is None and level_of(*shape[:2]) is not None
