"""Every reader of JSON answers a damaged or hostile text with one line that names the file."""

import json
import os

import numpy as np
import pytest

from pgtf.config import Config
from pgtf.dataset.description import read_description
from pgtf.dataset.faces.maker import read_report
from pgtf.distribution import cluster
from pgtf.export import timelapse
from pgtf.interop.hdf5 import write_hdf5
from pgtf.interop.snapshots import load_meta
from pgtf.metrics import records
from pgtf.metrics.classifier import load_classifier
from pgtf.restoration.restorer import ABOUT_FILE, Restorer
from pgtf.runs import identity, run_folder
from pgtf.training import callbacks
from pgtf.training.state import Progress
from tests.foreign.hostile import HOSTILE_JSON, HOSTILE_VALUES

STATS = {"kimg": 1.5, "lod": 0.0, "resolution": 4, "train_hours": 0.5, "peak_gib": 1.0}
RECORD = {"metric": "fid", "kimg": 1, "nimg": 1000, "num_images": 10, "reals": "x", "seed": 0}
RECORD |= {"snapshot": "a.h5", "value": 1.0, "values": {"fid": 1.0}, "num_reals": 4, "order": "x"}
ABOUT = {"format": "pgtf-restoration-1", "task": "sr", "scale": 4, "margin": 8, "stride": 4}
CLASSIFIER = {"format": "pgtf-classifier-1", "factors": {"class": ["a", "b"]}, "num_channels": 1}
SNAPSHOT = {"format": "pgtf-snapshot", "version": 1}


def restorer(folder, content):
    (folder / "saved_model.pb").touch()
    (folder / "assets.extra").mkdir(exist_ok=True)
    (folder / ABOUT_FILE).write_bytes(content)
    return Restorer.open(str(folder))


def classifier(folder, content):
    np.savez(folder / "x.npz", about=np.array(content.decode("latin1")))
    return load_classifier(folder / "x.npz")


def meta(folder, content):
    write_hdf5(folder / "a.h5", {}, SNAPSHOT | {"meta": content.decode("latin1")})
    return load_meta(folder / "a.h5")


def progress(folder, content):
    return Progress.from_attributes({"progress": content.decode("latin1")}, folder / "c.h5")


def file(name, read):
    """A reader of a file in a folder."""

    def write_and_read(folder, content):
        (folder / name).write_bytes(content)
        return read(folder)

    return write_and_read


# Reader of (folder, content), name in its messages, and the content that it takes.
READERS = {
    "config.json": (
        file("config.json", lambda folder: run_folder.read_config(folder, Config)),
        "config.json",
        {"training": {"seed": 1, "total_kimg": 2.0}, "dataset": {"path": "x"}},
    ),
    "identity.json": (
        file("identity.json", identity.load),
        "identity.json",
        {"preset": "demo", "path": "/x", "fingerprint": {"4x4": "0"}, "start": {"nimg": 8}},
    ),
    "dataset.json": (
        file("dataset.json", lambda folder: read_description(str(folder))),
        "dataset.json",
        {"mirror": True, "label_names": ["a"], "num_images": 4},
    ),
    "restoration.json": (restorer, "restoration.json", ABOUT),
    "classifier": (classifier, "x.npz", CLASSIFIER | {"accuracy": {"class": 1.0}}),
    "notes of a snapshot": (meta, "a.h5", {"cur_nimg": 1, "label_names": ["a"], "config": {}}),
    "counters of a checkpoint": (
        progress,
        "c.h5",
        {"cur_nimg": 96, "tick": 3, "stage": [0, 1], "sums": {"G_loss": 0.5}, "noise_ema": 0.5},
    ),
}
LINES = {
    "stats.jsonl of a film": (
        file("stats.jsonl", lambda folder: timelapse.read_stats(folder / "stats.jsonl")),
        "stats.jsonl line 2",
        STATS,
    ),
    "stats.jsonl of a run": (
        file("stats.jsonl", lambda folder: callbacks.StatsFile(folder, 10**9)),
        "stats.jsonl line 2",
        {"kimg": 1.5},
    ),
    "metric-fid.jsonl": (
        file("metric-fid.jsonl", lambda folder: records.load(folder, "fid")),
        "metric-fid.jsonl line 2",
        RECORD,
    ),
    "quality.jsonl": (
        file("quality.jsonl", lambda folder: read_report(folder / "quality.jsonl")),
        "quality.jsonl line 2",
        ["a.png", 0, 1.5],
    ),
}
TORN = {"empty", "NUL", "cut", "two texts", "code"}  # A crash may leave such a line.
MAY_BE_A_LIST = {"quality.jsonl"}
# Losses and scores may diverge.
MAY_BE_INFINITE = {"value", "fid"}
MAY_HAVE_MORE = {"config"}  # in the notes of a snapshot, which a newer version may have written


def refusal(read, name, folder, content):
    with pytest.raises(ValueError, match=name) as caught:
        read(folder, content)
    message = str(caught.value)
    assert str(folder) in message
    assert "\n" not in message
    assert len(message) < 500 + 2 * len(str(folder))
    return message


# A text in HDF5 is UTF-8 without NUL.
NOT_IN_HDF5 = {"notes of a snapshot": {"NUL", "not UTF-8", "UTF-16"}}
PAIRS = [
    (reader, kind)
    for reader in READERS
    for kind in HOSTILE_JSON
    if kind not in NOT_IN_HDF5.get(reader, ())
]


@pytest.mark.parametrize(("reader", "kind"), PAIRS)
def test_a_text_that_is_no_such_json_is_one_line(reader, kind, tmp_path):
    read, name, _ = READERS[reader]
    refusal(read, name, tmp_path, HOSTILE_JSON[kind])


@pytest.mark.parametrize("kind", HOSTILE_JSON)
@pytest.mark.parametrize("reader", LINES)
def test_a_damaged_line_is_named_with_its_number_and_a_torn_one_is_left_out(reader, kind, tmp_path):
    read, name, whole = LINES[reader]
    line = json.dumps(whole).encode() + b"\n"
    content = line + HOSTILE_JSON[kind] + b"\n" + line
    if kind in TORN:
        found = read(tmp_path, content)
        if reader != "stats.jsonl of a run":
            assert len(found) == (1 if reader in MAY_BE_A_LIST else 2)
    else:
        refusal(read, name, tmp_path, content)


def replaced(value, place, new):
    """Copies a value with another one at a place, such as ("stage", 0)."""
    if not place:
        return new
    first, *rest = place
    copy = value.copy()
    copy[first] = replaced(value[first], rest, new)
    return copy


def places(value, place=()):
    """Yields the place of every value in lists and objects."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in pairs:
        yield (*place, key)
        if isinstance(child, dict | list):
            yield from places(child, (*place, key))


@pytest.mark.parametrize("reader", {**READERS, **LINES})
def test_a_wrong_value_in_any_field_is_one_line(reader, tmp_path):
    read, name, whole = {**READERS, **LINES}[reader]
    name = name.removesuffix(" line 2")
    read_whole = json.dumps(whole).encode() + b"\n"
    if reader != "classifier":  # It needs weights besides.
        read(tmp_path, read_whole)
    for place in places(whole):
        for kind, value in HOSTILE_VALUES.items():
            if kind in ("NaN", "infinity", "1e999") and place[-1] in MAY_BE_INFINITE:
                continue
            if kind == "an object" and place[-1] in MAY_HAVE_MORE:
                continue
            text = json.dumps(replaced(whole, place, value)).encode()
            if kind == "1e999":
                text = text.replace(b"Infinity", b"1e999")
            try:
                refusal(read, name, tmp_path, text + b"\n")
            except pytest.fail.Exception:
                pytest.fail(f"{kind} was accepted at {place}")


def test_the_description_of_a_cluster_is_one_line(monkeypatch):
    for kind, content in HOSTILE_JSON.items():
        if b"\0" in content or kind in ("empty", "not UTF-8"):
            continue  # No variable has NUL, and an empty one is none.
        monkeypatch.setenv("TF_CONFIG", os.fsdecode(content))
        with pytest.raises(ValueError, match="^`TF_CONFIG` must be JSON such as") as caught:
            cluster.num_workers()
        assert len(str(caught.value)) < 300
    for task in ([1], {"type": 5}, {"index": 1.5}, {"index": "x"}, {"index": 10**400}):
        spec = {"cluster": {"worker": ["a:1"]}, "task": task}
        monkeypatch.setenv("TF_CONFIG", json.dumps(spec))
        with pytest.raises(ValueError, match="^`TF_CONFIG` must be"):
            cluster.num_workers()
