"""The operations of training on a GPU: which ones a graph has, and that none waits for another."""

import collections

import pytest
import tensorflow as tf

from pgtf.ops import gpu

GROUPED = ("DepthwiseConv2dNative", "DepthwiseConv2dNativeBackpropInput")


@pytest.fixture(scope="module")
def graph():
    """A penalty's gradients through one layer of each kind, the weights used twice."""
    shapes = ([1, 1, 3, 6], [3, 3, 6, 6], [3, 3, 6, 8], [3, 3, 6, 8], [1, 1, 6, 3])

    @tf.function(autograph=False)
    def gradients(images, weights):
        def run(x):
            of_rgb, conv, down, up, to_rgb = weights
            x = gpu.leaky_relu(gpu.conv2d(x, of_rgb, 0.3), 0.2)
            x = gpu.conv2d_down(gpu.conv2d(tf.cast(x, tf.bfloat16), conv, 0.5), down, 0.2)
            x = gpu.conv2d_up(gpu.pixel_norm(x, 1e-4, 0.2), up, 0.1)
            return gpu.conv2d(tf.cast(x, tf.float32), to_rgb)

        with tf.GradientTape() as tape:
            tape.watch(weights)
            with tf.GradientTape() as inner:
                inner.watch(images)
                total = tf.reduce_sum(tf.square(run(images)))
            loss = tf.reduce_sum(tf.square(inner.gradient(total, images)))
            loss += tf.reduce_sum(tf.square(run(2 * images)))
        return tape.gradient(loss, weights)

    specs = [tf.TensorSpec(shape) for shape in shapes]
    return gradients.get_concrete_function(tf.TensorSpec([4, 8, 8, 3]), specs).graph


def test_no_convolution_has_groups_and_none_computes_images_of_few_channels(graph):
    kinds = collections.Counter(op.type for op in graph.get_operations())
    assert not any(kinds[kind] for kind in GROUPED)
    assert kinds["Conv2D"]
    for op in graph.get_operations():
        if op.type.startswith("Conv2D"):
            maps = [x.shape[3] for x in (*op.inputs, *op.outputs) if x.shape.rank == 4]
            assert min(maps) > gpu.MOST_CHANNELS
            assert op.outputs[0].dtype == tf.bfloat16


def test_nothing_waits_for_what_it_does_not_need(graph):
    waiting = {op.type for op in graph.get_operations() if op.control_inputs}
    assert waiting <= {"Const"}
