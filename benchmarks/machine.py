"""Peak rates of the machine, measured with TensorFlow in the process that also does the work."""

import time

from pgtf import lazy

tf = lazy.Module("tensorflow")  # The command lines of its users do without it.

PEAK_SHAPES = ((512, 32, 4), (256, 64, 4), (128, 128, 2))  # maps, side and minibatch of 3x3 layers
GEMM_SIZE = 2048


def best_seconds(function, min_seconds=0.5, min_repeats=3):
    """Shortest time of a call, the first not counted."""
    function()
    best, started, repeats = float("inf"), time.perf_counter(), 0
    while repeats < min_repeats or time.perf_counter() - started < min_seconds:
        begin = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - begin)
        repeats += 1
    return best


def compiled(function, *arguments):
    """A call without arguments that runs a traced function and waits for its result."""
    traced = tf.function(function)

    def call():
        for tensor in tf.nest.flatten(traced(*arguments)):
            # One element is enough to wait for a device that works in the background.
            tf.reshape(tensor, [-1])[:1].numpy()

    return call


def random_tensor(shape, dtype):
    return tf.cast(tf.random.stateless_normal(shape, [1, 2]), dtype)


def peak_gflops(dtype="float32"):
    """GFLOP/s of matrix products and 3x3 convolutions: -> {"gemm": ..., "conv": ...}."""
    square = random_tensor([GEMM_SIZE, GEMM_SIZE], dtype)
    rates = {"gemm": 2 * GEMM_SIZE**3 / best_seconds(compiled(tf.matmul, square, square)) / 1e9}
    convolutions = []
    for fmaps, size, minibatch in PEAK_SHAPES:
        x = random_tensor([minibatch, size, size, fmaps], dtype)
        kernel = random_tensor([3, 3, fmaps, fmaps], dtype)
        call = compiled(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"), x, kernel)
        flops = 2 * 9 * fmaps**2 * size**2 * minibatch
        convolutions.append(flops / best_seconds(call) / 1e9)
    return rates | {"conv": max(convolutions)}


def bandwidth_gbps():
    """GB/s of reading and writing a tensor that fits no cache."""
    x = tf.ones([1 << 27])
    return 2 * 4 * x.shape[0] / best_seconds(compiled(lambda x: x + 1.0, x)) / 1e9
