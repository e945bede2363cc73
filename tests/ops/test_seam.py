"""One seam for every fast form: who chooses an implementation, and that all compute the same."""

import inspect
import logging
import threading

import numpy as np
import pytest
import tensorflow as tf

from pgtf import ops
from pgtf.ops import gpu, inference, portable, training, winograd

NAMES = {"portable": portable, "training": training, "inference": inference}
MODULES = NAMES | {"gpu": gpu}
OPERATIONS = ("conv2d", "conv2d_up", "conv2d_down", "leaky_relu", "pixel_norm", "normalized_rgb")


@pytest.fixture
def called(monkeypatch):
    """The names of the implementations whose leaky ReLU is called, in order."""
    names = []
    for name, module in MODULES.items():
        monkeypatch.setattr(module, "leaky_relu", lambda x, slope, name=name: names.append(name))
    return names


def test_operations_are_portable_unless_a_context_says_otherwise(called):
    ops.leaky_relu(1, 0.2)
    with ops.implementation("training"):
        ops.leaky_relu(1, 0.2)
        with ops.implementation("inference"):
            ops.leaky_relu(1, 0.2)
        ops.leaky_relu(1, 0.2)
        with pytest.raises(KeyError), ops.implementation("inference"):
            raise KeyError
        ops.leaky_relu(1, 0.2)
    ops.leaky_relu(1, 0.2)
    assert called == ["portable", "training", "inference", "training", "training", "portable"]


def test_a_context_is_for_its_own_thread(called):
    with ops.implementation("training"):
        thread = threading.Thread(target=ops.leaky_relu, args=(1, 0.2))
        thread.start()
        thread.join()
        ops.leaky_relu(1, 0.2)
    assert called == ["portable", "training"]


def test_on_a_gpu_training_has_operations_of_its_own_and_images_the_portable_ones(
    called, monkeypatch
):
    monkeypatch.setattr(ops, "has_gpu", lambda: True)
    for name in NAMES:
        with ops.implementation(name):
            ops.leaky_relu(1, 0.2)
    assert called == ["portable", "gpu", "portable"]
    assert ops.is_joint_pass_faster(2**40)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_implementation_takes_the_arguments_of_the_seam(name):
    expected = list(inspect.signature(getattr(ops, name)).parameters)
    assert list(inspect.signature(getattr(ops.Implementation, name)).parameters)[1:] == expected
    for module in MODULES.values():
        assert list(inspect.signature(getattr(module, name)).parameters) == expected


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_implementation_computes_the_same(rng, name):
    x = tf.constant(rng.normal(size=[2, 4, 6, 5]), tf.float32)
    weight, bias = (
        tf.constant(rng.normal(size=shape), tf.float32) for shape in ([3, 3, 5, 5], [5])
    )
    arguments = {
        "leaky_relu": (x, 0.2),
        "pixel_norm": (x, 1e-8, 0.2),
        "normalized_rgb": (x, weight, bias, 1e-8),
    }.get(name, (x, weight, 0.5))
    plain = getattr(portable, name)(*arguments)
    for module in MODULES.values():
        y = getattr(module, name)(*arguments)
        scale = np.abs(plain).max()
        np.testing.assert_allclose(y / scale, plain / scale, rtol=0, atol=1e-6)


def test_only_training_has_gradients_of_its_own(rng):
    """TensorFlow warns whoever loads a graph with custom gradients."""
    x, weight = tf.zeros([1, 4, 4, 5]), tf.zeros([3, 3, 5, 5])

    def all_operations(x, weight):
        for convolve in (ops.conv2d, ops.conv2d_up, ops.conv2d_down):
            x = ops.pixel_norm(ops.leaky_relu(convolve(x, weight), 0.2), 1e-8, 0.2)
        return ops.normalized_rgb(x, weight, tf.zeros([5]), 1e-8)

    custom = {}
    for name in NAMES:
        with ops.implementation(name):
            graph = tf.function(all_operations, autograph=False).get_concrete_function(x, weight)
        nodes = graph.graph.as_graph_def().node
        custom[name] = sum("_gradient_op_type" in node.attr for node in nodes)
    assert custom["training"] >= 9
    assert (custom["portable"], custom["inference"]) == (0, 0)


def test_one_pass_over_two_minibatches_is_for_small_maps():
    assert ops.is_joint_pass_faster(2**22)
    assert not ops.is_joint_pass_faster(2**22 + 1)


def test_compiling_functions_of_many_shapes_gives_no_warnings_of_retracing():
    """TensorFlow would take one function per shape for one that is traced again and again."""
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    tf.get_logger().addHandler(handler)
    try:
        function = tf.function(lambda x, w: winograd.convolution(x, w), autograph=False)
        for size in (2, 4, 6):  # three compiled functions each, TensorFlow warns of the fifth
            function.get_concrete_function(tf.zeros([1, size, size, 1]), tf.zeros([3, 3, 1, 1]))
    finally:
        tf.get_logger().removeHandler(handler)
    assert records == []
