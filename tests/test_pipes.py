"""A pipe, or a device without end, in place of any file: nothing waits for it or reads on."""

import contextlib
import os
import signal

import numpy as np
import pytest

from pgtf import images
from pgtf.config import PRESETS
from pgtf.dataset import open_dataset
from pgtf.dataset.sources import annotations
from pgtf.dataset.sources import images as source
from pgtf.export import latents_file, pictures, timelapse
from pgtf.export.model_card import sha256
from pgtf.graphs import SavedModel
from pgtf.interop import load_meta, load_pkl, load_snapshot
from pgtf.metrics import image_sets, records
from pgtf.metrics.cache import Cache
from pgtf.runs import identity, run_folder

SECONDS = 20


@contextlib.contextmanager
def no_waiting():
    def stop(signum, frame):
        raise AssertionError("still waiting")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(params=["pipe", "device"])
def put(request):
    """Function that puts a pipe or an endless device where a file is, or would be."""

    def replace(path):
        path.unlink(missing_ok=True)
        if request.param == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")

    return replace


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    for name in ("cat/a.png", "dog/b.png"):
        (folder / "in" / name).parent.mkdir(parents=True)
        images.save_png(str(folder / "in" / name), rng.integers(0, 256, (4, 4, 3), np.uint8))
    source.create(str(folder / "data"), str(folder / "in"), source.ImageOptions(labels="folders"))
    return folder


def refused(path, read):
    """The error of a reader names the file."""
    with no_waiting(), pytest.raises((ValueError, OSError), match=path.name):
        read()


@pytest.mark.parametrize("name", ["dataset.json", "data-r02.tfrecords", "data-rxx.labels"])
def test_a_dataset(folder, put, name, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for path in (folder / "data").iterdir():
        (data / path.name).write_bytes(path.read_bytes())
    assert (data / name).exists()
    put(data / name)
    refused(data / name, lambda: open_dataset(data, max_label_size="full"))


def test_pictures(put, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    put(folder / "a.png")
    refused(folder, lambda: image_sets.of_folder(folder))
    refused(folder, lambda: source.create(str(tmp_path / "out"), str(folder)))


@pytest.mark.parametrize("name", ["labels.csv", "labels.json", "labels.npy"])
def test_labels(put, tmp_path, name):
    put(tmp_path / name)
    read = annotations.read_matrix if name.endswith("npy") else annotations.read_labels
    arguments = (1,) if name.endswith("npy") else (str(tmp_path), ["a.png"])
    refused(tmp_path / name, lambda: read(str(tmp_path / name), *arguments))


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("x.h5", load_snapshot),
        ("x.h5", load_meta),
        ("x.h5", sha256),
        ("x.pkl", load_pkl),
        ("x.npy", lambda path: latents_file.read_latents(path, 8, 0, False)),
        ("fakes000000.png", timelapse.upper_left),
        ("fakes000000.png", timelapse._size),
        ("config.json", lambda path: run_folder.load_config(path.parent, PRESETS["demo"])),
        ("saved_model.pb", lambda path: SavedModel(path.parent)),
        ("fingerprint.pb", lambda path: SavedModel(path.parent)),
    ],
)
def test_files_of_a_run_and_a_model(put, tmp_path, name, read):
    put(tmp_path / name)
    refused(tmp_path / name, lambda: read(tmp_path / name))


def test_lines_of_a_run_and_values_kept_for_later_count_as_none(put, tmp_path):
    put(tmp_path / "stats.jsonl")
    put(records.path_of(tmp_path, "fid"))
    cache = Cache(tmp_path)
    put(cache._path({"a": 1}))
    put(tmp_path / identity.IDENTITY_FILE)
    with no_waiting():
        assert identity.load(tmp_path).preset is None
        assert timelapse.read_stats(tmp_path / "stats.jsonl") == []
        assert records.load(tmp_path, "fid") == []
        assert cache.load(a=1) is None


def test_results_replace_nothing_that_they_would_wait_for(put, tmp_path):
    put(tmp_path / "grid.png")
    fakes = np.zeros([1, 4, 4, 3], np.uint8)
    with no_waiting(), pytest.raises(FileExistsError, match="grid.png"):
        pictures.save_grid(fakes, None, tmp_path / "grid.png")
