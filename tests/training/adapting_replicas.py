"""For test_augmentation_forms.py, in a process of its own: adaptation on two logical CPUs.

python -m tests.training.adapting_replicas FOLDER    prints p of the run and of each replica as JSON
"""

import json
import pathlib
import sys

from pgtf.config import PRESETS
from pgtf.dataset import open_dataset
from pgtf.distribution.strategy import make_strategy
from pgtf.training import overfitting
from tests.training import jobs
from tests.training.test_augmentation import adapting, call_of, config_of

CHANGES = {
    **{f"{name}.fmap_base": 32 for name in "GD"},
    **{f"{name}.fmap_max": 8 for name in "GD"},
    "G.latent_size": 8,
    "schedule.minibatch_dict": {},
}


def main(folder):
    strategy = make_strategy(num_gpus=0, cpu_replicas=2)
    jobs.write_blocks(folder, resolution_log2=2)
    dataset = open_dataset(folder, max_label_size=0)
    config = PRESETS["demo"].replace(CHANGES)
    config = config_of(config, dataset, 2, aug="ada", aug_interval=16, aug_kimg=0.064)
    config = config.replace({"schedule.minibatch_base": 8})
    real = overfitting.Measurement.__call__

    def shifted(self, call):
        shift = {"train": 50.0, "held_out": 10.0, "fakes": 0.0}
        return {k: x._replace(mean=x.mean + shift[k]) for k, x in real(self, call).items()}

    overfitting.Measurement.__call__ = shifted
    stepper, state = adapting(config, dataset, strategy)
    for start in (0, 32):
        stepper.run(call_of(config, start, 4))
    # The variable lacks the last value: nothing was trained after that interval.
    variable = stepper._stepper.augmentation._p
    ps = [float(value) for value in strategy.experimental_local_results(variable)]
    weights = [
        [value.numpy().tobytes() for value in strategy.experimental_local_results(each)]
        for each in state.D.variables_by_name.values()
    ]
    same = all(len(set(values)) == 1 < len(values) for values in weights)
    print(json.dumps({"p": state.progress.augment.p, "replicas": ps, "same_weights": same}))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
