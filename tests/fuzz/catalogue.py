"""All kinds of files that this project reads, in the order of the table of results."""

from __future__ import annotations

import functools
import gzip
from collections.abc import Callable, Sequence

from pgtf.foreign.pictures import formats
from tests.fuzz import kinds, repairs
from tests.fuzz.cases import Case
from tests.fuzz.kinds import (
    CSV_WORDS,
    JSON_WORDS,
    NPY_WORDS,
    PICTURE_WORDS,
    TENSORFLOW,
    Damage,
    Kind,
    edited,
    ends,
    hdf5_edited,
    json_edited,
    lines_edited,
    pickle_edited,
    repaired,
    zip_edited,
)
from tests.fuzz.seeds import below, datasets, named, networks, pictures, scans, tables


def one(make: Callable[[], Case]) -> Callable[[], list[Case]]:
    """Makes a list of the one case that a function makes."""
    return lambda: [make()]


def all_named(name: str, make: Callable[[], Sequence[bytes]]) -> Callable[[], list[Case]]:
    """Makes cases of the contents that a function makes, with one name."""
    return lambda: named(name, *make())


def _pictures() -> list[Kind]:
    """Pictures of every format; an older Pillow has no AVIF."""
    return [
        Kind(name, "images", all_named(file, make), _of_picture(name))
        for name, (file, make) in pictures.PICTURES.items()
        if name != "avif" or "AVIF" in formats()
    ]


def _of_picture(name: str) -> Damage:
    return repaired(repairs.png) if name == "png" else edited(*PICTURE_WORDS)


def _tables(stem: str, make: Callable[[], dict[str, list[bytes]]]) -> list[Kind]:
    """One kind per extension of a table."""
    damages: dict[str, Damage] = {
        "npy": edited(*NPY_WORDS),
        "csv": edited(*CSV_WORDS),
        "txt": edited(*CSV_WORDS),
        "json": json_edited,
    }
    return [
        Kind(f"{stem}.{end}", stem, functools.partial(_table, stem, make, end), damages[end])
        for end in make()
    ]


def _table(stem: str, make: Callable[[], dict[str, list[bytes]]], end: str) -> list[Case]:
    return named(f"{stem}.{end}", *make()[end])


def _opencv() -> list[Case]:
    makers = [pictures.PICTURES[kind][1] for kind in ("jpeg", "png", "webp", "tiff", "bmp")]
    return [{"entry": content} for make in makers for content in make()]


def _in() -> Case:
    return below("in", pictures.pictures())


def _labelled() -> list[Case]:
    found = tables.labels()
    return [_in() | {f"labels.{end}": content} for end in found for content in found[end]]


def _faces() -> list[Case]:
    photographs = {f"{i}.png": pictures.encoded("PNG", pictures.pixels(64, 64)) for i in range(3)}
    return [
        below("in", photographs) | {"landmarks.csv": content}
        for content in tables.landmarks()["csv"]
    ]


def _celeba() -> Case:
    content = pictures.encoded("PNG", pictures.pixels(218, 178))
    return {"celeba/img_align_celeba_png/1.png": content}


def _latents() -> list[Case]:
    found = tables.latents()
    return [{f"z.{end}": content} for end in found for content in found[end]]


def _packed_volumes() -> list[Case]:
    return [{"in/a.nii.gz": gzip.compress(case["in/a.nii"])} for case in scans.volumes()]


def _measured() -> Case:
    return networks.snapshot() | datasets.faces()


PNG = repaired(repairs.png)
RECORDS = repaired(repairs.records, *NPY_WORDS)
GRAPH = edited(b"ReadFile", b"PyFunc", b"WriteFile")
MATLAB = edited(b"MATLAB", b"\x0e\0\0\0", b"\x0f\0\0\0", b"\x01\0\0\0")
HDF5 = edited(b"TREE", b"SNOD", b"HEAP", b"OHDR", b"\x89HDF\r\n\x1a\n")
TIFF_WORDS = (
    b"II*\0",
    b"II+\0",
    b"\x00\x01\x04\0",
    b"\x11\x01",
    b'{"shape": [',
    b"OME",
    b"<",
    b">",
)
NIFTI_WORDS = (
    b"n+1\0",
    b"n+2\0",
    b"\xff\x7f",
    b"\xff\xff\xff\x7f",
    b"\0\0\x80\x7f",
    b"\0\0\xc0\x7f",
)
DICOM_WORDS = (
    *(b"DICM", b"\x28\0\x10\0US", b"\x28\0\x08\0IS", b"\xe0\x7f\x10\0OW", b"\xfe\xff\x00\xe0"),
    *(b"\xfe\xff\xdd\xe0\0\0\0\0", b"SQ\0\0\xff\xff\xff\xff", b"UN\0\0", b"1.2.840.10008.1.2.1.99"),
)
DICOM = edited(*DICOM_WORDS)
ARCHIVE = edited(b"ustar", b"pax_headers", b"././@LongLink")
DELTAS = edited(b"PK\3\4", b"PK\1\2", b"PK\5\6", *CSV_WORDS)
LABELS = edited(*NPY_WORDS, *JSON_WORDS)
NETWORKS = hdf5_edited("networks", "meta")
CHECKPOINT = hdf5_edited("networks", "config", "progress")


def _plain() -> list[Kind]:
    """Kinds whose readers need no TensorFlow."""
    return [
        *_pictures(),
        Kind("entry of LSUN", "opencv", _opencv, edited(*PICTURE_WORDS)),
        Kind(
            *("JPEG of CelebA", "jpeg_of_celeba", all_named("a.jpg", pictures.jpeg)),
            edited(*PICTURE_WORDS),
        ),
        Kind("CelebA", "crops", one(_celeba), PNG, weight=20),
        Kind("folder of pictures", "create_from_images", one(_in), PNG, weight=60),
        Kind("pictures with labels", "create_converted", _labelled, LABELS, weight=60),
        Kind("ranked pictures", "rank", one(_in), PNG, weight=20),
        Kind("faces", "faces", _faces, repaired(repairs.png, *CSV_WORDS), weight=20),
        Kind(".npy", "npy", all_named("a.npy", lambda: tables.labels()["npy"]), edited(*NPY_WORDS)),
        Kind(".npz", "npz", all_named("a.npz", lambda: tables.latents()["npz"]), zip_edited),
        Kind(
            "JSON", "json_file", all_named("a.json", lambda: tables.labels()["json"]), json_edited
        ),
        *_tables("labels", tables.labels),
        *_tables("landmarks", tables.landmarks),
        Kind("dataset", "dataset", one(datasets.dataset), RECORDS, ends("records", "labels")),
        Kind("dataset.json", "dataset", one(datasets.dataset), json_edited, ends("json")),
        Kind("dataset, extracted", "extract", one(datasets.dataset), RECORDS, weight=20),
        Kind("journal", "resume", one(datasets.interrupted), lines_edited, ends("jsonl"), 60),
        Kind(
            *("interrupted dataset", "resume", one(datasets.interrupted), edited()),
            weight=20,
            continues=True,
        ),
        Kind("MNIST", "digits", one(datasets.mnist), edited(*datasets.idx_words()), weight=60),
        Kind("MNIST, gzip", "digits", one(datasets.mnist_gzip), kinds.gzip_edited, weight=60),
        Kind("CIFAR", "cifar100", datasets.cifar100, pickle_edited),
        Kind("CIFAR, archive", "cifar100", datasets.cifar_archive, ARCHIVE),
        Kind("SVHN, pickles", "house_numbers", one(datasets.svhn_pickles), pickle_edited),
        Kind("SVHN, MATLAB", "house_numbers", datasets.svhn_mat, MATLAB, weight=20),
        Kind("HDF5 dataset", "hdf5", datasets.hdf5, HDF5, weight=20),
        Kind("LMDB", "bedrooms", datasets.lsun, edited(), weight=20),
        Kind("CelebA-HQ", "celebahq", one(datasets.celebahq), DELTAS, ends("txt", "zip"), 40),
        Kind("arrays", "scans", scans.arrays, edited(*NPY_WORDS), weight=60),
        Kind("TIFF of arrays", "scans", scans.tiff, edited(*TIFF_WORDS), weight=60),
        Kind("NIfTI", "scans", scans.volumes, edited(*NIFTI_WORDS), weight=60),
        Kind("NIfTI, gzip", "scans", _packed_volumes, kinds.gzip_edited, weight=40),
        Kind("DICOM", "scans", functools.partial(scans.dicom, *scans.PLAIN), DICOM, weight=60),
        Kind(
            *("DICOM, compressed", "scans", functools.partial(scans.dicom, *scans.PACKED), DICOM),
            weight=60,
        ),
        Kind("network pickle", "networks", networks.network_pickles, pickle_edited),
        Kind("Theano pickle", "networks", networks.theano_pickles, pickle_edited, weight=40),
        Kind("snapshot", "snapshot", one(networks.snapshot), NETWORKS),
    ]


def _with_tensorflow() -> list[Kind]:
    """Kinds whose readers are in packages that import TensorFlow, or use it."""
    run = one(networks.run_folder)
    make = functools.partial(Kind, module=TENSORFLOW)
    return [
        make("config.json", "config", run, json_edited, ends("config.json")),
        make("identity.json", "config", run, json_edited, ends("identity.json")),
        make("stats.jsonl", "statistics", run, lines_edited, ends("stats.jsonl")),
        make("metric-*.jsonl", "measured", run, lines_edited, ends("fid.jsonl"), 20),
        make("fakes*.png", "statistics", run, PNG, ends("png"), 60),
        make("checkpoint", "checkpoint", one(networks.checkpoint), CHECKPOINT),
        make("latents", "latents", _latents, edited(*NPY_WORDS)),
        make(
            "restoration.json", "restoration", one(networks.restoration), json_edited, ends("json")
        ),
        make("SavedModel", "saved_model", one(networks.saved_model), GRAPH, weight=20),
        make("frozen graph", "frozen_graph", networks.frozen_graphs, GRAPH, weight=40),
        make("classifier", "classes", networks.classifiers, zip_edited, weight=10),
        make("report", "report", run, lines_edited, ends("stats.jsonl"), 5),
        make(
            "images of a pickle",
            "generate_images",
            networks.network_pickles,
            pickle_edited,
            weight=10,
        ),
        make(
            "images of a snapshot", "generate_images", one(networks.snapshot), NETWORKS, weight=10
        ),
        make("metric of a network", "measure", one(_measured), NETWORKS, ends("h5"), 5),
    ]


KINDS: tuple[Kind, ...] = (*_plain(), *_with_tensorflow())
BY_NAME = {kind.name: kind for kind in KINDS}
