"""Processor time of training iterations with and without augmentation.

    python -m benchmarks.augmentation_cost --sizes=32:16,128:4               # the paper's networks
    python -m benchmarks.augmentation_cost --fmap_base=2048 --fmap_max=128 --iterations=4

One line of JSON per size. `none_cpu_ms` and the like are milliseconds per iteration, in the
shortest of several calls, each of which goes on where the last one ended, as in training; the
kinds take turns. `ada_alone_cpu_ms` is what ADA adds to an iteration, measured by itself, because
iterations of large networks vary by more than that; `ada_share` is its part of the iteration
without augmentation. ADA has p = 0.3.
"""

import argparse
import json
import os
import pathlib
import tempfile
import time

if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

import numpy as np

from benchmarks import arguments, experiments, small_data
from pgtf import lazy
from pgtf.commands.parsers import Parser, among

# The command line does without them.
tf = lazy.Module("tensorflow")
augmentations = lazy.Module("pgtf.training.augmentation")
randomness = lazy.Module("pgtf.training.randomness")

NUM_IMAGES = 64
AUG_P = 0.3


def measure(folder, resolution, minibatch, args):
    """The fields of one JSON line."""
    shape = (minibatch, resolution, resolution, 3)
    images = np.random.RandomState(0).randint(0, 256, (NUM_IMAGES, *shape[1:]), np.uint8)
    dataset = small_data.dataset_of(folder / f"noise-{resolution}", images)
    strategy = tf.distribute.get_strategy()
    made = {}
    for kind in args.kinds:
        config = _config(dataset, minibatch, kind, args)
        made[kind] = (config, *experiments.begin(config, dataset, strategy))
    seconds = {kind: [] for kind in made}
    for _ in range(1 + args.turns):
        for kind, (config, state, stepper) in made.items():
            call, call_sec = experiments.run_next(state, stepper, config, num_evaluations=1)
            seconds[kind].append(call_sec / len(call.nimgs))
    # The first call traces and starts the input.
    shortest = {kind: min(values[1:]) for kind, values in seconds.items()}
    augmentation = augmentations.build(_config(dataset, minibatch, "ada", args), strategy)
    alone = _alone(augmentation, shape)
    line = {"resolution": resolution, "minibatch": minibatch}
    line |= {f"{kind}_cpu_ms": round(1000 * value, 1) for kind, value in shortest.items()}
    line["ada_alone_cpu_ms"] = round(1000 * alone, 1)
    if "none" in shortest:
        line["ada_share"] = round(alone / shortest["none"], 4)
    return line


def _config(dataset, minibatch, kind, args):
    changes = {f"{n}.{name}": getattr(args, name) for n in "GD" for name in small_data.FMAPS}
    changes |= {"schedule.minibatch_base": minibatch, "augment.aug": kind}
    changes["training.minibatch_repeats"] = args.iterations  # of one call
    if kind == "ada":
        changes["augment.aug_p"] = AUG_P
    return small_data.config_of(dataset, 1000, 1, changes)


def _alone(augmentation, shape, turns=20):
    """Processor time that an augmentation adds to an iteration, the mean of several draws.

    D's reals and fakes are augmented, G's fakes too, with their gradients.
    """
    images = tf.random.stateless_uniform(shape, [0, 0], -1.0, 1.0)
    sampler = randomness.Sampler(1, shape[0])
    streams = (augmentations.STREAMS_OF_D, augmentations.STREAMS_OF_G)

    @tf.function(autograph=False)
    def part(nimg):
        of_D, of_G = (augmentation.draw(sampler, nimg, x) for x in streams)
        reals, fakes = augmentation.of_D(images, images, of_D)
        with tf.GradientTape() as tape:
            tape.watch(images)
            found = augmentation.of_G(images, of_G)
        return reals, fakes, tape.gradient(found, images, output_gradients=found)

    part(tf.constant(0, tf.int64))
    seconds = []
    for turn in range(turns):
        nimg, repeats = tf.constant(shape[0] * turn, tf.int64), []
        for _ in range(3):
            began = time.process_time()
            part(nimg)
            repeats.append(time.process_time() - began)
        seconds.append(min(repeats))
    return np.mean(seconds)


def main():
    parser = Parser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    kind = {"type": arguments.sizes, "metavar": "SIDE:MINIBATCH,..."}
    parser.add_argument("--sizes", **kind, default=[(32, 16), (128, 4)])
    parser.add_argument("--kinds", type=among(small_data.KINDS), default=small_data.KINDS)
    parser.add_argument("--turns", type=int, default=3, help="timed calls of each kind")
    parser.add_argument("--iterations", type=int, default=1, help="iterations per call")
    parser.add_argument("--fmap_base", type=int, default=8192)
    parser.add_argument("--fmap_max", type=int, default=512)
    args = parser.parse_args()
    for resolution, minibatch in args.sizes:
        with tempfile.TemporaryDirectory() as folder:
            print(
                json.dumps(measure(pathlib.Path(folder), resolution, minibatch, args)), flush=True
            )


if __name__ == "__main__":
    main()
