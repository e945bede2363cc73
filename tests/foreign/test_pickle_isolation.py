"""Reading networks and datasets of others runs nothing, follows no pointer, needs no TensorFlow."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "tests" / "data" / "reference"
SNAPSHOT = ROOT / "tests" / "data" / "first-edition" / "network-snapshot-000000.h5"

# Every event of Python while files are read: imports, compiled or executed code, opened files.
WATCH = """
import json, sys
from pgtf.dataset.sources import cifar
from pgtf.interop.original import read_networks
from pgtf.interop.snapshots import load_meta, read_snapshot

def read(path):
    if path.endswith(".pkl"):
        return len(read_networks(path))
    if path.endswith(".h5"):
        return len(read_snapshot(path)) + len(load_meta(path))
    folder = path.rpartition("/")[0]
    return len(cifar._labels(*cifar._read(folder, "", "train", 2), "fine_labels"))

b"x".decode("raw-unicode-escape")  # Python imports this codec for text in protocol 0.
paths, events, counts = json.loads(sys.argv[1]), [], []
watched = ("import", "exec", "compile", "open", "os.", "subprocess.", "socket.", "ctypes.", "code.")
sys.addaudithook(lambda event, arguments: events and event.startswith(watched)
                 and events.append([event, str(arguments[0])]))
for path in paths:
    events.append(["read", path])
    counts.append(read(path))
seen, events = events, []
print(json.dumps({"seen": seen, "counts": counts, "modules": [*sys.modules]}))
"""


def run(code, *arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
    )


def test_reading_opens_the_file_and_does_nothing_else(tmp_path):
    images = np.zeros((2, 3072), np.uint8)
    paths = [*REFERENCE.glob("networks/*.pkl"), *REFERENCE.glob("theano/theano-*wscale.pkl")]
    assert len(paths) == 4
    for protocol in range(6):
        path = tmp_path / str(protocol) / "train"
        path.parent.mkdir()
        content = {"data": images, b"fine_labels": [1, np.int64(2)], "batch_label": b"\xff\\"}
        path.write_bytes(pickle.dumps(content, protocol))
        paths.append(path)
    paths = [str(path) for path in (*paths, SNAPSHOT)]
    done = run(WATCH, json.dumps(paths))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["counts"] == [3] * 4 + [2] * 6 + [6]
    assert not {"tensorflow", "keras"} & set(found["modules"])
    current = None
    for event, argument in found["seen"]:
        if event == "read":
            current = argument
        else:
            assert (event, argument) == ("open", current)


# What the pickle module builds of these follows forged pointers, or writes into arrays.
FORGED = b"cnumpy\nndarray\n((K\x04tVO\nC\x20" + b"A" * 32 + b"tR"
DATA = pickle.dumps(np.zeros((4, 3072), np.uint8), 3)[2:-1]
FOREIGN_MEMORY = b"cnumpy\nndarray\n((J\x60\xe3\x16\x00M\x00\x0ctVu1\ntR"
PAYLOADS = {
    "labels that are forged pointers": b"}Vdata\n" + DATA + b"sVfine_labels\n(" + FORGED + b"ls.",
    "images that are forged pointers": b"}Vdata\n" + FORGED + b"s.",
    "names that are forged pointers": b"}Vfine_label_names\n" + FORGED + b"s.",
    "an array over foreign memory": b"}Vdata\n" + FOREIGN_MEMORY + b"s.",
    "a dtype of Python objects": b"}Vdata\ncnumpy\ndtype\n(VO8\n\x89\x88tRs.",
    "a write into an array": b"}Vdata\n" + DATA + b"K\x00K\x07ss.",
}
HONEST = b"}Vdata\n" + DATA + b"sVfine_labels\n(K\x00K\x01K\x02K\x03ls."
READ_ALL = """
import os, sys
from pgtf.dataset.sources import cifar
for folder in sys.argv[1:]:
    try:
        cifar.create_cifar100(os.path.join(folder, "out"), folder, num_images=4)
    except ValueError as error:
        print(error)
"""


def test_forged_arrays_are_refused_and_do_not_end_the_process(tmp_path):
    folders = []
    for number, payload in enumerate(PAYLOADS.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        is_meta = b"fine_label_names" in payload
        (folder / "train").write_bytes(b"\x80\x03" + (HONEST if is_meta else payload))
        (folder / "meta").write_bytes(b"\x80\x03" + payload)
        folders.append(str(folder))
    done = run(READ_ALL, *folders)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == len(PAYLOADS)
    for folder, line in zip(folders, lines, strict=True):
        assert line.startswith((f"{folder}/train: ", f"{folder}/meta: "))
        assert "refused" in line or "not a pickle, or a damaged one" in line


def test_the_same_arrays_end_the_process_with_the_pickle_module():
    """The payloads are live ones."""
    code = f"import pickle; print(pickle.loads({FORGED + b'.'!r})[0])"
    assert run(code).returncode < 0
