"""The networks of a file that a run begins with, and the thousands of images they have seen."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pgtf import interop, networks
from pgtf.training import prepare, start

PICKLE = Path(__file__).parents[1] / "data" / "reference" / "networks" / "net-b-nosrc.pkl"


@pytest.fixture(scope="module")
def trained(config):
    """G and D for the blocks, with fewer feature maps than the configuration asks for."""
    small = config.replace({"G.fmap_max": 4, "D.fmap_max": 4, "D.mbstd_group_size": 2})
    return networks.build(small.G, seed=1), networks.build(small.D, seed=2)


@pytest.fixture
def snapshot(tmp_path, trained):
    G, D = trained
    interop.save_snapshot(tmp_path / "last.h5", G, D, G, cur_nimg=90_112)
    return str(tmp_path / "last.h5")


def test_a_snapshot_knows_how_many_images_it_has_seen(snapshot, trained):
    begun, line = start.load(snapshot, None)
    assert begun.nimg == 90_112
    assert line == f"Networks at the start: {snapshot}, at 90.112 kimg (the snapshot's own count)"
    for network, stored in zip(begun[:3], (*trained, trained[0]), strict=True):
        assert network.config == stored.config
        for name, variable in network.variables_by_name.items():
            np.testing.assert_array_equal(variable, stored.variables_by_name[name])


@pytest.mark.parametrize(
    ("name", "asked", "nimg", "reason"),
    [
        ("network-snapshot-000140.pkl", None, 140_000, "its file name"),
        ("network-snapshot-010211.pkl", None, 10_211_000, "its file name"),
        ("network-snapshot-010211.pkl", 7.5, 7_500, "--resume_kimg"),
        ("network-snapshot-010211.pkl", 0, 0, "--resume_kimg"),
        ("celebahq.pkl", 12_000, 12_000_000, "--resume_kimg"),
    ],
)
def test_a_pickle_has_seen_what_is_asked_for_or_what_its_name_says(name, asked, nimg, reason):
    assert start.first_nimg(f"/some/where/{name}", asked) == (nimg, reason)


@pytest.mark.parametrize("name", ["network-final.pkl", "network-snapshot-12.pkl", "celebahq.pkl"])
def test_another_pickle_needs_the_number(name):
    with pytest.raises(ValueError, match=f"`--resume_kimg` is needed for /some/{name}"):
        start.first_nimg(f"/some/{name}", None)


def test_a_pickle_of_the_original_begins_where_its_name_says(tmp_path):
    path = str(shutil.copy(PICKLE, tmp_path / "network-snapshot-000140.pkl"))
    begun, line = start.load(path, None)
    assert begun.nimg == 140_000
    assert begun.Gs.config == begun.G.config
    assert line == f"Networks at the start: {path}, at 140 kimg (its file name)"


def test_a_snapshot_without_a_count_has_seen_what_its_name_says(tmp_path, trained):
    G, D = trained
    for name in ("network-snapshot-000003.h5", "other.h5"):
        interop.save_snapshot(tmp_path / name, G, D, G)
    path = str(tmp_path / "network-snapshot-000003.h5")
    assert start.first_nimg(path, None) == (3_000, "its file name")
    with pytest.raises(ValueError, match="`--resume_kimg` is needed for .*other.h5"):
        start.first_nimg(str(tmp_path / "other.h5"), None)


@pytest.mark.parametrize("kimg", [-1, float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused(kimg):
    with pytest.raises(ValueError, match="`resume_kimg` must be at least 0"):
        start.first_nimg("celebahq.pkl", kimg)


def test_something_must_be_left_to_train(trained):
    begun = start.Start(*trained, trained[0], 90_112, "begun.h5")
    start.check_length(begun, 90.113)
    for total_kimg in (90, 90.112):
        with pytest.raises(ValueError, match=r"resume_kimg=90.112, total_kimg=90.*--total_kimg=N"):
            start.check_length(begun, total_kimg)


def test_flags_that_ask_for_other_networks_than_the_file_holds_are_refused_by_name(
    config, snapshot
):
    asked = config.replace({"D.fmap_max": 4, "G.latent_size": 16, "dataset.max_label_size": 0})
    begun, _ = start.load(snapshot, None)
    fitted, _ = prepare.prepare(asked, 1, begun)
    assert (fitted.G.fmap_max, fitted.D.mbstd_group_size) == (4, 2)
    start.check_stated(asked, ["D.fmap_max", "training.seed"], fitted, snapshot)
    stated = ["G.latent_size", "D.fmap_max", "D.mbstd_group_size", "schedule.minibatch_base"]
    message = r"Received: --config.D.mbstd_group_size=4 for 2, --config.G.latent_size=16 for 8\."
    with pytest.raises(ValueError, match=message):
        start.check_stated(asked, stated, fitted, snapshot)
