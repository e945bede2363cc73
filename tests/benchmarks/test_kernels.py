"""All forms of a layer that are timed against each other compute the same."""

import pytest
import tensorflow as tf

from benchmarks import kernels
from benchmarks.flops import LayerWork
from tests import tiny


@pytest.mark.parametrize("kind", ["up", "down", "conv"])
def test_all_forms_of_a_layer_agree(kind):
    layer = LayerWork(kind, kind, 8, 3, 5, 4, 1, 1, 1)
    x, weight = kernels.arguments_of(layer, 3, tf.float32)
    first, *others = (form(x, weight).numpy() for form in kernels.FORMS[kind].values())
    assert first.shape == (3, 4, 4, 4) if kind == "down" else (3, 8, 8, 4)
    for other in others:
        tiny.assert_the_same_but_for_rounding(other, first)


def test_the_sum_counts_every_pass_once_with_the_fastest_form(monkeypatch):
    seconds = {"box": 3.0, "transposed": 2.0, "phases": 5.0, "ours": 8.0, "direct": 7.0}
    seconds["product"] = 9.0
    names = {form: name for forms in kernels.FORMS.values() for name, form in forms.items()}

    def measured(form, direction, *_, **__):
        return seconds[names[form]] * (10 if direction == "weight_gradient" else 1)

    monkeypatch.setattr(kernels, "seconds_of", measured)
    up = LayerWork("up", "up", 8, 3, 2, 2, forward=2, input_gradient=1, weight_gradient=1)
    conv = LayerWork("conv", "conv", 8, 3, 2, 2, forward=1, input_gradient=0, weight_gradient=0)
    assert kernels.fastest_sum([up, conv], 1) == 2 * 2 + 2 + 20 + 7
