"""Parameters, memory, disk space and time of a run before it starts, and warnings about them."""

import math
import types

import pytest

from pgtf.api import machine
from pgtf.api.options import TrainOptions
from pgtf.config import PRESETS
from pgtf.config.experiments import EXPERIMENTS
from pgtf.networks import weight_shapes
from pgtf.training import advice, estimate
from pgtf.training.cost import iteration_cost

# The tables of docs/performance.md: seconds per iteration on two quiet cores of a Xeon whose best
# matrix product reaches 342 to 379 GFLOP/s, GiB of tensors, days of v2-1gpu on an H200.
XEON = estimate.Machine("the Xeon", 2, estimate._FLOPS_PER_COST / 360e9)
ON_XEON = {
    (4, 64): (0.28, 0.71),
    (8, 64): (1.53, 0.76),
    (16, 16): (1.59, 0.78),
    (32, 16): (5.88, 0.93),
    (64, 8): (6.61, 1.02),
    (128, 4): (5.03, 1.01),
    (256, 2): (3.89, 1.02),
    (1024, 1): (3.9, 1.41),
}
ON_H200 = {"fp32": 2.88, "tf32": 1.54, "bf16": 1.50, "fp16": 1.36}
# Seconds per kimg of the same table in fp32 and bf16, by resolution.
KIMG_ON_H200 = {16: (1.051, 0.251), 64: (7.24, 2.00), 256: (19.9, 8.3), 1024: (52.3, 30.1)}


def paper(**changes):
    changed = {name.replace("__", "."): value for name, value in changes.items()}
    return PRESETS["v2-1gpu"].replace(changed).for_dataset(10, 3, 0, 1)


@pytest.fixture
def demo():
    return PRESETS["demo"].for_dataset(5, 3, 0, 1)


@pytest.mark.parametrize(("stage", "measured"), ON_XEON.items(), ids=str)
def test_iterations_and_tensors_on_a_cpu_are_those_of_the_measured_table(stage, measured):
    resolution, minibatch = stage
    config = paper(
        schedule__lod_initial_resolution=resolution,
        schedule__minibatch_base=minibatch,
        schedule__minibatch_dict={},
        schedule__lod_training_kimg=1e6,
    )
    (_, state), *_ = config.schedule.stages(1)
    sec = XEON.sec_per_cost * iteration_cost(config, state, 2)
    assert sec == pytest.approx(measured[0], rel=0.2)
    num_bytes, largest = estimate.memory(config, on_cpu=False)
    assert largest.resolution == resolution
    assert num_bytes / 2**30 == pytest.approx(measured[1], rel=0.05)


@pytest.mark.parametrize(("precision", "days"), ON_H200.items())
def test_the_time_of_the_paper_networks_on_a_gpu_is_the_measured_one(precision, days):
    config, machine = paper(training__precision=precision), estimate.gpus(precision)
    assert estimate.seconds(config, machine) / 86400 == pytest.approx(days, rel=0.02)


@pytest.mark.parametrize("resolution", KIMG_ON_H200)
def test_every_stage_on_a_gpu_is_the_measured_one_to_a_factor(resolution):
    for precision, measured in zip(("fp32", "bf16"), KIMG_ON_H200[resolution], strict=True):
        config = paper(training__precision=precision)
        states = [s for _, s in config.schedule.stages(12000) if s.resolution == resolution]
        cost = iteration_cost(config, states[-1], None) / states[-1].minibatch * 1000
        found = cost * estimate.gpus(precision).sec_per_cost
        assert 1 / estimate.FACTOR < found / measured < estimate.FACTOR


def test_half_precisions_on_a_cpu_are_slower_or_faster_as_their_products_are(monkeypatch):
    def speed(dtype):
        return {"float32": 3e11, "bfloat16": ratio * 3e11}[dtype.name]

    monkeypatch.setattr(estimate, "_flops_per_sec", speed)
    found = {}
    for ratio in (8, 1, 180 / 315):
        found[ratio] = (
            estimate.this_cpu("bf16").sec_per_cost / estimate.this_cpu("fp32").sec_per_cost
        )
    # 0.32 to 0.6 of fp32 with products that are 8 times as fast: docs/performance.md.
    assert found == pytest.approx({8: 0.43, 1: 1.0, 180 / 315: 1.49}, abs=0.01)
    slow = estimate.this_cpu("fp16").sec_per_cost / estimate.this_cpu("fp32").sec_per_cost
    assert slow == pytest.approx(15)


def test_the_speed_is_that_of_processor_time_and_is_measured_once(monkeypatch):
    clock = types.SimpleNamespace(now=0.0)
    clock.process_time = lambda: clock.now
    calls = []

    def multiply(*_):
        calls.append(1)
        clock.now += 0.001

    monkeypatch.setattr(estimate, "time", clock)
    monkeypatch.setattr(estimate, "default_num_workers", lambda: 3)
    monkeypatch.setattr(estimate.tf.linalg, "matmul", multiply)
    estimate._flops_per_sec.cache_clear()
    for _ in range(2):
        speed = estimate._flops_per_sec(estimate.tf.float32)
        assert speed == pytest.approx(3 * 2 * 512**3 / 0.001)
    assert len(calls) < 300
    estimate._flops_per_sec.cache_clear()


def test_this_machine_is_measured_within_a_second():
    estimate._flops_per_sec.cache_clear()
    started = estimate.time.process_time()
    machine = estimate.this_cpu("fp32")
    assert estimate.time.process_time() - started < 2
    assert 1 < estimate._FLOPS_PER_COST / machine.sec_per_cost / 1e9 < 1e5  # GFLOP/s
    assert machine.num_cores == estimate.default_num_workers()


@pytest.mark.parametrize("name", ["v1-1gpu", "v2-8gpus", "demo", *list(EXPERIMENTS)[:3]])
def test_parameters_are_those_of_the_list_of_presets(name):
    config = PRESETS[name]
    log2 = {"demo": 5}.get(name, config.schedule.resolution_log2)
    config = config.for_dataset(log2, 3, 0, 1)
    counts = tuple(map(estimate.num_parameters, (config.G, config.D)))
    if name in EXPERIMENTS:
        expected = (EXPERIMENTS[name].G_parameters, EXPERIMENTS[name].D_parameters)
    else:
        expected = (211_580, 212_433) if name == "demo" else (23_079_115, 23_087_249)
    assert counts == expected


def test_replicas_share_the_cores_of_a_cpu_and_the_minibatch_on_gpus(demo):
    two = demo.replace({"schedule.num_gpus": 2})
    cpu = [estimate.seconds(config, XEON) for config in (demo, two)]
    assert cpu[1] == pytest.approx(cpu[0], rel=0.3)
    both = (paper(), paper().replace({"schedule.num_gpus": 2}))
    alone, shared = (estimate.seconds(config, estimate.gpus("fp32")) for config in both)
    assert alone / 2 < shared < 0.8 * alone


def test_the_disk_holds_snapshots_checkpoints_and_pictures(demo):
    space = estimate.disk(demo)
    G, D = (sum(map(math.prod, weight_shapes(network).values())) for network in (demo.G, demo.D))
    assert space.num_snapshots == 2  # docs/training.md
    assert space.snapshot_bytes == 4 * (2 * G + D)
    assert space.checkpoints_bytes == 3 * 4 * (4 * G + 3 * D)
    assert space.total == pytest.approx(
        2 * 4 * (2 * G + D) + 3 * 4 * (4 * G + 3 * D) + 2.4e6, rel=0.1
    )


def test_the_lines_name_networks_memory_disk_and_time(demo):
    networks, memory, disk, time = estimate.lines(demo, XEON)
    assert networks == "Networks: G has 211,580 parameters, D 212,433"
    assert memory.startswith(
        "Memory: about 1.5 GiB in this process, at 32x32 with a minibatch of 16"
    )
    assert disk.startswith("Disk: at most 25 MB: 2 snapshots of 2.5 MB, checkpoints 18 MB")
    assert time.startswith("Time: about ")
    assert (
        " minutes on the Xeon (estimated; if nothing else runs there, to a factor of 1.5;" in time
    )
    config = paper()
    time = estimate.lines(config, estimate.gpus("fp32"))[-1]
    assert time.startswith("Time: about 2.9 days on one NVIDIA H200 (estimated; others differ")


@pytest.mark.parametrize(
    ("sec", "text"),
    [
        (3, "3 seconds"),
        (100, "2 minutes"),
        (480, "8 minutes"),
        (7300, "2.0 hours"),
        (2.88 * 86400, "2.9 days"),
        (9e6, "3.4 months"),
        (1e9, "32 years"),
    ],
)
def test_durations_are_in_their_largest_unit(sec, text):
    assert estimate.duration(sec) == text


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(12, "12 bytes"), (2540, "2.5 kB"), (277e6, "277 MB"), (999.6e6, "1.0 GB"), (4e15, "4000 TB")],
)
def test_sizes_have_two_or_three_digits(num_bytes, text):
    assert estimate.size(num_bytes) == text


def test_few_images_are_warned_of_with_remedies():
    warning = advice.few_images_warning(300, mirrored=False)
    assert "the dataset has 300 images" in warning
    for remedy in ("mirror_augment=true", "--resolution", "--aug=ada", "--transfer", "Add images"):
        assert remedy in warning
    assert "mirror" not in advice.few_images_warning(300, mirrored=True)
    assert advice.few_images_warning(1999, mirrored=True) is not None
    assert advice.few_images_warning(2000, mirrored=False) is None


def test_months_on_a_cpu_are_warned_of_with_the_flags_that_take_minutes():
    config = PRESETS["v2-1gpu"].for_dataset(8, 3, 0, 1)
    flags, sec = machine._smaller(config, XEON)
    assert flags == "--preset=demo --resolution=64"
    warning = advice.slow_warning(estimate.seconds(config, XEON), XEON, (flags, sec))
    assert warning == (
        f"this training takes about {estimate.duration(estimate.seconds(config, XEON))} on the "
        "Xeon. Use a GPU, a lower --resolution, or smaller networks: --preset=demo --resolution=64 "
        f"takes about {estimate.duration(sec)}."
    )
    assert "months on the Xeon" in warning
    assert sec < 3600
    assert advice.slow_warning(1e9, estimate.gpus("fp32"), None) is None
    assert advice.slow_warning(advice.LONG_SEC - 1, XEON, None) is None
    tiny = PRESETS["v2-1gpu"].for_dataset(5, 1, 0, 1)
    assert machine._smaller(tiny, XEON)[0] == "--preset=demo"


def test_a_full_disk_is_warned_of_before_it_is_full(demo, tmp_path, monkeypatch):
    assert advice.disk_warning(demo, str(tmp_path / "not" / "yet" / "there")) is None
    monkeypatch.setattr(advice.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=10e9))
    warning = advice.disk_warning(paper(), str(tmp_path / "results"))
    assert warning.startswith(f"the run may take 17 GB, and {tmp_path} has 10 GB free. ")
    every = 94
    assert f"network_snapshot_ticks={every} keeps about 5 snapshots of 277 MB" in warning
    fewer = estimate.disk(paper(training__network_snapshot_ticks=every))
    assert fewer.num_snapshots <= 7


def test_images_that_memory_cannot_keep_are_warned_of(dataset, monkeypatch):
    assert advice.large_dataset_warning(dataset) is None
    monkeypatch.setattr(advice, "physical_memory", lambda: 1000)
    warning = advice.large_dataset_warning(dataset)
    assert warning.startswith("the 8x8 images have ")
    assert "this machine 1.0 kB of memory" in warning
    assert dataset.path in warning
    monkeypatch.setattr(advice, "physical_memory", lambda: None)
    assert advice.large_dataset_warning(dataset) is None


def test_dry_run_estimates_beside_the_tables_and_measures_nothing_for_short_runs(
    run, dataset_folder, monkeypatch
):
    monkeypatch.setattr(machine.estimate, "this_cpu", lambda precision: XEON)
    command = ["--dry_run", f"--dataset={dataset_folder}", "--preset=v2-1gpu"]
    command.append("--total_kimg=50000")
    code, out, err = run(*command, "--gpus=0")
    assert (code, "Networks" in out) == (0, False)
    lines = err.splitlines()
    for start in ("Networks: G has ", "Memory: about ", "Disk: at most ", "Time: about "):
        assert len([line for line in lines if line.startswith(start)]) == 1, start
    assert "Warning: the dataset has 40 images. " in err
    assert "on the Xeon. Use a GPU" in err
    code, _, err = run(*command, "--gpus=1")
    assert (code, "on one NVIDIA H200" in err, "Use a GPU" in err) == (0, True, False)


def test_short_runs_start_without_a_measurement(config, dataset, monkeypatch):
    monkeypatch.setattr(machine.estimate, "this_cpu", None)
    warnings = machine.machine_warnings(TrainOptions(), config, dataset.num_images, dataset)
    assert [text.split(".")[0] for text in warnings] == ["the dataset has 40 images"]
    assert machine.machine_warnings(TrainOptions(), config, 5000, dataset) == []
