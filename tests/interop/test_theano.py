"""Network pickles of the Theano release become our networks, or an error names what is wrong."""

import numpy as np
import pytest

from pgtf.networks import Discriminator
from tests.interop.test_original import FOREIGN, arrays_of

THEANO_G = {"func": "G_paper", "resolution": 4, "fmap_base": 8, "fmap_max": 4, "latent_size": 3}


def theano_state(spec, params, **toplevel):
    return {
        "build_func_spec": spec,
        "build_module_src": "",
        "param_values": params,
        "toplevel_params": toplevel,
    }


def theano_g(rng, **spec):
    scale = np.float32(0.25)
    layers = [((4, 3, 4, 4), 4), ((4, 4, 3, 3), 4), ((4, 1), 1)]
    params = []
    for shape, biases in layers:
        weight, bias = rng.normal(size=shape), rng.normal(size=biases)
        params += [weight.astype("float32"), np.array(scale), bias.astype("float32")]
    return theano_state(THEANO_G | spec, params, cur_lod=np.array(0, "float32"), gdrop_strength=0.0)


def test_a_theano_generator_computes_what_its_layers_say(load, rng):
    """The 4x4 network, in NumPy: a full 4x4 convolution of one pixel, a 3x3 one, a linear one."""
    state = theano_g(rng, normalize_latents=False, use_pixelnorm=False)
    w0, s0, b0, w1, s1, b1, w2, s2, b2 = (a.astype("float64") for a in state["param_values"])
    z = rng.normal(size=3)

    def lrelu(x):
        return np.maximum(x, 0.2 * x)

    x = lrelu(s0 * np.einsum("i,oihw->ohw", z, w0) + b0[:, None, None])
    padded, y = np.pad(x, [(0, 0), (1, 1), (1, 1)]), np.zeros([4, 4, 4])
    for h in range(4):
        for w in range(4):  # a true convolution: the kernel is turned around
            patch = padded[:, h : h + 3, w : w + 3]
            y[:, h, w] = np.einsum("ihw,oihw->o", patch, w1[:, :, ::-1, ::-1])
    y = lrelu(s1 * y + b1[:, None, None])
    expected = s2 * np.einsum("ihw,io->hwo", y, w2) + b2

    d = Discriminator(resolution=4, fmap_base=8, fmap_max=4, mbstd_group_size=16)
    params = []
    for name, array in arrays_of(d).items():
        if name == "4x4/Conv/weight":
            array = array.transpose(3, 2, 0, 1)
        elif name == "4x4/Dense0/weight":
            array = array.reshape(4, 4, 4, 4).transpose(3, 0, 1, 2)
        elif "RGB" in name and "weight" in name:
            array = array[0, 0]
        params += [array, np.ones([], "float32")] if "weight" in name else [array]
    spec = {"func": "D_paper", "resolution": 4, "fmap_base": 8, "fmap_max": 4}
    G, D, _ = load(state, theano_state(spec, params), state, module_name="network")
    found = G(z[np.newaxis].astype("float32")).numpy()[0]
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    assert D.config.mbstd_group_size == 16


THEANO_BROKEN = {
    "another function": ({"func": "G_mnist"}, "unknown build function 'G_mnist'"),
    "tanh": ({"tanh_at_end": 1.0}, "`tanh_at_end` is supported as None only"),
    "batch norm": ({"use_batchnorm": True}, "`use_batchnorm` is supported as False only"),
    "labels": ({"label_size": 10}, "`label_size` is supported as 0 only"),
    "unknown": ({"use_noise": True}, "unknown options use_noise"),
    "another resolution": ({"resolution": 8}, "6 layers need 18 arrays. Received: 9"),
    "no wscale": ({"use_wscale": False}, "3 layers need 6 arrays. Received: 9"),
    "other maps": ({"fmap_max": 2}, "4x4/Conv/bias must have shape"),
    "resolution of text": ({"resolution": "4"}, "`resolution` must be a 32-bit integer"),
    "no function": ({"func": None}, "unknown build function None"),
    "function list": ({"func": []}, "unknown build function list"),
    "array of labels": ({"label_size": np.zeros(3)}, "`label_size` is supported as 0 only"),
}  # fmt: skip


@pytest.mark.parametrize("kind", THEANO_BROKEN)
def test_a_theano_network_of_another_kind_is_named(kind, load, rng):
    options, message = THEANO_BROKEN[kind]
    with pytest.raises(ValueError, match=message) as caught:
        load(theano_g(rng, **options), module_name="network")
    assert "network.pkl, network 0" in str(caught.value)


def test_a_theano_weight_of_another_rank_is_named(load, rng):
    state = theano_g(rng)
    state["param_values"][0] = np.zeros([4, 3], "float32")
    with pytest.raises(ValueError, match="4x4/Dense/weight must be of rank 4"):
        load(state, module_name="network")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"param_values": [None] * 9}, "parameter 0 must be an array of floats"),
        ({"param_values": [np.ones([], "int32")] * 9}, "parameter 0 must be an array of floats"),
        ({"param_values": "none"}, "needs `param_values` of type list"),
        ({"toplevel_params": {"cur_lod": "1"}}, "`cur_lod` must be a number"),
        ({"toplevel_params": {"cur_lod": 9.0}}, "`lod` must be in 0 ... 0"),
    ],
)
def test_a_theano_state_of_other_types_is_named(change, message, load, rng):
    with pytest.raises(ValueError, match=message):
        load(theano_g(rng) | change, module_name="network")


def test_theano_defaults_are_those_of_its_release(load, rng):
    spec = {"func": "G_paper", "resolution": 4, "latent_size": 3}
    with pytest.raises(ValueError, match=r"4x4/Conv/bias must have shape \(256,\), found \(4,\)"):
        load(theano_g(rng) | {"build_func_spec": spec}, module_name="network")


@pytest.mark.parametrize("value", FOREIGN, ids=lambda value: type(value).__name__)
def test_values_of_any_type_in_any_place_of_a_theano_network_are_named(value, load, rng):
    good = theano_g(rng)
    spec = good["build_func_spec"]
    names = ["func", "resolution", "label_size", "tanh_at_end", "mbstat_func", "use_wscale", "y"]
    states = [good | {"build_func_spec": spec | {name: value}} for name in names]
    states += [good | {"param_values": value}, good | {"toplevel_params": [value]}]
    states += [good | {"param_values": [value, *good["param_values"][1:]]}]
    states += [good | {"toplevel_params": {"cur_lod": value}}]
    for state in states:
        if state["build_func_spec"].get("tanh_at_end", 0) is None:
            continue  # the value that is supported
        with pytest.raises(ValueError, match="network.pkl, network 0: ") as caught:
            load(state, module_name="network")
        assert str(caught.value).isprintable()
        assert len(str(caught.value).partition("network.pkl")[2]) < 450
