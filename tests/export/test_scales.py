"""Latents of any length in exported models, and inputs that no signature takes."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf import images

SCALES = np.float32([1e-30, 1e-6, 1e-3, 10, 1e20, 1e37])[:, np.newaxis]


def levels_off(answer, Gs, latents, labels=None):
    live = images.to_uint8(Gs(latents, labels).numpy())
    return np.abs(answer.astype(int) - live).max()


def test_every_signature_gives_scaled_latents_the_image_of_their_direction(plain, rng):
    latents = rng.normal(size=[1, 8]).astype(np.float32)
    scaled = tf.constant(latents * SCALES)
    answer = plain.signatures["serving_default"](latents=scaled)
    assert answer["status"].numpy().tolist() == [0] * len(SCALES)
    assert levels_off(answer["images"].numpy(), plain.Gs, latents) <= 1
    floats = plain.signatures["images_float"](latents=scaled)["images_float"].numpy()
    assert levels_off(np.rint(floats * 255), plain.Gs, latents) <= 1
    end = rng.normal(size=[1, 8]).astype(np.float32)
    ts = tf.fill([len(SCALES)], 0.5)
    middles = [
        plain.signatures["interpolate"](
            latents=tf.constant(latents * scales), latents_end=tf.constant(end * scales), t=ts
        )
        for scales in (SCALES, np.ones_like(SCALES))
    ]
    assert middles[0]["status"].numpy().tolist() == [0] * len(SCALES)
    found, expected = (middle["images"].numpy().astype(int) for middle in middles)
    assert np.abs(found - expected).max() <= 1
    assert np.abs(found - answer["images"].numpy()).max() > 10


def test_with_labels_the_length_of_latents_is_their_weight_against_the_label(labelled, rng):
    latents = rng.normal(size=[1, 5]).astype(np.float32)
    labels = np.float32([[0, 1, 0]])
    rows = {"latents": latents * SCALES, "labels": labels.repeat(len(SCALES), axis=0)}
    answer = labelled.signatures["serving_default"](**{k: tf.constant(v) for k, v in rows.items()})
    assert answer["status"].numpy().tolist() == [0] * len(SCALES)
    found = answer["images"].numpy()
    assert levels_off(found[:2], labelled.Gs, 0 * latents, labels) <= 1
    assert levels_off(found[-2:], labelled.Gs, latents, 0 * labels) <= 1
    assert levels_off(found[3:4], labelled.Gs, latents, labels) > 10
    assert levels_off(found[3:4], labelled.Gs, 10 * latents, labels) <= 1


@pytest.mark.parametrize(
    ("signature", "name", "wrong"),
    [
        ("serving_default", "latents", np.ones([2, 8])),
        ("serving_default", "latents", np.full([2, 8], "a")),
        ("images_float", "latents", np.ones([2, 9], np.float32)),
        ("images_float", "latents", np.ones([2, 8, 1], np.float32)),
        ("seeds", "seed", np.ones([2], np.int32)),
        ("seeds", "seed", np.ones([], np.int64)),
        ("png", "seed", np.ones([2], np.float32)),
        ("interpolate", "t", np.ones([3], np.float32)),
        ("interpolate", "t", np.ones([2, 1], np.float32)),
        ("interpolate", "latents_end", np.ones([2, 7], np.float32)),
        ("interpolate", "latents_end", np.ones([0, 8], np.float32)),
        ("info", "dummy", np.ones([2, 2], np.int64)),
    ],
)
def test_no_signature_takes_another_shape_or_kind_of_value(plain, signature, name, wrong):
    function = plain.signatures[signature]
    good = {
        key: tf.ones([2 if size is None else size for size in spec.shape], spec.dtype)
        for key, spec in function.structured_input_signature[1].items()
    }
    function(**good)
    with pytest.raises((tf.errors.InvalidArgumentError, TypeError, ValueError)) as refused:
        function(**good | {name: tf.constant(wrong)})
    is_shape = wrong.dtype == good[name].numpy().dtype
    words = f"`{name}` must be [" if is_shape else "expected to be a"
    assert words in str(refused.value)
