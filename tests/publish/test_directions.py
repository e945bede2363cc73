"""Directions in latent space: how they are found, stored, and turned along."""

import json

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from pgtf import images, marks
from pgtf.export import Facts, directions
from pgtf.export.signatures import make_module
from pgtf.export.source import Source
from pgtf.networks import latents_from_seeds
from pgtf.publish import direction_boundaries, direction_search
from tests import tiny
from tests.commands.generating import pixels, refusal, run

pytestmark = pytest.mark.usefixtures("loaded_once")


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_a_turn_keeps_the_length_and_its_strength_is_the_angle(rng):
    latents = rng.normal(size=[50, 16]).astype(np.float32)
    vectors = unit(rng.normal(size=[3, 16])).astype(np.float32)
    for k, angle in ((0, 0.3), (1, -0.7), (2, 1.2)):
        angles = np.zeros([50, 3])
        angles[:, k] = angle
        found = directions.edit(latents, vectors, angles)
        np.testing.assert_allclose(*map(lambda x: np.linalg.norm(x, axis=1), (found, latents)),
                                   rtol=1e-5)  # fmt: skip
        cosine = np.sum(unit(found) * unit(latents), axis=1)
        np.testing.assert_allclose(np.arccos(cosine), abs(angle), atol=2e-3)
        moved = (unit(found) - unit(latents)) @ vectors[k]
        assert (np.sign(moved) == np.sign(angle)).mean() > 0.8  # the others pass the vector itself
    same = directions.edit(latents, vectors, np.zeros([50, 3]))
    np.testing.assert_array_equal(same, latents)


def test_a_turn_along_the_latents_themselves_or_of_zeros_is_finite():
    vectors = np.eye(2, 4, dtype=np.float32)
    latents = np.float32([[3, 0, 0, 0], [0, 0, 0, 0], [-1, 0, 0, 0]])
    assert np.isfinite(directions.edit(latents, vectors, np.full([3, 2], 0.5))).all()


def test_sefa_is_the_largest_singular_vectors_without_the_labels_rows():
    Gs = tiny.generator(label_size=3)
    found = direction_search.sefa(Gs, 3)
    weight = Gs.variables_by_name["4x4/Dense/weight"].numpy()[: Gs.latent_size]
    expected = np.linalg.svd(weight.astype(np.float64))[0][:, :3].T
    assert list(found) == ["sefa0", "sefa1", "sefa2"]
    cosines = [abs(a @ b) for a, b in zip(found.values(), expected, strict=True)]
    np.testing.assert_allclose(cosines, 1, atol=1e-6)


@pytest.mark.parametrize("num_images", [40, 600])  # fewer and more images than features
def test_pca_finds_the_latents_that_move_the_features_most(num_images):
    Gs = tiny.generator()
    with_one = Gs.variables_by_name["4x4/Dense/weight"]
    values = with_one.numpy() * 0.01
    values[5] *= 1000  # The features depend on one latent number.
    with_one.assign(values)
    first = direction_search.pca(Gs, 2, num_images)["pca0"]
    assert abs(first[5]) > (0.98 if num_images > 100 else 0.8)  # A regression on 40 is rough.
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5)


def test_boundaries_separate_what_was_scored_and_leave_the_others(rng):
    latents = rng.normal(size=[4000, 32]).astype(np.float32)
    truth = unit(rng.normal(size=[2, 32]))
    truth[1] = unit(truth[0] + truth[1])  # not orthogonal
    margins = unit(latents) @ truth.T
    scores = {"smile": margins[:, 0], "glasses": (margins[:, 1] > 0).astype(float)}
    normals = direction_boundaries.normals(latents, scores)
    assert np.abs([normals[name] @ x for name, x in zip(scores, truth, strict=True)]).min() > 0.97
    found = direction_boundaries.orthogonal(normals)
    fresh = rng.normal(size=[500, 32]).astype(np.float32)
    matrix = np.stack(list(found.values()))
    for k in range(2):
        before = unit(fresh) @ truth.T
        far = directions.edit(fresh, matrix, np.tile(np.eye(2)[k] * 0.8, (500, 1)))
        after = unit(far) @ truth.T
        assert (after[:, k] > before[:, k]).mean() > 0.97
        low = before[:, k] < 0
        assert (after[low, k] > 0).mean() > 0.9
        assert ((after[:, 1 - k] > 0) != (before[:, 1 - k] > 0)).mean() < 0.15


@pytest.mark.parametrize("values", [np.zeros(100), np.repeat([0, 1], [97, 3])])
def test_a_score_without_two_sides_is_refused(values, rng):
    with pytest.raises(ValueError, match="`smile`: at least 10 images"):
        direction_boundaries.normals(rng.normal(size=[100, 8]), {"smile": values})


@pytest.fixture
def found(snapshot, tmp_path):
    """The directions of the snapshot, in a file."""
    path = tmp_path / "d.json"
    run("directions", f"--snapshot={snapshot}", "--num=3", f"--out={path}")
    return path


def test_the_command_writes_named_vectors_and_a_sheet(found, snapshot):
    loaded = directions.load(found, Source.from_snapshot(snapshot))
    assert list(loaded.vectors) == ["sefa0", "sefa1", "sefa2"]
    with PIL.Image.open(found.with_suffix(".png")) as sheet:
        assert sheet.size == (120 + 7 * 96, 24 + 3 * 96)
        middle = np.asarray(sheet.crop((120 + 3 * 96, 24, 120 + 4 * 96, 24 + 96)))[::6, ::6]
    live = pixels_of(snapshot, latents_from_seeds([0], 8).numpy())
    assert np.abs(middle.astype(int) - live[0]).max() <= 1
    assert marks.read_mark(found.with_suffix(".png")) is None  # a sheet


def pixels_of(snapshot, latents):
    return images.to_uint8(Source.from_snapshot(snapshot).Gs.run(latents)).astype(int)


def test_images_grid_and_video_turn_their_latents(found, snapshot, tmp_path, capsys):
    flags = (
        f"--snapshot={snapshot}",
        f"--directions={found}",
        "--seeds=3,4",
        "--direction=sefa1=0.5",
    )
    run("images", *flags, f"--out={tmp_path}/i")
    loaded = directions.load(found, Source.from_snapshot(snapshot))
    latents = latents_from_seeds([3, 4], 8).numpy()
    expected = pixels_of(
        snapshot, directions.edit(latents, loaded.matrix, np.tile([0, 0.5, 0], (2, 1)))
    )
    assert np.abs(pixels(tmp_path / "i" / "seed0003.png") - expected[0]).max() <= 1
    assert np.abs(expected - pixels_of(snapshot, latents)).max() > 1
    assert marks.read_mark(tmp_path / "i" / "seed0003.png").facts["Edit"] == "sefa1=0.5"
    run("whatis", tmp_path / "i" / "seed0004.png", f"--snapshot={snapshot}")
    assert "makes the same picture" in capsys.readouterr().out
    run("grid", *flags, f"--out={tmp_path}/g.png", "--zoom=1")
    assert np.abs(pixels(tmp_path / "g.png")[:, :16] - expected[0]).max() <= 1
    run(
        "video",
        *flags,
        f"--out={tmp_path}/v.webp",
        "--seconds=0.2",
        "--fps=10",
        "--direction=sefa0=1",
    )
    assert marks.read_mark(tmp_path / "v.webp").facts["Edit"] == "sefa1=0.5 sefa0=1"


def test_wrong_directions_are_one_line(found, snapshot, labelled_snapshot, tmp_path, capsys):
    base = ("images", f"--directions={found}", f"--out={tmp_path}/x")
    own = (*base, f"--snapshot={snapshot}")
    assert "with a name of sefa0, sefa1, sefa2" in refusal(capsys, *own, "--direction=smile=1")
    assert "an angle in radians" in refusal(capsys, *own, "--direction=sefa0=much")
    assert "must be NAME=ANGLE" in refusal(capsys, *own, "--direction=sefa0")
    other = (*base, f"--snapshot={labelled_snapshot}", "--direction=sefa0=1")
    assert "holds directions of the network" in refusal(capsys, *other)
    without = ("images", f"--snapshot={snapshot}", "--direction=sefa0=1", f"--out={tmp_path}/x")
    assert "Run generate.py directions first" in refusal(capsys, *without)
    walk = ("video", f"--snapshot={snapshot}", "--direction=sefa0=1", f"--out={tmp_path}/x.webp")
    assert "needs `--seeds`" in refusal(capsys, *walk)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"directions": {}},
        {"directions": {"a": [1.0]}},
        {"directions": {"a": [0.0] * 8}},
        {"directions": {"../a": [1.0] * 8}},
        {"directions": {"a": [float("nan")] * 8}},
        {"directions": {"a": ["1"] * 8}},
        {"angles": {"b": 0.5}},
        {"angles": {"sefa0": 40.0}},
        {"angles": {"sefa0": "0.5"}},
        {"network": 7},
    ],
)
def test_a_file_from_elsewhere_is_checked(change, found, snapshot):
    found.write_text(json.dumps(json.loads(found.read_text()) | change))
    with pytest.raises(ValueError, match=str(found)):
        directions.load(found, Source.from_snapshot(snapshot))


def test_scores_of_a_table_become_boundaries(snapshot, tmp_path, capsys):
    truth = latents_from_seeds(np.arange(300), 8).numpy()[:, 2]
    rows = "".join(f"{seed},{score:.4f}\n" for seed, score in enumerate(truth))
    (tmp_path / "scores.csv").write_text(f"seed,bright side\n{rows}")
    flags = (f"--snapshot={snapshot}", "--method=boundary", f"--out={tmp_path}/b.json")
    run("directions", *flags, f"--scores={tmp_path}/scores.csv")
    vector = directions.load(tmp_path / "b.json", Source.from_snapshot(snapshot)).vectors
    assert list(vector) == ["bright-side"]
    assert vector["bright-side"][2] > 0.95
    (tmp_path / "scores.csv").write_text("seed,x\n1,high\n")
    text = refusal(capsys, "directions", *flags, f"--scores={tmp_path}/scores.csv", "--overwrite")
    assert "scores.csv line 2: column `x` must hold numbers" in text
    assert "either `--scores` or `--classifier`" in refusal(
        capsys, "directions", *flags, "--overwrite"
    )


ROWS = "".join(f"{seed},{seed},{-seed}\n" for seed in range(40))


def test_names_of_columns_become_names_of_directions(snapshot, tmp_path, capsys):
    (tmp_path / "s.csv").write_text(f"seed,my/score (1=yes),Größe\n{ROWS}")
    flags = ("directions", f"--snapshot={snapshot}", "--method=boundary")
    run(*flags, f"--scores={tmp_path}/s.csv", f"--out={tmp_path}/d.json")
    loaded = directions.load(tmp_path / "d.json", Source.from_snapshot(snapshot))
    assert list(loaded.vectors) == ["my-score-1-yes", "Größe"]
    (tmp_path / "s.csv").write_text(f"seed,a b,a-b\n{ROWS}")
    text = refusal(capsys, *flags, f"--scores={tmp_path}/s.csv", f"--out={tmp_path}/e.json")
    assert "has two columns of scores named `a-b`" in text


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--method=pca", "--num_images=3"), "needs more images than directions. Received: 3"),
        (("--out=OUT/x.png",), "must be a .json file"),
        (("--seed=-1",), "invalid int of 0 or more value: '-1'"),
        (("--method=boundary", "--scores=none.csv"), "none.csv: no such file."),
    ],
)
def test_wrong_flags_of_directions_are_one_line(flags, words, snapshot, tmp_path, capsys):
    flags = [f"--out={tmp_path}/d.json", *(x.replace("OUT", str(tmp_path)) for x in flags)]
    assert words in refusal(capsys, "directions", f"--snapshot={snapshot}", *flags)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("label_size", [0, 3])
def test_the_signature_edit_turns_latents(label_size, rng):
    Gs = tiny.generator(label_size=label_size)
    vectors = direction_search.sefa(Gs, 2)
    _, signatures = make_module(Gs, Facts(name="x", directions=vectors))
    latents = rng.normal(size=[3, 8]).astype(np.float32)
    strengths = np.float32([[0, 0], [0.5, 0], [-0.3, 0.8]])
    rows = {"labels": np.eye(3, dtype=np.float32)} if label_size else {}
    inputs = {"latents": latents, "strengths": strengths} | rows
    answer = signatures["edit"](**{name: tf.constant(x) for name, x in inputs.items()})
    edited = directions.edit(latents, np.stack(list(vectors.values())), strengths)
    expected = images.to_uint8(Gs.run(edited, rows.get("labels")))
    assert np.abs(answer["images"].numpy().astype(int) - expected).max() <= 1
    names = signatures["info"](dummy=tf.constant([0], tf.int64))["direction_names"].numpy()
    assert names.tolist() == [[b"sefa0", b"sefa1"]]
