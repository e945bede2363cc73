"""The search that tells how well a generator can reproduce images."""

import numpy as np

from pgtf.export import reproduction
from pgtf.export.projection import multi_scale_loss
from pgtf.metrics import privacy
from tests import tiny


def searched(Gs, targets, rng, num_steps, num_starts=2):
    starts = rng.normal(size=[len(targets), num_starts, Gs.latent_size]).astype(np.float32)
    return starts, reproduction.errors(Gs, targets, starts, num_steps=num_steps)


def test_an_error_is_the_smallest_of_all_starts_and_steps(rng):
    Gs = tiny.with_random_biases(tiny.generator(resolution=8), rng)
    targets = rng.uniform(-1, 1, size=[11, 8, 8, 3]).astype(np.float32)
    starts, first = searched(Gs, targets, rng, num_steps=1)
    rows = starts.reshape(22, -1)
    losses = multi_scale_loss(Gs(rows), targets.repeat(2, axis=0)).numpy()
    at_start = 127.5 * np.sqrt(losses.reshape(11, 2).min(axis=1))
    assert (first <= at_start * (1 + 1e-5)).all()
    later = reproduction.errors(Gs, targets, starts, num_steps=12)
    assert (later < first).mean() > 0.9
    order = rng.permutation(11)  # An image's error does not depend on those around it.
    again = reproduction.errors(Gs, targets[order], starts[order], num_steps=12)
    np.testing.assert_allclose(again, later[order], rtol=1e-3)


def test_what_a_network_makes_is_told_from_what_it_cannot_make(rng):
    Gs = tiny.with_random_biases(tiny.generator(resolution=8), rng)
    made = Gs(rng.normal(size=[24, Gs.latent_size]).astype(np.float32)).numpy()
    others = made.transpose(0, 2, 1, 3)[:, ::-1]  # the same images, on their side
    errors = [searched(Gs, x, np.random.default_rng(5), 20)[1] for x in (made, others)]
    found = privacy.membership(*(-x for x in errors))
    assert found.auc > 0.95
    assert found.p < 1e-6
    same = privacy.membership(-errors[0][::2], -errors[0][1::2])
    assert same.p > 0.01


def test_starts_keep_their_labels(rng):
    Gs = tiny.with_random_biases(tiny.generator(resolution=8, label_size=3), rng)
    latents = rng.normal(size=[6, Gs.latent_size]).astype(np.float32)
    labels = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]
    made = Gs(latents, labels).numpy()
    right, wrong = (
        reproduction.errors(Gs, made, latents[:, None], rows[:, None], num_steps=1)
        for rows in (labels, np.roll(labels, 1, axis=1))
    )
    assert right.max() < 0.01
    assert wrong.min() > 1
