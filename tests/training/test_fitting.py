"""What a run begins with."""

import types

import numpy as np
import pytest

from pgtf.training import fitting


def workers_of(chiefs, num_elsewhere=0):
    """What `fitting.check_workers` sees of workers whose chief has this configuration."""
    return types.SimpleNamespace(
        from_chief=lambda make: chiefs.to_json().encode(),
        total=lambda values: (np.array(values) + num_elsewhere).tolist(),
    )


def test_workers_with_one_configuration_may_train(config):
    fitting.check_workers(config, workers_of(config))


def test_a_worker_with_another_configuration_is_refused_with_the_differences(config):
    mine = config.replace({"training.seed": 7})
    with pytest.raises(ValueError, match="same on all workers.*training.seed: 1000 -> 7"):
        fitting.check_workers(mine, workers_of(config))


def test_the_others_are_refused_with_it(config):
    with pytest.raises(ValueError, match="same on all workers. Received: that of the chief"):
        fitting.check_workers(config, workers_of(config, num_elsewhere=1))
