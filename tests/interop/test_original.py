"""Network pickles of the original releases become our networks, or an error names what is wrong."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pgtf.interop import load_pkl
from pgtf.networks import Discriminator, Generator
from tests.interop.pickles import pickled

DATASET = {"resolution": 16, "num_channels": 3, "label_size": 2}
FMAPS = {"fmap_base": 32, "fmap_max": 8, "fmap_decay": 0.5}


def arrays_of(network):
    variables = network.variables_by_name
    return {name: tf.convert_to_tensor(variable).numpy() for name, variable in variables.items()}


def state_of(network, func, lod=0.5, **options):
    """The state that the TensorFlow release would pickle for a network of ours."""
    return {
        "version": 2,
        "name": func[:1],
        "static_kwargs": options,
        "build_module_src": "raise SystemExit",
        "build_func_name": func,
        "variables": [("lod", np.float32(lod)), *arrays_of(network).items()],
    }


@pytest.fixture(scope="module")
def g_state():
    options = DATASET | FMAPS | {"latent_size": 5, "use_pixelnorm": False}
    return state_of(Generator(**options, seed=1), "G_paper", **options)


@pytest.fixture(scope="module")
def d_state():
    options = DATASET | FMAPS | {"mbstd_group_size": 2, "fused_scale": False}
    return state_of(Discriminator(**options, seed=2), "D_paper", **options)


def with_options(state, **options):
    return state | {"static_kwargs": state["static_kwargs"] | options}


def with_variables(state, change):
    return state | {"variables": change(list(state["variables"]))}


def test_weights_options_and_lod_are_mapped_one_to_one(load, g_state, d_state):
    other = with_variables(g_state, lambda v: [("lod", np.float32(1.25)), *v[1:]])
    G, D, Gs = load(g_state, d_state, other)
    assert (G.lod, D.lod, Gs.lod) == (0.5, 0.5, 1.25)
    assert dataclasses.asdict(G.config).items() >= g_state["static_kwargs"].items()
    assert dataclasses.asdict(D.config).items() >= d_state["static_kwargs"].items()
    for network, state in ((G, g_state), (D, d_state), (Gs, g_state)):
        for name, array in state["variables"][1:]:
            assert np.array_equal(arrays_of(network)[name], array)
    assert Gs(np.zeros([1, 5])).shape == (1, 8, 8, 3)  # its own lod


def test_the_source_text_in_the_pickle_is_not_executed(load, g_state, d_state, tmp_path):
    marker = tmp_path / "it-ran"
    source = f"open({str(marker)!r}, 'w').close()\n"
    states = [state | {"build_module_src": source} for state in (g_state, d_state, g_state)]
    load(*states)
    assert not marker.exists()


def test_options_that_do_not_change_what_is_computed_are_accepted(load, g_state, d_state):
    ignored = {"dtype": "float16", "structure": "linear", "is_template_graph": True}
    G, D, _ = load(
        with_options(g_state, **ignored, mbstd_group_size=16),
        with_options(d_state, **ignored),
        g_state,
    )
    assert not hasattr(G.config, "mbstd_group_size")
    assert D.config.mbstd_group_size == 2


def test_numpy_numbers_are_taken_as_options(load, g_state, d_state):
    G, _, _ = load(with_options(g_state, resolution=np.int64(16)), d_state, g_state)
    assert type(G.config.resolution) is int


def test_missing_misshapen_and_superfluous_weights_are_all_named(load, g_state, d_state):
    def change(variables):
        kept = [(name, array) for name, array in variables if name != "4x4/Conv/bias"]
        kept = [(n, a.T if n == "8x8/Conv0_up/weight" else a) for n, a in kept]
        return [*kept, ("4x4/Conv/noise", np.zeros(3, "float32"))]

    with pytest.raises(ValueError, match=r"network\.pkl, network 2: weights do not fit") as caught:
        load(g_state, d_state, with_variables(g_state, change))
    for part in (
        "4x4/Conv/bias is missing",
        "4x4/Conv/noise is unknown",
        "8x8/Conv0_up/weight must have shape (3, 3, 8, 8), found (8, 8, 3, 3)",
    ):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


BROKEN = {
    "unknown option": (lambda s: with_options(s, use_noise=True), "unknown options use_noise of D"),
    "option of text": (
        lambda s: with_options(s, fmap_base="8192"),
        "`fmap_base` must be a 32-bit integer. Received: '8192'",
    ),
    "resolution": (lambda s: with_options(s, resolution=17), "`resolution` must be a power of two"),
    "no lod": (lambda s: with_variables(s, lambda v: v[1:]), "`lod` is missing"),
    "lod of 7": (lambda s: with_variables(s, lambda v: [("lod", np.float32(7)), *v[1:]]), "`lod`"),
    "lod nan": (
        lambda s: with_variables(s, lambda v: [("lod", np.float32(np.nan)), *v[1:]]),
        "`lod` must be in",
    ),
    "weight twice": (lambda s: with_variables(s, lambda v: [*v, v[-1]]), "must be distinct names"),
    "weight of text": (lambda s: with_variables(s, lambda v: [*v[:-1], ("x", "y")]), "with arrays"),
    "integer weight": (
        lambda s: with_variables(s, lambda v: [*v[:-1], (v[-1][0], v[-1][1].astype("int32"))]),
        "4x4/Dense1/bias must be of floats, found int32",
    ),
    "version 1": (lambda s: s | {"version": 1}, "`version` must be 2. Received: version=1"),
    "version 3": (lambda s: s | {"version": 3}, "`version` must be 2. Received: version=3"),
    "version of text": (lambda s: s | {"version": "2"}, "`version` must be 2. .*version='2'"),
    "no version": (
        lambda s: {name: value for name, value in s.items() if name != "version"},
        "`version` must be 2. Received: version=None",
    ),
    "function": (lambda s: s | {"build_func_name": "D_style"}, "unknown build function 'D_style'"),
    "no variables": (lambda s: s | {"variables": None}, "needs `variables` of type list"),
    "empty state": (lambda s: {"name": "D"}, "needs `build_func_name` of type str"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_network_is_named(kind, load, g_state, d_state):
    change, message = BROKEN[kind]
    with pytest.raises(ValueError, match=message) as caught:
        load(g_state, change(d_state), g_state)
    assert "network.pkl, network 1" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["latent_size", "label_size", "fmap_max"])
@pytest.mark.parametrize("size", [10**6, 2**31 - 1, 10**12])
def test_a_network_of_any_size_is_refused_before_it_is_built(
    name, size, load, g_state, d_state, monkeypatch
):
    monkeypatch.setattr("pgtf.interop.weights.build", None)
    huge = with_options(g_state, **{name: size})
    with pytest.raises(ValueError, match="network 0: (weights do not fit|option `.*32-bit)"):
        load(huge, d_state, g_state)


@pytest.mark.parametrize("resolution", [2**15, 2**30, 2**62])
def test_a_network_of_any_resolution_is_refused(resolution, load, g_state, d_state):
    with pytest.raises(ValueError, match="network 1: .*`resolution` must be "):
        load(g_state, with_options(d_state, resolution=resolution), g_state)


FOREIGN = [np.zeros(3), [1] * 3, {"a": 2}, (), "\x1b" * 10**6, b"\n", float("nan"), None, 2**63]


@pytest.mark.parametrize("value", FOREIGN, ids=lambda value: type(value).__name__)
def test_values_of_any_type_in_any_place_are_named(value, load, g_state, d_state):
    """No comparison of arrays, no long text, no other exception."""
    states = [d_state | {name: value} for name in ("version", "build_func_name", "variables")]
    states += [d_state | {"static_kwargs": value}, d_state | {"build_func_spec": value}]
    states += [with_options(d_state, **{name: value}) for name in ("resolution", "fmap_decay", "x")]
    states += [with_variables(d_state, lambda v, x=x: [*v, x]) for x in (value, ("x", value))]
    states += [with_variables(d_state, lambda v: [*v, (value, v[-1][1])])]
    states += [with_variables(d_state, lambda v: [("lod", value), *v[1:]])]
    for state in states:
        with pytest.raises(ValueError, match="network.pkl, network 1: ") as caught:
            load(g_state, state, g_state)
        assert str(caught.value).isprintable()
        assert len(str(caught.value).partition("network.pkl")[2]) < 450


def test_many_wrong_weights_are_counted(load, g_state, d_state):
    more = [(f"x{i}", np.zeros(1, "float32")) for i in range(1000)]
    with pytest.raises(ValueError, match=r"x0 is unknown; .*; 9\d\d more") as caught:
        load(g_state, with_variables(d_state, lambda v: [*v, *more]), g_state)
    assert len(str(caught.value)) < 1500


def test_the_three_networks_must_be_g_d_and_gs(load, g_state, d_state):
    for states in ((g_state, d_state), (d_state, g_state, g_state), (g_state,)):
        with pytest.raises(ValueError, match="must hold G, D and Gs, in this order. Received: "):
            load(*states)


def test_a_pickle_of_something_else_and_a_missing_file_are_named(tmp_path):
    (tmp_path / "x.pkl").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(ValueError, match=r"x\.pkl: no network. Received: int"):
        load_pkl(tmp_path / "x.pkl")
    with pytest.raises(FileNotFoundError, match=r"y\.pkl"):
        load_pkl(tmp_path / "y.pkl")


@pytest.mark.parametrize(
    ("module", "key", "others"),
    [
        ("tfutil", "variables", {"version": 2, "build_func_name": "G_paper", "static_kwargs": {}}),
        ("network", "param_values", {"build_func_spec": {}, "toplevel_params": {}}),
    ],
)
def test_layers_that_share_one_array_are_refused_before_each_gets_a_copy(
    module, key, others, tmp_path, monkeypatch
):
    monkeypatch.setattr("pgtf.interop.original._convert", lambda *_: pytest.fail("converted"))
    array = np.zeros(2**18, "float32")  # 1 MiB
    values = [(f"{i}", array) if key == "variables" else array for i in range(30)]
    path = tmp_path / "network.pkl"
    path.write_bytes(pickled(module, others | {key: values}, times=3))
    assert path.stat().st_size < 1.1 * 2**20
    with pytest.raises(ValueError, match=f"^{path}: its weights take far more memory .*: 90 MiB"):
        load_pkl(path)
