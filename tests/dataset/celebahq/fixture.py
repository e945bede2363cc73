"""The synthetic CelebA-HQ of tests/data/celebahq, whole or in parts: see the README there."""

import functools
import hashlib
import json
import pathlib
import shutil
import zipfile

import numpy as np

from pgtf.dataset.celebahq import jpeg
from pgtf.dataset.celebahq.deltas import entry_name, zip_name
from pgtf.dataset.celebahq.inputs import Row, read_image_list, read_landmarks

FOLDER = pathlib.Path(__file__).parents[2] / "data" / "celebahq"
CELEBA, DELTAS = FOLDER / "celeba", FOLDER / "celeba-hq-deltas"
STAGES = json.loads((FOLDER / "stages.json").read_text())
ROWS = read_image_list(str(DELTAS))
LANDMARKS = read_landmarks(str(CELEBA), len(ROWS))[1]
SMALL = (4, 2, 0)  # idx of images that take little time; in order of size
EXPECTED = {
    "num_images": len(ROWS),
    "num_zips": 1,
    "first_jpeg_md5": STAGES["first_image_md5"],
}


def md5_hwc(image):
    """MD5 of [C, H, W] in the order of stages.json."""
    return hashlib.md5(np.ascontiguousarray(np.moveaxis(image, 0, -1))).hexdigest()


def md5(image):
    return hashlib.md5(np.ascontiguousarray(image)).hexdigest()


def jpeg_bytes(idx):
    return (CELEBA / "img_celeba" / ROWS[idx].orig_file).read_bytes()


@functools.lru_cache(maxsize=1)
def photograph(idx):
    """The decoded file of an image, uint8 [3, H, W]."""
    return jpeg.decode(jpeg_bytes(idx))


def stage(idx, name, number=0):
    """The `number`-th stage of that name of an image."""
    return [stage for stage in STAGES["images"][str(idx)]["stages"] if stage["stage"] == name][
        number
    ]


def token(idx):
    """The encrypted delta of an image."""
    with zipfile.ZipFile(DELTAS / zip_name(idx)) as archive:
        return archive.read(entry_name(idx))


def copy(folder):
    """A copy of the inputs that a test may spoil -> paths of CelebA and of the deltas."""
    for source in (CELEBA, DELTAS):
        shutil.copytree(source, folder / source.name)
    return folder / CELEBA.name, folder / DELTAS.name


def subset(folder, idxs=SMALL):
    """A copy of the inputs whose image_list.txt has only a few images, numbered from 0 on.

    The key of a delta depends on the file's content and name; the number does not matter.
    """
    celeba, deltas = copy(folder)
    tokens = [token(idx) for idx in idxs]
    write_list(deltas, [ROWS[idx] for idx in idxs])
    write_zip(deltas, tokens)
    return celeba, deltas


def write_list(deltas, rows: list[Row]):
    """Writes image_list.txt, numbering its rows."""
    lines = ["idx orig_idx orig_file proc_md5 final_md5"]
    for number, row in enumerate(rows):
        lines.append(f"{number} {row.orig_idx} {row.orig_file} {row.proc_md5} {row.final_md5}")
    (deltas / "image_list.txt").write_text("\n".join(lines) + "\n")


def write_zip(deltas, tokens):
    """Writes deltas00000.zip."""
    with zipfile.ZipFile(deltas / zip_name(0), "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(tokens):
            archive.writestr(entry_name(number), content)
