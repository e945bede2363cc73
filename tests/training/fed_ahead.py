"""For test_feeding.py, in a process of its own: a second logical CPU stands for a GPU.

python -m tests.training.fed_ahead FOLDER    prints what was found as JSON
"""

import json
import pathlib
import sys

import numpy as np
import tensorflow as tf

from pgtf import ops
from pgtf.config import PRESETS
from pgtf.dataset import open_dataset
from pgtf.training import feeding, plan
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper
from tests.training import jobs

CHANGES = {
    "G.fmap_base": 32,
    "G.fmap_max": 8,
    "D.fmap_base": 32,
    "D.fmap_max": 8,
    "schedule.minibatch_base": 8,
    "schedule.minibatch_dict": {},
    "training.minibatch_repeats": 2,
}


def found(config, dataset):
    """Devices and pixels of the first minibatches, and the statistics of two calls."""
    strategy = tf.distribute.get_strategy()
    call = plan.next_call(config.schedule, config.training, 0, 0, 1)
    iterator = feeding.iterate(strategy, dataset, call, config)
    images = [next(iterator)[0] for _ in range(3)]
    stepper = Stepper(TrainingState(config, strategy), config, dataset, strategy)
    calls = call, plan.next_call(config.schedule, config.training, call.end_nimg, 0, 1)
    rows = np.concatenate([stepper.run(each) for each in calls])
    devices = {tf.DeviceSpec.from_string(x.device).to_string()[-5:] for x in images}
    return sorted(devices), np.array(images).tolist(), rows.tolist()


def main(folder):
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    # The operations and layouts of a GPU, in both runs.
    ops.has_gpu = lambda: True
    jobs.write_blocks(folder)
    dataset = open_dataset(folder, max_label_size=0)
    config = PRESETS["demo"].replace(CHANGES).for_dataset(dataset.resolution_log2, 3, 0, 1)
    without = found(config, dataset)
    devices = tf.config.list_logical_devices
    tf.config.list_logical_devices = lambda kind=None: devices("CPU")[kind == "GPU" :]
    print(json.dumps({"without": without, "with": found(config, dataset)}))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
