"""Latents, positions between real and fake, mirroring and noise: no two updates share a draw."""

import collections

import pytest
import tensorflow as tf

from pgtf.training import plan, randomness
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper

ITERATIONS, D_REPEATS, MINIBATCH = 2, 3, 4


@pytest.fixture(scope="module")
def draws(config, dataset, strategy):
    """The first 4 numbers of every draw of some iterations, by the name of its purpose."""
    changes = {
        "D.use_gdrop": True,
        "dataset.mirror_augment": True,
        "training.D_repeats": D_REPEATS,
        "training.jit": "off",  # XLA could not call Python
        "schedule.minibatch_base": MINIBATCH,
        "schedule.tick_kimg_base": ITERATIONS * D_REPEATS * MINIBATCH / 1000,
    }
    config = config.replace(changes)
    seen = collections.defaultdict(list)

    def watched(distribution):
        def draw(shape, seed, nimg, purpose):
            values = distribution(shape, seed, nimg, purpose)
            record = seen[purpose.name].append
            # Draws at one position have the same first numbers, whatever their shapes.
            first = tf.reshape(values, [-1])[:4]
            tf.numpy_function(lambda x: record(x.tobytes()), [first], [], stateful=True)
            return values

        return draw

    with pytest.MonkeyPatch.context() as patch:
        for name in ("normal", "uniform"):
            patch.setattr(randomness, name, watched(getattr(randomness, name)))
        call = plan.next_call(config.schedule, config.training, 0, 0)
        assert (call.now.minibatch, len(call.nimgs)) == (MINIBATCH, ITERATIONS)
        Stepper(TrainingState(config, strategy), config, dataset, strategy).run(call)
    return seen


@pytest.mark.parametrize("purpose", ["D_LATENTS", "MIXING", "MIRROR"])
def test_every_repeated_update_of_d_has_draws_of_its_own(draws, purpose):
    assert len(set(draws[purpose])) == len(draws[purpose]) == ITERATIONS * D_REPEATS


def test_every_update_of_g_has_latents_of_its_own(draws):
    assert len(draws["G_LATENTS"]) == ITERATIONS
    assert len({*draws["G_LATENTS"], *draws["D_LATENTS"]}) == ITERATIONS * (1 + D_REPEATS)


def test_every_layer_of_every_pass_through_d_has_noise_of_its_own(draws):
    # D has noise in two layers at 4x4. It sees reals, fakes and mixtures, and for G fakes alone.
    in_an_update = {"D_NOISE": 3 * 2, "G_NOISE": 2}
    # Counting on from the number of images shown would reach the draws of the next update.
    assert in_an_update["D_NOISE"] > MINIBATCH
    updates = {"D_NOISE": ITERATIONS * D_REPEATS, "G_NOISE": ITERATIONS}
    expected = {name: updates[name] * num for name, num in in_an_update.items()}
    assert {name: len(draws[name]) for name in expected} == expected
    assert len({*draws["D_NOISE"], *draws["G_NOISE"]}) == sum(expected.values())
