"""Training on images of any grid, type and number of channels, and with any kinds of labels."""

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from pgtf import images, networks
from pgtf.config import PRESETS
from pgtf.dataset import pipeline
from pgtf.interop import load_meta, load_snapshot
from pgtf.label_groups import standardised
from pgtf.losses import LossConfig
from pgtf.training import loop, objectives
from tests import tiny
from tests.conformance import any_data

CASES = [
    ("5x4", 1, "uint16"),
    ("4x3", 2, "float32"),
    ("2x8", 13, "uint8"),
    ("4x4", 5, "float32"),
    ("4x4", 3, "uint16"),
]


@pytest.fixture(params=CASES, ids=lambda case: "-".join(map(str, case)))
def dataset(request, tmp_path):
    grid, channels, dtype = request.param
    return any_data.opened(
        tmp_path / "x",
        grid=grid,
        channels=channels,
        dtype=dtype,
        levels=2,
        label_groups=any_data.GROUPS,
    )


def pair(dataset):
    options = {
        "grid": str(dataset.grid),
        "resolution": dataset.resolution,
        "num_channels": dataset.num_channels,
        "label_size": dataset.label_size,
    }
    return tiny.generator(seed=1, **options), tiny.discriminator(seed=2, **options)


def test_minibatches_are_in_the_range_of_networks_and_every_weight_gets_a_gradient(dataset):
    args = {"resolution_log2": 3, "minibatch": 4, "seed": 5}
    stored, labels = next(iter(pipeline.batches(dataset, **args)))
    assert stored.dtype == dataset.dtype.name
    reals = pipeline.process_reals(stored, 0.25, value_range=dataset.value_range)
    low, high = dataset.value_range
    expected = (stored.numpy().astype(np.float64) - low) / (high - low) * 2 - 1
    n, height, width, channels = expected.shape
    assert (height, width, channels) == (*dataset.size, dataset.num_channels)
    boxes = expected.reshape(n, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))
    boxes = boxes.repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(reals, boxes + 0.25 * (expected - boxes), atol=2e-6)
    assert abs(labels[:, -1].numpy()).max() < 5  # ages, standardised
    G, D = pair(dataset)
    latents = tf.random.stateless_normal([4, G.latent_size], [1, 2])
    mixing = tf.random.stateless_uniform([4, 1, 1, 1], [3, 4])
    alpha, config = tf.constant(0.25), LossConfig()
    groups = dataset.label_groups
    with tf.GradientTape(persistent=True) as tape:
        parts = objectives.discriminator_parts(
            G, D, reals, labels, latents, mixing, alpha, config, groups=groups
        )
        D_loss = tf.reduce_mean(tiny.sum_of(parts).loss)
        terms = objectives.generator_terms(G, D, latents, labels, 8, alpha, config, groups)
        G_loss = tf.reduce_mean(terms.loss)
    for network, loss in ((G, G_loss), (D, D_loss)):
        variables = network.variables_at(3)
        gradients = tape.gradient(loss, list(variables.values()))
        for name, gradient in zip(variables, gradients, strict=True):
            assert np.isfinite(gradient).all(), name
            assert np.abs(gradient).max() > 0, name


def test_the_smallest_images_of_a_grid_of_odd_sides_are_left_as_they_are():
    stored = np.arange(2 * 5 * 4 * 1, dtype=np.uint8).reshape(2, 5, 4, 1)
    reals = pipeline.process_reals(stored, 1.0)
    np.testing.assert_array_equal(reals, images.to_float(stored))


def steady(dataset, **changes):
    """A configuration without growing, whose one stage compiles in seconds."""
    fixed = {
        "schedule.lod_initial_resolution": None,
        "schedule.lod_training_kimg": 0,
        "schedule.lod_transition_kimg": 0,
        "training.total_kimg": 0.032,
    }
    return any_data.configured(PRESETS["demo"], dataset).replace(fixed | changes)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES[:3], ids=str)
def test_a_resumed_run_has_the_bits_of_an_undisturbed_one(case, tmp_path):
    grid, channels, dtype = case
    options = {"grid": grid, "channels": channels, "dtype": dtype, "levels": 2}
    dataset = any_data.opened(tmp_path / "x", label_groups=any_data.GROUPS, **options)
    found = {}
    for name, lengths in (("whole", [0.032]), ("resumed", [0.016, 0.032])):
        (folder := tmp_path / name).mkdir()
        for total_kimg in lengths:
            config = steady(dataset, **{"training.total_kimg": total_kimg})
            config.check()
            loop.run(config, dataset, tf.distribute.get_strategy(), folder)
        path = sorted(folder.glob("network-snapshot-*.h5"))[-1]
        found[name] = [tiny.arrays_of(network) for network in load_snapshot(path)]
        meta = load_meta(path)
    for whole, resumed in zip(*found.values(), strict=True):
        for key, array in whole.items():
            np.testing.assert_array_equal(array, resumed[key], key)
    assert (meta["dtype"], meta["range"]) == (dtype, any_data.RANGES[dtype])
    assert [dict(g, columns=[*g["columns"]]) for g in meta["label_groups"]] == any_data.GROUPS
    with PIL.Image.open(folder / "reals.png") as file:
        assert file.width % dataset.size[1] == 0
        assert file.height % dataset.size[0] == 0


def test_labels_of_networks_are_those_of_the_file_with_standardised_numbers(tmp_path):
    dataset = any_data.opened(tmp_path / "x", levels=1, label_groups=any_data.GROUPS)
    rows = any_data.labels()
    np.testing.assert_array_equal(dataset.read_labels(range(any_data.NUM)), rows)
    found = standardised(rows, dataset.label_groups)
    np.testing.assert_array_equal(found[:, :5], rows[:, :5])
    np.testing.assert_allclose(found[:, 5], (rows[:, 5] - 60) / 9.5, rtol=1e-6)
    one = dataset.as_one_class()
    assert [(g.kind, g.columns) for g in one.label_groups] == [("class", (0, 6))]
    assert standardised(rows, one.label_groups) is rows


def test_one_group_of_classes_has_the_loss_of_the_original_to_the_bit(tmp_path):
    dataset = any_data.opened(tmp_path / "x", levels=2, label_groups=any_data.GROUPS[:1])
    assert networks.GeneratorConfig().grid == str(dataset.grid)
    G, D = pair(dataset)
    rng = np.random.default_rng(0)
    reals = rng.normal(size=[4, 8, 8, 3]).astype(np.float32)
    labels = np.eye(3, dtype=np.float32)[[0, 2, 1, 1]]
    latents = rng.normal(size=[4, G.latent_size]).astype(np.float32)
    args = (G, D, *map(tf.constant, (reals, labels, latents)), tf.fill([4, 1, 1, 1], 0.5), None)
    sums = [
        tiny.sum_of(objectives.discriminator_parts(*args, LossConfig(), groups=groups)).loss
        for groups in ((), dataset.label_groups)
    ]
    np.testing.assert_array_equal(*sums)
