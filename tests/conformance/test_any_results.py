"""Images of any grid, type and number of channels as they are generated, served and measured."""

import json
import pathlib

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from pgtf import depth as depths
from pgtf.api.networks import Networks
from pgtf.api.served_networks import ServedNetworks
from pgtf.commands import generate, generate_flags
from pgtf.depth import Depth
from pgtf.export import edge, export_generator
from pgtf.export.signatures import Facts, make_module
from pgtf.export.source import Source
from pgtf.interop import save_snapshot
from pgtf.label_groups import from_json, standardised
from tests import tiny
from tests.conformance import any_data

CASES = [("5x4", 1, "uint16"), ("4x3", 5, "float32"), ("2x8", 3, "uint16"), ("4x3", 2, "uint8")]
LABELS = from_json(any_data.GROUPS)


def meta_of(dtype, labelled):
    groups = any_data.GROUPS if labelled else []
    return {
        "dtype": dtype,
        "range": any_data.RANGES[dtype],
        "label_groups": groups,
        "label_names": [name for group in groups for name in group["names"]],
    }


def options_of(grid, channels, labelled):
    size = LABELS[-1].columns[1] if labelled else 0
    return {"grid": grid, "num_channels": channels, "label_size": size, "resolution": 8}


@pytest.fixture(params=CASES, ids=lambda case: "-".join(map(str, case)))
def net(request):
    grid, channels, dtype = request.param
    Gs = tiny.generator(seed=3, **options_of(grid, channels, dtype != "uint8"))
    tiny.with_random_biases(Gs, np.random.default_rng(0))
    meta = meta_of(dtype, dtype != "uint8")
    return Networks("snapshot", Source(Gs, pathlib.Path("a.h5"), meta))


def test_images_have_the_type_range_and_size_of_the_dataset(net):
    found = net.generate(range(3))
    assert found.dtype == net.depth.dtype
    assert found.shape == (3, *net.size, net.num_channels)
    low, high = net.depth.value_range
    assert low <= found.min() < found.max() <= high
    labels = net.source.labels(None, range(3))
    live = net.Gs.run(net.latents(range(3)), labels).clip(-1, 1)
    expected = (live.astype(np.float64) + 1) / 2 * (high - low) + low
    off = 0.51 if net.depth.dtype != "float32" else 1e-5 * (high - low)
    np.testing.assert_allclose(found, expected, atol=off)
    picture = net.show(found, zoom=1)
    assert picture.mode == ("L" if net.num_channels < 3 else "RGB")
    assert picture.size == (2 * net.size[1], 2 * net.size[0])


def test_exported_signatures_answer_as_the_live_network(net):
    facts = Facts("x", depth=net.depth, groups=net.label_groups or None)
    _, signatures = make_module(net.Gs, facts)
    low, high = net.depth.value_range
    latents, rows, labels = net.latents([0, 1]), None, {}
    if net.label_size:
        rows = any_data.labels(2)
        labels = {"labels": tf.constant(rows)}
    expected = net.generate(latents=latents, labels=rows).astype(np.float64)
    seeds = {"seed": tf.constant([0, 1], tf.int64)} | labels
    answers = {
        "serving_default": signatures["serving_default"](latents=tf.constant(latents), **labels),
        "seeds": signatures["seeds"](**seeds),
        "images_float": signatures["images_float"](latents=tf.constant(latents), **labels),
    }
    assert all(not answer["status"].numpy().any() for answer in answers.values())
    for name in ("serving_default", "seeds"):
        images = answers[name]["images"].numpy()
        assert images.dtype == net.depth.dtype
        np.testing.assert_allclose(images, expected, atol=(high - low) * 1e-4 + 1)
    floats = answers["images_float"]["images_float"].numpy()
    np.testing.assert_allclose(floats, (expected - low) / (high - low), atol=0.005)
    assert ("png" in signatures) == (net.depth.dtype != "float32")
    if "png" in signatures:
        files = signatures["png"](**seeds)["image_bytes"].numpy()
        pixels = [tf.io.decode_png(file, dtype=net.depth.dtype).numpy() for file in files]
        np.testing.assert_allclose(pixels, expected, atol=(high - low) * 1e-4 + 1)
    info = {name: value.numpy()[0] for name, value in signatures["info"](dummy=[0]).items()}
    assert (info["height"], info["width"]) == net.size
    assert (info["low"], info["high"]) == net.depth.value_range
    assert from_json(json.loads(info["label_groups"])) == net.label_groups


def run(*arguments):
    generate.run(generate_flags.parse(["generate.py", *map(str, arguments)]))


def test_files_of_images_hold_the_values_and_previews_a_picture(tmp_path, capsys):
    for grid, channels, dtype in CASES[:2]:
        options = options_of(grid, channels, labelled=True)
        G, D = tiny.generator(seed=3, **options), tiny.discriminator(seed=4, **options)
        path = tmp_path / f"{dtype}.h5"
        save_snapshot(path, G, D, G, cur_nimg=1000, **meta_of(dtype, labelled=True))
        net = Networks("snapshot", Source.from_snapshot(path))
        flags = (f"--snapshot={path}", "--seeds=3", "--label=age=63,left=1")
        run("images", *flags, f"--out={tmp_path / dtype}")
        expected = net.generate([3], labels={"age": 63, "left": 1})[0]
        if dtype == "float32":
            found = np.load(tmp_path / dtype / "seed0003.npy")
        else:
            found = tf.io.decode_png((tmp_path / dtype / "seed0003.png").read_bytes(), dtype=dtype)
        np.testing.assert_array_equal(found, expected)
        channel = channels - 1
        run("images", *flags, f"--out={tmp_path / 'seen'}", f"--preview={channel}", "--overwrite")
        with PIL.Image.open(tmp_path / "seen" / "seed0003.png") as file:
            shown = net.depth.shown_values(expected, str(channel))[..., 0]
            assert np.abs(np.asarray(file).astype(int) - shown).max() <= 1
        run("grid", f"--snapshot={path}", "--seeds=0-2", f"--out={tmp_path / f'{dtype}.png'}")
        with PIL.Image.open(tmp_path / f"{dtype}.png") as file:
            height, width = net.size
            assert file.width * 7 * height == file.height * 3 * width  # a row per choice
    with pytest.raises(SystemExit):
        run("images", *flags, f"--out={tmp_path / 'x'}", "--format=png")
    assert "a PNG file has 1 or 3 channels of uint8 or uint16" in capsys.readouterr().err


def exported(dtype, channels):
    """A labelled generator of a 5x4 grid, and the facts of its export."""
    options = options_of("5x4", channels, labelled=True)
    Gs = tiny.with_random_biases(tiny.generator(seed=3, **options), np.random.default_rng(0))
    depth = Depth(dtype, any_data.RANGES[dtype])
    return Gs, Facts("m", depth=depth, groups=LABELS)


def assert_the_images_of(Gs, facts, found, latents, rows):
    """Compares images with the live network's: one unit of rounding, and 1e-5 of the range."""
    expected = facts.depth.from_model(Gs.run(latents, standardised(rows, LABELS)))
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    low, high = facts.depth.value_range
    assert np.ptp(expected) > 0.5 * (high - low)
    off = np.abs(found.astype(np.float64) - expected).max()
    assert off <= 1e-5 * (high - low) + (found.dtype != np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "channels", "kind"),
    [("uint16", 3, "RGB"), ("uint16", 5, "5-channel"), ("float32", 5, "5-channel")],
)
def test_an_exported_model_is_loaded_with_its_type_size_and_labels(dtype, channels, kind, tmp_path):
    Gs, facts = exported(dtype, channels)
    folder = export_generator(Gs, tmp_path / "m", facts=facts)
    net = ServedNetworks(folder)
    assert (net.size, net.depth, net.label_groups) == ((10, 8), facts.depth, LABELS)
    rows = any_data.labels(2)
    found = net.generate([5, 6], labels=rows)
    assert_the_images_of(Gs, facts, found, net.latents([5, 6]), rows)
    assert f"10x8 (height x width) {kind} images" in (folder / "README.md").read_text()
    assert depths.EIGHT_BITS != net.depth


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("file_format", ["tflite", "onnx"])
def test_an_onnx_or_tensorflow_lite_file_gives_the_live_values(file_format, dtype, tmp_path):
    Gs, facts = exported(dtype, 5)
    if file_format == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("tf2onnx")
    edge.export_edge(Gs, tmp_path / "m", file_format, facts)
    _, run_file = edge.FORMATS[file_format]
    packages = edge._packages(file_format)
    rows = any_data.labels(3)
    latents = np.random.default_rng(1).normal(size=[3, Gs.latent_size]).astype(np.float32)
    inputs = {"latents": latents, "labels": rows}
    found = run_file((tmp_path / "m").read_bytes(), inputs, packages)
    assert_the_images_of(Gs, facts, found, latents, rows)
