"""Augmentation of what D sees: its place in an iteration, its random numbers, its adaptation."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf import losses
from pgtf.augment import AugmentConfig, ada
from pgtf.dataset import open_dataset
from pgtf.distribution.workers import Workers
from pgtf.training import augmentation, held_out, objectives, overfitting, plan, randomness
from pgtf.training.randomness import Sampler
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper
from tests import tiny
from tests.training.test_precision import arrays_of

LRATE = 1e-3


def config_of(config, dataset, replicas=1, **augment):
    config = config.for_dataset(dataset.resolution_log2, dataset.num_channels, 0, replicas)
    changes = {
        "dataset.path": dataset.path,
        "schedule.lod_initial_resolution": dataset.resolution,
        "schedule.lod_training_kimg": 1000,
        "schedule.minibatch_base": 4,
    }
    changes |= {f"augment.{name}": value for name, value in augment.items()}
    return config.replace(changes)


def call_of(config, start, num):
    """Iterations at full resolution."""
    now = config.schedule.at(start)
    nimgs = [start + i * now.minibatch for i in range(num + 1)]
    numbers = [1.0] * num, [LRATE] * num, [LRATE] * num
    return plan.Call(now, nimgs[:-1], *numbers, nimgs[-1])


def weights_after(config, dataset, strategy, num=1):
    state = TrainingState(config, strategy)
    rows = Stepper(state, config, dataset, strategy).run(call_of(config, 0, num))
    return arrays_of(state), rows


@pytest.fixture(scope="module")
def coarse(dataset_folder):
    """The dataset at 4x4, where an iteration is traced in a second."""
    return open_dataset(dataset_folder, resolution=4, max_label_size=0)


@pytest.fixture(scope="module")
def plain(config, coarse, strategy):
    """Weights and statistics after an iteration without augmentation."""
    return weights_after(config_of(config, coarse), coarse, strategy)


def test_a_probability_of_0_builds_no_augmentation_and_holds_nothing_out(config, coarse, strategy):
    never = config_of(config, coarse, aug="ada", aug_p=0.0)
    assert augmentation.build(never, strategy) is None
    assert held_out.split(coarse, never) == (coarse, None, None)
    for options in ({"aug": "ada"}, {"aug": "ada", "aug_p": 0.1}, {"aug": "diffaug"}):
        assert augmentation.build(config_of(config, coarse, **options), strategy) is not None


@pytest.mark.slow  # traces two iterations
def test_a_probability_of_0_gives_the_bits_of_no_augmentation(plain, config, coarse, strategy):
    options = {"aug": "ada", "aug_p": 0.0}
    same, same_rows = weights_after(config_of(config, coarse, **options), coarse, strategy)
    np.testing.assert_array_equal(plain[1], same_rows)
    for name, array in plain[0].items():
        np.testing.assert_array_equal(array, same[name], err_msg=name)


@pytest.mark.slow  # traces two iterations, and the one without
@pytest.mark.parametrize(("kind", "changes"), [("ada", False), ("diffaug", True)])
def test_an_adapted_probability_begins_without_changes_and_diffaug_with_them(
    plain, config, coarse, strategy, kind, changes
):
    _, rows = weights_after(config_of(config, coarse, aug=kind), coarse, strategy)
    is_same = np.allclose(plain[1], rows, rtol=1e-3, atol=1e-4)
    assert is_same is not changes


@pytest.fixture(scope="module")
def losses_at_8():
    """Both networks of a fade at 8x8, arguments of discriminator_parts, and random numbers."""
    rng = np.random.default_rng(0)
    G = tiny.with_random_biases(tiny.generator(), rng)
    D = tiny.with_random_biases(tiny.discriminator(), rng)
    inputs = {
        "reals": tf.constant(rng.uniform(-1, 1, size=[4, 8, 8, 3]), tf.float32),
        "labels": tf.zeros([4, 0]),
        "latents": tf.constant(rng.normal(size=[4, tiny.LATENT_SIZE]), tf.float32),
        "mixing": tf.constant(rng.uniform(size=[4, 1, 1, 1]), tf.float32),
        "alpha": tf.constant(0.25),
    }
    augment = augmentation.Augmentation(
        AugmentConfig(aug="ada", aug_p=0.8), tf.distribute.get_strategy()
    )
    numbers = augment.draw(Sampler(1, 4), tf.constant(64, tf.int64), augmentation.STREAMS_OF_D)
    return G, D, inputs, augment, numbers


def test_the_penalty_mixes_augmented_reals_and_augmented_fakes(losses_at_8):
    G, D, inputs, augment, numbers = losses_at_8

    def both(reals, fakes):
        return augment.of_D(reals, fakes, numbers)

    loss = losses.LossConfig()
    parts = objectives.discriminator_parts(G, D, **inputs, config=loss, augment=both)
    found = tiny.sum_of(parts).components
    fakes = G(inputs["latents"], None, lod=1.75)
    draws = [ada.AdaDraws(numbers.uniforms[:, i], numbers.normals[:, i]) for i in (0, 1)]
    reals, fakes = (
        ada.augment(x, d, 0.8) for x, d in zip((inputs["reals"], fakes), draws, strict=True)
    )
    assert (reals != inputs["reals"]).numpy().any()
    mixed = losses.mix(reals, fakes, inputs["mixing"])
    for name, images in (("real_scores", reals), ("fake_scores", fakes), ("mixed_scores", mixed)):
        scores = D(images, 1.75)[0][:, 0]
        np.testing.assert_allclose(found[name], scores, rtol=1e-4, atol=1e-4, err_msg=name)


def test_the_generator_sees_scores_of_augmented_fakes(losses_at_8):
    G, D, inputs, augment, _ = losses_at_8
    numbers = augment.draw(Sampler(1, 4), tf.constant(64, tf.int64), augmentation.STREAMS_OF_G)
    args = (inputs["latents"], None, 8, inputs["alpha"], losses.LossConfig())
    terms = objectives.generator_terms(G, D, *args, augment=lambda x: augment.of_G(x, numbers))
    fakes = augment.of_G(G(inputs["latents"], None, lod=1.75), numbers)
    np.testing.assert_allclose(terms.loss, -D(fakes, 1.75)[0][:, 0], rtol=1e-4, atol=1e-4)


def test_random_numbers_depend_on_seed_images_shown_and_network_alone():
    augment = augmentation.Augmentation(AugmentConfig(aug="ada"), tf.distribute.get_strategy())

    def numbers(seed, nimg, streams):
        return augment.draw(Sampler(seed, 4), tf.constant(nimg, tf.int64), streams)

    of_D = numbers(7, 32, augmentation.STREAMS_OF_D)
    assert of_D.uniforms.shape == (4, 2, len(ada.AdaDraws.uniform_names))
    again = numbers(7, 32, augmentation.STREAMS_OF_D)
    np.testing.assert_array_equal(of_D.uniforms, again.uniforms)
    np.testing.assert_array_equal(of_D.normals, again.normals)
    assert (of_D.uniforms[:, 0] != of_D.uniforms[:, 1]).numpy().all()
    of_G = numbers(7, 32, augmentation.STREAMS_OF_G)
    for other in (
        numbers(8, 32, augmentation.STREAMS_OF_D).uniforms,
        numbers(7, 36, augmentation.STREAMS_OF_D).uniforms,
    ):
        assert (other != of_D.uniforms).numpy().all()
    assert (of_G.uniforms[:, 0] != of_D.uniforms[:, 1]).numpy().all()
    # Uniform and normal numbers are no functions of each other.
    assert randomness.Stream.D_AUGMENT_UNIFORM != randomness.Stream.D_AUGMENT_NORMAL


def adapting(config, dataset, strategy):
    state = TrainingState(config, strategy)
    parts = held_out.split(dataset, config)
    stepper = Stepper(state, config, parts.train, strategy)
    datasets = (parts.train, parts.held_out)
    return overfitting.AdaptingStepper(stepper, state, config, datasets, Workers(strategy)), state


def test_p_follows_the_signal_at_fixed_images_however_calls_are_cut(
    config, coarse, strategy, monkeypatch
):
    """Measured each 8 images, adapted each 32; in one call, or in three that end between."""
    config = config_of(config, coarse, aug="ada", aug_interval=32, aug_kimg=0.128)
    stepper, state = adapting(config, coarse, strategy)
    real, measured = overfitting.Measurement.__call__, []

    def shifted(self, call):
        """The signal of the first interval is about 0.8, and that of the second about 0.4."""
        measured.append(call.end_nimg)
        shift = {"train": 50.0, "held_out": 10.0 if call.end_nimg <= 32 else 30.0, "fakes": 0.0}
        return {k: x._replace(mean=x.mean + shift[k]) for k, x in real(self, call).items()}

    monkeypatch.setattr(overfitting.Measurement, "__call__", shifted)
    monkeypatch.setattr(overfitting, "NUM_IMAGES", 8)
    initial, courses = state.pack(), []
    for cuts in ([18], [3, 5, 10]):
        state.unpack(*initial, "memory")
        start, ps = 0, []
        for num in cuts:
            stepper.run(call_of(config, start, num))
            start += 4 * num
            ps.append(state.progress.augment.p)
        assert measured == list(range(8, 73, 8))
        measured.clear()
        courses.append((state.progress.augment, arrays_of(state)))
    assert ps == [0, 0.25, 0]  # after 12, 32 and 72 images
    (progress, arrays), (other, others) = courses
    assert progress == other
    assert progress.signal_mean == pytest.approx(0.4, abs=0.1)
    assert progress.num == 1  # after 64 images, at 72
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, others[name], err_msg=name)
