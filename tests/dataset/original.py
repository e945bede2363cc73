"""Datasets as the original release wrote them, and how to compare ours with them.

They are read from the folder $PGTF_REFERENCE when it is set, else from the small copy in
tests/data/reference.
"""

import hashlib
import json
import os
import pathlib
import struct

from pgtf.dataset import tfrecords

COPY = pathlib.Path(__file__).parent.parent / "data" / "reference"
ROOT = pathlib.Path(os.environ.get("PGTF_REFERENCE", COPY))
DATASETS = ROOT / "datasets"
INPUTS = DATASETS / "inputs"
FULL = DATASETS / "full"
EXPECTED = json.loads((DATASETS / "datasets.json").read_text())


def assert_equals_original(folder, name):
    """Compares every file of a dataset folder with what the original wrote under that name."""
    expected = EXPECTED[name]["files"]
    found = {p.name for p in folder.iterdir() if p.suffix in (".tfrecords", ".labels")}
    assert found == set(expected)
    for file_name, facts in expected.items():
        path = folder / file_name
        assert path.stat().st_size == facts["size"], file_name
        if path.suffix == ".labels":
            assert hashlib.sha256(path.read_bytes()).hexdigest() == facts["sha256"], file_name
        else:
            file = tfrecords.open_records(str(path))
            assert (file.num_records, list(file.shape)) == (facts["records"], facts["record_shape"])
            assert payload_sha256(path) == facts["sorted_key_payload_sha256"], file_name


def payload_sha256(path):
    """SHA-256 over (length, payload) of all records: `sorted_key_payload_sha256` for our files."""
    data = path.read_bytes()
    digest = hashlib.sha256()
    start = 0
    while start < len(data):
        (length,) = struct.unpack_from("<Q", data, start)
        digest.update(data[start : start + 8] + data[start + 12 : start + 12 + length])
        start += length + 16
    return digest.hexdigest()
