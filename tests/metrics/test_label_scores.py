"""Agreement of fakes with the labels that they were asked for."""

import dataclasses

import numpy as np
import pytest

from pgtf.label_groups import LabelGroup
from pgtf.metrics import datasets, image_sets, label_reader, label_scores
from pgtf.metrics.evaluator import Evaluator
from pgtf.metrics.image_sets import ImageSet
from pgtf.metrics.label_scores import LabelData, area_under_curve, scores_of
from pgtf.metrics.plan import parse_plan

GROUPS = (
    LabelGroup("multilabel", (0, 1), ("bright",)),
    LabelGroup("continuous", (1, 2), ("width",), (0.0,), (1.0,)),
)


def images_of(labels):
    """Images that show their labels: brightness, and the width of a bar."""
    images = np.full((len(labels), 16, 12, 2), 40.0, np.float32)
    images += 100 * labels[:, 0, None, None, None]
    for image, width in zip(images, 6 + 2 * labels[:, 1], strict=True):
        image[:, : int(np.clip(width, 0, 12)), 1] = 255
    return images


def image_set(num, seed=0, obeys=True, head=None):
    rng = np.random.default_rng(seed)
    labels = np.stack([rng.integers(0, 2, num), rng.normal(size=num)], 1).astype(np.float32)
    shown = labels if obeys else labels[rng.permutation(num)]
    images = images_of(shown)
    found = ImageSet(
        f"x{seed}",
        images.shape[1:],
        num,
        lambda begin, end: images[begin:end],
        lambda begin, end: labels[begin:end],
    )
    return dataclasses.replace(found, head=head)


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 5, 40) / 1.0, rng.random(40) < 0.4
    pairs = scores[positive][:, None] - scores[~positive]
    expected = np.mean((pairs > 0) + 0.5 * (pairs == 0))
    assert area_under_curve(scores, positive) == pytest.approx(expected, abs=1e-12)


def test_columns_are_scored_by_kind_and_one_that_all_have_is_left_out():
    labels = np.array([[1, 0.5], [1, -0.5]], np.float32)
    assert scores_of(labels + 1, labels, GROUPS) == {("mae", "width"): 1.0}


@pytest.fixture(scope="module")
def evaluator():
    data = LabelData(GROUPS, image_set(200, seed=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_reader, "FEWEST_STEPS", 150)
        made = Evaluator(parse_plan("labels:200"), image_set(600), labels=data)
        made([*[image_set(200, seed=2)]][0])  # trains the reader
        yield made


def test_fakes_that_obey_are_told_from_fakes_that_do_not(evaluator):
    (record,) = evaluator(image_set(200, seed=2))
    values = record["values"]
    assert values["auc_fakes"] > 0.98
    assert values["mae_fakes"] < 0.4
    assert values["auc_reals"] > 0.98
    assert values["auc_fakes:bright"] == values["auc_fakes"] == record["value"]
    assert (record["held_out"], record["by_split"]) == (200, True)
    (other,) = evaluator(image_set(200, seed=3, obeys=False))
    assert abs(other["values"]["auc_fakes"] - 0.5) < 0.15
    assert other["values"]["mae_fakes"] > 0.8
    assert "auc_D_fakes" not in values


def test_the_label_head_of_D_is_scored_on_fakes_and_on_held_out_reals(evaluator):
    def head(images):  # reads the brightness and nothing else
        return np.stack([images[:, 0, -1, 0], np.zeros(len(images))], axis=1)

    (record,) = evaluator(image_set(200, seed=4, head=head))
    assert record["values"]["auc_D_fakes"] == record["values"]["auc_D_reals"] == 1
    assert record["values"]["mae_D_fakes"] > 0.6


def test_images_without_labels_are_refused_in_one_line():
    plain = image_sets.of_array("x", np.zeros([120, 16, 12, 2], np.uint8))
    with pytest.raises(ValueError, match="`labels` needs a dataset with labels"):
        Evaluator(parse_plan("labels:100"), plain)
    made = Evaluator(parse_plan("labels:100"), image_set(120), labels=LabelData(GROUPS))
    with pytest.raises(ValueError, match="`labels` needs images whose labels are known"):
        made(plain)
    assert label_scores.label_data(_Unlabelled()) is None


class _Unlabelled:
    label_size = 0


def test_a_subset_by_label_is_a_dataset_of_the_images_that_have_it():
    rows = np.eye(3, dtype=np.float32)[[0, 2, 0, 2, 2]]

    class Dataset:
        name, num_images, label_size = "x", 5, 3
        label_groups = (LabelGroup("class", (0, 3), ("a", "b", "c")),)

        def read_labels(self, indices):
            return rows[np.asarray(indices)]

        def read_images(self, indices):
            return np.asarray(indices)[:, None]

    found = dict(datasets.by_label(Dataset()))
    assert [*found] == ["a", "c"]
    assert (found["c"].num_images, found["c"].name) == (3, "x (label c)")
    np.testing.assert_array_equal(found["c"].read_images([0, 2])[:, 0], [1, 4])
    np.testing.assert_array_equal(found["c"].read_labels([0, 1, 2]), rows[[1, 3, 4]])
    assert found["a"].label_size == 3
