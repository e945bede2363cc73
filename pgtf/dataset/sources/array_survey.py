"""Files of arrays: which there are, and a look at all their values before they are converted."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from pgtf.dataset.absence import is_hidden
from pgtf.dataset.encoder import Rejected
from pgtf.dataset.exporter import BYTES_PER_WORKER
from pgtf.dataset.sources.array_files import open_npy, open_npz
from pgtf.dataset.sources.deep import check_finite, sampled
from pgtf.dataset.sources.dicom import MAGIC, MAGIC_AT, open_dicom
from pgtf.dataset.sources.nifti import open_nifti
from pgtf.dataset.sources.ranges import Range
from pgtf.dataset.sources.reading import read_or_reject
from pgtf.dataset.sources.stacks import Opener, Reading, Stack, StackCache, one_kind_of_error
from pgtf.dataset.sources.tiff_stacks import open_tiff_stack
from pgtf.dataset.sources.walking import SYSTEM_FILES, SYSTEM_FOLDERS
from pgtf.dataset.workers import default_num_workers, ordered_map
from pgtf.foreign.files import open_regular

# Extensions, the longer ones first.
OPENERS: dict[str, Opener] = {
    ".nii.gz": open_nifti,
    ".nii": open_nifti,
    ".npy": open_npy,
    ".npz": open_npz,
    ".tiff": open_tiff_stack,
    ".tif": open_tiff_stack,
    ".dicom": open_dicom,
    ".dcm": open_dicom,
}
KINDS = ".npy, .npz, .tif, .nii, .nii.gz, or DICOM"
INTEGER, REAL = "integer", "real"
MAX_MASKS = 63  # values of masks, each of which is a channel
APART = 0.5  # voxels that a mask may be away from its volume
MANY = 1 << 20  # images that the samples of a set are spread over, if it has more


@dataclasses.dataclass(frozen=True)
class Facts:
    """Facts about the values of a file."""

    num: int
    shape: tuple[int, int, int]  # [H, W, C] of its images
    extent: Range  # lowest and highest value
    kind: str  # "uint8", INTEGER or REAL
    samples: np.ndarray  # float32, some values
    num_bytes: int  # of memory while it is open
    unit: str
    subject: str | None
    is_volume: bool
    window: Range | None
    is_burned_in: bool
    private: frozenset[str]
    masks: tuple[int, ...] = ()  # values of its mask that are not 0


def extension(name: str) -> str:
    """Extension of a file that is opened by it; "" for any other."""
    lower = name.lower()
    return next((end for end in OPENERS if lower.endswith(end)), "")


def find_files(source: str) -> tuple[list[str], list[str]]:
    """Lists files of arrays below a folder, and other files; a file stands for itself.

    Hidden files and folders, and those of systems, are passed over. DICOM files often have no
    extension, or any: their content tells them.

    Raises:
        OSError: there is no such folder or file, or it cannot be read.
        ValueError: it holds no such files.
    """
    if os.path.isfile(source):
        _check_kind(source)
        return [os.path.basename(source)], []
    if not os.path.isdir(source):
        raise FileNotFoundError(f"{source}: no such folder or file.")
    arrays: list[str] = []
    others: list[str] = []

    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(source, onerror=refuse):
        folders[:] = sorted(x for x in folders if not _is_passed_over(x, SYSTEM_FOLDERS))
        for file in files:
            if _is_passed_over(file, SYSTEM_FILES) or file.upper() == "DICOMDIR":
                continue
            path = os.path.join(folder, file)
            known = arrays if extension(file) or _is_dicom(path) else others
            known.append(os.path.relpath(path, source))
    if not arrays:
        raise ValueError(f"{source}: no files of arrays in it ({KINDS}).")
    return sorted(arrays), sorted(others)


def _is_passed_over(name: str, of_systems: frozenset[str]) -> bool:
    return is_hidden(name) or name.lower() in of_systems


def _check_kind(path: str) -> None:
    """Raises ValueError for a file of another kind."""
    if not extension(path) and not _is_dicom(path) and os.access(path, os.R_OK):
        raise ValueError(f"{path}: must be one of {KINDS}, found another extension and content.")


def _is_dicom(path: str) -> bool:
    try:
        with open_regular(path) as file:
            return file.read(MAGIC_AT + len(MAGIC))[MAGIC_AT:] == MAGIC
    except (OSError, ValueError):
        return False


def open_stack(path: str, reading: Reading) -> Stack:
    """Opens a file of any of the kinds.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    with open_regular(path):  # Libraries would wait for a pipe.
        pass
    return OPENERS[extension(path) or ".dcm"](path, reading)


CACHE = StackCache(open_stack)  # of this process


def look_at_all(
    root: str,
    pairs: Sequence[tuple[str, str | None]],
    reading: Reading,
    num_workers: int | None,
) -> list[Facts | Rejected]:
    """Reads all values of some files.

    Args:
        root: folder of the files.
        pairs: path of each file below it, and the path of its mask, if there are masks.
        reading: meaning of the axes.
        num_workers: processes; None = one per core.

    Raises:
        OSError: a disk does not recover.
    """
    look = _Look(root, reading, len(pairs))
    num_bytes = sum(_size(os.path.join(root, name)) for name, _ in pairs)
    num_workers = num_workers or default_num_workers()
    num_workers = min(num_workers, len(pairs), 1 + num_bytes // BYTES_PER_WORKER)
    with tqdm(total=len(pairs), unit="file", desc="Reading values", disable=None) as bar:
        found = []
        for facts in ordered_map(look, pairs, num_workers):
            found.append(facts)
            bar.update()
    return found


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0  # It is rejected when it is read.


@dataclasses.dataclass(frozen=True)
class _Look:
    """Finds the facts of a file in a worker."""

    root: str
    reading: Reading
    num_files: int

    def __call__(self, pair: tuple[str, str | None]) -> Facts | Rejected:
        path = os.path.join(self.root, pair[0])
        return read_or_reject(path, functools.partial(self._look, path, pair[1]))

    @one_kind_of_error()
    def _look(self, path: str, mask: str | None) -> Facts:
        stack = CACHE.open(path, self.reading)
        total = min(self.num_files * stack.num, MANY)
        kinds, samples, extents = set(), [], []
        for number in range(stack.num):
            image = stack.read(number)
            check_finite(image)
            kinds.add(kind_of(image.dtype))
            samples.append(sampled(image, total))
            extents.append((image.min().item(), image.max().item()))
        low, high = min(x for x, _ in extents), max(x for _, x in extents)
        if low == high:
            raise ValueError(f"is constant, all its values are {low:g}")
        return Facts(
            stack.num,
            stack.shape,
            (float(low), float(high)),
            REAL if REAL in kinds else kinds.pop() if len(kinds) == 1 else INTEGER,
            np.concatenate(samples),
            stack.num_bytes,
            stack.unit,
            stack.subject,
            stack.is_volume,
            stack.window,
            stack.is_burned_in,
            stack.private,
            masks=() if mask is None else _mask_values(mask, stack, self.reading),
        )


def kind_of(dtype: np.dtype[np.generic]) -> str:
    """Kind of the values of a type."""
    if dtype == np.uint8:
        return "uint8"
    return INTEGER if dtype.kind in "iu" else REAL


def _mask_values(path: str, images: Stack, reading: Reading) -> tuple[int, ...]:
    """Values of a mask that are not 0.

    Raises:
        ValueError: it does not fit the images, or is no mask.
    """
    try:
        stack = CACHE.open(path, dataclasses.replace(reading, is_mask=True))
        found, wanted = (stack.num, stack.shape), (images.num, (*images.shape[:2], 1))
        if found != wanted:
            raise ValueError(f"must have {_described(*wanted)}, found {_described(*found)}")
        if images.place and stack.place and (apart := images.place.apart(stack.place)) > APART:
            raise ValueError(
                f"must lie where its images do (affine), found {apart:.3g} voxels between them"
            )
        values: set[int] = set()
        for number in range(stack.num):
            mask = stack.read(number)
            check_finite(mask)
            if mask.dtype.kind == "f" and (mask % 1).any():
                raise ValueError("must have whole numbers")
            values |= {int(value) for value in np.unique(mask)}
            if len(values) > MAX_MASKS + 1:
                raise ValueError(f"must have at most {MAX_MASKS} values besides 0")
    except ValueError as error:
        raise ValueError(f"its mask {path}: {error}") from None
    return tuple(sorted(values - {0}))


def _described(num: int, shape: tuple[int, ...]) -> str:
    height, width, channels = shape
    more = f" with {channels} channels" if channels > 1 else ""
    return f"{num} images of {height}x{width}{more}"
