"""The check of an export in a fresh process, and the model card it ends up in."""

import hashlib
import json
import os
import re
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from pgtf import images
from pgtf.export import Facts, export, export_generator, sha256
from pgtf.export.model_card import write_model_card
from pgtf.export.self_check import (
    LATENCY_REPEATS,
    LATENCY_WARMUP,
    _check,
    _latencies,
    largest_difference,
    self_check,
)
from tests import tiny
from tests.export.conftest import NO_REPORT

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
    live = images.to_uint8(plain.Gs(latents).numpy())
    assert np.abs(np.load(tmp_path / "images.npy").astype(int) - live).max() <= 1


def test_the_model_card_tells_what_was_checked_and_measured(checked):
    card = json.loads((checked / "model_card.json").read_text())
    checks = card["self_check"]["largest_difference_levels"]
    assert checks.keys() == {"serving_default", "images_float", "seeds", "png", "interpolate"}
    assert max(checks.values()) <= 1
    assert 0 < card["latency_ms"]["batch_1"]
    assert 0 < card["latency_ms"]["batch_8"]
    assert 1 <= card["latency_ms"]["calls"] <= LATENCY_REPEATS
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
    assert {"saved_model.pb", "README.md", "samples.png"} <= expected.keys()


def head_of(folder):
    """The fields above the text of README.md."""
    _, head, _ = (folder / "README.md").read_text().split("---\n", 2)
    pairs = (line.partition(": ") for line in head.splitlines())
    return {name: json.loads(value) for name, _, value in pairs}


def test_the_page_of_the_model_has_a_picture_and_a_head_that_hubs_parse(checked):
    assert head_of(checked) == {
        "license": "cc0-1.0",
        "library_name": "tensorflow",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["gan", "pggan", "progressive-growing", "image-generation", "tensorflow"]
        + ["conditional"],
        "datasets": ["digits"],
        "metrics": ["fid"],
    }
    text = (checked / "README.md").read_text()
    titles = re.findall("^## (.*)$", text, re.MULTILINE)
    assert titles == ["Data", "Training", "Metrics", "Limits", "Speed", "Use", "Licence"]
    assert "![24 generated images](samples.png)" in text
    assert "| fid | 12.5 |" in text
    assert re.search(r"\| 8 \| [\d.]+ ms \| [\d.]+ ms \|", text)
    with PIL.Image.open(checked / "samples.png") as picture:
        assert picture.size == (5 * 16 * 8, 5 * 16 * 8)  # 80 pixels, enlarged


def test_the_program_on_the_page_runs(checked):
    text = (checked / "README.md").read_text()
    program = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    names = {}
    exec(program.replace("path/of/this/folder", str(checked)), names)
    assert names["images"].shape == (2, 16, 16, 1)


def test_names_of_others_are_text_on_the_page(tmp_path):
    name = "a\n# b ![x](//y) <i> `z` \x1b[2J"
    record = {"value": 1.0, "reals": "| <b> |"}
    facts = Facts(
        name=name, dataset=f"/home/me/{name.replace('/', '')}", licence="my: 'own'\n",
        metrics={"x": record},
    )  # fmt: skip
    write_model_card(tmp_path, 1, tiny.generator(), facts, {}, NO_REPORT)
    text = (tmp_path / "README.md").read_text()
    assert head_of(tmp_path)["license_name"] == "my: 'own'\n"
    assert "\x1b" not in text
    assert "/home/me" not in text
    for words in ("\n# b", "](//y)", " <i>", "| <b>"):
        assert words not in text.split("---\n", 2)[2].replace("\n# a", "")
    assert "an unknown number" in text.lower()
    assert "Not measured." in text


def test_calls_of_all_batch_sizes_take_turns_after_a_warm_up():
    sizes = []

    def signature(latents):
        sizes.append(len(latents))
        return {"images": tf.zeros([len(latents), 4, 4, 1])}

    found = _latencies(signature, {"latents": tf.zeros([4, 8])})
    assert sizes == [1, 8] * (LATENCY_WARMUP + LATENCY_REPEATS)
    assert found["calls"] == LATENCY_REPEATS


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
    page = (tmp_path / "README.md").read_text()
    assert f"generates {resolution}x{resolution} RGB images" in page
    assert ("its training was to reach 16x16" in page) == (lod > 0)


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
    live = export._live

    def darker(*args, **rows):
        return live(*args, **rows) - 2 * 2 / 255

    monkeypatch.setattr(export, "_live", darker)
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
    found = images.to_uint8(plain.Gs(latents).numpy())
    latents[2, 5], found[2] = np.inf, 0  # answered by a black image and its status
    rows = {"latents": latents, "latents_end": latents, "t": np.zeros(4, np.float32)}
    expected = {"images/serving_default": found}
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
