"""For test_gpu.py, in a process of its own: one iteration on two halves of a GPU and on one.

python -m tests.training.two_logical_gpus FOLDER    prints the difference of the losses
"""

import pathlib
import sys

import numpy as np
import tensorflow as tf

from pgtf.config import PRESETS
from pgtf.dataset import open_dataset
from pgtf.training import plan
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper
from tests.training import jobs


def first_losses(strategy, dataset, minibatch):
    """G's and D's loss of the first iteration, means over the minibatch."""
    changes = {
        "G.fmap_base": 32,
        "G.fmap_max": 8,
        "D.fmap_base": 32,
        "D.fmap_max": 8,
        "D.mbstd_group_size": 1,  # no groups, so that the order of the images does not matter
        "schedule.minibatch_base": minibatch,
        "schedule.minibatch_dict": {},
        "training.jit": "off",
    }
    config = PRESETS["demo"].replace(changes)
    config = config.for_dataset(dataset.resolution_log2, 3, 0, strategy.num_replicas_in_sync)
    call = plan.next_call(config.schedule, config.training, 0, 0)
    numbers = (x[:1] for x in (call.alphas, call.G_lrates, call.D_lrates))
    call = plan.Call(call.now, call.nimgs[:1], *numbers, minibatch)
    stepper = Stepper(TrainingState(config, strategy), config, dataset, strategy)
    return stepper.run(call)[0, :2]


def main(folder):
    tf.config.experimental.enable_tensor_float_32_execution(False)
    half = tf.config.LogicalDeviceConfiguration(memory_limit=2048)
    gpu = tf.config.list_physical_devices("GPU")[0]
    tf.config.set_logical_device_configuration(gpu, [half, half])
    jobs.write_blocks(folder)
    dataset = open_dataset(folder, max_label_size=0)
    two = tf.distribute.MirroredStrategy(
        ["GPU:0", "GPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    one = tf.distribute.OneDeviceStrategy("GPU:0")
    losses = [first_losses(strategy, dataset, 8) for strategy in (two, one)]
    print(np.abs(losses[0] - losses[1]).max())


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
