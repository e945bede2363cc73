"""Steps of the trainer: losses against NumPy, their direction, and the contents of checkpoints."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf.restoration.config import Config
from pgtf.restoration.training import Trainer


@pytest.fixture(autouse=True)
def not_traced():
    """Runs steps as Python does, which is quicker than to trace them: test_training.py does."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def trainer_of_the_last_part(**options):
    """A new trainer whose next step is the first one with the discriminator."""
    config = Config("sr", "images", total_kimg=1.6, minibatch=2, patch=32, **options)
    trainer = Trainer(config)
    trainer.nimg = config.adversarial_from
    return trainer


@pytest.fixture
def minibatch(rng):
    """Degraded [2, 8, 8, 3] and clean [2, 32, 32, 3]."""
    clean = rng.uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    return clean.reshape(2, 8, 4, 8, 4, 3).mean((2, 4)), clean


def losses_of(G, D, degraded, clean):
    """The three losses of the two networks, computed with NumPy."""
    fakes = G(degraded).numpy()
    real_scores, fake_scores = D(clean).numpy(), D(fakes).numpy()
    reals, others = real_scores - fake_scores.mean(), fake_scores - real_scores.mean()
    return {
        "error": np.abs(fakes - clean).mean(),
        "adversarial": np.logaddexp(0, reals).mean() + np.logaddexp(0, -others).mean(),
        "D": np.logaddexp(0, -reals).mean() + np.logaddexp(0, others).mean(),
    }


def moves(network, before):
    """The changes of all weights of a network since they were `before`, as one vector."""
    pairs = zip(network.get_weights(), before, strict=True)
    return np.concatenate([(after - weights).ravel() for after, weights in pairs])


def assert_same_moves(a, b):
    """Checks that two updates are the same: those of another loss differ by more than half."""
    assert np.abs(a).mean() > 0
    assert np.abs(a - b).mean() < 0.02 * np.abs(a).mean()


def test_an_adversarial_step_has_the_losses_of_the_formulas_and_lowers_both(minibatch):
    before, trainer = (trainer_of_the_last_part(adversarial_weight=100) for _ in range(2))
    expected = losses_of(before.G, before.D, *minibatch)
    assert abs(expected["adversarial"] - expected["D"]) > 0.1  # they are told apart
    assert trainer.train_step(*minibatch) == pytest.approx(expected, rel=1e-4)
    moved_G = losses_of(trainer.G, before.D, *minibatch)
    moved_D = losses_of(before.G, trainer.D, *minibatch)
    assert moved_G["adversarial"] < expected["adversarial"]
    assert moved_D["D"] < expected["D"]


def test_an_adversarial_step_of_weight_0_is_the_step_before_it(minibatch):
    trainers = [trainer_of_the_last_part(adversarial_weight=weight) for weight in (0, 0, 1)]
    trainers[0].nimg -= 2
    before = trainers[0].G.get_weights()
    expected = np.abs(trainers[0].G(minibatch[0]).numpy() - minibatch[1]).mean()
    losses = [trainer.train_step(*minibatch) for trainer in trainers]
    assert losses[0] == pytest.approx({"error": expected}, rel=1e-4)
    assert losses[1].keys() == {"error", "adversarial", "D"}
    fidelity, weightless, weighted = (moves(trainer.G, before) for trainer in trainers)
    assert_same_moves(fidelity, weightless)
    assert np.abs(fidelity - weighted).mean() > 0.2 * np.abs(fidelity).mean()


def test_a_checkpoint_of_the_adversarial_part_keeps_both_optimizers(minibatch, tmp_path, rng):
    trainer, resumed = trainer_of_the_last_part(), trainer_of_the_last_part()
    for _ in range(3):
        trainer.train_step(*minibatch)
    trainer.save(tmp_path / "checkpoint.npz")
    resumed.restore(tmp_path / "checkpoint.npz")
    assert resumed.nimg == trainer.nimg
    before = [network.get_weights() for network in (trainer.G, trainer.D)]
    other = [rng.uniform(-1, 1, x.shape).astype(np.float32) for x in minibatch]
    for each in trainer, resumed:
        each.train_step(*other)
    assert_same_moves(moves(trainer.G, before[0]), moves(resumed.G, before[0]))
    assert_same_moves(moves(trainer.D, before[1]), moves(resumed.D, before[1]))
