"""A small frozen graph with the tensor names, old operations and version of the 2015 one."""

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2

SIDE, FEATURES, CLASSES = 299, 6, 12
EPSILON = 1e-3


class FrozenGraph:
    """1x1 convolution, batch norm, ReLU, mean over pixels, softmax: small enough for NumPy."""

    def __init__(self, seed=0):
        rng = np.random.RandomState(seed)
        self.kernel = rng.randn(1, 1, 3, FEATURES).astype(np.float32)
        self.mean, self.beta, self.gamma = rng.randn(3, FEATURES).astype(np.float32)
        self.variance = rng.uniform(0.5, 2, FEATURES).astype(np.float32)
        self.weights = rng.randn(FEATURES, CLASSES).astype(np.float32)
        self.bias = rng.randn(CLASSES).astype(np.float32)

    def serialized(self):
        """Serialises the graph like classify_image_graph_def.pb."""
        graph = graph_pb2.GraphDef()
        graph.versions.producer = 8
        self._add_input(graph)
        _constant(graph, "conv/kernel", self.kernel)
        names = ("mean", "variance", "beta", "gamma")
        for name in names:
            _constant(graph, f"conv/{name}", getattr(self, name))
        conv = _node(graph, "conv", "Conv2D", ["Mul", "conv/kernel"])
        conv.attr["strides"].list.i[:] = [1, 1, 1, 1]
        conv.attr["padding"].s = b"VALID"
        norm = _node(
            graph,
            "conv/batchnorm",
            "BatchNormWithGlobalNormalization",
            ["conv", *(f"conv/{name}" for name in names)],
        )
        norm.attr["variance_epsilon"].f = EPSILON
        norm.attr["scale_after_normalization"].b = True
        _node(graph, "conv/relu", "Relu", ["conv/batchnorm"])
        pool = _node(graph, "pool_3", "AvgPool", ["conv/relu"])
        pool.attr["ksize"].list.i[:] = [1, SIDE, SIDE, 1]
        pool.attr["strides"].list.i[:] = [1, 1, 1, 1]
        pool.attr["padding"].s = b"VALID"
        self._add_classes(graph)
        return graph.SerializeToString()

    def features(self, images):
        """Computes the features in NumPy from images of 299x299 pixels: float [n, 299, 299, 3]."""
        x = (images.astype(np.float64) - 128) / 128 @ self.kernel[0, 0]
        x = (x - self.mean) / np.sqrt(self.variance + EPSILON) * self.gamma + self.beta
        return np.maximum(x, 0).mean(axis=(1, 2))

    def probabilities(self, features):
        """Softmax of the last layer without its bias: [n, D] -> [n, classes]."""
        logits = features @ self.weights
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def _add_input(self, graph):
        contents = _node(graph, "DecodeJpeg/contents", "Placeholder", [], T=None)
        contents.attr["dtype"].type = tf.string.as_datatype_enum
        _node(graph, "DecodeJpeg", "DecodeJpeg", ["DecodeJpeg/contents"], T=None).attr[
            "channels"
        ].i = 3
        cast = _node(graph, "Cast", "Cast", ["DecodeJpeg"], T=None)
        cast.attr["SrcT"].type = tf.uint8.as_datatype_enum
        cast.attr["DstT"].type = tf.float32.as_datatype_enum
        _constant(graph, "ExpandDims/dim", np.int32(0))
        _node(graph, "ExpandDims", "ExpandDims", ["Cast", "ExpandDims/dim"])
        _constant(graph, "ResizeBilinear/size", np.int32([SIDE, SIDE]))
        _node(graph, "ResizeBilinear", "ResizeBilinear", ["ExpandDims", "ResizeBilinear/size"])
        _constant(graph, "Sub/y", np.float32(128))
        _node(graph, "Sub", "Sub", ["ResizeBilinear", "Sub/y"])
        _constant(graph, "Mul/y", np.float32(1 / 128))
        _node(graph, "Mul", "Mul", ["Sub", "Mul/y"])

    def _add_classes(self, graph):
        _constant(graph, "pool_3/_reshape/shape", np.int32([1, FEATURES]))
        _node(graph, "pool_3/_reshape", "Reshape", ["pool_3", "pool_3/_reshape/shape"])
        _constant(graph, "softmax/weights", self.weights)
        _constant(graph, "softmax/biases", self.bias)
        _node(graph, "softmax/logits/MatMul", "MatMul", ["pool_3/_reshape", "softmax/weights"])
        _node(graph, "softmax/logits", "BiasAdd", ["softmax/logits/MatMul", "softmax/biases"])
        _node(graph, "softmax", "Softmax", ["softmax/logits"])


def _node(graph, name, kind, inputs, T=tf.float32):
    node = graph.node.add(name=name, op=kind, input=inputs)
    if T is not None:
        node.attr["T"].type = T.as_datatype_enum
    return node


def _constant(graph, name, value):
    node = graph.node.add(name=name, op="Const")
    value = np.asarray(value)
    node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
