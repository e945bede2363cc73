"""Memory that runs out, and the probe that finds out before."""

import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from pgtf.dataset import pipeline
from pgtf.runs.checkpoints import newest_first
from pgtf.training import loop, memory, probe, tables
from pgtf.training.memory import out_of_memory


@pytest.fixture
def exhaust(monkeypatch):
    """Makes every iteration at 8x8 ask for 64 TiB of memory."""
    process_reals = pipeline.process_reals

    def greedy(images, *args, **options):
        reals = process_reals(images, *args, **options)
        if images.shape[1] < 8:
            return reals
        numbers = tf.range(tf.cast(images[0, 0, 0, 0], tf.int64) + (1 << 43))
        return reals + tf.cast(tf.reduce_max(numbers), tf.float32)

    monkeypatch.setattr(pipeline, "process_reals", greedy)


@pytest.mark.slow
def test_out_of_memory_names_the_stage_and_the_flags_and_loses_nothing(
    config, dataset, strategy, tmp_path, exhaust
):
    with pytest.raises(MemoryError) as caught:
        loop.run(config, dataset, strategy, tmp_path)
    assert "out of memory at 8x8 with a minibatch of 8 per device" in str(caught.value)
    assert "--config.schedule.max_minibatch_per_gpu=8:4 --allow_config_change" in str(caught.value)
    assert "--grad_accumulation=2" in str(caught.value)
    # The last image of 4x4 was shown before image 80: a checkpoint is written when images grow.
    assert newest_first(tmp_path / "checkpoint")[0].name == "checkpoint-000000080.h5"


@pytest.mark.parametrize(
    ("changes", "held", "flags"),
    [
        ({"minibatch_base": 24}, 24, ("=8:12 ", "accumulation=2")),
        # 6 would not be whole groups of D.
        ({"minibatch_base": 12}, 12, ("=8:4 ", "accumulation=3")),
        # The flag replaces the table: what else was in it is repeated.
        ({"max_minibatch_per_gpu": {4: 64, 16: 8}}, 8, ("=4:64,16:8,8:4 ", "accumulation=2")),
        ({"grad_accumulation": 2}, 4, ("=8:2 ", "accumulation=4")),
        ({"num_gpus": 8}, 1, ("cannot lower it further",)),
    ],
)
def test_what_is_advised_is_possible(config, changes, held, flags):
    changes = {f"schedule.{name}": value for name, value in changes.items()}
    config = config.replace({"schedule.minibatch_base": 8} | changes)
    message = out_of_memory(config.schedule.at(200), config)
    assert f"a minibatch of {held} per device" in message
    for flag in flags:
        assert flag in message
    found = re.findall(r"per_gpu=(\S+) .*accumulation=(\d+)", message)
    for caps, parts in found:
        table = dict(map(int, pair.split(":")) for pair in caps.split(","))
        table = {"max_minibatch_per_gpu": table, "grad_accumulation": int(parts)}
        advised = config.replace({f"schedule.{name}": value for name, value in table.items()})
        advised.replace({"schedule.lod_initial_resolution": 8}).check()
        assert advised.schedule.minibatch(8) == config.schedule.minibatch(8)


def test_the_peak_is_that_since_it_was_forgotten():
    array = np.ones(50_000_000, np.uint8)
    peak = memory.peak_gib()
    del array
    memory.forget_peak()
    assert memory.peak_gib() < peak - 0.03


@pytest.mark.slow
def test_the_peak_is_not_that_of_the_process_that_started_this_one():
    held = np.ones(1_500_000_000, np.uint8)  # more than TensorFlow's start takes
    code = "from pgtf.training import memory; print(memory.peak_gib())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0.05 < float(done.stdout) < held.nbytes / 2**30
    assert memory.peak_gib() > held.nbytes / 2**30


@pytest.mark.slow
def test_the_probe_visits_every_stage_from_the_largest_and_projects_the_total(
    config, dataset, strategy
):
    costs = probe.probe(config, dataset, strategy)
    stages = [(c.begin_kimg, c.end_kimg, c.size, c.fading) for c in costs]
    assert stages == [
        (0.128, 0.288, "8x8", False),
        (0.064, 0.128, "8x8", True),
        (0, 0.064, "4x4", False),
    ]
    for cost in costs:
        assert cost.sec_per_kimg > 0
        assert cost.peak_gib > 0.05
        seconds = (cost.end_kimg - cost.begin_kimg) * cost.sec_per_kimg
        assert cost.hours == pytest.approx(seconds / 3600)
    table = tables.cost_table(costs).splitlines()
    assert "sec/kimg  peak GiB" in table[0]
    assert [row.split()[3] for row in table[1:4]] == ["8x8", "8x8", "4x4"]
    assert f"{sum(cost.hours for cost in costs):.3g} hours" in table[-1]


@pytest.mark.slow
def test_the_probe_goes_on_after_a_stage_that_does_not_fit(config, dataset, strategy, exhaust):
    costs = probe.probe(config, dataset, strategy)
    assert [cost.sec_per_kimg is None for cost in costs] == [True, True, False]
    assert "max_minibatch_per_gpu=8:4" in costs[0].error
    assert tables.cost_table(costs).count("too large") == 2
