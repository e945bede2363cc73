"""The presets against the tables of the original release's configurations."""

import pytest

from pgtf import networks
from pgtf.config import (
    EXPERIMENTS,
    FORMER_FIELDS,
    GPU_PRESETS,
    PRESETS,
    max_minibatch_per_gpu,
    named,
    preset_for,
)
from pgtf.dataset.description import default_mirror

RESOLUTIONS = [4, 8, 16, 32, 64, 128, 256, 512, 1024]
RELEASE = [name for name in PRESETS if name not in EXPERIMENTS]  # the original's, and the demo
# Global minibatches and learning rates at 4x4 ... 1024x1024.
MINIBATCHES = {
    "v1-1gpu": [16, 16, 16, 16, 16, 16, 14, 6, 3],
    "v2-1gpu": [128, 128, 128, 64, 32, 16, 8, 4, 4],
    "v2-2gpus": [256, 256, 128, 64, 32, 16, 8, 8, 8],
    "v2-4gpus": [512, 256, 128, 64, 32, 16, 16, 16, 16],
    "v2-8gpus": [512, 256, 128, 64, 32, 32, 32, 32, 32],
}
LEARNING_RATES = {
    "v1-1gpu": [0.001] * 9,
    "v2-1gpu": [0.001] * 8 + [0.0015],
    "v2-2gpus": [0.001] * 7 + [0.0015, 0.002],
    "v2-4gpus": [0.001] * 6 + [0.0015, 0.002, 0.003],
    "v2-8gpus": [0.001] * 5 + [0.0015, 0.002, 0.003, 0.003],
}


@pytest.mark.parametrize("preset", MINIBATCHES)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_minibatches_and_learning_rates_are_the_originals(preset, precision):
    limits = {"schedule.max_minibatch_per_gpu": max_minibatch_per_gpu(precision)}
    schedule = PRESETS[preset].replace(limits).schedule
    phase_kimg = schedule.lod_training_kimg + schedule.lod_transition_kimg
    states = [schedule.at(round(i * phase_kimg * 1000)) for i in range(9)]
    assert [state.resolution for state in states] == RESOLUTIONS
    assert [state.minibatch for state in states] == MINIBATCHES[preset]
    assert [state.G_lrate for state in states] == LEARNING_RATES[preset]
    assert [state.D_lrate for state in states] == LEARNING_RATES[preset]


def test_the_demos_cheap_resolutions_get_twice_the_iterations_and_larger_rates():
    schedule = PRESETS["demo"].schedule
    assert [schedule.minibatch(r) for r in RESOLUTIONS[:4]] == [8, 8, 8, 16]
    stable = [(end, state) for end, state in schedule.stages(90) if state.alpha == 1]
    assert [(end, state.resolution) for end, state in stable] == [
        *((8, 4), (19, 8), (30, 16), (90, 32))
    ]
    assert [state.G_lrate for _, state in stable] == [0.012, 0.012, 0.012, 0.006]
    assert [state.D_lrate for _, state in stable] == [0.012, 0.012, 0.012, 0.006]


def test_a_run_of_the_demos_earlier_versions_keeps_their_values():
    def values(config):
        schedule, training = config.schedule, config.training
        assert (schedule.G_lrate_base, schedule.G_lrate_dict) == (
            *(schedule.D_lrate_base, schedule.D_lrate_dict),
        )
        phases = (schedule.lod_training_kimg, schedule.lod_transition_kimg)
        rates = (schedule.G_lrate_base, schedule.G_lrate_dict)
        ticks = (schedule.tick_kimg_base, schedule.tick_kimg_dict)
        return *phases, schedule.minibatch_dict, *rates, *ticks, training.G_smoothing

    versions = [PRESETS["demo"].replace(changes) for changes in FORMER_FIELDS["demo"]]
    assert list(map(values, versions)) == [
        (4, 4, {}, 0.003, {}, 2, {}, 0.995),
        (8, 3, {4: 8, 8: 8, 16: 8}, 0.003, {}, 1.6, {4: 0.8}, 0.98),
    ]


def test_memory_limits_bind_on_fewer_gpus_than_a_preset_was_made_for():
    schedule = PRESETS["v2-8gpus"].replace({"schedule.num_gpus": 1}).schedule
    assert [schedule.minibatch(r) for r in RESOLUTIONS[-4:]] == [32, 16, 8, 4]
    fp16 = {"schedule.num_gpus": 1, "schedule.max_minibatch_per_gpu": max_minibatch_per_gpu("fp16")}
    schedule = PRESETS["v2-8gpus"].replace(fp16).schedule
    assert [schedule.minibatch(r) for r in RESOLUTIONS[-4:]] == [32, 32, 16, 8]


def test_the_preset_for_one_large_gpu_is_that_of_eight_without_limits():
    eight, one = (named(name, "bf16") for name in ("v2-8gpus", "v2-1gpu-mb32"))
    assert [one.schedule.minibatch(r) for r in RESOLUTIONS] == MINIBATCHES["v2-8gpus"]
    changes = {"schedule.num_gpus": 1, "schedule.max_minibatch_per_gpu": {}}
    assert eight.replace(changes) == one.replace({"training.precision": "fp32"})
    assert "v2-1gpu-mb32" not in GPU_PRESETS
    assert preset_for(1) == "v2-1gpu"


def test_phases_length_and_stddev_groups_are_those_of_paper_and_release():
    for name in RELEASE:
        config = PRESETS[name]
        phases = (config.schedule.lod_training_kimg, config.schedule.lod_transition_kimg)
        values = (*phases, config.training.total_kimg, config.D.mbstd_group_size)
        assert values == {
            "v1-1gpu": (800, 800, 19000, 16),
            "demo": (8, 3, 90, 4),
        }.get(name, (600, 600, 12000, 4))


@pytest.mark.parametrize("preset", RELEASE)
def test_presets_keep_the_originals_optimizer_and_loop(preset):
    training, loss = PRESETS[preset].training, PRESETS[preset].loss
    assert (training.adam_beta1, training.adam_beta2, training.adam_epsilon) == (0, 0.99, 1e-8)
    assert (training.minibatch_repeats, training.D_repeats) == (4, 1)
    assert training.G_smoothing == (0.99 if preset == "demo" else 0.999)
    assert training.reset_opt_for_new_lod
    assert (loss.wgan_lambda, loss.wgan_epsilon, loss.wgan_target) == (10, 0.001, 1)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_presets_minibatches_make_whole_replicas_and_whole_groups(preset):
    config = PRESETS[preset].replace({"G.fmap_base": 8192, "D.fmap_base": 8192})
    replicas, parts = config.schedule.num_gpus, config.schedule.grad_accumulation
    for resolution in RESOLUTIONS:
        minibatch = config.schedule.minibatch(resolution)
        assert minibatch % (replicas * parts) == 0
        scored = minibatch // replicas // parts
        size = config.D.mbstd_group_size
        assert size == "all" or scored % min(max(size, 1), scored) == 0
    config.for_dataset(10, 3, 0, replicas).check()
    with pytest.raises(ValueError, match="multiple of the replica count.*replicas=1009"):
        config.for_dataset(10, 3, 0, 1009).check()


# One of each kind of network.
@pytest.mark.parametrize(
    "preset",
    ["v1-1gpu", "celebahq-1024-lsgan", "ablation-celeba128-b", "ablation-celeba128-estar"]
    + ["mnist1k-k2-base", "mnist1k-k4-progression"],
)
def test_every_presets_networks_are_made_as_configured(preset):
    small = {"G.fmap_max": 4, "G.latent_size": 4, "D.fmap_max": 4}
    config = PRESETS[preset].for_dataset(3, 1, 2, 1).replace(small)
    for options in (config.G, config.D):
        assert networks.build(options).config == options


@pytest.mark.parametrize("num_gpus", [1, 2, 4, 8])
def test_the_preset_of_a_number_of_gpus_is_made_for_it(num_gpus):
    assert PRESETS[preset_for(num_gpus)].schedule.num_gpus == num_gpus


@pytest.mark.parametrize("num_gpus", [0, 3, 16])
def test_other_numbers_of_gpus_need_a_preset(num_gpus):
    with pytest.raises(ValueError, match=f"--gpus={num_gpus}, .* v2-1gpu, v2-2gpus"):
        preset_for(num_gpus)


@pytest.mark.parametrize(
    ("precision", "at_1024"), [(None, 4), ("fp32", 4), ("fp16", 8), ("bf16", 8)]
)
def test_a_preset_takes_the_memory_limits_of_a_precision(precision, at_1024):
    assert named("v2-8gpus", precision).schedule.max_minibatch_per_gpu[1024] == at_1024
    assert named("demo", precision).schedule.max_minibatch_per_gpu == {}


@pytest.mark.parametrize("preset", RELEASE)
def test_presets_of_the_release_leave_mirroring_to_the_dataset_and_the_demo_has_none(preset):
    stated = PRESETS[preset].dataset.mirror_augment
    assert stated is (False if preset == "demo" else None)
    for mirror in (True, False):
        fitted = PRESETS[preset].for_dataset(10, 3, 0, 1, mirror=mirror)
        assert fitted.dataset.mirror_augment is (False if preset == "demo" else mirror)


@pytest.mark.parametrize("preset", EXPERIMENTS)
def test_presets_of_the_paper_state_their_own_mirroring(preset):
    mirrored = preset.startswith(("celebahq", "ablation-celeba128")) or (
        preset.startswith("lsun") and preset not in ("lsun-bedroom-256", "lsun-dog-256")
    )
    for default in (True, False):
        config = PRESETS[preset].for_dataset(10, 3, 0, 1, mirror=default)
        assert config.dataset.mirror_augment is mirrored


@pytest.mark.parametrize("preset", EXPERIMENTS)
def test_presets_of_the_paper_mirror_what_the_later_release_mirrors(preset):
    """Both releases agree: the 30 sets of LSUN but for two have 100,000 images each."""
    name, _, resolution = preset.rpartition("-")
    datasets = {"celebahq-1024": "celebahq", "ablation-celeba128": "celeba"}
    datasets |= {"ablation-bedroom128": "lsun-bedroom", "cifar10-32": "cifar10"}
    dataset = datasets.get(name, "mnistrgb")
    if preset.startswith("lsun-"):
        dataset = name if name in ("lsun-bedroom", "lsun-dog") else f"{name}-100k"
    assert PRESETS[preset].dataset.mirror_augment is default_mirror([dataset], {})


def test_the_number_of_gpus_chooses_among_the_v2_presets():
    assert [preset_for(number) for number in (1, 2, 4, 8)] == list(GPU_PRESETS)
    assert set(GPU_PRESETS) == {name for name in PRESETS if name.startswith("v2-")} - {
        "v2-1gpu-mb32"
    }
