"""A results folder with two runs: 0 without labels, 1 with three classes and a fade at 8x8."""

import json

import pytest

from pgtf.config import PRESETS
from pgtf.interop import save_snapshot
from tests import tiny


@pytest.fixture(scope="package")
def outdir(tmp_path_factory):
    outdir = tmp_path_factory.mktemp("results")
    for name, label_size, lod in [("000-faces-demo", 0, 0.0), ("001-digits-demo", 3, 1.25)]:
        options = {"label_size": label_size}
        networks = [tiny.generator(0, **options), tiny.discriminator(1, **options)]
        networks.append(tiny.generator(2, **options))
        for network in networks:
            network.lod = lod
        (outdir / name).mkdir()
        config = PRESETS["demo"].replace({"training.total_kimg": 12.0})
        config = config.for_dataset(4, 3, label_size, 1)
        meta = {"cur_nimg": 12000, "label_names": ["cat", "dog", "owl"][:label_size]}
        meta["config"] = json.loads(config.to_json())
        save_snapshot(outdir / name / "network-snapshot-000012.h5", *networks, **meta)
    return outdir
