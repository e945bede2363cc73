import numpy as np
import pytest

from tests import tiny
from tests.networks import oracle

LABELS = 2


@pytest.fixture(scope="module")
def D():
    return tiny.with_random_biases(tiny.discriminator(label_size=LABELS), np.random.default_rng(0))


@pytest.fixture
def images(rng):
    return rng.uniform(-1, 1, size=[8, 16, 16, 3]).astype(np.float32)


def outputs(D, images, lod=None):
    return np.concatenate(D(images, lod), axis=1)


@pytest.mark.parametrize("lod", [0, 0.25, 1, 1.5, 2])
@pytest.mark.parametrize("batch", [8, 4, 3, 1])
def test_scores_and_logits_of_every_lod_are_those_of_the_formulas(D, images, lod, batch):
    small = images[:batch].astype(np.float64)
    for _ in range(int(lod)):
        small = oracle.halved(small)
    expected = oracle.discriminator(
        tiny.arrays_of(D), small, 1 - lod % 1, group_size=4, num_blocks=3, finest=int(lod)
    )
    tiny.assert_the_same_but_for_rounding(outputs(D, small, lod), expected)
    scores, label_logits = D(small, lod)
    assert (scores.shape, label_logits.shape) == ((batch, 1), (batch, LABELS))


def test_images_of_the_full_resolution_are_box_averaged_to_that_of_the_lod(D, images):
    halved = oracle.halved(images)
    tiny.assert_the_same_but_for_rounding(outputs(D, images, 1), outputs(D, halved, 1))
    quartered = oracle.halved(halved)
    tiny.assert_the_same_but_for_rounding(outputs(D, images, 2), outputs(D, quartered, 2))


def test_without_a_lod_the_stored_one_decides(D, images):
    try:
        D.lod = 1.5
        np.testing.assert_array_equal(outputs(D, images), outputs(D, images, 1.5))
    finally:
        D.lod = 0.0


@pytest.mark.parametrize("size", [4, 32])
def test_images_of_another_resolution_are_refused(D, size):
    with pytest.raises(ValueError, match=str(size)):
        D(np.zeros([4, size, size, 3]), lod=0)


def test_scores_depend_on_the_strided_group_and_on_nothing_else(D, images):
    scores = outputs(D, images)
    changed = images.copy()
    changed[0] = -changed[0]  # group {0, 2, 4, 6}
    moved = np.abs(outputs(D, changed) - scores).max(axis=1) > 1e-5
    np.testing.assert_array_equal(moved, [True, False] * 4)


@pytest.mark.parametrize("group_size", [0, 1])
def test_without_stddev_scores_are_independent_and_the_last_block_has_a_channel_less(
    images, group_size
):
    D = tiny.discriminator(mbstd_group_size=group_size)
    assert D.variables_by_name["4x4/Conv/weight"].shape == (3, 3, 8, 8)
    assert tiny.discriminator().variables_by_name["4x4/Conv/weight"].shape == (3, 3, 9, 8)
    tiny.assert_the_same_but_for_rounding(D(images[:5])[0], D(images)[0][:5])


@pytest.mark.parametrize(("batch", "group_size"), [(6, 4), (5, 2), (17, 16)])
def test_a_batch_that_is_no_multiple_of_the_group_is_refused_naming_both(batch, group_size):
    D = tiny.discriminator(mbstd_group_size=group_size)
    with pytest.raises(ValueError, match=f"minibatch={batch}, mbstd_group_size={group_size}") as e:
        D(np.zeros([batch, 16, 16, 3]))
    assert "\n" not in str(e.value)  # Keras makes five lines of what a layer raises


def test_pooling_inside_the_fused_kernel_comes_before_the_activation(images):
    fused, unfused = tiny.discriminator(), tiny.discriminator(fused_scale=False)
    for name, variable in fused.variables_by_name.items():
        unfused.variables_by_name[name.replace("1_down", "1")].assign(variable)
    assert np.abs(outputs(fused, images) - outputs(unfused, images)).max() > 1e-3
    block = unfused.model(4).get_layer("16x16")
    x = np.random.default_rng(0).normal(size=[2, 16, 16, 4]).astype(np.float32)
    expected = x.astype(np.float64)
    for conv in ("16x16/Conv0", "16x16/Conv1"):
        kernel = unfused.variables_by_name[f"{conv}/weight"].numpy() * np.sqrt(2 / 9 / 4)
        expected = oracle.leaky_relu(oracle.correlate(expected, kernel))
    tiny.assert_the_same_but_for_rounding(block(x), oracle.halved(expected))


def test_without_labels_there_are_no_logits(images):
    scores, label_logits = tiny.discriminator()(images)
    assert (scores.shape, label_logits.shape) == ((8, 1), (8, 0))


@pytest.mark.parametrize(
    ("minibatch", "options", "is_possible"),
    [
        (8, {}, True),
        (2, {}, False),  # a group of 4 would be made of both
        (None, {}, False),
        (8, {"mbstd_group_size": "all"}, False),
        (8, {"use_batchnorm": True}, False),
        (8, {"use_gdrop": True}, False),
        (8, {"mbdisc_kernels": 2, "mbstd_group_size": 0}, False),
    ],
)
def test_minibatches_can_be_scored_jointly_where_no_score_changes(minibatch, options, is_possible):
    assert tiny.discriminator(**options).can_score_jointly(minibatch) == is_possible
