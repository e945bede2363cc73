"""Warnings of generate.py: networks that have not grown, and levels of detail that do not fit."""

import json
from pathlib import Path

import pytest

from pgtf.api import loading
from pgtf.commands import generate_runs
from pgtf.config import Config
from pgtf.export.source import Source
from pgtf.interop import save_snapshot
from tests import tiny
from tests.commands.generating import run


@pytest.fixture
def ungrown(tmp_path):
    """Writes a snapshot at a lod, of a run that has grown after 24 of some thousand images."""

    def call(lod, total_kimg):
        makers = (tiny.generator, tiny.discriminator, tiny.generator)
        networks = [make(seed) for seed, make in enumerate(makers)]
        for network in networks:
            network.lod = lod
        changes = {"schedule.lod_training_kimg": 6, "schedule.lod_transition_kimg": 6}
        changes["training.total_kimg"] = total_kimg
        config = Config().for_dataset(4, 3, 0, 1).replace(changes)
        path = tmp_path / "network-snapshot-000020.h5"
        save_snapshot(path, *networks, config=json.loads(config.to_json()))
        return path

    return call


@pytest.mark.parametrize(
    ("lod", "total_kimg", "line"),
    [
        (1.0, 20, "is at 8x8, not at 16x16 (lod 1). In its run training ends in the fade from 8x8"),
        (1.0, 90, "is at 8x8, not at 16x16 (lod 1). Its run is there after 24 kimg: take a later"),
        (0.0, 20, None),
    ],
)
def test_a_network_that_has_not_grown_is_warned_of_with_the_remedies(
    ungrown, lod, total_kimg, line
):
    path = ungrown(lod, total_kimg)
    warning = loading.load(path).warning
    if line is None:
        assert warning is None
        return
    assert warning.startswith(f"{path}: the network {line}")
    remedies = [word for word in ("--total_kimg=24 or more", "--fit_schedule") if word in warning]
    assert len(remedies) == (2 if total_kimg == 20 else 0)


def test_the_warning_follows_what_was_made_unless_the_level_of_detail_was_asked_for(
    ungrown, capsys, tmp_path
):
    path = ungrown(1.0, 20)
    run("images", "--snapshot", path, "--seeds=0")
    captured = capsys.readouterr()
    assert captured.out.startswith("1 image in ")
    assert captured.err.startswith(f"warning: {path}: the network is at 8x8, not at 16x16")
    assert captured.err.count("\n") == 1
    run("images", "--snapshot", path, "--seeds=0", "--lod=1", f"--out={tmp_path / 'x'}")
    assert capsys.readouterr().err == ""
    run("images", "--snapshot", path, "--seeds=0", "--lod=2", f"--out={tmp_path / 'y'}")
    assert capsys.readouterr().err == (
        f"warning: {path}: the layer that turns the level 4x4 into colours was last trained when "
        "the network had that size, so its colours no longer fit. An earlier --snapshot of the run "
        "shows the network as it was.\n"
    )


@pytest.mark.parametrize(
    ("own", "asked", "words"),
    [
        (0, 0, None),
        (0, 0.5, "level 8x8 into colours was last trained"),
        (0, 2, "level 4x4 into colours was last trained"),
        (1.25, 1.25, None),
        (1.25, 1.75, None),  # Both layers are in use at 1.25.
        (1.25, 2, None),
        (1.25, 0.5, "level 16x16 has not been trained yet (lod 1.25)"),
        (1, 2, "level 4x4 into colours was last trained"),
        (1, 0, "level 16x16 has not been trained yet (lod 1)"),
    ],
)
def test_a_level_that_the_network_has_outgrown_or_not_reached_is_warned_of(own, asked, words):
    Gs = tiny.generator()
    Gs.lod = own
    warning = generate_runs.lod_warning(Source(Gs, Path("x.h5"), {}), asked)
    assert warning is words is None or words in warning
