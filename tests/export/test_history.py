"""The snapshots of a run, as the page of `explore` shows them."""

import numpy as np
import pytest

from pgtf import images
from pgtf.commands import generate_runs
from pgtf.export import explorable, explore_tabs, history
from pgtf.export.samples import MAX_SEED, parse_numbers
from pgtf.export.source import Source
from pgtf.interop import load_snapshot, save_snapshot
from pgtf.networks import latents_from_seeds
from tests import tiny

LODS = {2: 2.0, 10: 1.25, 1500: 0.0}  # kimg -> lod
OPTIONS = {"resolution": 16, "label_size": 2, "fmap_max": 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run that grew from 4x4 to 16x16."""
    folder = tmp_path_factory.mktemp("results") / "003-cats-demo"
    folder.mkdir()
    for kimg, lod in LODS.items():
        networks = [
            make(seed + kimg, **OPTIONS)
            for seed, make in enumerate((tiny.generator, tiny.discriminator, tiny.generator))
        ]
        for network in networks:
            network.lod = lod
        save_snapshot(folder / f"network-snapshot-{kimg:06d}.h5", *networks, cur_nimg=kimg * 1000)
    return folder


def model_of(folder, kimg=1500):
    path = folder / f"network-snapshot-{kimg:06d}.h5"
    return generate_runs.explorable_of(Source.from_snapshot(path))


def test_each_snapshot_gives_the_images_of_its_own_network(folder):
    model = model_of(folder)
    latents, labels = latents_from_seeds([5], 4).numpy(), np.float32([[0, 1]])
    for index in (0, 2, 1, 0):  # there and back
        kimg = list(LODS)[index]
        Gs = load_snapshot(folder / f"network-snapshot-{kimg:06d}.h5")[2]
        found, caption = model.generate_at(index, latents, 1)
        assert np.array_equal(found, images.to_uint8(Gs.run(latents, labels)))
        size = ("4x4", "4x4 fading into 8x8, 75%", "16x16")[index]
        assert caption == f"{kimg} kimg: {size}"


def test_a_run_is_shown_by_its_name_and_begins_at_the_snapshot_asked_for(folder):
    model = model_of(folder, 10)
    assert model.name == "003-cats-demo"
    assert model.kind == "Training run after 10 kimg, 4x4 fading into 8x8, 75%"
    assert (len(model.history), model.history.start) == (3, 1)
    assert [model.history.kimg(i) for i in (0, -1)] == [2, 1500]


def test_a_single_snapshot_has_no_history(folder, tmp_path):
    networks = load_snapshot(folder / "network-snapshot-000002.h5")
    save_snapshot(tmp_path / "network-snapshot-000002.h5", *networks)
    save_snapshot(tmp_path / "best.h5", *networks)
    assert model_of(tmp_path, 2).history is None
    alone = generate_runs.explorable_of(Source.from_snapshot(tmp_path / "best.h5"))
    assert (alone.name, alone.kind) == ("best", "Snapshot of a network, 4x4")
    with pytest.raises(ValueError, match="one snapshot only"):
        alone.generate_at(0, np.ones([1, 4], np.float32), 0)


def test_a_damaged_or_foreign_snapshot_is_named_and_the_others_stay(folder, tmp_path):
    for kimg in (2, 1500):
        name = f"network-snapshot-{kimg:06d}.h5"
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    other = [make(0, fmap_max=2) for make in (tiny.generator, tiny.discriminator, tiny.generator)]
    save_snapshot(tmp_path / "network-snapshot-000003.h5", *other)
    (tmp_path / "network-snapshot-000004.h5").write_bytes(b"no snapshot")
    model = model_of(tmp_path)
    latents = latents_from_seeds([5], 4).numpy()
    for index, words in ((1, "3.h5: holds a network with other options"), (2, "4.h5")):
        with pytest.raises(ValueError, match=words):
            model.generate_at(index, latents, 0)
        assert model.generate_at(0, latents, 0)[1] == "2 kimg: 4x4"


def test_all_snapshots_share_one_generator(folder, monkeypatch):
    built = []
    monkeypatch.setattr(
        history, "build", lambda x, build=history.build: built.append(build(x)) or built[-1]
    )
    model = model_of(folder)
    for index in (0, 1, 2, 1):
        model.generate_at(index, latents_from_seeds([5], 4).numpy(), 0)
    assert len(built) == 1


@pytest.mark.parametrize(
    ("text", "seed", "closest"),
    [
        ("0", 0, 0),
        (" 7 ", 7, 7),
        ("4294967295", 2**32 - 1, 2**32 - 1),
        (str(MAX_SEED), MAX_SEED, MAX_SEED),
        (str(MAX_SEED + 1), None, MAX_SEED),
        ("9" * 5000, None, MAX_SEED),
        ("-5", None, 5),
        ("1.5", None, 1),
        ("", None, 0),
        ("x", None, 0),
        (None, None, 0),
        (1e30, None, 1),
        ("٣", None, 0),
    ],
)
def test_a_seed_is_what_the_flag_seeds_takes_and_all_else_becomes_the_closest(text, seed, closest):
    assert explore_tabs.seed_of(text) == seed
    assert explore_tabs.closest_seed(text) == closest
    if seed is not None:
        assert parse_numbers("--seeds", str(text)).tolist() == [seed]


def test_the_largest_seed_has_latents(folder):
    latents = explorable.latents_of(model_of(folder), [MAX_SEED])
    assert np.array_equal(latents, latents_from_seeds([MAX_SEED], 4).numpy())
    assert np.isfinite(latents).all()
