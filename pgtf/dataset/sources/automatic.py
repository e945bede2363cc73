"""Datasets that training makes of a folder of images, under a name that says what is in it."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shlex
from collections.abc import Sequence

from tqdm import tqdm

from pgtf.dataset.absence import NoDataset
from pgtf.dataset.encoder import Rejected, TooManyRejected
from pgtf.dataset.exporter import Options, Summary
from pgtf.dataset.folder import open_dataset
from pgtf.dataset.pyramid import has_pyramid
from pgtf.dataset.sources.images import ImageOptions, create
from pgtf.dataset.sources.suggestion import kinds_of
from pgtf.dataset.sources.walking import NoImages, find_images
from pgtf.files import PASSING, retried
from pgtf.foreign.files import open_regular, size_of
from pgtf.installation import command

FOLDER = "datasets"
MAX_RESOLUTION = 256  # pixels, unless another number is asked for
MEDIAN = 0.5
ERRORS = 0.1  # share of the files that may be damaged
KNOWN_ERRORS = 0.5  # further share that cannot be opened, as HEIC files without their package
WHOLE_BYTES = 1 << 32  # Files of more bytes in all are compared by their beginnings and ends.
SAMPLE_BYTES = 1 << 12
PART_BYTES = 1 << 20  # read at a time
DIGITS = 8  # of a fingerprint in a name


@dataclasses.dataclass(frozen=True)
class Plan:
    """A dataset that images become."""

    image_dir: str
    target: str  # dataset folder
    images: ImageOptions
    num_files: int  # that promise an image; some may be damaged
    rejected: tuple[Rejected, ...]  # files that were looked at and cannot be opened

    @property
    def is_made(self) -> bool:
        """True if the dataset exists."""
        return os.path.isdir(self.target)

    @property
    def command(self) -> str:
        """The command that does the same."""
        images = self.images
        return shlex.join(
            [
                *command("dataset").split(),
                *("create_from_images", self.target, self.image_dir),
                f"--resolution={images.resolution}",
                f"--transform={images.transform}",
                f"--channels={images.channels}",
                f"--alpha={images.alpha}",
                f"--max_errors={images.max_errors}",
                *(["--range=auto"] if images.value_range else []),
            ]
        )

    def __str__(self) -> str:
        side = self.images.resolution
        most = self.num_files - len(self.rejected)
        left_out = ""
        if self.rejected:
            first = self.rejected[0]
            others = _counted(len(self.rejected), "other")
            left_out = f" without {others}, such as {first.name}: {first.reason}"
        return (
            f"{self.target}, up to {_counted(most, 'image')} of {self.image_dir} at {side}x{side}"
            f"{left_out} (as does {self.command})"
        )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def is_source(path: str) -> bool:
    """True for a folder without a dataset that holds images, or a zip archive of images.

    Raises:
        NoDataset: the folder holds neither.
        OSError, ValueError: it cannot be read, or the dataset in it is damaged.
    """
    if os.path.isfile(path):
        find_images(path)
        return True
    try:
        open_dataset(path, max_label_size=0)
    except NoDataset as error:
        if error.datasets:
            raise
        try:
            find_images(path)
        except NoImages as none:
            if none.held:
                raise ValueError(f"{error} It holds other files: {none.held}.") from None
            raise error from None
        return True
    return False


def plan(image_dir: str, resolution: int | None = None) -> Plan:
    """Plans a dataset of images; its name depends on their names and contents.

    Args:
        image_dir: the folder or archive.
        resolution: pixels; None = the largest power of two up to the median shorter side, and up to
            256.

    Raises:
        OSError, ValueError: the folder holds no image that can be read.
    """
    if resolution is not None and not has_pyramid(resolution, resolution):
        raise ValueError(
            f"`resolution` must be a power of two of at least 4. Received: resolution={resolution}."
        )
    names = find_images(image_dir).images
    found = kinds_of(image_dir, names)
    if not found.sizes:
        first = found.rejected[0]
        raise ValueError(
            f"{image_dir}: none of {found.num_files} files is an image that can be read. "
            f"{first.name}: {first.reason}."
        )
    share = ERRORS + min(len(found.rejected) / found.num_files, KNOWN_ERRORS)
    images = ImageOptions(
        resolution=resolution or found.side(MEDIAN, MAX_RESOLUTION),
        transform="center-crop",
        channels=found.channels,
        alpha="white",
        value_range="auto" if found.needs_range else None,
        max_errors=max(int(len(names) * share), 1),
    )
    name = os.path.basename(os.path.abspath(image_dir)).lstrip(".") or "images"
    if os.path.isfile(image_dir):
        name = os.path.splitext(name)[0]
    target = os.path.join(FOLDER, f"{name}-{_fingerprint(image_dir, names, images)}")
    return Plan(image_dir, target, images, len(names), found.rejected)


def make(planned: Plan) -> Summary | None:
    """Makes the dataset, or finishes it. Returns None if it exists."""
    if planned.is_made:
        return None
    options = Options(resume=True)
    try:
        return create(planned.target, planned.image_dir, planned.images, options)
    except TooManyRejected as error:
        allowed = dataclasses.replace(planned.images, max_errors=planned.num_files)
        command = dataclasses.replace(planned, images=allowed).command
        raise ValueError(
            f"{error}. Remove such files, or leave them all out: {command} --resume"
        ) from error


def _fingerprint(image_dir: str, names: Sequence[str], images: ImageOptions) -> str:
    """Hashes names and contents of files, and what becomes of them."""
    if os.path.isfile(image_dir):
        names, paths = [""], [image_dir]
    else:
        paths = [os.path.join(image_dir, name) for name in names]
    total = sum(map(_size, paths))
    digest = hashlib.sha256(f"{images.channels}x{images.resolution} {images.transform}".encode())
    for name, path in tqdm(
        zip(names, paths, strict=True), "Comparing", len(names), disable=None, unit="file"
    ):
        digest.update(f"\0{name}\0".encode("utf-8", "surrogateescape"))
        digest.update(_content(path, total <= WHOLE_BYTES))
    return digest.hexdigest()[:DIGITS]


def _size(path: str) -> int:
    try:
        return retried(lambda: os.stat(path).st_size, path)
    except OSError as error:
        if error.errno in PASSING:
            raise
        return 0  # It is rejected later.


def _content(path: str, whole: bool) -> bytes:
    """Hashes a file, or its size, beginning and end; b"" of one that cannot be read."""

    def read() -> bytes:
        with open_regular(path) as file:
            size = size_of(file)
            digest = hashlib.sha256(b"%d " % size)
            if whole:
                while part := file.read(PART_BYTES):
                    digest.update(part)
            else:
                digest.update(file.read(SAMPLE_BYTES))
                file.seek(max(size - SAMPLE_BYTES, 0))
                digest.update(file.read(SAMPLE_BYTES))
            return digest.digest()

    try:
        return retried(read, path)
    except OSError as error:
        if error.errno in PASSING:
            raise
        return b""
