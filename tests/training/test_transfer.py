"""--transfer: where a schedule is entered, what dry_run shows, and what training leaves alone."""

import json

import numpy as np
import pytest

from pgtf import interop, networks
from pgtf.dataset.tfrecords import to_records
from pgtf.schedule import Schedule
from pgtf.training import transfers
from tests.training.jobs import arrays
from tests.training.test_train import TINY

FLAGS = ("--config.schedule.lod_initial_resolution=4", "--config.schedule.lod_training_kimg=1")
FADING = (*TINY, *FLAGS, "--config.schedule.lod_transition_kimg=1", "--total_kimg=1.064")


@pytest.mark.parametrize(
    ("trained", "nimg", "lod"),
    [(2, 600, 3), (3, 1700, 2), (4, 2800, 1), (5, 3300, 0), (6, 3300, 0)],
)
def test_networks_enter_at_the_fade_to_the_level_they_lack(trained, nimg, lod):
    schedule = Schedule(resolution_log2=5, lod_training_kimg=0.6, lod_transition_kimg=0.5)
    assert transfers.first_nimg(trained, schedule) == nimg
    assert schedule.lod(nimg) == pytest.approx(lod, abs=1e-9)
    if lod:
        assert schedule.lod(nimg + 1) < lod


def test_networks_below_the_first_resolution_begin_at_the_start():
    assert transfers.first_nimg(2, Schedule(resolution_log2=5, lod_initial_resolution=16)) == 0


@pytest.fixture
def snapshot(tmp_path, config):
    """Networks of 4x4 gray images without labels, of the shape of TINY's."""
    small = config.replace({f"{n}.num_channels": 1 for n in "GD"})
    small = small.replace({f"{n}.resolution": 4 for n in "GD"} | {"G.latent_size": 8})
    G, D = networks.build(small.G, seed=1), networks.build(small.D, seed=2)
    path = tmp_path / "trained" / "network-snapshot-000048.h5"
    path.parent.mkdir()
    interop.save_snapshot(path, G, D, G, cur_nimg=48_000)
    return path


def test_dry_run_shows_what_is_taken_new_and_frozen(run, dataset_folder, snapshot):
    flags = [f"--dataset={dataset_folder}", *FADING, f"--transfer={snapshot.parent}"]
    code, out, err = run(*flags, "--freeze_D=1", "--dry_run")
    assert code == 0, err
    assert f"transferred from {snapshot}, trained up to 4x4; the schedule begins at 1 kimg" in err
    rows = [line.split(maxsplit=3) for line in err.splitlines() if line[:3] in ("G  ", "D  ")]
    assert sorted(tuple(row[:3]) for row in rows) == sorted(
        [
            *(("G", "4x4", "new"), ("G", "4x4", "taken"), ("G", "8x8", "new")),
            *(("D", "4x4", "new"), ("D", "4x4", "frozen"), ("D", "4x4", "taken")),
            ("D", "8x8", "new"),
        ]
    )
    assert json.loads(out.split("\n}\n")[0] + "\n}")["training"]["freeze_D"] == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--transfer=/nowhere.h5"], "/nowhere.h5: no such file or run."),
        (["--freeze_D=1"], "`--freeze_D` needs --transfer. Received: freeze_D=1."),
        (["--transfer={}", "--resume_pkl={}"], "exclude each other"),
        (["--transfer={}", "--freeze_D=2"], "`freeze_D` must be in 0 ... 1"),
        (["--transfer={}", "--config.D.fmap_max=4"], "`--transfer` decides the networks"),
        (["--transfer={}", "--total_kimg=1"], "the beginning of --transfer=1, total_kimg=1."),
        (["--aug_p=0.5"], "`aug_p` needs `aug` ada. Received: aug_p=0.5, aug=none."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_fit_is_one_line_and_begins_nothing(
    run, dataset_folder, snapshot, tmp_path, flags, message
):
    given = [text.format(snapshot) for text in flags]
    code, _, err = run(f"--dataset={dataset_folder}", *FADING, *given, "--dry_run")
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert (code, len(lines)) == (2, 1)
    assert message in lines[0]
    assert not (tmp_path / "results").exists()


@pytest.mark.slow  # two runs
def test_networks_are_carried_on_to_labels_and_to_gray(run, dataset_folder, config, tmp_path):
    """Two iterations at 4x4 each: layers that fit stay close to theirs, the others are trained."""
    planes = np.random.default_rng(0).integers(0, 256, (16, 1, 4, 4), np.uint8)
    (tmp_path / "gray").mkdir()
    (tmp_path / "gray" / "gray-r02.tfrecords").write_bytes(to_records(planes).tobytes())
    options = config.replace({f"{n}.resolution": 4 for n in "GD"})
    trained = networks.build(options.G, seed=1), networks.build(options.D, seed=2)
    path = tmp_path / "rgb.h5"
    interop.save_snapshot(path, *trained, trained[0], cur_nimg=48_000)
    flags = [*TINY, "--config.schedule.lod_initial_resolution=4", "--total_kimg=0.016"]
    before = arrays(path)
    for name, dataset, layers in (
        ("labels", dataset_folder, {"G/4x4/Dense", "D/4x4/Dense1"}),
        ("gray", tmp_path / "gray", {"G/ToRGB_lod0", "D/FromRGB_lod0"}),
    ):
        results = tmp_path / f"{name}-results"
        where = [f"--dataset={dataset}", "--resolution=4", f"--outdir={results}"]
        where.append("--config.dataset.max_label_size=full")
        code, _, err = run(*where, *flags, f"--transfer={path}")
        assert code == 0, err
        (folder,) = results.iterdir()
        after = arrays(*folder.glob("network-snapshot-000000.h5"))
        new = {key for key in before if after[key].shape != before[key].shape}
        assert {key.rpartition("/")[0] for key in new if key.startswith(("G/", "D/"))} == layers
        for key in before.keys() - new:
            if key.startswith(("G/", "D/")) and key.endswith("weight"):
                moved = np.linalg.norm(after[key] - before[key]) / np.linalg.norm(before[key])
                assert 0 < moved < 0.1, key


def test_frozen_weights_stay_and_others_learn(run, dataset_folder, snapshot, tmp_path):
    flags = [f"--dataset={dataset_folder}", *FADING, f"--transfer={snapshot}", "--freeze_D=1"]
    code, _, err = run(*flags)
    assert code == 0, err
    (folder,) = (tmp_path / "results").iterdir()
    before, after = (arrays(path) for path in (snapshot, *folder.glob("network-snapshot-*.h5")))
    conv = [name for name in before if name.startswith("D/") and "4x4/Conv/" in name]
    assert len(conv) == 2
    for name in conv:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    for name in ("4x4/Dense0/weight", "4x4/Dense1/weight"):
        (full,) = [x for x in before if x.startswith("D/") and x.endswith(name)]
        assert (after[full] != before[full]).any()
    code, _, err = run(*flags, "--dry_run")
    assert "is finished" in err
