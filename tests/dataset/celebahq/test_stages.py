"""Every stage of every image has the MD5 that the original function gave in its environment.

Half of the images are quick tests.
"""

import numpy as np
import pytest

from pgtf.dataset.celebahq import deltas
from pgtf.dataset.celebahq.align import STEPS, align
from pgtf.dataset.celebahq.geometry import F32, crop, find_face
from pgtf.dataset.celebahq.resize import lanczos, resize_columns, resize_rows
from pgtf.dataset.celebahq.warp import Warp

from .fixture import (
    LANDMARKS,
    ROWS,
    STAGES,
    jpeg_bytes,
    md5,
    md5_hwc,
    photograph,
    stage,
    token,
)

IDXS = [row.idx for row in ROWS]
QUICK = {1, 2, 4, 7}  # together they are shrunk, cropped, enlarged and padded
NAMES = {"shrink": "resize", "crop": "crop", "enlarge": "resize", "pad": "pad"}


@pytest.fixture(
    params=[idx if idx in QUICK else pytest.param(idx, marks=pytest.mark.slow) for idx in IDXS],
    scope="module",
)
def idx(request):
    return request.param


@pytest.fixture(scope="module")
def views(idx):
    """(step, view) before the first and after each step."""
    view = find_face(photograph(idx), LANDMARKS[ROWS[idx].orig_idx])
    views = [("decode", view)]
    for step in STEPS:
        views.append((step.__name__, view := step(view)))
    return views


@pytest.mark.parametrize("number", IDXS)
def test_decoded_pixels_are_the_originals(number):
    assert md5_hwc(photograph(number)) == stage(number, "decode")["md5_hwc"]


def test_views_are_the_originals(idx, views):
    expected = STAGES["images"][str(idx)]["stages"][1:-2]  # without decode, warp and its reduction
    changed = [
        (name, view)
        for (_, before), (name, view) in zip(views, views[1:], strict=False)
        if view.image is not before.image
    ]
    assert [NAMES[name] for name, _ in changed] == [known["stage"] for known in expected]
    for (name, view), known in zip(changed, expected, strict=True):
        assert (*view.size, md5_hwc(view.image)) == (
            known["width"],
            known["height"],
            known["md5_hwc"],
        ), name


def test_crop_boxes_are_the_originals(idx, views):
    known = [known for known in STAGES["images"][str(idx)]["stages"] if known["stage"] == "crop"]
    before = dict(views)["shrink"]
    after = crop(before)
    offset = before.quad[0] - after.quad[0]
    boxes = [[*offset, *(offset + after.size)]] if known else []
    assert boxes == [box["box"] for box in known]


def test_quads_are_the_originals_to_the_bit(idx, views):
    quad = views[-1][1].quad + F32(0.5)
    assert quad.dtype == F32
    assert quad.astype("<f4").tobytes().hex() == stage(idx, "warp")["quad_data_f32_hex"]


def test_warped_pixels_and_both_published_hashes_are_the_originals(idx, views):
    view = views[-1][1]
    warp = Warp(view.image, view.quad + F32(0.5), 4096)
    warped = np.empty((4096, 3, 4096), np.uint8)
    for start in range(0, 4096, 32):
        warp.fill(start, warped[start : start + 32])
    assert md5_hwc(warped.swapaxes(0, 1)) == stage(idx, "warp")["md5_hwc"]
    taps = lanczos(4096, 1024)
    wide = resize_rows(warped.reshape(-1, 4096), taps)
    square = resize_columns(wide.reshape(4096, -1), taps).reshape(1024, 3, 1024)
    aligned = np.ascontiguousarray(square.swapaxes(0, 1))
    assert md5_hwc(aligned) == STAGES["images"][str(idx)]["stages"][-1]["md5_hwc"]
    assert md5(aligned) == ROWS[idx].proc_md5
    delta = deltas.open_token(token(idx), jpeg_bytes(idx), ROWS[idx].orig_file)
    assert md5(deltas.apply(aligned, delta)) == ROWS[idx].final_md5


def test_align_does_all_steps_without_the_large_image():
    idx = 4  # crop, enlarge, pad and warp
    assert md5(align(photograph(idx), LANDMARKS[ROWS[idx].orig_idx])) == ROWS[idx].proc_md5
