"""Directions that give images the values of a classifier, and change its other answers little."""

import types

import numpy as np
import pytest
import tensorflow as tf

from pgtf import marks
from pgtf.export import directions
from pgtf.export.source import Source
from pgtf.metrics import classifier
from pgtf.publish import direction_turns
from pgtf.publish.direction_judge import Judge, Reader, Trial, Value
from pgtf.publish.direction_turns import Descent, choose, smallest_angle
from tests.commands.generating import refusal, run

pytestmark = pytest.mark.usefixtures("loaded_once")
SIZE = 16
FACTORS = {"skin": ["light", "dark"], "hair": ["fair", "black"], "hat": ["none", "round", "flat"]}


class Mirror:
    """A generator whose images are its latents, of unit mean square."""

    lod, latent_size = 0.0, SIZE
    config = types.SimpleNamespace(label_size=0)

    def model_at(self, lod):
        return lambda inputs: inputs[:, np.newaxis, np.newaxis], 1.0

    def inputs(self, latents, labels, alpha):
        return latents * tf.math.rsqrt(tf.reduce_mean(latents**2, axis=1, keepdims=True)) / 8


def logits(images):
    """Skin depends on the first number, hair on the first two, in a curve; the hat on others."""
    x = 8 * tf.convert_to_tensor(images)[:, 0, 0]
    skin = 3 * x[:, 0] + x[:, 2]
    hair = x[:, 1] + 2 * x[:, 2] ** 2 - 2
    hats = [0 * skin, 3 * x[:, 3] - 2, 3 * x[:, 4] - 2]
    return tf.stack([skin, -skin, hair, -hair, *hats], axis=1)


READER = Reader(Source(Mirror(), "x", {}), Judge(logits, FACTORS))


@pytest.fixture(scope="module")
def trial():
    return Trial(READER, np.arange(400))


def test_a_trial_reads_turned_images(trial):
    before = trial.values(trial.latents)
    rows = trial.latents / np.sqrt(np.mean(trial.latents**2, axis=1, keepdims=True))
    assert np.array_equal(before["skin"], 3 * rows[:, 0] + rows[:, 2] < 0)
    vector = np.eye(SIZE, dtype=np.float32)[0]
    moved = trial.moved(vector, -1.2, Value("skin", 1))
    assert moved.asked > 0.95
    assert moved.others.keys() == {"hair", "hat"}
    none = trial.moved(vector, 0.0, Value("skin", 1))
    assert none.asked == np.mean(before["skin"] == 1)
    assert set(none.others.values()) == {0.0}
    assert 0.05 < trial.changed_at_random(0.3)["hair"] < 0.6


def entangled():
    """The normal of skin's boundary, and as much of the third number, on which hair depends."""
    return np.eye(SIZE)[[0, 2]].sum(axis=0) / np.sqrt(2)


def test_a_refined_direction_gives_the_value_and_leaves_the_other_factors(trial):
    fresh, value = Trial(READER, np.arange(1000, 1400)), Value("skin", 0)
    normal = entangled()
    plain = fresh.moved(normal, smallest_angle(trial, normal, value)[0], value)
    assert plain.others["hair"] > 0.4
    turn = choose({"light": normal}, {"light": value}, trial, trial)["light"]
    assert np.linalg.norm(turn.vector) == pytest.approx(1, abs=1e-5)
    assert turn.vector[0] > 0.9
    assert abs(turn.vector[2]) < 0.15
    found = fresh.moved(turn.vector, turn.angle, value)
    assert found.asked >= 0.9
    assert max(found.others.values()) < 0.25
    smaller = max(x for x in (0, *direction_turns.ANGLES) if x < turn.angle)
    assert trial.moved(turn.vector, smaller, value).asked < direction_turns.WANTED


def test_a_direction_is_refined_to_the_same_bits_and_reports_its_steps(trial):
    steps, value = [], Value("hat", 1)
    first = Descent(trial).refine(entangled(), value, lambda: steps.append(1))
    assert len(steps) == direction_turns.NUM_STEPS
    np.testing.assert_array_equal(first, Descent(trial).refine(entangled(), value))


def test_each_image_of_a_descent_keeps_its_label(monkeypatch):
    labelled, seen = Trial(READER, np.arange(100)), []
    labelled.labels = np.arange(100)[:, np.newaxis]
    descent = Descent(labelled)

    def gradient(steer, labels, latents, targets, weights):
        seen.append(np.array_equal(labelled.latents[labels[:, 0]], latents))
        return tf.ones([SIZE]), tf.zeros([len(latents), 7])

    monkeypatch.setattr(descent, "_traced", gradient)
    descent.refine(entangled(), Value("skin", 0))
    assert seen == [True] * direction_turns.NUM_STEPS


def test_a_direction_that_does_not_reach_a_value_has_the_best_angle(trial):
    value = Value("hat", 1)
    angle, moved = smallest_angle(trial, np.eye(SIZE)[9], value)
    assert angle in direction_turns.ANGLES
    assert moved == trial.moved(np.eye(SIZE)[9], angle, value)
    assert moved.asked < 0.9


@pytest.mark.parametrize("side", [8, 32, 64])
def test_a_classifier_reads_tensors_as_it_reads_images(side, rng):
    images = rng.integers(256, size=[3, side, side, 3]).astype(np.uint8)
    expected = classifier.resize(images)
    found = classifier.resized(tf.constant(images.astype(np.float32) / 127.5 - 1))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.fixture
def judged(tmp_path):
    """A classifier file, not trained."""
    model = classifier.build_model(3, 5, seed=1)
    factors = {"hair": ["black", "light blue"], "hat": ["none", "round", "flat"]}
    path = tmp_path / "classifier.npz"
    classifier.save_classifier(path, classifier._finished(model, factors, {"hair": 1, "hat": 1}))
    return path


def test_the_command_prints_a_table_and_its_directions_have_angles(
    judged, snapshot, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(direction_turns, "NUM_STEPS", 3)
    monkeypatch.setattr("pgtf.commands.generate_directions.NUM_JUDGED", (50, 50))
    flags = (f"--snapshot={snapshot}", "--method=boundary", f"--classifier={judged}")
    run("directions", *flags, "--num_images=100", f"--out={tmp_path}/d.json")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["direction", "angle", "asked", "other"]
    assert [line.split()[0] for line in lines[1:5]] == [
        "hair-light-blue", "hat-none", "hat-round", "hat-flat"
    ]  # fmt: skip
    assert lines[5].startswith("a random one")
    assert lines[1].count("hat ") == 1
    loaded = directions.load(tmp_path / "d.json", Source.from_snapshot(snapshot))
    angle = loaded.usual["hair-light-blue"]
    assert f"{angle:5.2f}" in lines[1]
    images = ("images", f"--snapshot={snapshot}", f"--directions={tmp_path}/d.json", "--seeds=3")
    run(*images, "--direction=hair-light-blue", f"--out={tmp_path}/a")
    run(*images, f"--direction=hair-light-blue={angle:g}", f"--out={tmp_path}/b")
    a, b = (tmp_path / name / "seed0003.png" for name in "ab")
    assert a.read_bytes() == b.read_bytes()
    assert marks.read_mark(a).facts["Edit"] == f"hair-light-blue={angle:g}"


def test_directions_without_names_are_read_by_a_classifier(
    judged, snapshot, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("pgtf.commands.generate_directions.NUM_JUDGED", (50,))
    flags = (f"--snapshot={snapshot}", "--num=2", f"--classifier={judged}")
    run("directions", *flags, f"--out={tmp_path}/d.json")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:3]] == [["sefa0", "0.60"], ["sefa1", "0.60"]]
    assert "hair 0." in lines[1]


def test_a_classifier_of_other_images_is_one_line(snapshot, tmp_path, capsys):
    model = classifier.build_model(1, 2, seed=1)
    path = tmp_path / "gray.npz"
    classifier.save_classifier(path, classifier._finished(model, {"a": ["b", "c"]}, {"a": 1}))
    flags = (f"--snapshot={snapshot}", "--method=boundary", f"--classifier={path}")
    text = refusal(capsys, "directions", *flags, f"--out={tmp_path}/d.json")
    assert "reads images of 1 channels. Received: 3 channels" in text
    scores = ("--method=pca", f"--scores={path}", f"--out={tmp_path}/d.json")
    text = refusal(capsys, "directions", f"--snapshot={snapshot}", *scores)
    assert "`--scores` needs `--method=boundary`" in text
    for name in ("missing.npz", "wrong.npz"):
        (tmp_path / "wrong.npz").write_bytes(b"PK")
        flags = (*flags[:2], f"--classifier={tmp_path / name}", f"--out={tmp_path}/d.json")
        assert name in refusal(capsys, "directions", *flags)
