"""Everything that a network can be called with wrongly: one sentence, and no damage."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests import tiny

GOOD = {"latents": np.ones([2, 8], np.float32), "labels": np.eye(3, dtype=np.float32)[:2]}
IMAGES = np.zeros([4, 16, 16, 3], np.float32)


@pytest.fixture(scope="module")
def G():
    return tiny.generator(label_size=3)


@pytest.fixture(scope="module")
def plain_G():
    return tiny.generator()


@pytest.fixture(scope="module")
def D():
    return tiny.discriminator(label_size=3)


def rows(*shape):
    return np.ones(shape, np.float32)


def wrong_rows(num_columns):
    """Yields arrays that are not two rows of real numbers."""
    yield from (rows(2, num_columns - 1), rows(2, num_columns + 1), rows(num_columns), rows(2))
    yield from (rows(2, 1, num_columns), rows(0), np.float32(1), None if num_columns == 8 else [])
    yield from (rows(2, num_columns).astype(kind) for kind in ("U", "S", "c8", object))
    yield from ([[1.0] * num_columns, [1.0]], "text", {"a": 1}, object())
    yield tf.ones([2, num_columns], tf.complex64)
    yield tf.ones([2, num_columns + 1])


@pytest.mark.parametrize("method", ["__call__", "run"])
@pytest.mark.parametrize("name", ["latents", "labels"])
def test_g_refuses_rows_that_do_not_fit_by_name_and_still_works(G, method, name):
    call = getattr(G, method)
    for wrong in wrong_rows(GOOD[name].shape[1]):
        call(**GOOD)
        with pytest.raises(ValueError, match=rf"^`{name}` must be \[.*\. Received: .") as refused:
            call(**GOOD | {name: wrong})
        shape = ", ".join(map(str, GOOD[name].shape)) if name == "labels" else "N, 8"
        assert f"[{shape}]" in str(refused.value)
    for num in (1, 3):  # labels of another number of rows
        with pytest.raises(ValueError, match=rf"\[2, 3\].*one row per .*\({num}, 3\), float32"):
            call(GOOD["latents"], rows(num, 3))
    assert call(**GOOD).shape == (2, 16, 16, 3)


@pytest.mark.parametrize("method", ["__call__", "run"])
def test_labels_for_a_network_without_labels_are_refused(plain_G, method):
    call = getattr(plain_G, method)
    with pytest.raises(ValueError, match=r"`labels` must be \[2, 0\].*the network has no labels"):
        call(**GOOD)
    assert call(GOOD["latents"], np.zeros([2, 0])).shape == (2, 16, 16, 3)


@pytest.mark.parametrize("method", ["__call__", "run"])
@pytest.mark.parametrize("kind", ["f2", "f8", ">f4", "i4", "u1", "?"])
def test_all_kinds_of_real_numbers_give_the_image_of_float32(G, method, kind):
    call = getattr(G, method)
    given = {name: values.astype(kind) for name, values in GOOD.items()}
    np.testing.assert_array_equal(call(**given), call(**GOOD))
    if kind[0] != ">":
        given = {name: tf.constant(values) for name, values in given.items()}
        np.testing.assert_array_equal(call(**given), call(**GOOD))


@pytest.mark.parametrize("lod", [-0.1, 2.1, math.nan, math.inf, "0", "a", [0, 1], 1j])
def test_a_lod_that_is_none_is_refused_by_name(G, D, lod):
    for call in (
        lambda: G(**GOOD, lod=lod),
        lambda: G.run(**GOOD, lod=lod),
        lambda: D(IMAGES, lod),
    ):
        if lod == "0":
            assert len(call()[0]) > 0  # text of a number, as from a command line
            continue
        with pytest.raises(ValueError, match=r"^`lod` must be in 0 ... 2. Received: lod="):
            call()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_run_refuses_rows_that_are_not_finite_by_name_and_row(G, bad):
    for name, values in GOOD.items():
        values = values.astype(np.float64)
        values[1, 2] = bad
        with pytest.raises(ValueError, match=f"`{name}` must be finite .* in row 1"):
            G.run(**GOOD | {name: values})


@pytest.mark.parametrize("minibatch_size", [0, -1, 2.5, None, "4"])
def test_run_refuses_a_minibatch_size_that_is_no_number_of_images(G, minibatch_size):
    with pytest.raises(ValueError, match=f"`minibatch_size` must be .*={minibatch_size!r}"):
        G.run(**GOOD, minibatch_size=minibatch_size)


@pytest.mark.parametrize(("lod", "resolution"), [(None, 16), (0.5, 16), (1.5, 8), (2, 4)])
def test_an_empty_batch_gives_an_empty_batch_of_the_right_shape(G, plain_G, D, lod, resolution):
    for call in (G, plain_G, G.run, plain_G.run):
        images = np.asarray(call(np.zeros([0, 8], np.float32), lod=lod))
        assert (images.shape, images.dtype) == ((0, resolution, resolution, 3), np.float32)
    assert G.run(np.zeros([0, 8]), np.zeros([0, 3])).shape == (0, 16, 16, 3)
    for side in {resolution, 16}:
        scores, label_logits = D(np.zeros([0, side, side, 3], np.float32), lod)
        assert (scores.shape, label_logits.shape) == ((0, 1), (0, 3))


@pytest.mark.parametrize(
    "images",
    [
        *(rows(4, 16, 16), rows(4, 3, 16, 16), rows(4, 16, 16, 1), rows(16, 16, 3), rows(1, 4)),
        *(rows(4, 16, 16, 3).astype(kind) for kind in ("u1", "i8", "U", "c8", object)),
        *("text", None, [[1.0], [1.0, 2.0]], tf.ones([4, 16, 16, 4]), rows(0)),
    ],
)
def test_d_refuses_what_is_no_batch_of_images(D, images):
    D(IMAGES)
    message = r"^`images` must be \[N, H, W, 3\], floating-point numbers .*\. Received: ."
    with pytest.raises(ValueError, match=message):
        D(images)


@pytest.mark.parametrize("shape", [(8, 8), (32, 32), (16, 8), (8, 16), (1, 1), (4, 4)])
@pytest.mark.parametrize(("lod", "resolution"), [(0.0, 16), (0.5, 16), (1.25, 8)])
def test_d_refuses_another_resolution_than_its_own_and_the_full_one(D, shape, lod, resolution):
    images = rows(4, *shape, 3)
    if shape in ((16, 16), (resolution, resolution)):
        assert D(images, lod)[0].shape == (4, 1)
        return
    size = f"{resolution}x{resolution}"
    message = rf"`images` must be {size}, .* lod={lod}, or 16x16. .*\(4, {shape[0]}, "
    with pytest.raises(ValueError, match=message):
        D(images, lod)
