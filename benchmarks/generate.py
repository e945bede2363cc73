"""Images a second of the full-size generator: python -m benchmarks.generate --resolutions=128,1024

One JSON line for each resolution and minibatch. `roofline_sec` adds up, layer by layer, the larger
of FLOPs / peak and bytes / bandwidth, both the mean of before and after the images in the same
process; the bytes are input, output and weights of the layer, everything that follows a convolution
being free.
"""

import json
import os

if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

import numpy as np

from benchmarks.flops import generation_work
from benchmarks.machine import bandwidth_gbps, best_seconds, peak_gflops
from pgtf.commands.parsers import Parser

BYTES = 4  # bytes of a float32


def layer_bytes(layer, minibatch):
    """Least traffic of one forward pass over a layer (flops.LayerWork)."""
    pixels_out, pixels_in = layer.size**2, layer.size**2
    if layer.kind == "up":
        pixels_in //= 4
    weights = layer.kernel_size**2 * layer.num_inputs * layer.num_outputs
    values = minibatch * (pixels_in * layer.num_inputs + pixels_out * layer.num_outputs)
    return BYTES * (values + weights)


def roofline_seconds(work, minibatch, gflops, gbps):
    """Sum over layers of the larger of the two floors."""
    return sum(
        max(
            2 * minibatch * layer.multiply_adds / gflops / 1e9,
            layer_bytes(layer, minibatch) / gbps / 1e9,
        )
        for layer in work
    )


def machine():
    """Peak and bandwidth, which change within a minute on a shared machine."""
    return np.array([max(peak_gflops().values()), bandwidth_gbps()])


def measure(resolution, minibatch):
    """The fields of a JSON line."""
    from pgtf.networks import Generator

    G = Generator(resolution=resolution, num_channels=3)
    latents = np.random.default_rng(0).normal(size=[minibatch, G.latent_size]).astype(np.float32)
    before = machine()
    seconds = best_seconds(lambda: G.run(latents, minibatch_size=minibatch), min_seconds=3)
    gflops, gbps = map(float, (before + machine()) / 2)
    floor = roofline_seconds(generation_work(resolution), minibatch, gflops, gbps)
    return {
        "resolution": resolution,
        "minibatch": minibatch,
        "img_per_sec": minibatch / seconds,
        "seconds": seconds,
        "roofline_sec": floor,
        "roofline_fraction": floor / seconds,
        "gflops": gflops,
        "gbps": gbps,
    }


def main():
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--resolutions", default="128,256,1024", help="(default: %(default)s)")
    parser.add_argument("--minibatches", default="1,8", help="(default: %(default)s)")
    args = parser.parse_args()
    for resolution in map(int, args.resolutions.split(",")):
        for minibatch in map(int, args.minibatches.split(",")):
            print(json.dumps(measure(resolution, minibatch)), flush=True)


if __name__ == "__main__":
    main()
