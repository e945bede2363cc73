"""Times of single layers in several forms: python -m benchmarks.kernels --layers=up:512:512:16

A layer is kind:inputs:outputs:size, the kinds being conv, up, down and dense, the size that of the
larger of input and output. Prints milliseconds of the forward pass and of both gradients for each
form; all forms of a kind compute the same.
"""

import json
import os

if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

from benchmarks.machine import best_seconds, compiled, random_tensor
from pgtf import lazy
from pgtf.commands.parsers import Parser

# The command line does without them.
tf = lazy.Module("tensorflow")
training = lazy.Module("pgtf.ops.training")

DIRECTIONS = ("forward", "input_gradient", "weight_gradient")
LAYERS = "up:512:512:16,down:512:512:16,up:256:128:128,down:128:256:128"


def smeared(kernel):
    """Sums the four copies of a kernel shifted by 0 or 1: [3, 3, ...] -> [4, 4, ...]."""
    shifts = ([0, 1], [1, 0])
    return tf.add_n([tf.pad(kernel, [y, x, [0, 0], [0, 0]]) for y in shifts for x in shifts])


def up_box(x, kernel):
    """Ours."""
    return training.conv2d_up(x, kernel)


def up_plain(x, kernel):
    """Nearest neighbour, then 3x3 at the larger size."""
    large = tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)
    kernel = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
    return tf.nn.conv2d(large, kernel, 1, "SAME")


def up_transposed(x, kernel):
    """The original's fused form: transposed 4x4 of stride 2."""
    shape = [x.shape[0], 2 * x.shape[1], 2 * x.shape[2], kernel.shape[2]]
    return tf.nn.conv2d_transpose(x, smeared(kernel), shape, 2, "SAME")


def up_phases(x, kernel):
    """Four 2x2 convolutions, one for each parity of row and column."""
    size, taps = x.shape[1], {0: (3, 1), 1: (2, 0)}  # rows or columns of the 4x4 kernel, by parity
    kernel = tf.transpose(smeared(kernel), [0, 1, 3, 2])
    x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    rows = []
    for a in (0, 1):
        row = []
        for b in (0, 1):
            part = tf.gather(tf.gather(kernel, taps[a], axis=0), taps[b], axis=1)
            window = x[:, a : a + size + 1, b : b + size + 1]
            row.append(tf.nn.conv2d(window, part, 1, "VALID"))
        rows.append(tf.stack(row, axis=3))  # [N, H, W, 2, out]
    y = tf.stack(rows, axis=2)  # [N, H, 2, W, 2, out]
    return tf.reshape(y, [x.shape[0], 2 * size, 2 * size, kernel.shape[3]])


def down_box(x, kernel):
    """Ours."""
    return training.conv2d_down(x, kernel)


def down_plain(x, kernel):
    """3x3 at the larger size, then means."""
    return tf.nn.avg_pool2d(tf.nn.conv2d(x, kernel, 1, "SAME"), 2, 2, "VALID")


def down_strided(x, kernel):
    """The original's fused form: 4x4 of stride 2."""
    return tf.nn.conv2d(x, smeared(kernel) * 0.25, 2, "SAME")


def down_space_to_depth(x, kernel):
    """2x2 over blocks of 2x2 pixels."""
    inputs, outputs = kernel.shape[2:]
    blocks = tf.nn.space_to_depth(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 2)
    kernel = tf.reshape(smeared(kernel) * 0.25, [2, 2, 2, 2, inputs, outputs])
    kernel = tf.reshape(tf.transpose(kernel, [0, 2, 1, 3, 4, 5]), [2, 2, 4 * inputs, outputs])
    return tf.nn.conv2d(blocks, kernel, 1, "VALID")


def conv_ours(x, kernel):
    return training.conv2d(x, kernel)


def conv_direct(x, kernel):
    return tf.nn.conv2d(x, kernel, 1, "SAME")


def conv_product(x, kernel):
    """TensorFlow's patches, then one matrix product."""
    size, _, inputs, outputs = kernel.shape
    patches = tf.image.extract_patches(x, [1, size, size, 1], [1] * 4, [1] * 4, "SAME")
    y = tf.reshape(patches, [-1, size**2 * inputs]) @ tf.reshape(kernel, [-1, outputs])
    return tf.reshape(y, [*x.shape[:3], outputs])


def dense_product(x, weight):
    return tf.matmul(x, weight)


FORMS = {
    "up": {
        "box": up_box,
        "transposed": up_transposed,
        "phases": up_phases,
        "plain": up_plain,
    },
    "down": {
        "box": down_box,
        "strided": down_strided,
        "space_to_depth": down_space_to_depth,
        "plain": down_plain,
    },
    "conv": {
        "ours": conv_ours,
        "direct": conv_direct,
        "product": conv_product,
    },
    "dense": {"product": dense_product},
}


def arguments_of(layer, minibatch, dtype):
    """Random input and weight for one layer (flops.LayerWork)."""
    weight = [layer.kernel_size, layer.kernel_size, layer.num_inputs, layer.num_outputs]
    size = layer.size // 2 if layer.kind == "up" else layer.size
    shape = [minibatch, size, size, layer.num_inputs]
    if layer.kind == "up":
        weight[2:] = weight[:1:-1]
    if layer.kind == "dense":
        shape, weight = [shape[0], shape[3]], weight[2:]
    return random_tensor(shape, dtype), random_tensor(weight, dtype)


def seconds_of(form, direction, x, weight, min_seconds=0.2):
    """Shortest time of one direction of a form."""
    if direction == "forward":
        return best_seconds(compiled(form, x, weight), min_seconds)
    which = DIRECTIONS.index(direction) - 1

    def gradient(x, weight, dy):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch((x, weight)[which])
            y = form(x, weight)
        return tape.gradient(y, (x, weight)[which], dy)

    return best_seconds(compiled(gradient, x, weight, form(x, weight)), min_seconds)


def fastest_sum(work, minibatch, dtype="float32"):
    """Seconds of all passes of an iteration, each in its fastest form: [flops.LayerWork] -> s."""
    known, total = {}, 0.0
    for layer in work:
        shape = (layer.kind, layer.size, layer.kernel_size, layer.num_inputs, layer.num_outputs)
        for direction in DIRECTIONS:
            count = getattr(layer, direction)
            if count and (shape, direction) not in known:
                tensors = arguments_of(layer, minibatch, dtype)
                known[shape, direction] = min(
                    seconds_of(form, direction, *tensors, min_seconds=0.1)
                    for name, form in FORMS[layer.kind].items()
                    if name != "plain"
                )
            if count:
                total += count * known[shape, direction]
    return total


def main():
    from benchmarks.flops import LayerWork

    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", default=LAYERS, help="(default: %(default)s)")
    parser.add_argument("--minibatch", type=int, default=16, help="(default: %(default)s)")
    parser.add_argument("--dtype", default="float32", help="(default: %(default)s)")
    args = parser.parse_args()
    for text in args.layers.split(","):
        kind, *numbers = text.split(":")
        inputs, outputs, size = map(int, numbers)
        kernel_size = 1 if kind == "dense" else 3
        layer = LayerWork(text, kind, size, kernel_size, inputs, outputs, 1, 1, 1)
        tensors = arguments_of(layer, args.minibatch, tf.as_dtype(args.dtype))
        for name, form in FORMS[kind].items():
            row = {"layer": text, "minibatch": args.minibatch, "dtype": args.dtype, "form": name}
            for direction in DIRECTIONS:
                row[f"{direction}_ms"] = round(1e3 * seconds_of(form, direction, *tensors), 2)
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
