"""The minibatch statistics against NumPy, and minibatch discrimination against a double loop."""

import numpy as np
import pytest

from pgtf.networks import MinibatchDiscrimination, MinibatchStatistic, MinibatchStdDev
from tests import tiny
from tests.networks import oracle


@pytest.fixture
def x(rng):
    return rng.normal(size=[6, 4, 4, 8]).astype(np.float32)


def appended(x, **options):
    """Maps that a layer appends to [N, H, W, C]."""
    y = MinibatchStatistic(**{"group_size": "all"} | options)(x).numpy()
    np.testing.assert_array_equal(y[..., : x.shape[-1]], x)
    return y[..., x.shape[-1] :]


FUNCTIONS = {
    "Tstdeps": lambda x, axes: np.sqrt(x.var(axes, keepdims=True) + 1e-8),
    "Tstd": lambda x, axes: x.std(axes, keepdims=True),
    "Tmean": lambda x, axes: x.mean(axes, keepdims=True),
    "Tsum": lambda x, axes: x.sum(axes, keepdims=True),
}


AVERAGES = ("all", "flat", "spatial", "none", "gpool", "group")


def expected_maps(x, function, average, num_splits):
    """The maps of one group of samples: [N, 4, 4, C] -> [4, 4, maps]."""
    f = FUNCTIONS[function]
    raw = f(x, 0)[0]  # [H, W, C]
    maps = {
        "all": raw.mean()[np.newaxis],
        "flat": f(x, (0, 1, 2, 3))[0],
        "spatial": raw.mean((0, 1)),
        "none": raw,
        "gpool": f(x, (0, 1, 2))[0],
        "group": raw.reshape(16, num_splits, -1).mean((0, 2)),
    }[average]
    return np.broadcast_to(maps, (4, 4, maps.shape[-1]))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_averages_of_each_function_are_numpys(x, function):
    for average in AVERAGES:
        maps = appended(x, function=function, average=average, num_splits=4)
        wanted = np.broadcast_to(expected_maps(x, function, average, 4), maps.shape)
        np.testing.assert_allclose(maps, wanted, rtol=1e-5, atol=1e-6, err_msg=average)


@pytest.mark.parametrize(("function", "deviation"), [("Tstd", 0), ("Tstdeps", 1e-4)])
def test_samples_that_are_alike_deviate_by_the_root_of_epsilon_or_not_at_all(
    x, function, deviation
):
    alike = np.repeat(x[:1], 4, axis=0)  # The mean of four is exact.
    np.testing.assert_allclose(appended(alike, function=function), deviation, rtol=1e-5)


@pytest.mark.parametrize("group_size", [2, 3, 4, "all"])
def test_the_mean_of_all_is_the_papers_minibatch_standard_deviation(rng, group_size):
    x = rng.normal(size=[12, 4, 4, 8]).astype(np.float32)
    expected = MinibatchStdDev(group_size)(x)
    y = MinibatchStatistic(group_size=group_size)(x)
    np.testing.assert_allclose(y, expected, rtol=1e-6)


def test_all_is_one_group_of_any_size(rng):
    for num in (3, 5, 16):
        x = rng.normal(size=[num, 4, 4, 2]).astype(np.float32)
        np.testing.assert_array_equal(MinibatchStdDev("all")(x), MinibatchStdDev(num)(x))


def test_statistics_are_the_same_for_all_samples_in_any_order(x, rng):
    order = rng.permutation(len(x))
    for average in ("all", "flat", "group", "spatial", "none", "gpool"):
        maps = appended(x, average=average, num_splits=2)
        assert np.ptp(maps, axis=0).max() == 0
        shuffled = appended(x[order], average=average, num_splits=2)
        np.testing.assert_allclose(shuffled, maps, rtol=1e-5)


def test_parts_that_do_not_divide_the_channels_are_refused(x):
    with pytest.raises(ValueError, match="mbstat_num_splits=3, feature maps=8"):
        MinibatchStatistic(average="group", num_splits=3)(x)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("function", ["Tstdeps", "Tmean", "Tsum"])
@pytest.mark.parametrize("group_size", [3, "all"])
def test_discriminators_take_the_statistic_that_is_asked_for(rng, function, average, group_size):
    options = {"mbstat_func": function, "mbstat_avg": average, "mbstat_num_splits": 2}
    D = tiny.discriminator(**options, mbstd_group_size=group_size, resolution=4)
    tiny.with_random_biases(D, rng)
    images = rng.uniform(-1, 1, size=[6, 4, 4, 3]).astype(np.float32)
    num_groups = 1 if group_size == "all" else 2

    def statistic(x):
        groups = [expected_maps(x[m::num_groups], function, average, 2) for m in range(num_groups)]
        return np.stack(groups * (6 // num_groups))

    expected = oracle.discriminator(
        tiny.arrays_of(D), images.astype(np.float64), 1, group_size, 1, statistic=statistic
    )
    scores = D(images)[0].numpy()
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def discrimination(x, layer):
    """Minibatch discrimination as a double loop: Salimans et al. 2016, Section 3.2."""
    theta, log_scale, bias = (v.numpy().astype(np.float64) for v in layer.weights)
    weight = theta * np.exp(log_scale) / np.sqrt((theta**2).sum(0))
    a = np.einsum("na,akd->nkd", x, weight)
    out = np.zeros([len(x), len(bias)]) + bias
    for i in range(len(x)):
        for j in range(len(x)):
            if i != j:
                out[i] += np.exp(-np.abs(a[i] - a[j]).sum(-1))
    return out


def test_minibatch_discrimination_is_a_double_loop_over_samples(rng):
    x, layer = rng.normal(size=[7, 12]).astype(np.float32), MinibatchDiscrimination(4)
    layer.build(x.shape)
    layer.log_scale.assign(rng.normal(size=[4, 5]) - 1)
    y = layer(x).numpy()
    np.testing.assert_array_equal(y[:, :12], x)
    np.testing.assert_allclose(y[:, 12:], discrimination(x, layer), rtol=1e-5, atol=1e-5)


def test_new_discrimination_has_the_releases_initial_values(rng):
    layer = MinibatchDiscrimination(100)
    layer.build((None, 512))
    assert layer.theta.shape == (512, 100, 5)
    assert layer.theta.numpy().std() == pytest.approx(0.05, rel=0.01)
    assert not np.any(layer.log_scale.numpy())
    assert np.all(layer.bias.numpy() == -1)


def test_initialization_makes_nearest_neighbours_2_apart_and_outputs_0_on_average(rng):
    x, layer = rng.normal(3, 2, size=[100, 12]).astype(np.float32), MinibatchDiscrimination(6)
    layer.build(x.shape)
    layer.initialize(x)
    nearest = np.min(layer._distances(x, np.arange(100)), axis=1)
    np.testing.assert_allclose(nearest.mean(0), 2, rtol=1e-4)
    y = layer(x).numpy()[:, 12:]
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(y, discrimination(x, layer), rtol=0, atol=1e-4)


def test_a_discriminator_initializes_it_with_the_features_of_the_given_images(rng):
    D = tiny.discriminator(mbdisc_kernels=3, mbstd_group_size=0)
    layer = D.layers["4x4/MinibatchDiscrimination"]
    images = rng.uniform(-1, 1, size=[40, 8, 8, 3]).astype(np.float32)
    before = tiny.arrays_of(D)
    D.initialize_discrimination(images, lod=1.0)
    changed = {k for k, v in tiny.arrays_of(D).items() if np.any(v != before[k])}
    assert changed == {f"4x4/MinibatchDiscrimination/{kind}" for kind in ("log_scale", "bias")}
    scores = []
    call = layer.call
    layer.call = lambda x: scores.append(call(x)) or scores[-1]
    D(images, lod=1.0)
    np.testing.assert_allclose(scores[-1][:, 8:].numpy().mean(0), 0, atol=1e-4)


@pytest.mark.parametrize("compute_dtype", ["bfloat16", "float16"])
def test_it_is_initialized_in_float32_whatever_the_convolutions_compute_in(rng, compute_dtype):
    options = {"mbdisc_kernels": 3, "mbstd_group_size": 0}
    images = rng.uniform(-1, 1, size=[40, 8, 8, 3]).astype(np.float32)
    half, full = (
        tiny.discriminator(**options, compute_dtype=dtype) for dtype in (compute_dtype, "float32")
    )
    for D in (half, full):
        D.initialize_discrimination(images, lod=1.0)
    name = "4x4/MinibatchDiscrimination/log_scale"
    found, expected = tiny.arrays_of(half)[name], tiny.arrays_of(full)[name]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.05)
    assert np.all(expected != 0)
