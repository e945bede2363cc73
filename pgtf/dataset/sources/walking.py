"""The image files in a folder and the folders below it."""

from __future__ import annotations

import collections
import dataclasses
import os
import stat
from collections.abc import Callable, Mapping

from pgtf.dataset.absence import RECORDS_NAME, is_hidden
from pgtf.dataset.encoder import Rejected
from pgtf.files import PASSING, retried
from pgtf.foreign import zips
from pgtf.foreign.files import open_regular
from pgtf.foreign.formats import extensions
from pgtf.foreign.limits import UnreadableKind
from pgtf.foreign.pictures import open_picture, reason
from pgtf.installation import spelled

# Folders and files that systems add to those of people, in lower case. Names that begin with a dot
# are hidden anyway.
SYSTEM_FOLDERS = frozenset(
    (
        *("@eadir", "@tmp", "#recycle", "#snapshot"),  # Synology
        *("@recycle", "@recently-snapshot"),  # QNAP
        *("$recycle.bin", "recycler", "recycled", "system volume information"),  # Windows
        *("__macosx", "lost+found", "~snapshot"),
    )
)
SYSTEM_FILES = frozenset(("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"))
HIDDEN, DATASET, RUN = "hidden", "dataset", "training run"
RUN_FILES = frozenset(("config.json", "identity.json"))
# First bytes of pictures, even damaged ones.
STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*")
MAX_KINDS = 5  # kinds of files in a message
_CONVERT = ". Write {} as PNG files first"
ADVICE = {
    **dict.fromkeys(
        (".npy", ".npz", ".nii", ".gz", ".dcm"), ". `create_from_arrays` reads arrays and scans"
    ),
    **dict.fromkeys(
        (".parquet", ".arrow", ".feather", ".tar", ".tfrecord", ".tfrecords"),
        _CONVERT.format("the images in the tables or archives"),
    ),
    **dict.fromkeys((".h5", ".hdf5"), ". `create_from_hdf5` reads HDF5 files of the 2017 release"),
    ".mdb": ". `create_lsun` reads LMDB folders",
    ".zip": ". Give the .zip file itself in place of the folder",
}


class NoImages(ValueError):
    """A folder holds no images.

    Attributes:
        held: kinds of files that it holds, and what can be done with them; "" = none.
    """

    def __init__(self, path: str, held: str):
        super().__init__(f"{path}: no image files in it{held and f', but other files: {held}'}.")
        self.held = held


@dataclasses.dataclass(frozen=True)
class Found:
    """Files below a folder, by their paths from there."""

    images: list[str]  # sorted
    others: list[str]  # sorted: files of other kinds
    rejected: list[Rejected]  # folders that cannot be read
    passed_over: Mapping[str, int]  # name or kind of what is no source of images -> how often


def list_images(image_dir: str) -> tuple[list[str], list[str]]:
    """Returns the sorted paths of image files, and of others, below a folder.

    Raises:
        OSError: a folder cannot be read. See also `find_images`.
    """
    found = find_images(image_dir)
    if found.rejected:
        raise PermissionError(f"{found.rejected[0].name}: {found.rejected[0].reason}.")
    return found.images, found.others


def find_images(image_dir: str) -> Found:
    """Finds the image files in a folder and the folders below it, or in a zip archive.

    A file counts as an image if it has the extension of an image, or if it can be opened as one,
    or has another or no extension but begins as a picture does. Hidden files and folders, those
    that systems add, datasets and training runs are passed over.

    Raises:
        OSError: there is no such folder, or it cannot be read.
        ValueError: it holds a dataset, or (NoImages) no images.
    """
    list_folder = retried(lambda: _lister(image_dir), image_dir)
    walk = _Walk(image_dir, list_folder)
    walk.enter(image_dir, frozenset())
    found = Found(sorted(walk.images), sorted(walk.others), walk.rejected, dict(walk.passed_over))
    if not found.images:
        raise NoImages(image_dir, _held(found))
    return found


def _lister(image_dir: str) -> Callable[[str], list[_Entry]]:
    """Returns the function that lists a folder, on a disk or in an archive.

    Raises:
        OSError: there is no such folder, or it cannot be read.
        ValueError: it is a file, but no archive, or a damaged one.
    """
    try:
        is_folder = stat.S_ISDIR(os.stat(image_dir).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{image_dir}: no such folder of images.") from None
    if is_folder:
        return _list_folder
    if not zips.is_zip(image_dir):
        raise ValueError(
            f"{image_dir}: must be a folder of images, or a .zip file. Received: another file. "
            "Unpack it first."
        )
    return _ZipFolders(image_dir).list


@dataclasses.dataclass(frozen=True)
class _Entry:
    """A name in a folder."""

    name: str
    path: str
    is_folder: bool
    is_file: bool  # False for a pipe, which would be waited for


class _Walk:
    """Files and folders met so far."""

    def __init__(self, root: str, list_folder: Callable[[str], list[_Entry]]):
        self.images: list[str] = []
        self.others: list[str] = []
        self.rejected: list[Rejected] = []
        self.passed_over: collections.Counter[str] = collections.Counter()
        self._root = root
        self._list = list_folder
        self._readable = extensions()

    def enter(self, folder: str, above: frozenset[str]) -> None:
        """Walks a folder and those below; follows no link back to a folder in `above`."""
        real = os.path.realpath(folder)
        if real in above:
            return
        try:
            entries = retried(lambda: self._list(folder), folder)
        except OSError as error:
            if folder == self._root or error.errno in PASSING:
                raise
            self.rejected.append(Rejected(folder, reason(error)))
            return
        names = {entry.name for entry in entries if not is_hidden(entry.name)}
        if names >= RUN_FILES and folder != self._root:
            self.passed_over[RUN] += 1
            return
        if any(map(RECORDS_NAME.fullmatch, names)):
            if folder == self._root:
                raise ValueError(
                    f"{folder}: holds a dataset, NAME-rLL.tfrecords, and not images. "
                    f"`{spelled('dataset_tool.py extract')}` writes its images as files."
                )
            self.passed_over[DATASET] += 1
            return
        for entry in entries:
            self._meet(entry, above | {real})

    def _meet(self, entry: _Entry, above: frozenset[str]) -> None:
        if is_hidden(entry.name):
            self.passed_over[HIDDEN] += 1
            return
        if entry.is_folder:
            if entry.name.casefold() in SYSTEM_FOLDERS:
                self.passed_over[entry.name] += 1
            else:
                self.enter(entry.path, above)
        elif entry.name.casefold() in SYSTEM_FILES:
            self.passed_over[entry.name] += 1
        elif entry.is_file:
            extension = os.path.splitext(entry.name)[1].lower()
            is_image = extension in self._readable or _holds_image(entry.path, extension)
            names = self.images if is_image else self.others
            names.append(os.path.relpath(entry.path, self._root))


def _list_folder(folder: str) -> list[_Entry]:
    result = []
    with os.scandir(folder) as entries:
        for entry in entries:
            is_link = entry.is_symlink()
            is_folder = _leads_to_folder(entry.path) if is_link else entry.is_dir()
            is_file = is_link or entry.is_file()
            result.append(_Entry(entry.name, entry.path, is_folder, is_file))
    return result


def _leads_to_folder(link: str) -> bool:
    """True for a link to a folder; False for a broken one. Raises OSError if a disk wavers."""
    try:
        return stat.S_ISDIR(os.stat(link).st_mode)
    except OSError as error:
        if error.errno in PASSING:
            raise
        return False


class _ZipFolders:
    """The folders in a zip archive."""

    def __init__(self, path: str):
        self._entries: dict[str, dict[str, bool]] = {path: {}}  # folder -> {name: is a folder}
        for member in zips.member_names(path):
            folder = path
            *parents, name = member.split("/")
            for parent in parents:
                self._entries[folder][parent] = True
                folder = os.path.join(folder, parent)
                self._entries.setdefault(folder, {})
            self._entries[folder].setdefault(name, False)

    def list(self, folder: str) -> list[_Entry]:
        """Lists the names in a folder."""
        return [
            _Entry(name, os.path.join(folder, name), is_folder, not is_folder)
            for name, is_folder in self._entries[folder].items()
        ]


def _holds_image(path: str, extension: str) -> bool:
    """True for a file that is an image, or was one before it was damaged, whatever its name."""

    def look() -> bool:
        with open_regular(path) as file:
            start = file.read(4)
        if start.startswith(STARTS):
            return True
        with open_picture(path, pixels=False):
            return True

    try:
        return retried(look, path)
    except OSError as error:
        if error.errno in PASSING:
            raise
        # Report a file that may be an image and cannot be read; pass over one of another kind.
        return error.errno is not None and not extension
    except UnreadableKind:
        return True
    except ValueError:
        return False


def _held(found: Found) -> str:
    """Describes the files of a folder without images."""
    kinds = collections.Counter(os.path.splitext(name)[1].lower() for name in found.others)
    if not kinds:
        return ""
    counts = ", ".join(
        f"{count} {kind or 'without extension'}" for kind, count in kinds.most_common(MAX_KINDS)
    )
    advice = "".join(sorted({ADVICE[kind] for kind in kinds if kind in ADVICE}))
    return f"{counts}{advice}"
