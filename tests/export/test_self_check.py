"""The check of an export in a fresh process, and the model card it ends up in."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from pgtf.export import Facts, export, export_generator, sha256
from pgtf.export.model_card import write_model_card
from pgtf.export.self_check import _check, largest_difference, self_check
from tests import tiny

# The program of somebody without this package, in a process that cannot find it.
STRANGER = """
import importlib.util, sys
import numpy as np, tensorflow as tf
assert importlib.util.find_spec("pgtf") is None
signatures = tf.saved_model.load(sys.argv[1]).signatures
latents = tf.constant(np.load(sys.argv[2]))
np.save(sys.argv[3], signatures["serving_default"](latents=latents)["images"].numpy())
assert not [name for name in sys.modules if name.startswith("pgtf")]
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """A labelled model exported with the check."""
    Gs = tiny.generator(label_size=2, num_channels=1)
    facts = Facts(
        name="digits", kimg=3, dataset="datasets/digits", licence="CC0-1.0",
        metrics={"fid": {"value": 12.5}}, config={"training": {"seed": 1}}, command="generate.py",
    )  # fmt: skip
    return export_generator(Gs, tmp_path_factory.mktemp("models") / "digits", facts=facts)


@pytest.mark.slow  # the process that checks `checked` cannot import the package either
def test_a_stranger_gets_the_live_images(plain, tmp_path, rng):
    latents = rng.normal(size=[4, 8]).astype(np.float32)
    np.save(tmp_path / "latents.npy", latents)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-c", STRANGER, plain.folder, "latents.npy", "images.npy"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    live = export.images.to_uint8(plain.Gs(latents).numpy())
    assert np.abs(np.load(tmp_path / "images.npy").astype(int) - live).max() <= 1


def test_the_model_card_tells_what_was_checked_and_measured(checked):
    card = json.loads((checked / "model_card.json").read_text())
    checks = card["self_check"]["largest_difference_levels"]
    assert checks.keys() == {"serving_default", "images_float", "seeds", "png", "interpolate"}
    assert max(checks.values()) <= 1
    assert 0 < card["latency_ms"]["batch_1"]
    assert 0 < card["latency_ms"]["batch_8"]
    assert card["dataset"] == "datasets/digits"
    assert card["licence"] == "CC0-1.0"
    assert card["kimg"] == 3
    assert card["metrics"] == {"fid": {"value": 12.5}}
    assert card["config"] == {"training": {"seed": 1}}
    assert card["signatures"]["seeds"]["inputs"] == {"class_id": "int64 [N]", "seed": "int64 [N]"}


def test_the_model_card_has_the_sha256_of_every_other_file(checked):
    card = json.loads((checked / "model_card.json").read_text())
    files = [path for path in checked.rglob("*") if path.is_file()]
    expected = {
        path.relative_to(checked).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name != "model_card.json"
    }
    assert card["sha256"] == expected
    assert "saved_model.pb" in expected


def test_a_growing_network_says_so(labelled):
    card = json.loads((labelled.folder / "model_card.json").read_text())
    assert (card["resolution"], card["full_resolution"], card["lod"]) == (8, 16, 1.5)
    assert card["stage"] == "still growing at lod 1.5, 50% faded in"


@pytest.mark.parametrize(
    ("lod", "resolution", "stage"),
    [
        (0.0, 16, "finished"),
        (0.75, 16, "still growing at lod 0.75, 25% faded in"),
        (1.0, 8, "still growing at lod 1"),
        (2.0, 4, "still growing at lod 2"),
    ],
)
def test_the_model_card_has_the_resolution_of_the_lod(tmp_path, lod, resolution, stage):
    Gs = tiny.generator()
    Gs.lod = lod
    report = {"latency_ms": {}, "largest_difference_levels": {}}
    write_model_card(tmp_path, 1, Gs, Facts(name="faces"), {}, report)
    card = json.loads((tmp_path / "model_card.json").read_text())
    assert (card["resolution"], card["full_resolution"], card["lod"]) == (resolution, 16, lod)
    assert card["stage"] == stage


@pytest.mark.parametrize("size", [2**20, 2**20 + 1, 3 * 2**20 + 5])
def test_the_sha256_is_that_of_the_whole_file(tmp_path, size, rng):
    content = rng.bytes(size)
    (tmp_path / "variables").write_bytes(content)
    assert sha256(tmp_path / "variables") == hashlib.sha256(content).hexdigest()


def test_a_network_that_gives_nan_is_not_exported(tmp_path):
    Gs = tiny.generator()
    bias = Gs.variables_by_name["16x16/Conv1/bias"]
    bias.assign(np.full(bias.shape, np.nan))
    with pytest.raises(ValueError, match="gives NaN"):
        export_generator(Gs, tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_an_answer_two_levels_off_leaves_nothing(tmp_path, monkeypatch):
    live = export._live_images

    def darker(Gs, **rows):
        return np.maximum(live(Gs, **rows), 2) - 2

    monkeypatch.setattr(export, "_live_images", darker)
    # In this process; what is said of a check that failed in its own: the bad row below.
    monkeypatch.setitem(sys.modules, "pgtf", sys.modules["pgtf"])  # It hides the package.
    monkeypatch.setattr(export, "self_check", lambda folder, given: _check(str(folder), given))
    (tmp_path / "model" / "1").mkdir(parents=True)
    with pytest.raises(ValueError, match="2 levels off"):
        export_generator(tiny.generator(), tmp_path / "model")
    assert os.listdir(tmp_path / "model") == ["1"]


@pytest.mark.parametrize("sign", [-1, 1])
def test_one_pixel_of_one_row_decides(sign):
    live = np.full([4, 2, 2, 3], 128, np.uint8)
    answer = live.copy()
    answer[3, 1, 0, 2] = 128 + sign
    assert largest_difference("x", answer, live) == 1
    answer[3, 1, 0, 2] = 128 + 2 * sign
    with pytest.raises(ValueError, match="x: a pixel is 2 levels off"):
        largest_difference("x", answer, live)


def test_one_bad_row_of_four_fails_the_check(plain, rng):
    latents = rng.normal(size=[4, 8]).astype(np.float32)
    images = export.images.to_uint8(plain.Gs(latents).numpy())
    latents[2, 5], images[2] = np.inf, 0  # answered by a black image and its status
    rows = {"latents": latents, "latents_end": latents, "t": np.zeros(4, np.float32)}
    expected = {"images/serving_default": images}
    for name, signature in plain.signatures.items():
        for key in signature.structured_input_signature[1]:
            expected[f"inputs/{name}/{key}"] = rows.get(key, np.arange(4))
    with pytest.raises(ValueError, match=r"serving_default: status \[0, 0, 1, 0\]"):
        self_check(plain.folder, expected)


def test_a_disk_that_is_full_for_the_last_file_leaves_nothing(tmp_path, monkeypatch):
    def full(*args):
        raise tf.errors.ResourceExhaustedError(None, None, "requests; No space left on device")

    monkeypatch.setattr(export, "self_check", lambda folder, expected: {})
    monkeypatch.setattr(export.serving_files, "write_warmup_requests", full)
    with pytest.raises(OSError, match="model: cannot be written: requests; No space left"):
        export_generator(tiny.generator(), tmp_path / "model")
    assert os.listdir(tmp_path) == []
