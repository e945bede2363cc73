"""The test if a generator repeats its training images."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from pgtf import images
from pgtf.commands import metrics, metrics_privacy
from pgtf.config import Config
from pgtf.dataset.exporter import Options
from pgtf.dataset.sources import images as sources
from pgtf.dataset.sources.images import ImageOptions
from pgtf.export.source import Source
from pgtf.interop import save_snapshot
from pgtf.metrics import privacy, privacy_page, privacy_vectors
from tests import tiny


def smooth(rng, num):
    """Images [num, 16, 16, 3] of a few random waves: a smooth manifold, as photographs are near."""
    x = np.linspace(0, 2 * np.pi, 16)
    waves = np.stack([np.outer(f(i * x), g(j * x)) for i in (1, 2) for j in (0, 1)
                      for f in (np.sin, np.cos) for g in (np.cos,)])  # fmt: skip
    values = np.einsum("nkc,khw->nhwc", rng.normal(size=[num, len(waves), 3]), waves)
    return np.clip(128 + 30 * values, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def unseen():
    """Distances between 300 images and 400 others of the same kind, and scores of these."""
    rng = np.random.default_rng(7)
    fakes, reals = smooth(rng, 300), smooth(rng, 400)
    found = {
        name: privacy.distances(kind(fakes), kind(reals))
        for name, kind in privacy_vectors.kinds().items()
    }
    return found, rng.normal(size=400)


@pytest.mark.parametrize("name", ["pixels", "shapes"])
@pytest.mark.parametrize("field", ["p", "copies_p"])
def test_p_is_uniform_over_splits_of_images_that_the_network_never_saw(
    unseen, name, field, monkeypatch
):
    monkeypatch.setattr(privacy, "NUM_SPLITS", 999)
    found, rng = unseen[0][name], np.random.default_rng(11)
    p = [
        getattr(privacy.compare(found, rng.permutation(400) < 250, seed=2 * i), field)
        for i in range(500)
    ]
    assert_uniform(p)


def test_p_of_a_guess_is_uniform_over_splits_of_images_that_the_network_never_saw(unseen):
    scores, rng = unseen[1], np.random.default_rng(13)
    masks = [rng.permutation(400) < 250 for _ in range(500)]
    found = [privacy.membership(scores[mask], scores[~mask]) for mask in masks]
    assert_uniform([x.p for x in found])
    assert 0.92 <= np.mean([x.low <= 0.5 <= x.high for x in found]) <= 0.98


def assert_uniform(p):
    assert 0.03 <= np.mean(np.array(p) < 0.05) <= 0.07
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.01


def test_the_verdict_of_all_tests_together_is_seldom_a_false_alarm(unseen, monkeypatch):
    monkeypatch.setattr(privacy, "NUM_SPLITS", 1999)
    rng, titles = np.random.default_rng(17), []
    for seed in range(150):
        mask = rng.permutation(400) < 250
        near = {name: privacy.compare(x, mask, seed=2 * seed) for name, x in unseen[0].items()}
        member = privacy.membership(unseen[1][mask], unseen[1][~mask])
        titles.append(privacy_page.Findings({}, near, {"D's score": member}).verdict[0])
    assert titles.count("Do not publish") <= 1
    # 5% are expected; 9% are 2.2 standard deviations more.
    assert np.mean(np.array(titles) != "No sign of copying") <= 0.09


def test_splits_are_drawn_as_shuffling_the_images_draws_them(rng):
    counts = np.repeat([0, 1, 2, 7], [20, 10, 5, 3])
    is_training = np.arange(38) < 12
    for _ in range(3):
        mask = rng.permutation(is_training)
        sums = [counts[rng.permutation(mask)].sum() for _ in range(20_000)]
        found, chosen = privacy.split_test(counts, mask, seed=1), counts[mask].sum()
        low, high = (np.mean(x) for x in (sums > chosen, sums >= chosen))
        assert low - 0.01 <= found <= high + 0.01


def test_a_memory_of_50_images_is_told(rng):
    training, held_out = smooth(rng, 50), smooth(rng, 50)
    noise = rng.integers(-4, 5, size=[400, 16, 16, 3])
    fakes = np.clip(training[rng.integers(50, size=400)].astype(int) + noise, 0, 255)
    near = {}
    for name, kind in privacy_vectors.kinds().items():
        reals = np.concatenate([kind(training), kind(held_out)])
        found = privacy.distances(kind(fakes), reals)
        near[name] = privacy.compare(found, np.arange(100) < 50)
        assert near[name].p < 0.001
        assert near[name].copies_p < 0.001
        assert near[name].share > 0.99
        assert near[name].expected == 0.5
        assert near[name].copies > 900
        assert near[name].held_out_copies < 10
    assert privacy_page.Findings({}, near, {}).verdict[0] == "Do not publish"


def test_copies_of_mirrored_training_images_are_told_where_training_mirrored(rng):
    training, held_out = smooth(rng, 50), smooth(rng, 50)
    reals = np.concatenate([training, held_out])
    fakes = training[rng.integers(50, size=200), :, ::-1]
    plain, turned = (privacy_vectors.pixels(x) for x in (reals, reals[:, :, ::-1]))
    found = privacy.distances(privacy_vectors.pixels(fakes), plain, turned)
    assert found.distance.max() == 0
    assert np.array_equal(reals[found.nearest][:, :, ::-1], fakes)
    assert privacy.compare(found, np.arange(100) < 50).p < 0.001
    assert found.limit > 1  # An image's own mirror image is no other image.
    assert found.is_copy.all()


def test_symmetric_images_are_copied_too_where_training_mirrored(rng):
    half = smooth(rng, 100)
    reals = np.concatenate([half[:, :, :8], half[:, :, 7::-1]], axis=2)
    vectors = privacy_vectors.pixels(reals)
    found = privacy.distances(vectors[:30] + 0.01, vectors, vectors)
    assert found.nearest.tolist() == list(range(30))
    assert found.is_copy.all()


def test_images_that_are_close_to_all_others_are_no_copies(rng):
    training, held_out = smooth(rng, 50), smooth(rng, 50)
    reals = privacy_vectors.pixels(np.concatenate([training, held_out]))
    blurred = reals.mean(axis=0) + rng.normal(size=[200, reals.shape[1]]) * 1e-3
    found = privacy.distances(blurred.astype(np.float32), reals)
    assert np.mean(found.distance < found.limit) > 0.9
    assert not found.is_copy.any()


def test_images_that_are_in_both_sets_favour_none(rng):
    same = smooth(rng, 40)
    reals = privacy_vectors.pixels(np.concatenate([same, same]))
    found = privacy.distances(reals[:40], reals)
    share = privacy.compare(found, np.arange(80) < 40).share
    assert 0.25 < share < 0.75


def test_shapes_see_a_copy_whose_brightness_was_changed(rng):
    training, shapes = smooth(rng, 100), privacy_vectors.shapes
    brighter = (training[:30].astype(int) // 2 + 100).astype(np.uint8)
    nearest, distances = privacy.nearest(shapes(brighter), shapes(training))
    assert nearest[:, 0].tolist() == list(range(30))
    assert distances.max() < 0.2


def test_membership_is_the_share_of_pairs_in_the_right_order():
    found = privacy.membership(np.float32([3, 4, 5]), np.float32([1, 2, 4.5]))
    assert found.auc == pytest.approx(7 / 9)
    assert found.num == 6
    assert found.low < 7 / 9 < found.high
    assert privacy.membership(np.arange(100.0) + 100, np.arange(100.0)).p < 1e-6


def test_the_verdict_counts_all_tests_and_the_copies():
    assert privacy.verdict({"a": 0.5, "b": 0.9}, 9)[0] == "No sign of copying"
    assert privacy.verdict({"a": 0.03, "b": 0.9}, 9)[0] == "No sign of copying"  # two tests
    assert privacy.verdict({"a": 0.02, "b": 0.9}, 9)[0] == "Look closely"
    assert privacy.verdict({"a": 0.5, "b": 0.9}, 60)[0] == "Look closely"
    assert privacy.verdict({"a": 0.0004, "b": 0.9}, 9)[0] == "Do not publish"


def test_the_nearest_points_are_those_of_all_distances(rng):
    queries, points = rng.normal(size=[30, 5]), rng.normal(size=[50, 5])
    indices, distances = privacy.nearest(queries, points, 3)
    expected = np.linalg.norm(queries[:, np.newaxis] - points, axis=2)
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, :3])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :3])


def test_few_images_are_refused():
    with pytest.raises(ValueError, match="at least 20 images of each kind. Received: 3 held-out"):
        privacy.check_numbers(generated=30, training=30, held_out=3)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run on 96 images with 32 more held out, and an untrained snapshot."""
    tmp_path, rng = tmp_path_factory.mktemp("privacy"), np.random.default_rng(3)
    (tmp_path / "images").mkdir()
    for i, image in enumerate(smooth(rng, 128)):
        images.save_png(tmp_path / "images" / f"{i:03d}.png", image)
    options = ImageOptions(held_out="32")
    sources.create(str(tmp_path / "set"), str(tmp_path / "images"), options, Options(1))
    folder = tmp_path / "000-set-demo"
    folder.mkdir()
    config = Config().replace(
        {"dataset.path": str(tmp_path / "set"), "dataset.mirror_augment": True}
    )
    (folder / "config.json").write_text(config.to_json())
    networks = [make(i) for i, make in enumerate((tiny.generator, tiny.discriminator) * 2)][:3]
    save_snapshot(folder / "network-snapshot-000001.h5", *networks, cur_nimg=1000)
    return folder


SMALL = ("--num=64", "--num_projected=24", "--projection_steps=3")


def test_the_page_tells_verdict_numbers_pairs_and_limits(run_folder, capsys):
    metrics.main(["privacy", f"--run={run_folder}", *SMALL])
    out = capsys.readouterr().out
    assert "distances of pixels: p = 0." in out
    assert "copies by shapes: p = 0." in out
    assert "search for the image: AUC = 0." in out
    page = (run_folder / "privacy.html").read_text()
    (run_folder / "privacy.html").unlink()
    assert "64 generated images, 96 training images, 32 held-out images" in page
    assert page.count("<td>75.0%") == 2  # the share expected by chance, in both distances
    assert "smallest p of 6\ntests" in page
    assert "<tr><td>search for the image<td>0." in page
    assert "Held-out images were chosen one by one." in page
    assert 'src="data:image/png;base64,' in page
    assert "<h2>Limits</h2>" in page
    assert any(words in page for words in ("No sign of copying", "Look closely", "Do not publish"))


def test_a_dataset_without_held_out_images_is_refused_with_the_remedy(
    run_folder, capsys, monkeypatch
):
    path = run_folder.parent / "set" / "dataset.json"
    before = path.read_text()
    path.write_text(json.dumps({k: v for k, v in json.loads(before).items() if k != "split"}))
    monkeypatch.setattr(metrics_privacy, "_measured", lambda *args: 1 / 0)
    try:
        with pytest.raises(SystemExit) as stopped:
            metrics.main(["privacy", f"--run={run_folder}"])
    finally:
        path.write_text(before)
    assert stopped.value.code == 2
    assert "must hold out images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--num=3", "at least 20 images of each kind. Received: 3 generated images"),
        ("--num_reals=7", "Received: 7 training images"),
        ("--num=-1", "must be above 0"),
        ("--num_projected=-1", "must be 0 or more"),
        ("--inception=missing.pb", "missing.pb"),
        ("--inception=SELF", "not the frozen graph of 2015"),
    ],
)
def test_wrong_flags_are_one_line(flag, words, run_folder, capsys):
    flag = flag.replace("SELF", str(run_folder / "config.json"))
    with pytest.raises(SystemExit) as stopped:
        metrics.main(["privacy", f"--run={run_folder}", flag])
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert not (run_folder / "privacy.html").exists()


@pytest.mark.parametrize("group", [4, "all", 0])
def test_the_score_of_an_image_does_not_depend_on_the_others(group, rng):
    D = tiny.with_random_biases(tiny.discriminator(mbstd_group_size=group), rng)
    source = Source(tiny.generator(), Path("x"), {}, None, D)
    reals = smooth(rng, 37)
    reals = images.to_float(reals)
    scores = metrics_privacy.scores(source, reals)
    some = metrics_privacy.scores(source, reals[[30, 2, 11]])
    np.testing.assert_allclose(some, scores[[30, 2, 11]], rtol=1e-4, atol=1e-5)
