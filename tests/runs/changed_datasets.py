"""Changes of a dataset folder in its place: of images, of their type, of dataset.json."""

import json
from pathlib import Path

import numpy as np

from pgtf.dataset.tfrecords import open_records, to_records


def brighten(folder, index=3):
    """Changes one image of a dataset in all levels."""
    for path in Path(folder).glob("*.tfrecords"):
        file = open_records(str(path))
        images = file.read(range(file.num_records))
        images[index] ^= 255
        path.write_bytes(to_records(images).tobytes())


def with_values(folder, dtype="uint16", factor=257):
    """Makes a dataset one of another type; describe() then states its facts."""
    for path in Path(folder).glob("*.tfrecords"):
        file = open_records(str(path))
        images = file.read(range(file.num_records)).astype(dtype) * np.array(factor, dtype)
        path.write_bytes(to_records(images).tobytes())
    describe(folder, dtype=dtype)


def describe(folder, **facts):
    """Changes fields of dataset.json."""
    path = Path(folder) / "dataset.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(before | facts))
