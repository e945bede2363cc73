"""Kinds of label columns, and labels as people ask for them."""

import numpy as np
import pytest

from pgtf import losses
from pgtf.export import labels as asked
from pgtf.label_groups import LabelGroup, check, from_json, one_class, restored, standardised

GROUPS = (
    LabelGroup("class", (0, 3), ("black", "brown", "red")),
    LabelGroup("multilabel", (3, 5), ("glasses", "beard")),
    LabelGroup("continuous", (5, 7), ("age", "dose"), (60.0, 2.0), (10.0, 0.0)),
)
CLASSES = one_class(3, ("cat", "dog", "owl"))


@pytest.fixture
def rows():
    found = np.zeros((5, 7), np.float32)
    found[np.arange(5), np.arange(5) % 3] = 1
    found[:, 3:5] = np.random.default_rng(0).integers(0, 2, (5, 2))
    found[:, 5], found[:, 6] = (40, 50, 60, 70, 90), 2
    return found


def test_numbers_have_mean_0_and_deviation_1_and_a_constant_one_is_0(rows):
    found = standardised(rows, GROUPS)
    np.testing.assert_array_equal(found[:, :5], rows[:, :5])
    np.testing.assert_array_equal(found[:, 5:], [[-2, 0], [-1, 0], [0, 0], [1, 0], [3, 0]])
    np.testing.assert_array_equal(restored(found, GROUPS), rows)
    assert standardised(rows[:, :3], GROUPS[:1]) is not None
    plain = rows[:, :3]
    assert standardised(plain, GROUPS[:1]) is plain


def test_groups_are_read_as_they_are_described():
    assert from_json([group.as_json() for group in GROUPS]) == GROUPS
    check(GROUPS, 7)
    check((), 0)
    for groups, size in ((GROUPS, 8), (GROUPS[1:], 7), (GROUPS[::-1], 7), ((), 1)):
        with pytest.raises(ValueError, match=f"`label_groups` must be {size} columns"):
            check(groups, size)
    short = LabelGroup("continuous", (0, 2), mean=(1.0,), deviation=(1.0, 1.0))
    with pytest.raises(ValueError, match="lists of one value per column"):
        check([short], 2)


def test_the_label_loss_is_the_mean_over_groups_of_any_kind(rows):
    logits = np.random.default_rng(1).normal(size=rows.shape).astype(np.float32)
    labels = standardised(rows, GROUPS)
    softmax = np.log(np.exp(logits[:, :3]).sum(1)) - (logits[:, :3] * labels[:, :3]).sum(1)
    sigmoid = np.log1p(np.exp(logits[:, 3:5])) - logits[:, 3:5] * labels[:, 3:5]
    squares = (logits[:, 5:] - labels[:, 5:]) ** 2
    expected = (softmax + sigmoid.mean(1) + squares.mean(1)) / 3
    np.testing.assert_allclose(losses.label_penalty(logits, labels, GROUPS), expected, rtol=1e-5)
    one = losses.label_penalty(logits[:, :3], labels[:, :3], GROUPS[:1])
    np.testing.assert_array_equal(one, losses.label_penalty(logits[:, :3], labels[:, :3]))


def test_D_learns_labels_from_fakes_where_they_are_classes_or_a_weight_is_stated():
    config = losses.LossConfig(cond_weight=0.5)
    assert [config.fake_weight(groups) for groups in ((), CLASSES, GROUPS)] == [0.5, 0.5, 0.0]
    stated = losses.LossConfig(cond_weight=0.5, fake_cond_weight=0.5)
    assert [stated.fake_weight(groups) for groups in (CLASSES, GROUPS)] == [0.25, 0.25]
    with pytest.raises(ValueError, match="`fake_cond_weight` must be at least 0, or none"):
        losses.LossConfig(fake_cond_weight=-1)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("age=63,glasses=1", [1, 0, 0, 1, 0, 0.3, 0]),
        ("red,beard", [0, 0, 1, 0, 1, 0, 0]),
        (" brown = 1 , age = 40", [0, 1, 0, 0, 0, -2, 0]),
        ("0,1,0,1,0,75,2", [0, 1, 0, 1, 0, 1.5, 0]),
    ],
)
def test_a_label_is_asked_for_by_names_or_by_all_its_numbers(label, expected):
    np.testing.assert_allclose(asked.parse_label(GROUPS, None, label), expected, atol=1e-6)


def test_a_class_may_be_asked_for_together_with_names_of_other_groups():
    found = asked.parse_label(GROUPS, "red", "age=70")
    np.testing.assert_allclose(found, [0, 0, 1, 0, 0, 1, 0])
    with pytest.raises(ValueError, match="`--class` and `--label` exclude each other"):
        asked.parse_label(CLASSES, "1", "0,1,0")


@pytest.mark.parametrize(
    ("label", "match"),
    [
        ("height=2", "`--label` must name columns of black, brown, red, glasses, .* 'height'"),
        ("age=old", "`--label` must give age a number. Received: 'old'"),
        ("age=inf", "`--label` must give age a number. Received: 'inf'"),
        ("1,2", "`--label` must be 7 numbers with commas. Received: '1,2'"),
        ("green", "`--label` must be 7 numbers with commas. Received: 'green'"),
    ],
)
def test_a_label_that_the_network_lacks_is_refused_in_one_line(label, match):
    with pytest.raises(ValueError, match=match) as error:
        asked.parse_label(GROUPS, None, label)
    assert "\n" not in str(error.value)


def test_names_that_are_numbers_do_not_hide_numbers():
    groups = one_class(3, ("0", "1", "2"))
    np.testing.assert_array_equal(asked.parse_label(groups, None, "0,1,0"), [0, 1, 0])


def test_labels_of_the_interface_are_dictionaries_classes_or_rows():
    numbers = [4, 5]
    found = asked.label_rows([{"age": 70}, {"red": 1}], numbers, GROUPS)
    np.testing.assert_allclose(found, [[1, 0, 0, 0, 0, 1, 0], [0, 0, 1, 0, 0, 0, 0]])
    np.testing.assert_allclose(asked.label_rows({"age": 50}, numbers, GROUPS)[1, 5], -1)
    rows = np.array([[0, 1, 0, 0, 1, 65.0, 2]])
    np.testing.assert_allclose(asked.label_rows(rows[0], numbers, GROUPS)[1, 4:6], [1, 0.5])
    classes = asked.label_rows(["owl", "cat"], numbers, CLASSES)
    np.testing.assert_array_equal(classes, np.eye(3)[[2, 0]])
    np.testing.assert_array_equal(asked.label_rows(None, numbers, CLASSES), np.eye(3)[[1, 2]])
    default = asked.label_rows(None, numbers, GROUPS)  # classes in turn; nothing else
    np.testing.assert_array_equal(default[:, :3], np.eye(3)[[1, 2]])
    assert not default[:, 3:].any()


def test_choices_are_every_class_every_finding_and_numbers_far_from_their_mean():
    found = asked.choices(GROUPS)
    names = [choice.name for choice in found]
    assert names[:6] == ["black", "brown", "red", "glasses", "beard", "age = 45"]
    assert names[6:] == ["age = 75", "dose = 0.5", "dose = 3.5"]
    np.testing.assert_array_equal(asked.row_of(found[1], GROUPS), [0, 1, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(asked.row_of(found[4], GROUPS), [1, 0, 0, 0, 1, 0, 0])
    np.testing.assert_array_equal(asked.row_of(found[5], GROUPS), [1, 0, 0, 0, 0, -1.5, 0])
    rows = [asked.row_of(choice, CLASSES) for choice in asked.choices(CLASSES)]
    np.testing.assert_array_equal(rows, np.eye(3))
