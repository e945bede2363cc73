"""The signatures of an exported generator, called as by a server."""

import re

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from pgtf import images
from pgtf.export import Facts, signatures
from pgtf.export.signatures import (
    STATUS_BROKEN_IMAGE,
    STATUS_NO_SUCH_CLASS,
    STATUS_NOT_FINITE,
    make_module,
)
from pgtf.networks import latents_from_seeds
from tests import tiny


def ask(model, signature, **inputs):
    answer = model.signatures[signature](**{k: tf.constant(v) for k, v in inputs.items()})
    return {name: value.numpy() for name, value in answer.items()}


def described(specs):
    return {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in specs.items()}


def levels_off(answer, expected):
    return np.abs(answer.astype(int) - expected).max()


IMAGES = {"plain": [None, 16, 16, 3], "labelled": [None, 8, 8, 1]}
LATENTS = {"plain": {"latents": ("float32", [None, 8])}}
LATENTS["labelled"] = {"latents": ("float32", [None, 5]), "labels": ("float32", [None, 3])}
SEEDS = {"plain": {"seed": ("int64", [None])}}
SEEDS["labelled"] = SEEDS["plain"] | {"class_id": ("int64", [None])}
STATUS = {"status": ("int32", [None])}


@pytest.mark.parametrize("name", ["plain", "labelled"])
def test_inputs_and_outputs_are_named_typed_and_batched(name, request):
    model = request.getfixturevalue(name)
    signatures = model.signatures
    assert set(signatures) == {
        "serving_default", "seeds", "png", "images_float", "interpolate", "info"
    }  # fmt: skip
    two = {"latents_end": LATENTS[name]["latents"], "t": ("float32", [None])}
    images_uint8 = {"images": ("uint8", IMAGES[name])} | STATUS
    expected = {
        "serving_default": (LATENTS[name], images_uint8),
        "images_float": (LATENTS[name], {"images_float": ("float32", IMAGES[name])} | STATUS),
        "seeds": (SEEDS[name], images_uint8),
        "png": (SEEDS[name], {"image_bytes": ("string", [None])} | STATUS),
        "interpolate": (LATENTS[name] | two, images_uint8),
    }
    for signature, (inputs, outputs) in expected.items():
        function = signatures[signature]
        assert described(function.structured_input_signature[1]) == inputs
        assert described(function.structured_outputs) == outputs
    shapes = described(signatures["info"].structured_outputs)
    assert all(shape[0] is None for _, shape in shapes.values())


def test_the_default_signature_answers_the_live_images(plain, rng):
    latents = rng.normal(size=[5, 8]).astype(np.float32)
    answer = ask(plain, "serving_default", latents=latents)
    assert answer["status"].tolist() == [0] * 5
    assert levels_off(answer["images"], images.to_uint8(plain.Gs(latents).numpy())) <= 1


def test_lod_and_alpha_are_those_of_the_snapshot(labelled, rng):
    latents = rng.normal(size=[3, 5]).astype(np.float32)
    labels = rng.normal(size=[3, 3]).astype(np.float32)
    answer = ask(labelled, "serving_default", latents=latents, labels=labels)["images"]
    live = images.to_uint8(labelled.Gs(latents, labels, lod=1.5).numpy())
    other = images.to_uint8(labelled.Gs(latents, labels, lod=1.0).numpy())
    assert levels_off(answer, live) <= 1
    assert levels_off(answer, other) > 10


def test_float_images_are_in_0_to_1(plain, rng):
    latents = rng.normal(size=[5, 8]).astype(np.float32)
    answer = ask(plain, "images_float", latents=latents)["images_float"]
    live = plain.Gs(latents).numpy()
    assert answer.min() == 0
    # Rounding errors are relative to the largest value, which is clipped (tiny.py).
    assert np.abs(answer - np.clip((live + 1) / 2, 0, 1)).max() < 1e-5 * np.abs(live).max()


@pytest.mark.parametrize("num", [1, 3, 8])
def test_a_seed_gives_the_same_image_in_every_batch_eager_and_served(plain, num):
    seeds = np.arange(100, 100 + num)
    answer = ask(plain, "seeds", seed=seeds)["images"]
    eager = images.to_uint8(plain.Gs(latents_from_seeds([100], 8)).numpy())[0]
    differences = np.abs(answer[0].astype(int) - eager)
    assert differences.max() <= 1
    assert np.mean(differences > 0) <= 0.005


@pytest.mark.parametrize("num", [1, 3, 8])
def test_a_seed_gives_the_same_latents_to_the_bit_in_every_batch_eager_and_traced(num):
    seeds = np.array([-1, 2**62, 7, 0, 1, 2, 3, 4])[:num]
    alone = latents_from_seeds(seeds[:1], 512).numpy()[0]
    traced = tf.function(lambda seeds: latents_from_seeds(seeds, 512))
    assert np.array_equal(latents_from_seeds(seeds, 512).numpy()[0], alone)
    assert np.array_equal(traced(tf.constant(seeds)).numpy()[0], alone)


def test_latents_of_a_seed_never_change():
    first = latents_from_seeds([0, 1, 12345], 512).numpy()[:, :3]
    assert np.allclose(first, LATENTS_OF_SEEDS, atol=1e-6)


LATENTS_OF_SEEDS = [
    [-1.697034, -0.481377, -0.662237],
    [0.12665, -0.493017, 0.631191],
    [-0.288402, 1.043732, 1.695347],
]


def test_a_class_is_a_one_hot_label(labelled):
    answer = ask(labelled, "seeds", seed=np.array([5, 6]), class_id=np.array([2, 0]))
    latents = latents_from_seeds([5, 6], 5)
    expected = labelled.Gs(latents, np.eye(3, dtype=np.float32)[[2, 0]])
    assert levels_off(answer["images"], images.to_uint8(expected.numpy())) <= 1


def test_png_files_hold_the_pixels_of_the_seeds(plain):
    seeds = np.array([3, 4])
    files = ask(plain, "png", seed=seeds)["image_bytes"]
    pixels = np.stack([tf.io.decode_png(file).numpy() for file in files])
    assert np.array_equal(pixels, ask(plain, "seeds", seed=seeds)["images"])


def test_interpolation_keeps_to_the_sphere(plain, rng):
    begin, end = rng.normal(size=[2, 8])
    t = np.array([0, 0.25, 0.5, 1], np.float32)
    rows = {"latents": np.tile(begin, (4, 1)), "latents_end": np.tile(end, (4, 1))}
    rows = {name: value.astype(np.float32) for name, value in rows.items()}
    answer = ask(plain, "interpolate", t=t, **rows)["images"]
    angle = np.arccos(begin @ end / np.linalg.norm(begin) / np.linalg.norm(end))
    a, b = begin / np.linalg.norm(begin), end / np.linalg.norm(end)
    arc = (np.outer(np.sin((1 - t) * angle), a) + np.outer(np.sin(t * angle), b)) / np.sin(angle)
    assert np.allclose(np.linalg.norm(arc, axis=1), 1)
    expected = images.to_uint8(plain.Gs(arc.astype(np.float32)).numpy())
    assert levels_off(answer, expected) <= 1


def test_the_ends_of_an_interpolation_are_the_latents_given_to_the_bit(rng):
    latents, latents_end = rng.normal(size=[2, 100, 512]).astype(np.float32) * 3
    between = tf.function(signatures._between)
    for t, expected in [(0, latents), (1, latents_end)]:
        rows = between(latents, latents_end, np.full(100, t, np.float32))
        assert np.array_equal(rows["latents"], expected)


@pytest.mark.parametrize(("end", "t", "middle"), [(2, 0.5, 2), (4, 0.5, 3), (-2, 0.25, 1)])
def test_interpolation_between_parallel_latents_is_a_straight_line(end, t, middle, rng):
    Gs = tiny.with_random_biases(tiny.generator(normalize_latents=False), rng)
    _, signatures = make_module(Gs, Facts(name="parallel"))
    ends = {name: np.zeros([1, 8], np.float32) for name in ("latents", "latents_end")}
    ends["latents"][0, 0], ends["latents_end"][0, 0] = 2, end
    rows = {name: tf.constant(value) for name, value in (ends | {"t": np.float32([t])}).items()}
    answer = {name: x.numpy() for name, x in signatures["interpolate"](**rows).items()}
    assert answer["status"].tolist() == [0]
    live = [images.to_uint8(Gs(ends["latents"] * length / 2).numpy()) for length in (middle, 0)]
    assert levels_off(answer["images"], live[0]) <= 1
    assert levels_off(live[0], live[1]) > 10  # no latents at all give another image


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_spoils_only_itself(plain, labelled, bad, rng):
    latents = rng.normal(size=[3, 8]).astype(np.float32)
    good = ask(plain, "serving_default", latents=latents)["images"]
    latents[1, 4] = bad
    for signature, output in [("serving_default", "images"), ("images_float", "images_float")]:
        answer = ask(plain, signature, latents=latents)
        assert answer["status"].tolist() == [0, STATUS_NOT_FINITE, 0]
        assert np.all(answer[output][1] == 0)
    answer = ask(plain, "serving_default", latents=latents)["images"]
    assert levels_off(answer[[0, 2]], good[[0, 2]]) <= 1
    rows = {"latents": np.ones([2, 5], np.float32), "labels": np.float32([[0, 0, 1], [bad, 0, 0]])}
    assert ask(labelled, "serving_default", **rows)["status"].tolist() == [0, STATUS_NOT_FINITE]
    ends = {"latents": latents[:1] * 0 + 1, "latents_end": latents[:1] * 0 + 2}
    answer = ask(plain, "interpolate", t=np.float32([bad]), **ends)
    assert answer["status"].tolist() == [STATUS_NOT_FINITE]


def test_a_class_out_of_range_spoils_only_its_row(labelled):
    rows = {"seed": np.array([1, 1, 1, 1]), "class_id": np.array([0, 3, -1, 2])}
    answer = ask(labelled, "seeds", **rows)
    assert answer["status"].tolist() == [0, STATUS_NO_SUCH_CLASS, STATUS_NO_SUCH_CLASS, 0]
    assert [bool(image.any()) for image in answer["images"]] == [True, False, False, True]
    files = ask(labelled, "png", **rows)["image_bytes"]
    assert not tf.io.decode_png(files[1]).numpy().any()


def test_an_image_that_the_network_breaks_is_told(rng):
    Gs = tiny.generator(normalize_latents=False, use_pixelnorm=False)
    _, signatures = make_module(Gs, Facts(name="broken"))
    latents = tf.constant(np.float32([[1] * 8, [3e38] * 8]))
    answer = signatures["serving_default"](latents=latents)
    assert answer["status"].numpy().tolist() == [0, STATUS_BROKEN_IMAGE]
    assert not answer["images"].numpy()[1].any()
    assert not signatures["images_float"](latents=latents)["images_float"].numpy()[1].any()


@pytest.mark.parametrize(
    ("name", "signature", "inputs", "words"),
    [
        ("plain", "serving_default", {"latents": np.zeros([0, 8])}, "`latents` must be [N, 8]"),
        ("plain", "serving_default", {"latents": np.zeros([2, 7])}, "[2 7]"),
        ("plain", "serving_default", {"latents": np.zeros([8])}, "`latents` must be [N, 8]"),
        ("plain", "seeds", {"seed": np.zeros([0], int)}, "`seed` must be [N]"),
        ("plain", "seeds", {"seed": np.zeros([2, 1], int)}, "`seed` must be [N]"),
        ("plain", "info", {"dummy": np.zeros([0], int)}, "`dummy` must be [N]"),
        (
            "labelled",
            "serving_default",
            {"latents": np.zeros([2, 5]), "labels": np.zeros([1, 3])},
            "must be [N, 3], N at least 1 and the same for every input. Received:] [1 3]",
        ),
    ],
)  # fmt: skip
def test_what_is_no_batch_is_refused_with_a_reason(request, name, signature, inputs, words):
    model = request.getfixturevalue(name)
    inputs = {k: v.astype(np.float32) if v.dtype == float else v for k, v in inputs.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape(words)):
        ask(model, signature, **inputs)


def test_info_answers_every_row(plain, labelled):
    answer = ask(labelled, "info", dummy=np.zeros(2, int))
    assert answer["name"].tolist() == [b"digits", b"digits"]
    assert answer["label_names"].tolist() == [[b"a", b"b", b"c"]] * 2
    assert answer["resolution"].tolist() == [8, 8]
    assert answer["channels"].tolist() == [1, 1]
    assert answer["lod"].tolist() == [b"1.5", b"1.5"]
    assert answer["kimg"].tolist() == [-1, -1]
    answer = ask(plain, "info", dummy=np.zeros(1, int))
    assert answer["label_names"].shape == (1, 0)
    assert answer["kimg"].tolist() == [12]
    assert answer["fid"].tolist() == [b"unknown"]


def test_the_graph_holds_no_training_and_no_python(plain):
    model = saved_model_pb2.SavedModel.FromString((plain.folder / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    nodes = [
        *graph.node,
        *(node for function in graph.library.function for node in function.node_def),
    ]
    operations = {node.op for node in nodes}
    assert {"Conv2D", "StatelessRandomNormalV2", "EncodePng"} <= operations
    assert not {op for op in operations if re.search("PyFunc|Apply|Grad|^Random", op)}


def test_only_the_weights_of_the_resolution_are_in_the_file(labelled):
    path = labelled.folder / "variables" / "variables"
    names = [name for name, _ in tf.train.list_variables(str(path))]
    weights = {name.split("/")[1] for name in names if name.startswith("variables_by_name")}
    expected = labelled.Gs.variables_at(3)
    assert {name.replace(".S", "/") for name in weights} == expected.keys()
    assert len(expected) < len(labelled.Gs.variables_by_name)


def test_label_names_must_be_one_a_column():
    with pytest.raises(ValueError, match="2 names, label_size=3"):
        make_module(tiny.generator(label_size=3), Facts(name="x", label_names=("a", "b")))


def test_generators_of_the_papers_experiments_are_exported_with_all_they_need(tmp_path, rng):
    """Stored constants, batch norm and tanh; the answer is that of the whole minibatch."""
    Gs = tiny.generator(
        use_batchnorm=True, wscale_constant="rms", tanh_at_end=1.0, normalize_latents=False
    )
    module, signatures = make_module(Gs, Facts(name="a"))
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=signatures)
    model = tf.saved_model.load(str(tmp_path / "1"))
    latents = rng.normal(size=[5, 8]).astype(np.float32)
    answer = ask(model, "serving_default", latents=latents)["images"]
    assert levels_off(answer, images.to_uint8(Gs(latents).numpy())) <= 1
    alone = ask(model, "serving_default", latents=latents[:1])["images"]
    assert levels_off(alone, answer[:1]) > 1
