"""Choice of devices, checks of the all-reduce, time limits."""

import json
import os
import signal
import subprocess
import sys
import time
import types

import pytest
import tensorflow as tf

from pgtf.distribution import all_reduce_check, strategy, workers
from pgtf.distribution.cluster import num_replicas, num_workers

WORKERS = {"worker": ["a:1", "b:1"]}


@pytest.fixture
def gpus(monkeypatch):
    """Imitates a machine with two GPUs."""
    devices = [types.SimpleNamespace(name=f"/physical_device:GPU:{i}") for i in range(2)]
    known = {"GPU": devices, "CPU": tf.config.list_physical_devices("CPU")}
    monkeypatch.setattr(tf.config, "list_physical_devices", known.get)


@pytest.fixture
def cluster(monkeypatch):
    """Sets TF_CONFIG: cluster(spec, task type, task index)."""

    def set_config(spec, role, index):
        task = {"type": role, "index": index}
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": spec, "task": task}))

    return set_config


def test_without_anything_asked_for_the_cpu_is_used_and_said():
    made = strategy.make_strategy()
    assert made is tf.distribute.get_strategy()
    line = strategy.describe_devices(made)
    assert "1 replica(s) on the CPU (no GPU is used)" in line
    assert f"TensorFlow {tf.__version__}" in line


@pytest.mark.parametrize(("num_gpus", "cpu_replicas", "used"), [(None, 0, 1), (1, 0, 1), (0, 0, 0)])
def test_one_gpu_of_two_is_used_unless_more_are_asked_for(
    gpus, monkeypatch, num_gpus, cpu_replicas, used
):
    grown, visible = [], []
    monkeypatch.setattr(
        tf.config.experimental, "set_memory_growth", lambda gpu, _: grown.append(gpu)
    )
    monkeypatch.setattr(
        tf.config, "set_visible_devices", lambda found, kind: visible.append((found, kind))
    )
    made = strategy.make_strategy(num_gpus, cpu_replicas)
    assert made is tf.distribute.get_strategy()
    first = tf.config.list_physical_devices("GPU")[:used]
    assert (grown, visible) == (first, [(first, "GPU")])


def test_more_gpus_than_there_are_is_an_error_that_lists_them(gpus):
    with pytest.raises(ValueError, match=r"GPU:0, /physical_device:GPU:1\). Received: gpus=3"):
        strategy.make_strategy(num_gpus=3)


def test_gpus_and_cpu_replicas_exclude_each_other():
    with pytest.raises(ValueError, match="cpu_replicas=2, gpus=1"):
        strategy.make_strategy(num_gpus=1, cpu_replicas=2)


@pytest.mark.parametrize(
    ("num_gpus", "cpu_replicas", "all_reduce", "allowed"),
    [
        (0, 2, "nccl", "auto or hierarchical or one-device for 2"),  # it has no CPU kernel
        (0, 2, "ring", "auto or hierarchical or one-device for 2"),
        (2, 0, "ring", "auto or nccl or hierarchical or one-device for 2"),
        (0, 3, "hierarchical", "auto or one-device for 3"),  # it would ignore one of them
        (0, 0, "one-device", "auto for 1"),
        (1, 0, "nccl", "auto for 1"),
    ],
)
def test_a_way_to_sum_that_one_machine_lacks_is_an_error(
    gpus, num_gpus, cpu_replicas, all_reduce, allowed
):
    with pytest.raises(ValueError, match=f"must be {allowed} .*Received: all_reduce={all_reduce}"):
        strategy.make_strategy(num_gpus, cpu_replicas, all_reduce)


@pytest.mark.parametrize(
    ("num_gpus", "all_reduce", "allowed"),
    [
        (0, "nccl", "auto or ring for"),
        (2, "hierarchical", "auto or nccl or ring for"),
        (2, "one-device", "auto or nccl or ring for"),
    ],
)
def test_a_way_to_sum_that_several_workers_lack_is_an_error(
    gpus, cluster, num_gpus, all_reduce, allowed
):
    cluster(WORKERS, "worker", 1)
    with pytest.raises(ValueError, match=f"{allowed} several workers"):
        strategy.make_strategy(num_gpus, 0, all_reduce)


def test_a_cpu_of_several_workers_is_not_split(cluster):
    cluster(WORKERS, "worker", 0)
    with pytest.raises(ValueError, match="cpu_replicas=2"):
        strategy.make_strategy(0, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "must be JSON such as"),
        ("[1]", "must be JSON such as"),
        ('{"cluster": 3}', "must be JSON such as"),
        ('{"cluster": {"worker": "a:1"}}', "must be JSON such as"),
        ('{"cluster": {"worker": ["a", "b"]}}', "must be JSON such as"),
        ('{"cluster": {"worker": [1]}}', "must be JSON such as"),
        ('{"cluster": {"worker": ["a:1"]}}', r"type=None, index=-1, cluster of \{'worker': 1\}"),
    ],
)
def test_a_tf_config_that_cannot_be_read_is_an_error(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=message):
        num_workers()


@pytest.mark.parametrize(
    ("spec", "role", "index", "message"),
    [
        (WORKERS, "worker", 2, "type='worker', index=2"),
        (WORKERS, "chief", 0, "type='chief', index=0"),
        (WORKERS | {"ps": ["c:1"]}, "worker", 0, "chief and worker only. Received: worker, ps"),
    ],
)
def test_a_task_that_is_no_worker_is_an_error(cluster, spec, role, index, message):
    cluster(spec, role, index)
    with pytest.raises(ValueError, match=message):
        num_workers()


def test_replicas_are_counted_over_all_workers(monkeypatch, cluster):
    assert num_replicas(None, 0) == 1
    assert num_replicas(4, 0) == 4
    assert num_replicas(0, 3) == 3
    monkeypatch.setenv("TF_CONFIG", '{"environment": "cloud"}')
    assert num_workers() == 0
    cluster(WORKERS | {"chief": ["c:1"]}, "worker", 1)
    assert num_workers() == 3
    assert num_replicas(4, 0) == 12


def test_a_sum_that_does_not_end_is_killed_and_the_remedies_named():
    started = time.monotonic()
    with pytest.raises(ValueError, match="hangs: no result in 0.1 seconds.*--all_reduce.*NCCL_P2P"):
        all_reduce_check.run(
            0, 2, "auto", timeout_sec=0.1
        )  # TensorFlow alone takes longer to start
    assert time.monotonic() - started < 30


@pytest.mark.slow
def test_a_sum_that_fails_says_why_and_the_remedies():
    with pytest.raises(ValueError, match="fails with --all_reduce=nccl: .*Received: .*one-device"):
        all_reduce_check.run(0, 2, "nccl")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("replicas", "all_reduce"),
    [(3, "auto"), (3, "one-device"), (2, "hierarchical"), (6, "hierarchical")],
)
def test_replicas_on_the_cpu_can_sum_in_every_way_they_have(replicas, all_reduce):
    all_reduce_check.run(0, replicas, all_reduce)


def test_a_wrong_sum_is_noticed(monkeypatch):
    all_reduce_check.check_sums(tf.distribute.get_strategy())
    monkeypatch.setattr(tf, "fill", lambda size, number: tf.zeros(size))
    with pytest.raises(ArithmeticError, match="1 values summed over 1 replicas are wrong"):
        all_reduce_check.check_sums(tf.distribute.get_strategy())


def test_what_hangs_ends_the_process_with_a_line():
    code = (
        "from pgtf.distribution.watchdog import time_limit; import time\n"
        "with time_limit(60, 'never'): pass\n"
        "with time_limit(0.5, 'too long'): time.sleep(60)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert done.returncode == -signal.SIGKILL
    assert done.stderr == "error: too long\n"


def test_signals_that_a_process_handles_do_not_prolong_its_limit():
    code = (
        "from pgtf.distribution.watchdog import time_limit; import signal, time\n"
        "signal.signal(signal.SIGALRM, lambda *_: None)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)\n"
        "with time_limit(1, 'too long'): time.sleep(20)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, "error: too long\n")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kill", [os.kill, os.killpg])
def test_a_signal_ends_a_process_that_cannot_handle_it(signum, kill):
    """A process that waits for workers holds Python's lock, so handlers do not run."""
    code = (
        "from pgtf.distribution.watchdog import time_limit; import ctypes, signal, time\n"
        f"signal.signal({signum:d}, lambda *_: print('handled'))\n"
        "with time_limit(60, 'never'):\n"
        "    time.sleep(1)\n"  # the watchdog needs a moment to listen
        "    print('waiting', flush=True)\n"
        "    while True: ctypes.PyDLL(None).sleep(60)"  # PyDLL keeps the lock
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    )
    with process:
        assert process.stdout.readline() == b"waiting\n"
        kill(process.pid, signum)
        assert process.wait(30) == -signal.SIGKILL


def test_one_worker_is_chief_and_adds_up_alone():
    alone = workers.Workers(tf.distribute.get_strategy())
    assert (alone.num, alone.is_chief) == (1, True)
    assert alone.all_reduce_sum([1, 2]) == [1, 2]
    assert alone.broadcast(lambda: b"read") == b"read"


def test_a_collective_that_was_aborted_is_a_lost_worker():
    with pytest.raises(workers.WorkerLost, match="Start all workers again.*reset by peer"):
        with workers.lost_workers_reported():
            raise tf.errors.UnavailableError(None, None, "Connection reset by peer\nmore")
