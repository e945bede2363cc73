"""The paper's experiments against the restated configurations of the original Theano release.

tests/data/presets.json lists them as differences from one base, with what follows from each: number
of parameters, G steps, thousands of images at which the full resolution is reached. In it a
difference that consists in leaving something out is missing (minibatch statistic, minibatches by
resolution); WITHOUT names those.
"""

import dataclasses
import functools
import json
import math
import pathlib
import re

import keras
import numpy as np
import pytest

from pgtf import networks
from pgtf.config import EXPERIMENTS, PRESETS, catalogue

DATA = json.loads((pathlib.Path(__file__).parents[1] / "data" / "presets.json").read_text())
WITHOUT_STATISTIC = ("ablation-*-a", "ablation-*-b", "ablation-*-c", "ablation-*-d")
WITHOUT_STATISTIC += ("ablation-*-estar", "mnist1k-*-base", "mnist1k-*-ournorm")
CELEBAHQ_NAMES = ("celebahq-1024-wgangp", "celebahq-1024-lsgan")


def described(name):
    """An experiment as the stored data describe it, merged with the base; None = no difference."""
    source = name
    if name.startswith("lsun-"):
        source = "lsun-bedroom-256" if name in ("lsun-bedroom-256", "lsun-dog-256") else None
        source = source or "lsun-cat-256"
    experiment = DATA["experiments"][source]
    merged = {
        group: values | experiment.get(group, {}) if isinstance(values, dict) else values
        for group, values in DATA["base"].items()
    }
    merged["seed"] = experiment.get("seed", DATA["base"]["seed"])
    merged["derived"] = experiment["derived"]
    merged["paper_targets"] = experiment["paper_targets"]
    path = pathlib.PurePath(name)
    if any(path.match(pattern) for pattern in WITHOUT_STATISTIC):
        merged["discriminator"]["minibatch_stat"] = None
    if name not in CELEBAHQ_NAMES:
        merged["schedule"]["minibatch_by_resolution"] = {}
    return merged


def restated(config):
    """A Config in the words of the data."""
    G, D, schedule, training, loss = (
        getattr(config, name) for name in ("G", "D", "schedule", "training", "loss")
    )
    phases = schedule.lod_training_kimg, schedule.lod_transition_kimg
    return {
        "seed": training.seed,
        "dataset.resolution": G.resolution,
        "dataset.channels": G.num_channels,
        "dataset.mirror": config.dataset.mirror_augment,
        "dataset.labels": config.dataset.max_label_size,
        "generator.arch": {"paper": "paper", "mnist1k": "mnist_mode_recovery"}[G.structure],
        "generator.fmap_base": G.fmap_base,
        "generator.fmap_decay": G.fmap_decay,
        "generator.fmap_max": G.fmap_max,
        "generator.latent_dim": G.latent_size,
        "generator.latent_norm": G.normalize_latents,
        "generator.equalized_lr": G.use_wscale,
        "generator.pixel_norm": G.use_pixelnorm,
        "generator.batch_norm": G.use_batchnorm,
        "generator.activation": "lrelu" if G.use_leakyrelu else "relu",
        "generator.leak": G.leakyrelu_slope if G.use_leakyrelu else 0,
        "generator.output": {None: "linear", 1.0: "tanh"}[G.tanh_at_end],
        "discriminator.arch": {"paper": "paper", "mnist1k": "mnist_mode_recovery"}[D.structure],
        "discriminator.fmap_base": D.fmap_base,
        "discriminator.fmap_decay": D.fmap_decay,
        "discriminator.fmap_max": D.fmap_max,
        "discriminator.equalized_lr": D.use_wscale,
        "discriminator.layer_norm": D.use_layernorm,
        "discriminator.batch_norm": D.use_batchnorm,
        "discriminator.minibatch_stat": {"all": "std_eps1e-8", 0: None}[D.mbstd_group_size],
        "discriminator.minibatch_stat_average": D.mbstat_avg,
        "discriminator.minibatch_discrimination_kernels": D.mbdisc_kernels,
        "discriminator.adaptive_noise": D.use_gdrop,
        "loss.kind": loss.kind,
        "loss.gp_lambda": loss.wgan_lambda,
        "loss.gp_target": loss.wgan_target,
        "loss.drift_epsilon": loss.wgan_epsilon,
        "loss.aux_classifier_weight": loss.cond_weight,
        "noise.coef": loss.noise_coef if D.use_gdrop else 0,
        "noise.ema": loss.noise_ema,
        "noise.limit": loss.noise_limit,
        "noise.exponent": loss.noise_exponent,
        "optim.g_lr": schedule.G_lrate_base,
        "optim.d_lr": schedule.D_lrate_base,
        "optim.beta1": training.adam_beta1,
        "optim.beta2": training.adam_beta2,
        "optim.epsilon": training.adam_epsilon,
        "optim.n_critic": training.D_repeats,
        "optim.update_order": training.update_order,
        "optim.reset_state_on_stage_change": training.reset_opt_for_new_lod,
        "optim.lr_rampup_kimg": schedule.lrate_rampup_kimg,
        "weight_ema.decay": pytest.approx(training.G_smoothing, rel=1e-12),
        "weight_ema.applied": {"G_update": "once per generator step"}[training.G_smoothing_per],
        "schedule.start_resolution": schedule.initial_resolution,
        "schedule.stable_kimg": phases[0],
        "schedule.fade_kimg": phases[1],
        "schedule.total_kimg": training.total_kimg,
        "schedule.minibatch_default": schedule.minibatch_base,
        "schedule.minibatch_by_resolution": {str(k): v for k, v in schedule.minibatch_dict.items()},
        "reporting.tick_kimg_default": schedule.tick_kimg_base,
        "reporting.tick_kimg_by_resolution": {
            str(k): v for k, v in schedule.tick_kimg_dict.items()
        },
        "reporting.image_ticks": training.image_snapshot_ticks,
        "reporting.network_ticks": training.network_snapshot_ticks,
    }


def test_the_names_are_the_59_of_the_data():
    names = {n for n in DATA["experiments"] if not n.startswith("lsun-")} | {
        *DATA["lsun_experiments"]
    }
    assert EXPERIMENTS.keys() == names
    assert len(names) == 59
    assert all(PRESETS[name] == EXPERIMENTS[name].config for name in names)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_options_are_those_of_the_release(name):
    data = described(name)
    for key, value in restated(EXPERIMENTS[name].config).items():
        group, _, field = key.partition(".")
        assert (data[group][field] if field else data[group]) == value, key


@pytest.mark.parametrize("name", [n for n in EXPERIMENTS if "progression" in n or "base" in n])
def test_small_networks_grow_only_in_the_rows_of_progression(name):
    config, data = EXPERIMENTS[name].config, DATA["experiments"][name]
    assert config.G.progressive == data["generator"]["progressive"]
    assert config.D.progressive == data["discriminator"]["progressive"]
    assert config.D.fmap_divisor == data["discriminator"]["fmap_divisor"]


def test_every_experiment_follows_the_release_where_the_tensorflow_one_differs():
    for experiment in EXPERIMENTS.values():
        config = experiment.config
        assert config.dataset.strict_uint8_fade
        assert config.training.minibatch_repeats == 1
        for network in (config.G, config.D):
            assert (network.fused_scale, network.wscale_constant) == (False, "rms")


def test_the_lsgan_experiment_has_the_papers_targets_and_signal():
    loss, data = EXPERIMENTS["celebahq-1024-lsgan"].config.loss, described("celebahq-1024-lsgan")
    assert loss.lsgan_fake_weight == data["loss"]["fake_weight"] == 0.1
    assert loss.lsgan_real_target == data["loss"]["real_target"] == 0
    assert loss.lsgan_fake_target == data["loss"]["fake_target"] == 1
    assert loss.lsgan_G_target == data["loss"]["g_target"] == 0
    assert data["noise"]["signal"] == "mean_fake_score"
    assert loss.noise_signal == "fake_scores"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_steps_of_g_and_the_moment_of_full_resolution_are_the_releases(name):
    config, derived = EXPERIMENTS[name].config, described(name)["derived"]
    if "generator_steps" not in derived:
        assert name.endswith("-h")  # its length is not known
        return
    steps, begin, full = 0.0, 0.0, None
    for end, state in config.schedule.stages(config.training.total_kimg):
        steps += (end - begin) * 1000 / (state.minibatch * config.training.D_repeats)
        if state.lod == 0:
            full = begin
        begin = end
    assert steps == pytest.approx(derived["generator_steps"], rel=1e-5)
    assert full == derived["full_resolution_reached_kimg"]


@functools.cache
def num_parameters(config):
    # The constant of initial values of zero would be zero; it is not trained.
    network = networks.build(dataclasses.replace(config, wscale_constant="he"))
    return sum(math.prod(v.shape) for v in network.trainable_variables)


@pytest.fixture
def quick_draws(monkeypatch):
    """Weights of zeros: drawing 23 million takes a second."""
    zeros = keras.initializers.Zeros
    monkeypatch.setattr(keras.initializers, "RandomNormal", lambda stddev, seed: zeros())


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_parameters_are_as_many_as_in_the_release(quick_draws, name):
    experiment, derived = EXPERIMENTS[name], described(name)["derived"]
    config = experiment.config
    assert (experiment.G_parameters, experiment.D_parameters) == (
        derived["g_params"],
        derived["d_params"],
    )
    assert num_parameters(config.G) == experiment.G_parameters
    assert num_parameters(config.D) == experiment.D_parameters


def test_results_are_those_the_data_quote():
    for name, experiment in EXPERIMENTS.items():
        targets = described(name)["paper_targets"]
        if "swd_x1e3" in targets:
            assert experiment.paper == {"SWD x 10^3": tuple(targets["swd_x1e3"].values())}
            *levels, mean = experiment.paper["SWD x 10^3"]
            assert np.mean(levels) == pytest.approx(mean, abs=0.0051)
        elif "inception_best_run" in targets:
            best, ten = targets["inception_best_run"][0], targets["inception_ten_runs"][0]
            assert list(experiment.paper.values()) == [(best,), (ten,)]
        else:
            assert experiment.paper == {}


def test_the_catalogue_has_a_row_a_preset_with_parameters_schedule_and_result(quick_draws):
    rows = {line.split()[0]: line for line in catalogue.table().splitlines() if line}
    assert rows.keys() >= PRESETS.keys()
    for words in ("Table 1 (g)", "13,629,810", "13,636,897", "4 -> 128, 800+800, 10000 kimg"):
        assert words in rows["ablation-celeba128-g"]
    assert "4.06/3.04/2.02/5.13/3.56" in rows["ablation-celeba128-g"]
    assert "64, n_critic 5" in rows["mnist1k-k2-base"]
    assert "32x32, 10000 kimg" in rows["mnist1k-k2-base"]
    assert "8.8; ten runs 8.56" in rows["cifar10-32-unsupervised"]
    config = PRESETS["demo"].for_dataset(5, 3, 0, 1)
    for network in (config.G, config.D):
        assert f"{num_parameters(network):,}" in rows["demo"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("loss.wgan_target", 0.0, "`wgan_target` must be above 0. Received: wgan_target=0.0."),
        ("loss.noise_ema", 1.5, "`noise_ema` must be in 0 ... 1. Received: noise_ema=1.5."),
        ("loss.noise_exponent", -1.0, "`noise_exponent` must be at least 0."),
        ("loss.noise_coef", -0.2, "`noise_coef` must be at least 0."),
        ("loss.lsgan_fake_weight", -1.0, "`lsgan_fake_weight` must be at least 0."),
        ("D.mbstat_num_splits", 0, "`mbstat_num_splits` must be at least 1."),
        ("D.mbdisc_kernels", 0, "`mbdisc_kernels` must be at least 1. Received: mbdisc_kernels=0."),
        ("D.mbstd_group_size", -1, "`mbstd_group_size` must be at least 0."),
        ("D.fmap_divisor", 0, "`fmap_divisor` must be at least 1."),
        ("D.fmap_max", 0, "`fmap_max` must be at least 1."),
        ("G.fmap_base", -4, "`fmap_base` must be at least 1."),
        ("G.latent_size", 0, "`latent_size` must be at least 1."),
        ("G.tanh_at_end", 0.0, "`tanh_at_end` must be above 0, or none."),
        ("G.leakyrelu_slope", -0.2, "`leakyrelu_slope` must be at least 0."),
        ("schedule.G_lrate_base", -0.1, "`G_lrate_base` must be at least 0. Received: -0.1."),
        ("training.G_smoothing", 1.5, "`G_smoothing` must be in 0 ... 1. Received: 1.5."),
        ("training.adam_beta2", 1.0, "`adam_beta2` must be at least 0 and below 1."),
        ("training.adam_epsilon", -1.0, "`adam_epsilon` must be at least 0."),
        ("D.fmap_divisor", 2, "`fmap_divisor` is for networks of `structure` mnist1k. Received"),
        ("G.progressive", False, "Received: progressive=False, structure=paper."),
    ],
)
def test_values_that_no_run_can_have_are_refused_by_name(name, value, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        PRESETS["demo"].replace({name: value})


def test_the_small_discriminator_refuses_the_discrimination_it_does_not_have():
    with pytest.raises(ValueError, match="`mbdisc_kernels` is for networks of `structure` paper"):
        PRESETS["mnist1k-k2-base"].replace({"D.mbdisc_kernels": 100})
