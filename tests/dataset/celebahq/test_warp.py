"""The fast warp, compared with the formula of the specification sample by sample."""

import math

import numpy as np
import pytest

from pgtf.dataset.celebahq import warp as warp_lib
from pgtf.dataset.celebahq.warp import Warp

F32 = np.float32
SIZE = 64


def plain_warp(image, quad, size):
    """Interpolates every sample in float64: uint8 [C, H, W] -> uint8 [C, size, size]."""
    _, height, width = image.shape
    nw, sw, se, ne = np.asarray(quad, F32)
    coefficients = []
    for i in range(2):
        coefficients.append(
            (
                float(nw[i]),
                float(ne[i] - nw[i]) / size,
                float(sw[i] - nw[i]) / size,
                float(((se[i] - sw[i]) - ne[i]) + nw[i]) / size / size,
            )
        )
    result = np.zeros((len(image), size, size), np.uint8)
    for y in range(size):
        for x in range(size):
            sx, sy = (((a0 + a1 * x) + a2 * y) + (a3 * x) * y for a0, a1, a2, a3 in coefficients)
            if not (0 <= sx < width and 0 <= sy < height):
                continue
            sx, sy = sx - 0.5, sy - 0.5
            i, j = math.floor(sx), math.floor(sy)
            dx, dy = sx - i, sy - j
            left, right = min(max(i, 0), width - 1), min(max(i + 1, 0), width - 1)
            top, bottom = min(max(j, 0), height - 1), min(max(j + 1, 0), height - 1)
            for plane, out in zip(image.astype(float), result, strict=True):
                upper = plane[top, left] + (plane[top, right] - plane[top, left]) * dx
                lower = plane[bottom, left] + (plane[bottom, right] - plane[bottom, left]) * dx
                out[y, x] = int(upper + (lower - upper) * dy)
    return result


def fast_warp(image, quad, size=SIZE):
    out = np.empty((size, len(image), size), np.uint8)
    Warp(image, np.asarray(quad, F32), size).fill(0, out)
    return out.swapaxes(0, 1)


def images(rng, height=40, width=37):
    noise = rng.integers(0, 256, (3, height, width)).astype(np.uint8)
    return {
        "noise": noise,
        "flat and white": np.where(noise < 200, 255, noise // 64).astype(np.uint8),
        "flat": np.full_like(noise, 100) + (noise > 250),
        "black": noise * 0,
        "white": noise * 0 + 255,
        "smooth": (np.indices((height, width)).sum(axis=0) // 3 + noise[:, :1, :1] // 2).astype(
            np.uint8
        ),
    }


QUADS = {
    "square": [[4, 4], [4, 33], [33, 33], [33, 4]],
    "half pixels": [[4.5, 4.5], [4.5, 36.5], [36.5, 36.5], [36.5, 4.5]],
    "on the cells": [[2.5, 2.5], [2.5, 34.5], [34.5, 34.5], [34.5, 2.5]],
    "turned": [[9.1, 2.7], [3.3, 30.2], [30.9, 36.1], [36.4, 8.5]],
    "general": [[9.1, 2.7], [3.3, 30.2], [33.9, 35.1], [30.4, 8.5]],
    "leaving the image": [[-9.1, 12.7], [13.3, 50.2], [60.9, 36.1], [36.4, -8.5]],
    "at the edges": [[0, 0], [0, 40], [37, 40], [37, 0]],
    "mirrored": [[33.2, 4.1], [33.7, 30.9], [4.4, 31], [4, 4.9]],
    "tiny": [[20, 20], [20, 20.5], [20.5, 20.5], [20.5, 20]],
}


@pytest.mark.parametrize("quad", QUADS.values(), ids=QUADS)
@pytest.mark.parametrize("kind", ["noise", "flat and white", "flat", "black", "white", "smooth"])
def test_warping_equals_the_formula(rng, kind, quad):
    image = images(rng)[kind]
    assert (fast_warp(image, quad) == plain_warp(image, quad, SIZE)).all()


def test_random_quads_equal_the_formula(rng):
    for _ in range(12):
        image = images(rng)["noise"]
        quad = rng.uniform(-3, 41, (4, 2))
        assert (fast_warp(image, quad, 32) == plain_warp(image, quad, 32)).all()


def test_values_next_to_an_integer_are_interpolated_again(rng):
    """Uses corners of which one differs by 1: near it, the value crosses an integer."""
    image = np.full((3, 40, 37), 100, np.uint8)
    image[:, ::2, ::2] = 101
    image[1, 1::2, ::2] = 99
    image[2, 1::2, 1::2] = 254
    for _ in range(12):
        offset, step = rng.integers(1, 9, 2), 2.0 ** -rng.integers(4, 7)
        side = 64 * step
        corners = np.array([[0, 0], [0, side], [side, side], [side, 0]]) + offset + 0.5
        corners += rng.choice([0, 1e-7, -1e-7], (4, 2))
        assert (fast_warp(image, corners) == plain_warp(image, corners, SIZE)).all()


def test_single_samples_equal_the_formula(rng):
    image = images(rng)["noise"]
    quad = np.asarray(QUADS["leaving the image"], F32)
    channel, x, y = rng.integers(0, 3, 500), rng.integers(0, 64, 500), rng.integers(0, 64, 500)
    samples = Warp(image, quad, SIZE).exact(channel, x, y)
    assert (samples == plain_warp(image, quad, SIZE)[channel, y, x]).all()


def test_without_interpolating_again_some_samples_would_be_wrong(rng, monkeypatch):
    image, quad = images(rng)["noise"], QUADS["general"]
    right = fast_warp(image, quad)
    interpolate = warp_lib._interpolate

    def only_once(scratch):
        interpolate(scratch)
        return np.zeros(0, np.int64)

    monkeypatch.setattr(warp_lib, "_interpolate", only_once)
    assert 0 < (fast_warp(image, quad) != right).sum() < 0.01 * right.size
