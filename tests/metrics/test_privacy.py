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
from pgtf.metrics import privacy
from tests import tiny


def smooth(rng, num):
    """Images [num, 16, 16, 3] of a few random waves: a smooth manifold, as photographs are near."""
    x = np.linspace(0, 2 * np.pi, 16)
    waves = np.stack([np.outer(f(i * x), g(j * x)) for i in (1, 2) for j in (0, 1)
                      for f in (np.sin, np.cos) for g in (np.cos,)])  # fmt: skip
    values = np.einsum("nkc,khw->nhwc", rng.normal(size=[num, len(waves), 3]), waves)
    return np.clip(128 + 30 * values, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", [privacy.pixels, privacy.shapes])
def test_p_is_uniform_over_splits_of_images_that_the_network_never_saw(kind, rng):
    fakes, reals = (kind(smooth(rng, n)) for n in (300, 400))
    nearest, _ = privacy._nearest(fakes, reals)
    counts = np.bincount(nearest, minlength=len(reals))
    p = np.array([
        privacy.split_test(rng.permutation(counts), 250, seed, num_splits=199)[1]
        for seed in range(500)
    ])  # fmt: skip
    assert 0.03 <= np.mean(p < 0.05) <= 0.07
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.01


def test_a_network_that_memorised_50_images_is_told(rng):
    training, held_out = smooth(rng, 50), smooth(rng, 50)
    noise = rng.integers(-4, 5, size=[400, 16, 16, 3])
    fakes = np.clip(training[rng.integers(50, size=400)].astype(int) + noise, 0, 255)
    for kind in (privacy.pixels, privacy.shapes):
        vectors = [kind(x.astype(np.uint8)) for x in (fakes, training, held_out)]
        found = privacy.nearness(*vectors)
        assert found.p < 0.001
        assert found.share > 0.99
        assert found.expected == 0.5
        assert found.copies_per_thousand > 900
    assert privacy.verdict({"pixels": found.p}, found.copies_per_thousand)[0] == "Do not publish"


def test_shapes_see_a_copy_whose_brightness_was_changed(rng):
    training = smooth(rng, 100)
    brighter = (training[:30].astype(int) // 2 + 100).astype(np.uint8)
    nearest, distances = privacy._nearest(privacy.shapes(brighter), privacy.shapes(training))
    assert nearest.tolist() == list(range(30))
    assert distances.max() < 0.2


def test_membership_is_the_share_of_pairs_in_the_right_order():
    found = privacy.membership(np.float32([3, 4, 5]), np.float32([1, 2, 4.5]))
    assert found.auc == pytest.approx(7 / 9)
    assert privacy.membership(np.arange(100.0) + 100, np.arange(100.0)).p < 1e-6


def test_the_verdict_counts_all_tests_and_the_copies():
    assert privacy.verdict({"a": 0.5, "b": 0.9}, 9)[0] == "No sign of copying"
    assert privacy.verdict({"a": 0.03, "b": 0.9}, 9)[0] == "No sign of copying"  # two tests
    assert privacy.verdict({"a": 0.02, "b": 0.9}, 9)[0] == "Look closely"
    assert privacy.verdict({"a": 0.5, "b": 0.9}, 60)[0] == "Look closely"
    assert privacy.verdict({"a": 0.0004, "b": 0.9}, 9)[0] == "Do not publish"


def test_few_images_are_refused(rng):
    vectors = [privacy.pixels(smooth(rng, n)) for n in (30, 30, 3)]
    with pytest.raises(ValueError, match="at least 20 images of each kind. Received: 3 of `held"):
        privacy.nearness(*vectors)


@pytest.fixture
def run_folder(tmp_path, rng):
    """A run on 90 images with 30 more held out, and an untrained snapshot."""
    (tmp_path / "images").mkdir()
    for i, image in enumerate(smooth(rng, 120)):
        images.save_png(tmp_path / "images" / f"{i:03d}.png", image)
    options = ImageOptions(held_out="30")
    sources.create(str(tmp_path / "set"), str(tmp_path / "images"), options, Options(1))
    folder = tmp_path / "000-set-demo"
    folder.mkdir()
    config = Config().replace({"dataset.path": str(tmp_path / "set")})
    (folder / "config.json").write_text(config.to_json())
    networks = [make(i) for i, make in enumerate((tiny.generator, tiny.discriminator) * 2)][:3]
    save_snapshot(folder / "network-snapshot-000001.h5", *networks, cur_nimg=1000)
    return folder


def test_the_page_tells_verdict_numbers_pairs_and_limits(run_folder, capsys):
    metrics.main(["privacy", f"--run={run_folder}", "--num=60"])
    out = capsys.readouterr().out
    assert "distances of pixels: p = 0." in out
    page = (run_folder / "privacy.html").read_text()
    assert "60 generated images, 90 training images, 30 held-out images" in page
    assert page.count("<td>75.0%") == 2  # the share expected by chance, in both distances
    assert 'src="data:image/png;base64,' in page
    assert "<h2>Limits</h2>" in page
    assert any(words in page for words in ("No sign of copying", "Look closely", "Do not publish"))


def test_a_dataset_without_held_out_images_is_refused_with_the_remedy(run_folder, capsys):
    path = run_folder.parent / "set" / "dataset.json"
    found = json.loads(path.read_text())
    del found["split"]
    path.write_text(json.dumps(found))
    with pytest.raises(SystemExit) as stopped:
        metrics.main(["privacy", f"--run={run_folder}"])
    assert stopped.value.code == 2
    assert "must hold out images" in capsys.readouterr().err


@pytest.mark.parametrize("group", [4, "all", 0])
def test_the_score_of_an_image_does_not_depend_on_the_others(group, rng):
    D = tiny.with_random_biases(tiny.discriminator(mbstd_group_size=group), rng)
    source = Source(tiny.generator(), Path("x"), {}, None, D)
    reals = smooth(rng, 37)
    scores = metrics_privacy._scores(source, reals)
    some = metrics_privacy._scores(source, reals[[30, 2, 11]])
    np.testing.assert_allclose(some, scores[[30, 2, 11]], rtol=1e-4, atol=1e-5)
