"""Losses of the labels that D predicts, by kind of label column. Odena et al. 2017."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pgtf import lazy
from pgtf.label_groups import CLASS, CONTINUOUS, MULTILABEL, LabelGroup, are_classes

if TYPE_CHECKING:
    import tensorflow as tf
else:
    tf = lazy.Module("tensorflow")  # options do without it


def label_penalty(
    label_logits: tf.Tensor, labels: tf.Tensor, groups: Sequence[LabelGroup] = ()
) -> tf.Tensor:
    """Loss of the predicted labels: two [N, L] -> [N]. Odena et al. 2017.

    The mean over the groups, so that any set of labels weighs as one class: cross-entropy of the
    softmax for a class, mean cross-entropy of the sigmoids for findings that may occur together,
    and mean squared error for numbers, which are standardised.

    Args:
        label_logits: D's.
        labels: those that networks see; of a class one-hot or not.
        groups: kinds of the columns; () = one class, as in the original release.
    """
    if not groups or are_classes(groups):
        return class_penalty(label_logits, labels)
    terms = [
        PENALTIES[group.kind](label_logits[:, group.slice], labels[:, group.slice])
        for group in groups
    ]
    return tf.add_n(terms) / len(terms)


def class_penalty(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Cross-entropy against label vectors, one-hot or not: two [N, L] -> [N]."""
    return tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def multilabel_penalty(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy of independent findings, 0 or 1 each: two [N, L] -> [N]."""
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_mean(losses, axis=1)


def continuous_penalty(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Mean squared error of standardised numbers: two [N, L] -> [N]."""
    return tf.reduce_mean(tf.math.squared_difference(logits, labels), axis=1)


PENALTIES: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    CLASS: class_penalty,
    MULTILABEL: multilabel_penalty,
    CONTINUOUS: continuous_penalty,
}


def least_label_penalty(labels: np.ndarray) -> np.ndarray:
    """Smallest `class_penalty` over all logits: [N, L] -> [N]. 0 for one-hot rows.

    That is sum(y) times the entropy of y / sum(y). With a negative label there is no minimum: -inf.
    """
    y = np.asarray(labels, np.float64)
    shares = y / np.maximum(y.sum(axis=1, keepdims=True), 1e-300)
    least = -(y * np.log(np.where(y > 0, shares, 1))).sum(axis=1)
    return np.where((y < 0).any(axis=1), -np.inf, least)
