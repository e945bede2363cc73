"""Names of files do not decide what is measured: real digits under two kinds of names."""

import json

import numpy as np
import PIL.Image
import pytest

from pgtf.commands.metrics import main
from pgtf.metrics import image_sets
from pgtf.metrics.evaluator import Evaluator
from pgtf.metrics.ms_ssim import ms_ssim
from pgtf.metrics.plan import parse_plan

NUM_FAKES, SEEDS = 400, range(5)


@pytest.fixture(scope="module")
def digits():
    """All 1,797 scans, enlarged to the 16 pixels that metrics need, and their classes."""
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    found = load_digits()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)
    return images.repeat(2, axis=1).repeat(2, axis=2), found.target


def by_name(digits, kind, num=None):
    """Images in the order of random names, or of names that begin with the class."""
    images, classes = digits
    chosen = np.random.RandomState(7).permutation(len(images))[:num]
    if kind == "class-first":
        chosen = chosen[np.argsort(classes[chosen], kind="stable")]
    return images[chosen]


def save_images(folder, images):
    folder.mkdir()
    for i, image in enumerate(images):
        PIL.Image.fromarray(image).save(folder / f"{i:04d}.png", compress_level=0)
    return folder


def assert_equal_means(values):
    """Means over the seeds, {kind of names: {metric: values}}, differ by less than 2 errors."""
    random, class_first = values["random"], values["class-first"]
    assert random.keys() == class_first.keys()
    for name, a in random.items():
        b = class_first[name]
        error = np.sqrt(sum(np.var(v, ddof=1) / len(v) for v in (a, b)))
        assert abs(np.mean(a) - np.mean(b)) < 2 * error, name
        assert error < 0.2 * np.mean(a), name  # small enough to show the fault


def measured(reals, fakes, text):
    """{metric: values of all seeds} of a perfect generator: its fakes are reals."""
    found = {}
    for seed in SEEDS:
        for record in Evaluator(parse_plan(text), reals, seed=seed)(fakes):
            for name, value in record["values"].items():
                found.setdefault(name, []).append(value)
    return found


def test_a_perfect_generator_has_the_same_values_under_names_that_begin_with_the_class(digits):
    values = {}
    for kind in ("random", "class-first"):
        reals, fakes = by_name(digits, kind), by_name(digits, kind, NUM_FAKES)
        sets = (image_sets.of_array("digits", x[..., np.newaxis]) for x in (reals, fakes))
        values[kind] = measured(*sets, "swd:32,msssim:200")
    assert_equal_means(values)
    # The first images by name, in pairs of neighbours, are another set.
    first = by_name(digits, "class-first")[:200, :, :, np.newaxis]
    wrong = ms_ssim(first[0::2], first[1::2]).mean()
    right = values["class-first"]["msssim_reals"]
    assert wrong - np.mean(right) > 10 * np.std(right, ddof=1)


@pytest.mark.slow
def test_folders_of_real_digits_have_the_same_values_under_both_kinds_of_names(
    tmp_path, digits, capsys, monkeypatch
):
    """400 of 1,797 images, as a user compares two folders."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    values = {}
    for kind in ("random", "class-first"):
        reals = save_images(tmp_path / f"reals-{kind}", by_name(digits, kind))
        fakes = save_images(tmp_path / f"fakes-{kind}", by_name(digits, kind, NUM_FAKES))
        found = values[kind] = {}
        for seed in SEEDS:
            main([f"--reals={reals}", f"--fakes={fakes}", "--metrics=swd,msssim", f"--seed={seed}"])
            for record in map(json.loads, capsys.readouterr().out.splitlines()[1::2]):
                assert (record["num_images"], record["num_reals"]) == (NUM_FAKES, NUM_FAKES)
                for name, value in record["values"].items():
                    found.setdefault(name, []).append(value)
    assert_equal_means(values)
