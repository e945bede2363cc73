"""Networks of the original release compute with us what they computed there."""

import re

import numpy as np
import pytest

from pgtf import images
from tests.reference.cases import (
    Difference,
    arrays,
    check,
    enlarged,
    find,
    largest,
    largest_relative,
    lods_of,
    network_of,
    networks,
    nhwc,
)

TOLERANCE = 5e-5  # absolute
CASES = [
    pytest.param(path, lod, name, id=f"{path.stem}-{name}")
    for pattern in ("outputs/net-*-outputs.npz", "theano/theano-*.npz")
    for path in find(pattern)
    for lod, name in lods_of(arrays(path), "G_images")
]


def networks_of(path):
    return networks(path.with_suffix(".pkl") if path.parent.name == "theano" else network_of(path))


def differences(path, lod, name):
    """Differences of all outputs stored for one pickle and level of detail."""
    case, nets, where = arrays(path), networks_of(path), f"{path.stem}, {name}"
    size = nets["G"].config.resolution
    for kind in ("G", "Gs"):
        ours = nets[kind](case["latents"], case.get("labels"), lod=lod).numpy()
        theirs = nhwc(case[f"{kind}_images/{name}"])
        assert ours.shape[1] == size >> int(lod)
        distance = largest(enlarged(ours, size), theirs)
        yield Difference(f"{kind} images", where, distance, TOLERANCE)
    for key in sorted(case):
        if match := re.fullmatch(rf"D_scores(|_first(\d+))/{re.escape(name)}", key):
            batch = nhwc(case["images"])[: int(match[2]) if match[2] else None]
            scores, logits = nets["D"](batch, lod=lod)
            what = "minibatch smaller than the group" if match[2] else "whole minibatch"
            distance = largest(scores, case[key])
            yield Difference(f"D scores, {what}", where, distance, TOLERANCE)
            if nets["D"].config.label_size:
                theirs = case[key.replace("D_scores", "D_labels")]
                yield Difference(
                    f"D label logits, {what}", where, largest(logits, theirs), TOLERANCE
                )


@pytest.mark.parametrize(("path", "lod", "name"), CASES)
def test_outputs_agree_at_every_level_of_detail(path, lod, name):
    check(differences(path, lod, name))


@pytest.mark.parametrize("path", sorted({case.values[0] for case in CASES}), ids=lambda p: p.stem)
def test_the_stored_lod_comes_with_the_network_and_is_the_default(path):
    case, nets = arrays(path), networks_of(path)
    for kind in ("G", "D", "Gs"):
        assert nets[kind].lod == case[f"lod_in_pickle_{kind}"]
    latents, labels = case["latents"], case.get("labels")
    for kind in ("G", "Gs"):
        default = nets[kind](latents, labels)
        assert np.array_equal(default, nets[kind](latents, labels, lod=nets[kind].lod))
    scores, _ = nets["D"](nhwc(case["images"]))
    assert np.array_equal(scores, nets["D"](nhwc(case["images"]), lod=nets["D"].lod)[0])


@pytest.mark.parametrize("path", find("outputs/net-*-outputs.npz"), ids=lambda p: p.stem)
def test_a_minibatch_that_makes_no_whole_groups_is_refused(path):
    D = networks_of(path)["D"]
    group, batch = D.config.mbstd_group_size, nhwc(arrays(path)["images"])
    batch = np.concatenate([batch] * (group // len(batch) + 1))[: group + 1]
    if group > 1:
        message = rf"minibatch={group + 1}, mbstd_group_size={group}"
        with pytest.raises(ValueError, match=message):
            D(batch)
    else:
        assert D(batch)[0].shape == (len(batch), 1)


def byte_differences(path):
    """Images as bytes, whole and shrunk: beyond rounding half-way cases, none may differ."""
    case, Gs = arrays(path), networks_of(path)["Gs"]
    for key in sorted(case):
        match = re.fullmatch(r"Gs_uint8(?:_shrink(\d+))?/lod(.*)", key)
        if not match:
            continue
        shrink, lod = int(match[1] or 1), float(match[2])
        # The original ran these in minibatches of 3.
        ours = enlarged(
            Gs.run(case["latents"], case["labels"], lod=lod, minibatch_size=3), Gs.config.resolution
        )
        num, size, _, channels = ours.shape
        ours = ours.reshape(num, size // shrink, shrink, size // shrink, shrink, channels)
        ours, theirs = ours.mean(axis=(2, 4)), nhwc(case[key])
        # A byte stands for values up to half a grey level away on both sides.
        grey = np.abs(images.adjust_drange(ours, images.DRANGE, images.UINT8_DRANGE) - theirs)
        inside = (ours > -1) & (ours < 1)
        excess = np.where(inside, np.maximum(grey - 0.5, 0), images.to_uint8(ours) != theirs)
        where, allowed = f"{path.stem}, {key}", 127.5 * TOLERANCE
        excess = float(excess.max())
        yield Difference("Gs images as bytes, in grey levels", where, excess, allowed)
        # Values that near to a half go either way; twice the distance is their share.
        differing = float(np.mean(images.to_uint8(ours) != theirs))
        yield Difference("Gs images as bytes, share that differs", where, differing, 2 * allowed)


@pytest.mark.parametrize("path", find("outputs/net-*-outputs.npz"), ids=lambda p: p.stem)
def test_images_as_bytes_agree(path):
    check(byte_differences(path))


@pytest.mark.parametrize("path", find("theano/theano-*.npz"), ids=lambda p: p.stem)
def test_theano_weights_are_converted_as_by_the_original(path):
    check(weight_differences(path))


def weight_differences(path):
    case, nets = arrays(path), networks_of(path)
    for kind in ("G", "D"):
        prefix = f"variables_{kind}/"
        theirs = {key.removeprefix(prefix): case[key] for key in case if key.startswith(prefix)}
        assert theirs.keys() - {"lod"} == nets[kind].variables_by_name.keys()
        for name, variable in nets[kind].variables_by_name.items():
            distance = largest_relative(variable, theirs[name])
            yield Difference("converted Theano weights", f"{path.stem}, {kind}", distance, 1e-6)


@pytest.mark.parametrize("path", find("theano/theano-unknown*.pkl"), ids=lambda p: p.stem)
def test_a_theano_network_of_an_unknown_function_is_refused(path):
    with pytest.raises(ValueError, match="unknown build function"):
        networks(path)
