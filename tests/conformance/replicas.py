"""Trains the same iterations on one replica and on N.

    python -m tests.conformance.replicas F N M [VARIANT]

M is the global minibatch; VARIANT is one of VARIANTS: 4x4, noise, gpu, aug, wide. The logical
devices of N replicas must be made before TensorFlow starts, hence a process of its own. Writes the
weights, Adam's state and the statistics of both runs to the .npz file F.
"""

import pathlib
import sys
import tempfile

import numpy as np
import tensorflow as tf

from pgtf import ops
from pgtf.config import PRESETS
from pgtf.dataset import open_dataset, pipeline
from pgtf.dataset.tfrecords import to_records
from pgtf.distribution.strategy import make_strategy
from pgtf.networks.layers import LeakyReLU
from pgtf.training import plan, randomness
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper

GROUP, LABELS = 4, 3
CHANGES = {
    "G.fmap_max": 8,
    "G.latent_size": 8,
    "D.fmap_max": 8,
    "D.mbstd_group_size": GROUP,
    "G.leakyrelu_slope": 1.0,  # as in D, see without_kinks
    "dataset.mirror_augment": True,
    "schedule.minibatch_dict": {},
    "schedule.G_lrate_base": 0.003,
    "schedule.G_lrate_dict": {},
    "schedule.D_lrate_base": 0.003,
    "schedule.D_lrate_dict": {},
    "schedule.lod_training_kimg": 0,
    "schedule.lod_transition_kimg": 0.1,
    "training.minibatch_repeats": 1,
    "training.G_smoothing": 0.5,
    # At 1e-8 a first step is the sign of a gradient, and round-off may decide signs.
    "training.adam_epsilon": 1e-3,
}
VARIANTS = {
    "4x4": {"schedule.lod_training_kimg": 1},
    # Noise in D, and three updates of D for each of G.
    "noise": {
        "loss.kind": "lsgan",
        "loss.noise_limit": -1.0,
        "D.use_gdrop": True,
        "training.D_repeats": 3,
        "training.G_smoothing_per": "G_update",
        "schedule.lod_transition_kimg": 0.3,  # as many iterations
    },
    # As on GPUs: XLA compiles what lies between the all-reduces.
    "gpu": {"training.jit": "on"},
    "aug": {"augment.aug": "ada", "augment.aug_p": 0.5, "augment.watch": False},
    # Winograd's convolutions, which XLA is a part of.
    "wide": {
        "G.fmap_base": 2048,
        "D.fmap_base": 2048,
        "G.fmap_max": 256,
        "D.fmap_max": 256,
    },
}


def write_dataset(folder):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (48, 3, 8, 8), np.uint8)
    for log2, level in ((2, images[..., ::2, ::2]), (3, images)):
        (folder / f"x-r{log2:02d}.tfrecords").write_bytes(to_records(level).tobytes())
    with open(folder / "x-rxx.labels", "wb") as file:
        np.save(file, np.eye(LABELS, dtype=np.float32)[rng.integers(0, LABELS, 48)])
    return open_dataset(folder, max_label_size="full")


def same_groups(replicas, minibatch):
    """Positions of several replicas' samples in one minibatch that keep the groups of D.

    Sample j of group k is number j * G + k of a minibatch of G groups, so replica r's groups
    become groups r * G, r * G + 1, ... of the whole: [replica, j, k] -> [j, replica, k].
    """
    numbers = np.arange(minibatch).reshape(replicas, GROUP, -1)
    return numbers.transpose(1, 0, 2).reshape(-1)


def reorder(order):
    """Makes a single replica see every minibatch, and all that is drawn for it, in this order."""
    batches = pipeline.batches
    randomness.of_this_replica = lambda values: tf.gather(values, order)
    pipeline.batches = lambda *args, **options: batches(*args, **options).map(
        lambda images, labels: (tf.gather(images, order), tf.gather(labels, order))
    )


def without_kinks(network):
    """Makes leaky ReLUs linear.

    Else round-off may decide on which side of zero a value is; one value of one sample changes a
    gradient by 1e-3, which is more than a mistake of the mean over replicas might.
    """
    for block in network.model(3).layers:
        for layer in getattr(block, "layers", []):
            if isinstance(layer, LeakyReLU):
                layer.negative_slope = 1.0


def counted_reductions(strategy):
    """Makes a strategy count its all-reduces: -> list of how many tensors each one takes."""
    counts, batch_reduce_to = [], strategy.extended.batch_reduce_to

    def counting(reduce_op, pairs, *args):
        counts.append(len(pairs))
        return batch_reduce_to(reduce_op, pairs, *args)

    strategy.extended.batch_reduce_to = counting
    return counts


def num_programs(stepper):
    """Number of programs of XLA in the traced functions."""
    return sum(
        function.attr["_XlaMustCompile"].b
        for traced in stepper._functions.values()
        for function in traced.graph.as_graph_def().library.function
    )


def train(strategy, dataset, minibatch, changes):
    """Four iterations, of 8x8 with fading unless `changes` say otherwise.

    Returns {"1/G/4x4/Conv/weight": array} after 1 and after 4, and the tensors of each all-reduce
    and the number of programs of XLA in what was traced.
    """
    changes = CHANGES | changes | {"schedule.minibatch_base": minibatch}
    config = PRESETS["demo"].replace(changes)
    config = config.for_dataset(3, 3, LABELS, strategy.num_replicas_in_sync)
    state, nimg, found = TrainingState(config, strategy), minibatch, {}
    without_kinks(state.D)
    stepper = Stepper(state, config, dataset, strategy)
    reductions = counted_reductions(strategy)
    optimizers = {"G_opt": state.G_opt, "D_opt": state.D_opt}
    for done in (1, 4):
        call = plan.next_call(config.schedule, config.training, nimg, nimg)
        numbers = (call.nimgs, call.alphas, call.G_lrates, call.D_lrates)
        length = done if done == 1 else 3
        nimg += length * minibatch * config.training.D_repeats
        rows = stepper.run(plan.Call(call.now, *(x[:length] for x in numbers), nimg))
        found[f"{done}/statistics"] = rows
        for kind, holder in (state.networks() | optimizers).items():
            for name, variable in holder.variables_by_name.items():
                found[f"{done}/{kind}/{name}"] = tf.convert_to_tensor(variable).numpy()
    return found | {"reductions": reductions, "programs": num_programs(stepper)}


def main(path, replicas, minibatch, variant="8x8"):
    changes = VARIANTS.get(variant, {})
    if variant == "gpu":
        ops.has_gpu = lambda: True  # for operations and layouts
    several = make_strategy(num_gpus=0, cpu_replicas=replicas)
    one = tf.distribute.get_strategy()
    with tempfile.TemporaryDirectory() as folder:
        dataset = write_dataset(pathlib.Path(folder))
        runs = {"several": train(several, dataset, minibatch, changes)}
        reorder(same_groups(replicas, minibatch))
        runs["one"] = train(one, dataset, minibatch, changes)
    arrays = {f"{run}/{k}": v for run, found in runs.items() for k, v in found.items()}
    np.savez(path, **arrays)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:4]), *sys.argv[4:])
