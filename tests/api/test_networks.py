"""pgtf.load and what it returns: latents, images, pictures, models."""

import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import PIL.Image
import pytest

import pgtf
from pgtf import images
from pgtf.export import Facts, export, export_generator
from pgtf.interop import load_snapshot
from tests import tiny
from tests.commands import generating

ROOT = Path(__file__).parents[2]
PICKLE = ROOT / "tests" / "data" / "reference" / "networks" / "net-d-nosrc.pkl"


@pytest.fixture(scope="module")
def net(outdir):
    return pgtf.load(outdir / "000-faces-demo")


@pytest.fixture(scope="module")
def labelled(outdir):
    return pgtf.load(outdir / "001-digits-demo")


@pytest.fixture(scope="module")
def served(outdir, tmp_path_factory):
    """The SavedModel of run 1."""
    Gs = load_snapshot(outdir / "001-digits-demo" / "network-snapshot-000012.h5")[2]
    out = tmp_path_factory.mktemp("models") / "digits"
    report = {"latency_ms": {}, "largest_difference_levels": {}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "self_check", lambda folder, expected: report)
        export_generator(Gs, out, facts=Facts("digits", ("cat", "dog", "owl"), kimg=12))
    return out


@pytest.mark.parametrize("run", [0, 1])
def test_generate_returns_the_pictures_of_the_command_byte_for_byte(outdir, tmp_path, run):
    flags = ["--seeds=0-19,40", f"--out={tmp_path}", f"--run={run}", f"--outdir={outdir}"]
    generating.run("images", *flags)
    found = pgtf.load(run, outdir=outdir).generate([*range(20), 40])
    assert found.dtype == np.uint8
    for seed, image in zip([*range(20), 40], found, strict=True):
        with PIL.Image.open(tmp_path / f"seed{seed:04d}.png") as written:
            assert np.array_equal(np.asarray(written), image)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("{outdir}/000-faces-demo", "run"),
        ("{outdir}/000-faces-demo/network-snapshot-000012.h5", "snapshot"),
        ("0", "run"),
        ("000", "run"),
        (0, "run"),
    ],
)
def test_a_run_is_loaded_by_whatever_names_it(outdir, net, source, kind):
    source = source.format(outdir=outdir) if isinstance(source, str) else source
    found = pgtf.load(source, outdir=outdir)
    assert found.kind == kind
    assert np.array_equal(found.generate([3]), net.generate([3]))


def test_files_are_recognised_by_their_content_if_their_names_say_nothing(outdir, tmp_path):
    for source, kind in [
        (outdir / "000-faces-demo" / "network-snapshot-000012.h5", "snapshot"),
        (PICKLE, "pickle"),
    ]:
        shutil.copy(source, tmp_path / "file")
        assert pgtf.load(tmp_path / "file").kind == kind


def test_the_newest_run_is_loaded_without_a_name(outdir):
    assert pgtf.load(outdir=outdir).path.parent.name == "001-digits-demo"


def test_a_saved_model_gives_the_images_of_its_network(labelled, served):
    found = pgtf.load(served)
    assert (found.kind, found.kimg, found.lod, found.resolution) == ("SavedModel", 12, 1.25, 16)
    assert found.label_names == ("cat", "dog", "owl")
    expected = labelled.generate(range(18)).astype(int)
    assert np.abs(found.generate(range(18)) - expected).max() <= 1
    assert found.generate([]).shape == (0, 8, 8, 3)
    for what in (lambda: found.Gs, lambda: found.D, found.keras_model):
        with pytest.raises(ValueError, match="holds only the graph of Gs"):
            what()
    with pytest.raises(ValueError, match="`lod` of this SavedModel is 1.25"):
        found.generate(lod=0)


def test_a_saved_model_with_an_operation_that_is_not_allowed_is_refused(served, tmp_path):
    shutil.copytree(served, tmp_path / "model")
    path = tmp_path / "model" / "1" / "saved_model.pb"
    path.write_bytes(path.read_bytes().replace(b"LeakyRelu", b"WriteFile"))
    with pytest.raises(ValueError, match="refused operation 'WriteFile'"):
        pgtf.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("hf://user/repo", ValueError, "optional extra `hub`"),
        ("7", ValueError, r"no run '7' in .*\. Runs there: 000-faces-demo, 001-digits-demo"),
        (7, ValueError, "no run '7'"),
        ("mine", ValueError, "no run 'mine'"),
        ("/nowhere/x.h5", OSError, "/nowhere/x.h5"),
        ("/nowhere/x.pkl", OSError, "/nowhere/x.pkl"),
        ("{tmp_path}", ValueError, "no network snapshot yet"),
        (__file__, ValueError, "test_networks.py"),
    ],
)
def test_what_cannot_be_loaded_is_one_line_with_its_name(outdir, tmp_path, source, error, message):
    if isinstance(source, str):
        source = source.format(tmp_path=tmp_path)
    with pytest.raises(error, match=message) as raised:
        pgtf.load(source, outdir=outdir)
    assert "\n" not in str(raised.value)


def test_repr_is_short_and_names_kind_resolution_channels_and_kimg(labelled, tmp_path):
    deep = tmp_path / ("d" * 100) / ("\x1b[2J" + "e" * 100)
    deep.parent.mkdir()
    shutil.copytree(labelled.path.parent, deep)
    for found in (labelled, pgtf.load(deep)):
        for word in ("run", "16x16", "lod 1.25", "3 channels", "12 kimg", "3 label columns"):
            assert word in repr(found)
        assert len(repr(found)) < 300
        assert repr(found).isprintable()


def test_the_networks_and_their_configuration_are_those_of_the_snapshot(net, labelled):
    G, D, Gs = load_snapshot(net.path)
    for found, stored in ((net.G, G), (net.D, D), (net.Gs, Gs)):
        for name, array in tiny.arrays_of(stored).items():
            assert np.array_equal(tiny.arrays_of(found)[name], array)
    assert net.config.training.total_kimg == 12
    assert labelled.config.G.label_size == 3
    assert (net.warning, net.label_names) == (None, ())
    assert "the network is in the fade from 4x4 to 8x8" in labelled.warning
    assert pgtf.load(PICKLE).config is None


def test_the_summary_counts_every_parameter_once(net, capsys):
    net.summary()
    *_, sixteen, total = capsys.readouterr().out.splitlines()
    counts = [
        sum(array.size for array in tiny.arrays_of(network).values()) for network in (net.G, net.D)
    ]
    assert total.split() == ["all", *(f"{count:,}" for count in counts)]
    assert sixteen.split()[:2] == ["16x16", "4"]


def test_latents_depend_on_their_seed_alone(net):
    many = net.latents(range(5, 9))
    assert many.shape == (4, 8)
    assert many.dtype == np.float32
    for seeds in (7, [7], np.array([7]), iter([7]), np.uint8(7)):
        assert np.array_equal(net.latents(seeds), many[2:3])
    assert np.array_equal(net.generate(latents=many), net.generate(range(5, 9)))


@pytest.mark.parametrize("seeds", [0.5, "0-3", [[1, 2]], [2**63], [None], True])
def test_seeds_that_are_no_integers_are_refused(net, seeds):
    with pytest.raises(ValueError, match="`seeds` must be integers"):
        net.generate(seeds)


def test_interpolation_ends_at_both_latents_and_moves_in_equal_angles(net):
    a, b = net.latents([1, 2])
    path = net.interpolate(a, b, 5)
    assert path.shape == (5, 8)
    assert np.array_equal(path[[0, -1]], [a, b])
    units = path / np.linalg.norm(path, axis=1, keepdims=True)
    angles = np.arccos(np.sum(units[1:] * units[:-1], axis=1))
    np.testing.assert_allclose(angles, angles.mean(), rtol=1e-3)
    assert np.array_equal(net.interpolate(a, b, 1), [a])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.0] * 7, [0.0] * 8, 3), "`a` must be"),
        (([0.0] * 8, [np.nan] * 8, 3), "`b` must be finite"),
        (([0.0] * 8, "cat", 3), "`b` must be numbers"),
        (([0.0] * 8, [0.0] * 8, 0), "`steps` must be an integer above 0"),
        (([0.0] * 8, [0.0] * 8, 2.5), "`steps` must be an integer above 0"),
    ],
)
def test_what_cannot_be_interpolated_is_refused_by_name(net, arguments, message):
    with pytest.raises(ValueError, match=message):
        net.interpolate(*arguments)


def test_labels_are_classes_names_or_rows(labelled):
    def rows(*classes):
        return labelled.generate(range(3), labels=np.eye(3, dtype=np.float32)[list(classes)])

    dogs, mixed = rows(1, 1, 1), rows(2, 0, 1)
    for labels in (1, "1", "dog", [1, 1, 1], ["dog"] * 3, [0.0, 1.0, 0.0]):
        assert np.array_equal(labelled.generate(range(3), labels=labels), dogs)
    for labels in (np.array([2, 0, 1]), ["owl", "cat", "dog"]):
        assert np.array_equal(labelled.generate(range(3), labels=labels), mixed)
    assert np.array_equal(labelled.generate(range(3)), rows(0, 1, 2))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (3, r"must be in 0 \.\.\. 2, or one of cat, dog, owl. Received: 3"),
        ("cow", "Received: 'cow'"),
        ([0, 1], "Received: 2 for 3"),
        ([0.5], r"Received: float64 \[1\]"),
        (np.zeros((2, 3)), "Received: 2 for 3"),
        ([0.0, np.nan, 1.0], "`labels` must be finite"),
        (np.zeros((3, 4)), r"Received: float64 \[3, 4\]"),
        (None, "None, because this network has no labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused(net, labelled, labels, message):
    network, labels = (net, 0) if labels is None else (labelled, labels)
    with pytest.raises(ValueError, match=message):
        network.generate(range(3), labels=labels)


def test_lod_chooses_the_resolution(net):
    assert net.generate([0], lod=1.5).shape == (1, 8, 8, 3)
    with pytest.raises(ValueError, match=r"`lod` must be in 0 \.\.\. 2"):
        net.generate([0], lod=5)


def test_show_tiles_images_and_enlarges_them_by_a_whole_number(net):
    found = net.generate(range(6))
    grid = net.show(found, columns=4, zoom=3)
    assert isinstance(grid, PIL.Image.Image)
    expected = images.image_grid(found, (4, 2), images.MID_GRAY).repeat(3, 0).repeat(3, 1)
    assert np.array_equal(np.asarray(grid), expected)
    assert net.show(found).size == (528, 352)  # 3 columns of 16 pixels, 11 times as large
    assert net.show(found[0]).size == (512, 512)
    floats = images.to_float(found)
    assert np.array_equal(np.asarray(net.show(floats, 4, 3)), expected)
    with pytest.raises(ValueError, match=r"`images` must be .*Received: uint8 \[16, 16\]"):
        net.show(found[0, :, :, 0])


# Keras saves weights in a way that NumPy 2 tells to change.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("name", ["net", "labelled"])
def test_the_keras_model_gives_the_same_images_also_after_keras_loaded_it(name, request, tmp_path):
    found = request.getfixturevalue(name)
    latents = found.latents(range(3))
    latents[2] *= 1e20  # The square is infinite in float32.
    labels = np.eye(3, dtype=np.float32)
    inputs, expected = latents, found.Gs(latents)
    if found.label_size:
        inputs, expected = [latents, labels], found.Gs(latents, labels)
    model = found.keras_model()
    tiny.assert_the_same_but_for_rounding(model(inputs), expected)
    model.save(tmp_path / "Gs.keras")
    loaded = keras.models.load_model(tmp_path / "Gs.keras")
    tiny.assert_the_same_but_for_rounding(loaded(inputs), expected)


LOOK = """
import sys, time
started = time.perf_counter()
import pgtf
seconds = time.perf_counter() - started
heavy = {"tensorflow", "keras", "numpy", "PIL", "absl", "scipy"} & set(sys.modules)
assert not heavy, heavy
assert {"load", "Networks", "presets", "Config", "open_dataset"} <= set(dir(pgtf))
assert pgtf.presets()["demo"].training.total_kimg > 0
assert pgtf.Config().G.resolution == 32
assert pgtf.open_dataset.__module__ == "pgtf.dataset.folder"
assert "tensorflow" not in sys.modules
assert pgtf.schedule.Schedule(resolution_log2=5).at(0).resolution == 4
print(seconds)
"""


def test_importing_the_package_is_quick_and_imports_no_tensorflow(tmp_path):
    environment = {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", LOOK]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0.2
