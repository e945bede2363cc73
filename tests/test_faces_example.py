"""The judge of the demo's faces: examples/faces.py."""

import numpy as np
import pytest

from examples import faces
from pgtf.config import Config
from pgtf.dataset import open_dataset
from pgtf.dataset.exporter import Options
from pgtf.dataset.sources import demo
from pgtf.interop import save_snapshot
from pgtf.metrics.classifier import HELD_OUT
from tests.tiny import discriminator, generator


@pytest.mark.parametrize("resolution", [4, 8, 16, 32])
def test_reals_are_the_records_of_the_datasets_level(resolution, tmp_path):
    demo.create(str(tmp_path / "demo"), 12, 32, seed=3, options=Options(num_workers=1))
    dataset = open_dataset(str(tmp_path / "demo"), resolution=resolution, max_label_size="full")
    images, labels = faces.draw_reals(12, 3, resolution)
    np.testing.assert_array_equal(images, dataset.read_images(range(12)))
    np.testing.assert_array_equal(labels, dataset.read_labels(range(12)))


@pytest.mark.parametrize(("shape", "resolution"), [((1, 16, 16, 3), 32), ((1, 16, 8, 3), 4)])
def test_images_without_such_a_level_are_refused(shape, resolution):
    with pytest.raises(ValueError, match=f"16x{shape[2]} cannot be shrunk to {resolution}x"):
        faces.shrink(np.zeros(shape, np.uint8), resolution)


def test_spoilt_faces_are_mixtures_whose_labels_have_the_same_shares():
    num = 2000
    images = np.zeros((num, 20, 20, 3), np.uint8)
    images[::3] = 200
    labels = np.eye(2, dtype=np.float32)[(np.arange(num) % 3 == 0).astype(int)]
    mixed, shares = faces.spoil(images, labels)
    np.testing.assert_array_equal(mixed[::HELD_OUT], images[::HELD_OUT])
    np.testing.assert_array_equal(shares[::HELD_OUT], labels[::HELD_OUT])
    np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)) / 200, shares[:, 1], atol=0.026)
    changed = np.any(shares != labels, axis=1)
    # Two faces are of different kinds in four ninths of all pairs: 2 * 1/3 * 2/3.
    assert changed.mean() == pytest.approx(faces.SPOILT * 0.9 * 4 / 9, rel=0.15)
    both = mixed[changed]
    is_half = both.std(axis=(1, 2, 3)) > 50
    assert is_half.mean() == pytest.approx(0.5, abs=0.15)
    assert set(np.unique(both[is_half])) == {0, 200}  # No half is blended.
    low, high = faces.SHARES
    assert np.all(
        (shares[changed].min(axis=1) > low - 1e-6) & (shares.max(axis=1)[changed] < high + 1e-6)
    )


def probabilities(num, **shares):
    """The first value of each factor has this share of certain images, 1 by default."""
    found = []
    for name, values in demo.FACTORS.items():
        part = np.full((num, len(values)), 1 / len(values))
        part[: round(num * shares.get(name, 1))] = np.eye(len(values))[0]
        found.append(part)
    return found


def test_the_table_counts_clear_images_and_leaves_out_what_reals_do_not_show():
    fakes = probabilities(10, skin=0.8, hair=0.5, mouth=0.1, eyes=0.3)
    reals, labels = probabilities(20, mouth=0.85, shirt=0.95), probabilities(20)
    labels[list(demo.FACTORS).index("eyes")][:5] = [0, 1]
    header, *lines, last = faces.table(fakes, reals, labels)
    assert header.split() == ["factor", "clear", "reals", "right"]
    rows = {line.split()[0]: line.split()[1:] for line in lines}
    assert list(rows) == [
        *("skin", "hair", "hairstyle", "(eyes)", "(mouth)", "glasses", "background", "shirt")
    ]
    assert rows["skin"] == ["0.800", "1.000", "1.000", *"light 10, tan 0, dark 0".split()]
    assert rows["(eyes)"][:3] == ["0.300", "1.000", "0.750"]
    assert rows["(mouth)"][:3] == ["0.100", "0.850", "1.000"]
    assert last.split() == ["all", "visible", "0.500", "0.950"]


def test_the_snapshots_of_stages_are_the_last_before_each_fade(tmp_path):
    phases = {"lod_training_kimg": 2, "lod_transition_kimg": 2, "resolution_log2": 4}
    config = Config().replace({f"schedule.{name}": value for name, value in phases.items()})
    (tmp_path / "config.json").write_text(config.to_json())
    networks = generator(), discriminator(), generator()
    for nimg in (1000, 1990, 2100, 3900, 6000, 7000, 9000):
        save_snapshot(tmp_path / f"network-snapshot-{nimg:06d}.h5", *networks, cur_nimg=nimg)
    found = [path.stem[-6:] for path in faces.stage_ends(tmp_path)]
    assert found == ["001990", "006000", "009000"]


def test_a_run_without_such_a_snapshot_is_named(tmp_path):
    (tmp_path / "config.json").write_text(Config().to_json())
    with pytest.raises(ValueError, match="no snapshot of a stable phase in"):
        faces.stage_ends(tmp_path)
