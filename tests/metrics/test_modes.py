"""Mode coverage of counts with known answers, and a classifier that learns its factors."""

import math

import numpy as np
import pytest

from pgtf.metrics import classifier as classifiers
from pgtf.metrics import modes
from pgtf.metrics.evaluator import SEED, Evaluator
from pgtf.metrics.image_sets import of_array
from pgtf.metrics.plan import parse_plan

COLORS = {"red": (220, 30, 30), "green": (30, 220, 30), "blue": (30, 30, 220)}
FACTORS = {"color": list(COLORS), "side": ["left", "right"]}


def squares(num, seed, side=32):
    """Images of a bright half in one of three colours: uint8 [num, side, side, 3], labels."""
    rng = np.random.RandomState(seed)
    color, half = rng.randint(3, size=num), rng.randint(2, size=num)
    images = rng.randint(0, 40, (num, side, side, 3))
    for image, c, h in zip(images, color, half, strict=True):
        image[:, h * side // 2 : (h + 1) * side // 2] += list(COLORS.values())[c]
    labels = np.concatenate([np.eye(3)[color], np.eye(2)[half]], axis=1).astype(np.float32)
    return images.clip(0, 255).astype(np.uint8), labels, np.stack([color, half], axis=1)


@pytest.fixture(scope="module")
def trained():
    images, labels, _ = squares(400, seed=0)
    return classifiers.train(lambda i: images[i], labels, FACTORS, 3, epochs=2)


def test_it_learns_the_factors_and_measures_its_accuracy(trained):
    images, _, values = squares(100, seed=1)
    assert trained.accuracy.keys() == FACTORS.keys()
    assert min(trained.accuracy.values()) > 0.95
    assert (trained(images) == values).mean() > 0.95


def test_accuracy_is_measured_on_images_held_out():
    """Random labels cannot be predicted for images that were not learnt."""
    images, _, _ = squares(200, seed=0)
    labels = np.eye(2, dtype=np.float32)[np.random.RandomState(1).randint(2, size=200)]
    shown = []

    def read(indices):
        shown.append(indices)
        return images[indices]

    classifiers.train(read, labels, {"coin": ["head", "tail"]}, 3, epochs=1)
    held_out = np.arange(0, 200, 10)
    np.testing.assert_array_equal(shown[-1], held_out)
    assert not np.isin(np.concatenate(shown[:-1]), held_out).any()
    assert len(np.unique(np.concatenate(shown))) == 200


def test_a_classifier_is_the_same_after_saving(trained, tmp_path):
    path = tmp_path / "classifier.npz"
    classifiers.save_classifier(path, trained)
    loaded = classifiers.load_classifier(path)
    images, _, _ = squares(20, seed=2)
    np.testing.assert_array_equal(loaded(images), trained(images))
    assert (loaded.factors, loaded.accuracy) == (trained.factors, trained.accuracy)
    assert loaded.sha256 == trained.sha256


def test_a_file_that_is_not_a_classifier_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, weight0=np.zeros(3))
    contents = [b"", b"PK\x03\x04 torn", path.read_bytes(), np.array([{}], object).dumps()]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(ValueError, match="x.npz: not a classifier"):
            classifiers.load_classifier(path)


def test_images_of_other_sizes_are_resized_by_box_means_or_repetition(trained):
    images, _, values = squares(30, seed=3, side=64)
    trained.check((64, 64, 3))
    assert (trained(images) == values).mean() > 0.95
    boxes = images.reshape(30, 32, 2, 32, 2, 3).astype(float).mean(axis=(2, 4))
    np.testing.assert_allclose((classifiers.resize(images) + 1) * 127.5, boxes, atol=1e-3)
    small = images[:, ::4, ::4]
    np.testing.assert_allclose(
        classifiers.resize(small)[:, ::2, 1::2], small / 127.5 - 1, atol=1e-6
    )
    with pytest.raises(ValueError, match="square images of 32 pixels.*Received: 48x48"):
        trained.check((48, 48, 3))
    with pytest.raises(ValueError, match="images of 3 channels. Received: 1"):
        trained.check((32, 32, 1))


def digit_reader():
    """A classifier of gray images whose digit is their mean brightness over 25."""
    model = classifiers.build_model(1, 10, seed=0)

    class ByBrightness:
        input_shape = model.input_shape

        def __call__(self, x, training):
            digit = np.clip(((np.asarray(x).mean(axis=(1, 2, 3)) + 1) * 127.5 / 25), 0, 9)
            return Logits(np.eye(10)[digit.astype(int)])

    class Logits(np.ndarray):
        def __new__(cls, array):
            return np.asarray(array).view(cls)

        def numpy(self):
            return np.asarray(self)

    factors = {"class": [str(i) for i in range(10)]}
    return classifiers.Classifier(ByBrightness(), factors, {"class": 1.0}, "0" * 64)


def test_mnist_1k_reads_a_digit_in_each_plane():
    classifier = digit_reader()
    digits = np.array([[0, 0, 0], [9, 9, 9], [1, 2, 3], [1, 2, 3], [7, 0, 5]])
    images = np.broadcast_to((digits * 25 + 12)[:, None, None, :], (5, 32, 32, 3)).astype(np.uint8)
    classifier.check((32, 32, 3))
    np.testing.assert_array_equal(classifier(images), digits)
    p = np.array([1, 1, 2, 1]) / 5
    expected = {"modes": 4, "kl": pytest.approx(np.sum(p * np.log(1000 * p)))}
    assert classifier.coverage(classifier(images)) == expected


def test_all_modes_used_evenly_have_no_divergence():
    values = np.stack(np.unravel_index(np.arange(24), (2, 3, 4)), axis=1)
    found = modes.coverage(values, {"a": 2, "b": 3, "c": 4})
    assert found.pop("modes") == 24
    assert found.keys() == {"kl", "kl_a", "kl_b", "kl_c"}
    assert found == pytest.approx(dict.fromkeys(found, 0), abs=1e-12)


def test_one_mode_has_the_logarithm_of_their_number():
    found = modes.coverage(np.zeros((50, 2), int), {"a": 5, "b": 2})
    assert found == pytest.approx(
        {"modes": 1, "kl": math.log(10), "kl_a": math.log(5), "kl_b": math.log(2)}
    )


def test_the_divergence_of_even_sampling_is_that_of_chance():
    counts = np.bincount(np.random.RandomState(0).randint(1000, size=25600), minlength=1000)
    assert modes.reverse_kl(counts) == pytest.approx(999 / 2 / 25600, rel=0.1)


def test_logits_are_split_by_factor():
    parts = classifiers.split(np.arange(10).reshape(2, 5), FACTORS)
    assert [part.tolist() for part in parts] == [[[0, 1, 2], [5, 6, 7]], [[3, 4], [8, 9]]]


def test_labels_that_do_not_fit_the_factors_are_refused():
    with pytest.raises(ValueError, match="must name 4 values, one per label column. Received: 5"):
        classifiers.train(lambda i: i, np.zeros((10, 4)), FACTORS, 3, epochs=1)


def test_the_evaluator_counts_modes(trained):
    images, _, values = squares(90, seed=4)
    reals = of_array("reals", images)
    (record,) = Evaluator(parse_plan("modes:80"), reals, classifier=trained)(reals)
    images = images[np.random.RandomState([SEED, 2]).permutation(90)]
    expected = modes.coverage(trained(images[:80]), {"color": 3, "side": 2})
    assert record["values"] == expected
    assert record["value"] == 6
    assert record["classifier_sha256"] == trained.sha256
    assert record["classifier_accuracy"] == trained.accuracy


def test_several_evaluations_are_averaged_as_the_paper_counts_modes(trained):
    """Paper, App. D: means over ten sets of 25,600 images each."""
    images, _, _ = squares(90, seed=4)
    reals = of_array("reals", images)
    (record,) = Evaluator(parse_plan("modes:10x9"), reals, classifier=trained)(reals)
    images = images[np.random.RandomState([SEED, 2]).permutation(90)]
    sizes = {"color": 3, "side": 2}
    each = [modes.coverage(trained(images[i : i + 9]), sizes) for i in range(0, 90, 9)]
    assert record["value"] == pytest.approx(np.mean([x["modes"] for x in each]), rel=1e-12)
    assert record["values"]["modes_std"] == pytest.approx(np.std([x["modes"] for x in each]))
    for name in ("kl", "kl_color", "kl_side"):
        expected = np.mean([x[name] for x in each])
        assert record["values"][name] == pytest.approx(expected, rel=1e-12)
    assert (record["num_images"], record["evaluations"]) == (9, 10)
    assert record["value"] < 6  # Nine images do not show all modes.
