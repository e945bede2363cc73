"""Real images reach the discriminator as in the original release, mirrored ones included."""

import re

import numpy as np
import pytest

from pgtf.dataset.pipeline import process_reals
from pgtf.images import DRANGE, adjust_drange
from tests.reference.cases import Difference, arrays, check, enlarged, find, largest, lods_of, nhwc

TOLERANCE = 1e-6  # absolute
CASES = [
    pytest.param(path, group, lod, name, id=f"{group}-{name}")
    for path in find("process_reals/*.npz")
    for group in sorted({key.split("/")[0] for key in arrays(path) if key.endswith("/in")})
    for lod, name in lods_of(arrays(path), group)
]


def differences(path, group, lod, name):
    case = arrays(path)
    prefix, where = f"{group}/{name}", f"{path.stem}, {group}, {name}"
    alpha = np.float32(1 - lod % 1)
    for key in sorted(case):
        match = re.fullmatch(rf"{re.escape(prefix)}/out(_mirror)?(_drange01)?", key)
        if not match:
            continue
        mirror = case["mirror_uniform"] if match[1] else None
        ours = process_reals(nhwc(case[f"{prefix}/in"]), alpha, mirror).numpy()
        theirs = nhwc(case[key])
        assert ours.shape[1] == theirs.shape[1] >> int(lod)
        if match[2]:
            ours = adjust_drange(ours, DRANGE, (0, 1))
        what = "reals, mirrored" if match[1] else "reals"
        yield Difference(what, where, largest(enlarged(ours, theirs.shape[1]), theirs), TOLERANCE)


@pytest.mark.parametrize(("path", "group", "lod", "name"), CASES)
def test_real_images_agree(path, group, lod, name):
    check(differences(path, group, lod, name))


@pytest.mark.parametrize("path", find("process_reals/*.npz"), ids=lambda p: p.stem)
def test_images_are_flipped_where_the_uniform_draw_is_at_least_one_half(path):
    case = arrays(path)
    images = np.arange(len(case["mirror_uniform"]) * 32, dtype=np.uint8).reshape(-1, 4, 8, 1)[
        :, :, :4
    ]
    ours = process_reals(images, np.float32(1), case["mirror_uniform"]).numpy()
    plain = process_reals(images, np.float32(1)).numpy()
    for index, flipped in enumerate(case["mirror_flipped"]):
        expected = plain[index, :, ::-1] if flipped else plain[index]
        assert np.array_equal(ours[index], expected)
