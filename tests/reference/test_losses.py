"""Losses, their components and all gradients are those of the original release."""

import dataclasses
import json
import re

import numpy as np
import pytest
import tensorflow as tf

from pgtf.interop import weights
from pgtf.losses import LossConfig
from pgtf.training import differentiation, objectives
from tests.reference.cases import (
    Difference,
    arrays,
    check,
    find,
    largest_relative,
    lods_of,
    network_of,
    networks,
    nhwc,
    perturb,
)

TOLERANCE = 1e-4  # for values, in units of max(1, |value|)
GRADIENT_TOLERANCE = 1e-3  # norm of the difference over norm, per tensor
ATTEMPTS_AT_KINKS = 16
CASES = [
    pytest.param(path, lod, name, id=f"{path.stem}-{name}")
    for path in find("losses/net-*-losses.npz")
    for lod, name in lods_of(arrays(path), "D_loss")
]
# Our name of a component: the original's.
D_COMPONENTS = {
    "real_scores": "D_real_scores",
    "fake_scores": "D_fake_scores",
    "mixed_scores": "D_mixed_scores",
    "mixed_norms": "D_mixed_norms",
    "drift": "D_epsilon_penalty",
    "real_label_penalty": "D_label_penalty_reals",
    "fake_label_penalty": "D_label_penalty_fakes",
}
G_COMPONENTS = {"label_penalty": "G_label_penalty"}


def terms_and_gradients(path, lod):
    """Both losses at a level of detail: {"G": (Terms, {name: gradient}), "D": ...}."""
    case, nets = arrays(path), networks(network_of(path))
    G, D, config = nets["G"], nets["D"], LossConfig()
    resolution_log2, alpha = D.stage(lod)
    resolution = 2**resolution_log2
    # The stored reals have full resolution at every lod; D's own averaging takes them down.
    reals, factor = tf.constant(nhwc(case["reals"])), D.config.resolution // resolution
    reals = tf.nn.avg_pool2d(reals, factor, factor, "VALID")

    latents, mixing = map(tf.constant, (case["D_latents"], case["mix"]))
    d_parts = objectives.discriminator_parts(
        G, D, reals, tf.constant(case["labels"]), latents, mixing, alpha, config
    )

    def g_terms():
        latents, labels = map(tf.constant, (case["G_latents"], case["G_labels"]))
        return objectives.generator_terms(G, D, latents, labels, resolution, alpha, config)

    return {
        "D": differentiation.gradients_of(d_parts, D.variables_by_name),
        "G": differentiation.gradients_of([g_terms], G.variables_by_name),
    }


def per_sample(values):
    """The original's values of N samples: [N], [N, 1], or the diagonal of [N, N]."""
    if values.ndim == 2 and values.shape[1] == values.shape[0]:
        return np.diagonal(values)
    return values.reshape(-1)


def value_differences(path, name, terms):
    case, where = arrays(path), f"{path.stem}, {name}"
    expected = {f"{kind}_loss": terms[kind].loss for kind in terms}
    for kind, names in (("D", D_COMPONENTS), ("G", G_COMPONENTS)):
        components = terms[kind].components
        stored = {theirs for theirs in names.values() if f"{theirs}/{name}" in case}
        assert stored == {names[ours] for ours in components if ours in names}
        expected |= {names[ours]: components[ours] for ours in components if ours in names}
    for key, ours in expected.items():
        what = f"{key[0]} loss" if key.endswith("loss") else f"component {key}"
        distance = largest_relative(ours, per_sample(case[f"{key}/{name}"]))
        yield Difference(f"{what}, per sample", where, distance, TOLERANCE)
    for kind in terms:
        mean = np.mean(terms[kind].loss)
        distance = largest_relative(mean, case[f"{kind}_loss_mean/{name}"])
        yield Difference(f"{kind} loss, mean", where, distance, TOLERANCE)


def gradient_differences(path, name, kind, gradients):
    """Every tensor: whole or its stored part by value, and all of it by sums and norms."""
    case, stats = arrays(path), statistics(path)
    where = f"{path.stem}, {name}"
    for variable, gradient in gradients.items():
        gradient = gradient.numpy()
        stat = stats[f"{kind}/{name}/{variable}"]
        assert list(gradient.shape) == stat["shape"]
        whole, part = f"grad_{kind}/{name}/{variable}", f"gradsub_{kind}/{name}/{variable}"
        if whole in case:
            theirs, ours = case[whole], gradient
        else:
            theirs, ours = case[part], gradient.ravel()[:: stat["stride"]]
        distance = relative_norm(ours, theirs)
        yield Difference(
            f"gradients of {kind}", f"{where}, {variable}", distance, GRADIENT_TOLERANCE
        )
        worst = max(
            abs(np.sum(gradient, dtype=np.float64) - stat["sum"]) / (stat["abs_sum"] or 1),
            abs(np.linalg.norm(gradient.astype(np.float64)) - stat["l2"]) / (stat["l2"] or 1),
            abs(np.abs(gradient).max() - stat["max_abs"]) / (stat["max_abs"] or 1),
        )
        what = f"sum, norm and maximum of gradients of {kind}"
        yield Difference(what, f"{where}, {variable}", float(worst), GRADIENT_TOLERANCE)


def relative_norm(ours, theirs):
    assert ours.shape == theirs.shape
    distance = np.linalg.norm((ours.astype(np.float64) - theirs).ravel())
    return float(distance / (np.linalg.norm(theirs.astype(np.float64).ravel()) or 1))


def statistics(path):
    return json.loads(path.with_name(path.name.replace("losses.npz", "gradstats.json")).read_text())


def differences(path, lod, name):
    """All differences of a case; where a kink is in the way, the least one near by.

    Leaky ReLU makes gradients jump where the input of a unit is within rounding of zero. There,
    and only there, weights that differ by rounding give the original's gradient.
    """
    found, rng = list(once(path, lod, name)), np.random.default_rng(0)
    nets = [networks(network_of(path))[kind] for kind in ("G", "D")]
    saved = [weights.to_arrays(network) for network in nets]
    for _ in range(ATTEMPTS_AT_KINKS):
        if all(d.value <= d.tolerance for d in found):
            break
        perturb(nets, rng)
        found = [least(*pair) for pair in zip(found, once(path, lod, name), strict=True)]
        for network, arrays_of_network in zip(nets, saved, strict=True):
            weights.assign(network, arrays_of_network, path)
    return found


def once(path, lod, name):
    results = terms_and_gradients(path, lod)
    yield from value_differences(path, name, {kind: results[kind][0] for kind in results})
    for kind in results:
        yield from gradient_differences(path, name, kind, results[kind][1])


def least(first, second):
    """The first of two differences unless only the second is tolerable; then it names the kink."""
    if first.value <= first.tolerance or second.value > second.tolerance:
        return first
    return dataclasses.replace(second, where=f"{first.where}, kink: {first.value:.1e} beside it")


@pytest.mark.parametrize(("path", "lod", "name"), CASES)
def test_losses_components_and_gradients_agree(path, lod, name):
    check(differences(path, lod, name))


@pytest.mark.parametrize("path", find("losses/net-*-losses.npz"), ids=lambda p: p.stem)
def test_every_variable_has_stored_gradients(path):
    nets = networks(network_of(path))
    for kind in ("G", "D"):
        pattern = re.compile(rf"grad(?:sub)?_{kind}/lod[^/]*/(.*)")
        stored = {match[1] for key in arrays(path) if (match := pattern.fullmatch(key))}
        assert stored == nets[kind].variables_by_name.keys()
