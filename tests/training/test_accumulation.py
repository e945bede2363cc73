"""A minibatch in parts is the same minibatch: --grad_accumulation."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pgtf.config import PRESETS
from pgtf.dataset import open_dataset
from pgtf.training import differentiation, plan
from pgtf.training.inputs import Inputs
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper
from pgtf.training.updates import Stage

MINIBATCH = 16
CHANGES = {
    "dataset.mirror_augment": True,
    "G.fmap_base": 32,
    "G.fmap_max": 8,
    "G.latent_size": 8,
    "D.fmap_base": 32,
    "D.fmap_max": 8,
    "schedule.lod_training_kimg": 0,
    "schedule.lod_transition_kimg": 0.1,  # 8x8 during a fade
    "schedule.minibatch_base": MINIBATCH,
    "schedule.minibatch_dict": {},
    "schedule.G_lrate_base": 0.003,
    "schedule.G_lrate_dict": {},
    "schedule.D_lrate_base": 0.003,
    "schedule.D_lrate_dict": {},
    "training.minibatch_repeats": 2,
    # At 1e-8 a first step is the sign of a gradient, and round-off may decide signs.
    "training.adam_epsilon": 1e-3,
}


@pytest.fixture(scope="module")
def labelled(dataset_folder):
    return open_dataset(dataset_folder, max_label_size="full")


def in_parts(dataset, group, parts):
    """A configuration with groups of D of this size and minibatches in so many parts."""
    changes = {"D.mbstd_group_size": group, "schedule.grad_accumulation": parts}
    config = PRESETS["demo"].replace(CHANGES | changes)
    config = config.for_dataset(dataset.resolution_log2, 3, dataset.label_size, 1)
    config.check()
    return config


@pytest.fixture(scope="module")
def train(labelled, strategy):
    """A function: (groups of D, parts) -> everything after two iterations, by name."""
    done = {}

    def run(group, parts):
        if (group, parts) in done:
            return done[group, parts]
        config = in_parts(labelled, group, parts)
        state = TrainingState(config, strategy)
        call = plan.next_call(config.schedule, config.training, MINIBATCH, MINIBATCH)
        numbers = (x[:2] for x in (call.nimgs, call.alphas, call.G_lrates, call.D_lrates))
        call = plan.Call(call.now, *numbers, call.nimgs[0] + 2 * MINIBATCH)
        found = {"statistics": Stepper(state, config, labelled, strategy).run(call)}
        groups, _ = state.pack()
        for kind, arrays in groups.items():
            found |= {f"{kind}/{name}": array for name, array in arrays.items()}
        done[group, parts] = found
        return found

    return run


def largest_difference(left, right):
    """Over all arrays, relative to the largest value of each."""
    assert left.keys() == right.keys()
    return max(
        np.abs(left[name] - right[name]).max() / max(np.abs(right[name]).max(), 1e-3)
        for name in left
    )


def gradients(config, dataset, strategy):
    """Both networks' gradients and mean statistics for a minibatch at 4x4, not traced: by name."""
    state = TrainingState(config, strategy)
    stage = Stage(4, MINIBATCH, fading=False)
    updates = Stepper(state, config, dataset, strategy)._updates(stage, jit=False)
    images = dataset.read_images(range(MINIBATCH), 2)
    labels = tf.constant(dataset.read_labels(range(MINIBATCH)))
    numbers = (tf.constant(0, tf.int64), tf.constant(1.0), tf.constant(0.0))
    of_D, latents = updates.compute_D((tf.constant(images), labels), *numbers)
    of_G = updates._compute_G(Inputs(latents, labels), *numbers)
    found = {}
    for kind, update in (("D", of_D), ("G", of_G)):
        found[f"{kind}/means"] = update.means.numpy()
        found |= {f"{kind}/{name}": x.numpy() for name, x in update.gradients.items()}
    return found


def test_parts_give_the_gradients_of_the_whole_minibatch(labelled, strategy):
    """D's groups of 4 samples are spread over the minibatch."""
    whole, found = (gradients(in_parts(labelled, 4, n), labelled, strategy) for n in (1, 2))
    assert largest_difference(found, whole) < 1e-4
    assert len(whole) == 2 + 6 + 8
    assert all(np.any(array) for array in whole.values())


# Parts of 4 hold whole groups of 4; without groups a part may have any size.
@pytest.mark.slow
@pytest.mark.parametrize(("group", "parts"), [(4, 4), (1, 8)])
def test_parts_give_the_numbers_of_the_whole_minibatch(train, group, parts):
    # Gradients are there too: beta1 is 0, so they are Adam's first moment.
    assert largest_difference(train(group, parts), train(group, 1)) < 1e-4
    assert np.any(train(group, parts)["D_opt/m/8x8/Conv0/weight"])


def test_only_one_part_is_in_memory_at_a_time():
    """The parts are a loop of the graph that runs one turn at a time, not copies side by side."""
    variables = {"w": tf.Variable([1.0, 2.0])}
    calls = []

    def part(index):
        calls.append(index)
        value = tf.cast(index, tf.float32)
        return value[tf.newaxis], {"w": tf.stack([value, -value])}

    traced = tf.function(lambda: differentiation.mean_over_parts(part, 4, 1, variables))
    values, gradients = traced()
    np.testing.assert_array_equal(values, [1.5])
    np.testing.assert_array_equal(gradients["w"], [1.5, -1.5])
    assert len(calls) == 1
    (loop_op,) = [
        op for op in traced.get_concrete_function().graph.get_operations() if "While" in op.type
    ]
    assert loop_op.get_attr("parallel_iterations") == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grad_accumulation": 3}, "multiple of `grad_accumulation`. Received: 8 at 4x4"),
        ({"minibatch_base": 24, "grad_accumulation": 4}, "Received: 6 at 4x4, mbstd_group_size=4"),
    ],
)
def test_parts_that_cannot_be_made_are_refused(config, changes, message):
    schedule = dataclasses.replace(config.schedule, **changes)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config, schedule=schedule).check()


def test_the_memory_limit_is_that_of_a_part(config):
    schedule = dataclasses.replace(
        config.schedule, minibatch_base=32, max_minibatch_per_gpu={8: 4}, num_gpus=2
    )
    assert schedule.minibatch(8) == 8
    assert dataclasses.replace(schedule, grad_accumulation=3).minibatch(8) == 24
    assert dataclasses.replace(schedule, grad_accumulation=8).minibatch(8) == 32
