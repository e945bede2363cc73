"""The page of privacy about networks that were trained: one to memorise, one on images of its own.

Both are trained to make a given image of each latent vector, which is faster than a GAN.
"""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from pgtf import images
from pgtf.commands import metrics
from pgtf.config import Config
from pgtf.dataset import open_dataset
from pgtf.dataset.exporter import Options
from pgtf.dataset.sources import images as sources
from pgtf.dataset.sources.images import ImageOptions
from pgtf.interop import save_snapshot
from tests import tiny
from tests.metrics.test_privacy import smooth

pytestmark = pytest.mark.slow
LATENTS, STEPS, MINIBATCH = 3, 500, 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run without a network, on 50 images with 50 more held out."""
    root = tmp_path_factory.mktemp("privacy")
    (root / "images").mkdir()
    for i, image in enumerate(smooth(np.random.default_rng(1), 100)):
        images.save_png(root / "images" / f"{i:03d}.png", image)
    options = ImageOptions(held_out="50")
    sources.create(str(root / "set"), str(root / "images"), options, Options(1))
    run = root / "000-set-demo"
    run.mkdir()
    config = Config().replace({"dataset.path": str(root / "set")})
    (run / "config.json").write_text(config.to_json())
    return run


def trained(target_of, rng):
    """A generator that was trained to make `target_of(latents)`: [n, L] -> [n, 16, 16, 3]."""
    Gs = tiny.generator(fmap_base=256, fmap_max=64, latent_size=LATENTS)
    model, alpha = Gs.model_at(0.0)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, STEPS))
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(latents, target):
        with tf.GradientTape() as tape:
            fakes = model(Gs.inputs(latents, None, alpha))
            loss = tf.reduce_mean(tf.square(fakes - target))
        optimizer.apply(tape.gradient(loss, variables))

    for _ in range(STEPS):
        latents = rng.normal(size=[MINIBATCH, LATENTS]).astype(np.float32)
        step(latents, target_of(latents).astype(np.float32))
    return Gs


def page_of(folder, Gs):
    networks = tiny.generator(), tiny.discriminator(), Gs
    save_snapshot(folder / "network-snapshot-000001.h5", *networks, cur_nimg=1000)
    flags = ("--num=400", "--num_projected=50", "--projection_steps=20")
    metrics.main(["privacy", f"--run={folder}", *flags])
    return (folder / "privacy.html").read_text()


def test_the_page_warns_of_a_network_that_memorised_50_images(folder, rng, capsys):
    dataset = open_dataset(folder.parent / "set", max_label_size=0)
    training = images.to_float(dataset.read_images(range(50)))
    codes = rng.normal(size=[50, LATENTS])
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    page = page_of(folder, trained(lambda z: training[np.argmax(z @ codes.T, axis=1)], rng))
    printed = capsys.readouterr().out
    assert "<strong>Do not publish</strong>" in page
    assert "Do not publish: " in printed
    for name in ("distances of pixels", "copies by pixels", "distances of shapes"):
        assert float(re.search(rf"{name}: p = (\S+)", printed)[1]) < 0.001
    assert float(re.search(r"search for the image: AUC = (\S+)", printed)[1]) > 0.7


def test_the_page_finds_nothing_about_a_network_that_never_saw_the_images(folder, rng, capsys):
    fresh = images.to_float(smooth(rng, 2000))
    codes = rng.normal(size=[2000, LATENTS])
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    page = page_of(folder, trained(lambda z: fresh[np.argmax(z @ codes.T, axis=1)], rng))
    printed = capsys.readouterr().out
    assert "<strong>No sign of copying</strong>" in page
    low, high = re.search(r"search for the image: AUC = \S+ \((\S+) to (\S+)\)", printed).groups()
    assert float(low) < 0.5 < float(high)
