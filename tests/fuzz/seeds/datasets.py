"""Datasets of others, and folders of ours."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pgtf import lazy
from pgtf.dataset import tfrecords
from pgtf.dataset.exporter import Options
from pgtf.dataset.journal import JOURNAL
from pgtf.dataset.pyramid import pyramid
from pgtf.dataset.sources import images
from tests.dataset import recipes
from tests.fuzz.cases import HERE, Case, write
from tests.fuzz.seeds import DATA, FIRST, HOSTILE, NUM, below, files, named
from tests.fuzz.seeds.pictures import encoded, jpeg, pictures, png
from tests.fuzz.seeds.tables import npy

# The command line does without them.
h5py = lazy.Module("h5py")
lmdb = lazy.Module("lmdb")
matlab = lazy.Module("scipy.io")


def dataset(folder: str = "cats") -> Case:
    """A dataset folder with labels and names, 8x8."""
    levels = dict(zip((3, 2), pyramid(recipes.noise(2, (NUM, 3, 8, 8))), strict=True))
    meta = {
        "num_images": NUM,
        "resolution": 8,
        "num_channels": 3,
        "label_names": ["a", "b"],
        "mirror": True,
        "format": 1,
        "factors": {"x": ["a", "b"]},
    }
    found: Case = {
        f"cats-r{log2:02d}.tfrecords": tfrecords.to_records(level).tobytes()
        for log2, level in levels.items()
    }
    found["cats-rxx.labels"] = npy(np.eye(2, dtype=np.float32)[np.arange(NUM) % 2])
    found["dataset.json"] = json.dumps(meta).encode()
    return below(folder, found)


def faces() -> Case:
    """The dataset of the networks of the first edition."""
    folder = FIRST / "datasets"
    return files(*sorted(f"faces/{path.name}" for path in folder.glob("faces/*")), folder=folder)


def interrupted() -> Case:
    """A job of create_from_images that was interrupted, and its pictures."""
    case = below("pictures", pictures(4))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(case, folder)
        images.create(str(folder / "cats"), str(folder / "pictures"), options=Options(1))
        names = sorted(path.name for path in (folder / "cats").glob("*.tfrecords"))
        cats = files(*names, folder=folder / "cats")
        job = images._job(str(folder / "pictures"), sorted(pictures(4)), images.ImageOptions())
    job = {"shape": [3, 8, 8], "num_items": 4, "limit": 4} | job | {"image_dir": f"{HERE}/pictures"}
    lines: list[dict[str, Any]] = [
        {"job": job, "files": [*cats, "cats-rxx.labels", "dataset.json", "contact-sheet.png"]},
        {"items": 1, "records": 1, "rejected": []},
        {"items": 2, "records": 2, "rejected": []},
    ]
    partial: Case = {name: content[: len(content) // 2] for name, content in cats.items()}
    partial[JOURNAL] = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return case | below("cats.partial", partial)


def mnist() -> Case:
    """NUM digits."""
    return {
        "train-images-idx3-ubyte": recipes.idx(recipes.noise(1, (NUM, 28, 28))),
        "train-labels-idx1-ubyte": recipes.idx(np.arange(NUM, dtype=np.uint8)),
    }


def mnist_gzip() -> Case:
    """NUM digits, compressed."""
    return {f"{name}.gz": gzip.compress(content) for name, content in mnist().items()}


def cifar100() -> list[Case]:
    """NUM images with names of classes, in pickles of several protocols."""
    data = recipes.noise(2, (NUM, 3, 32, 32)).reshape(NUM, -1)
    train = {"data": data, "fine_labels": [1, 2, 3, 4, 5, np.int64(6)], "batch_label": b"x"}
    meta = {"fine_label_names": [f"name {i}" for i in range(100)], "coarse_label_names": []}
    return [
        {"train": pickle.dumps(train, protocol), "meta": pickle.dumps(meta, protocol)}
        for protocol in (0, 2, 4)
    ]


def cifar_archive() -> list[Case]:
    """The same as an archive, compressed or not."""
    cases = []
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
            for name, content in cifar100()[1].items():
                info = tarfile.TarInfo(f"cifar-100-python/{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))  # type: ignore[arg-type]
        cases.append({"cifar.tar": buffer.getvalue()})
    return cases


def svhn_pickles() -> Case:
    """Three files of two images each."""
    return {
        f"train_{i}.pkl": pickle.dumps(
            (recipes.noise(i, (2, 3, 32, 32)), np.array([0, i], np.uint8)), 2
        )
        for i in (1, 2, 3)
    }


def svhn_mat() -> list[Case]:
    """NUM images in MATLAB files, compressed and not."""
    content = {
        "X": np.moveaxis(recipes.noise(3, (NUM, 32, 32, 3)), 0, 3),
        "y": np.arange(1, NUM + 1)[:, None],
    }
    found = []
    for packed in (False, True):
        buffer = io.BytesIO()
        matlab.savemat(buffer, content, do_compression=packed)
        found.append(buffer.getvalue())
    found.append((HOSTILE / "mat-segv" / "train_32x32.mat").read_bytes())
    return named("train_32x32.mat", *found)


def hdf5() -> list[Case]:
    """Files of the 2017 release, of several layouts, with labels beside them."""
    image = recipes.noise(4, (NUM, 3, 8, 8))
    contents = []
    for options in (
        {},
        {"chunks": (2, 3, 8, 8), "compression": "gzip"},
        {"chunks": (1, 3, 4, 8), "shuffle": True},
    ):
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            file.create_dataset("data8x8", data=image, **options)
            file["data4x4"] = image[:, :, ::2, ::2]
        contents.append(buffer.getvalue())
    contents += [(HOSTILE / name).read_bytes() for name in ("h5-keyerror.h5", "h5-runtimeerror.h5")]
    return [{"a.h5": content, "a-labels.npy": npy(np.arange(NUM))} for content in contents]


def lsun() -> list[Case]:
    """An LMDB folder with pictures of several kinds, and damaged ones."""
    with tempfile.TemporaryDirectory() as folder:
        with lmdb.open(folder, map_size=1 << 20, subdir=True) as environment:
            with environment.begin(write=True) as transaction:
                for i, content in enumerate([*jpeg()[:2], png()[0], encoded("WEBP")]):
                    transaction.put(f"key{i}".encode(), content)
        content = Path(folder, "data.mdb").read_bytes()
    found = [content, *(path.read_bytes() for path in sorted(HOSTILE.glob("lmdb-*/data.mdb")))]
    return named("lmdb/data.mdb", *found)


def celebahq() -> Case:
    """Tables and archives of CelebA-HQ, with one small photograph."""
    source = DATA / "celebahq"
    photograph = "celeba/img_celeba/000001.jpg"
    found = files(
        "celeba/Anno/list_landmarks_celeba.txt",
        "celeba-hq-deltas/image_list.txt",
        "celeba-hq-deltas/deltas00000.zip",
        folder=source,
    )
    return found | files(photograph, folder=source)


def idx_words() -> list[bytes]:
    """Numbers that mean something in the header of an IDX file."""
    return [struct.pack(">I", value) for value in (0x801, 0x803, 0xFFFFFFFF, NUM, 28)]
