"""Jobs of several processes that find each other through TF_CONFIG, and lose one."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.training import jobs

pytestmark = pytest.mark.slow  # every job starts TensorFlow in two or three processes

TICK_NIMG, NUM_TICKS = 96, 20
OPTIONS = (
    *jobs.TINY,
    "--config.dataset.resolution=4",  # traced in half the time
    "--config.schedule.lod_initial_resolution=4",
    "--config.schedule.minibatch_base=12",  # 2 workers: 6 per replica, 3 workers: 4
    "--config.D.mbstd_group_size=2",
    f"--config.schedule.tick_kimg_base={TICK_NIMG / 1000}",
    "--checkpoint_minutes=0",
    f"--total_kimg={NUM_TICKS * TICK_NIMG / 1000}",
)


@pytest.fixture(scope="module")
def options(dataset_folder):
    return (*OPTIONS, f"--dataset={dataset_folder}")


def run_job(number, options, folder):
    """Starts or continues a job and waits for its end. Returns its outdir."""
    folder.mkdir(exist_ok=True)
    outdir = folder / "results"
    codes = jobs.wait(jobs.start_workers(number, (*options, f"--outdir={outdir}"), folder))
    assert codes == [0] * number, (folder / "worker-0.txt").read_text()
    return outdir


def disturb(number, options, folder, victim, signum):
    """Starts or continues a job and sends one worker a signal. Returns all exit codes."""
    outdir = folder / "results"
    before = jobs.num_ticks(outdir)
    workers = jobs.start_workers(number, (*options, f"--outdir={outdir}"), folder)
    try:
        jobs.wait_for(lambda: jobs.num_ticks(outdir) >= before + 2, workers[0])
        workers[victim].send_signal(signum)
    finally:
        codes = jobs.wait(workers)
    return codes


@pytest.fixture(scope="module")
def undisturbed(options, tmp_path_factory):
    """Weights after an undisturbed job, by its number of workers."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return {n: jobs.snapshot_arrays(run_job(n, options, folder / str(n))) for n in (2, 3)}


@pytest.mark.parametrize(("number", "victim"), [(2, 1), (3, 0)], ids=["worker 1", "the chief"])
def test_a_job_that_lost_a_worker_and_was_started_again_ends_with_the_same_weights(
    options, undisturbed, tmp_path, number, victim
):
    codes = disturb(number, options, tmp_path, victim, signal.SIGKILL)
    assert codes.pop(victim) == -signal.SIGKILL
    assert codes == [128 + signal.SIGTERM] * (number - 1)  # so that a scheduler starts them again
    other = (tmp_path / f"worker-{1 - victim}.txt").read_text()
    assert "error: another worker has gone. Start all workers again" in other
    assert jobs.num_ticks(tmp_path / "results") < NUM_TICKS

    outdir = run_job(number, options, tmp_path)
    log = next(outdir.glob("*/log.txt")).read_text()
    assert "Resuming from" in log
    weights = jobs.snapshot_arrays(outdir)
    assert weights.keys() == undisturbed[number].keys()
    for name, array in undisturbed[number].items():
        np.testing.assert_array_equal(weights[name], array, err_msg=name)


def test_a_signal_to_one_worker_stops_all_with_a_checkpoint_and_only_the_chief_writes(
    options, tmp_path
):
    codes = disturb(2, options, tmp_path, 1, signal.SIGTERM)
    assert codes == [143, 143]
    for index in (0, 1):
        assert "To continue: " in (tmp_path / f"worker-{index}.txt").read_text()
    assert "tick 0" in (tmp_path / "worker-0.txt").read_text()
    assert "tick 0" not in (tmp_path / "worker-1.txt").read_text()
    (folder,) = (tmp_path / "results").iterdir()
    assert len(list(folder.glob("events.out.tfevents*"))) == 1
    newest = max(int(path.stem[-9:]) for path in folder.glob("checkpoint/checkpoint-*.h5"))
    assert newest >= 2 * TICK_NIMG


def test_two_workers_train_as_two_replicas_of_one_machine(options, tmp_path):
    """Every image of a minibatch is seen by exactly one of them.

    Eight iterations: the round-off differs, and would grow large within a hundred. The largest
    difference seen is 1.1e-3 of an array's largest value, of a bias that is one number.
    """
    options = (*options, f"--total_kimg={TICK_NIMG / 1000}")
    workers = jobs.snapshot_arrays(run_job(2, options, tmp_path / "workers"))
    arguments = (*options, "--cpu_replicas=2", f"--outdir={tmp_path / 'results'}")
    assert jobs.wait([jobs.start(arguments, tmp_path / "output.txt")]) == [0]
    for name, array in jobs.snapshot_arrays(tmp_path / "results").items():
        scale = np.abs(array).max() + 1e-3
        np.testing.assert_allclose(workers[name], array, rtol=0, atol=3e-3 * scale, err_msg=name)


def test_a_worker_that_nobody_joins_says_so_and_ends(dataset_folder):
    code = "import sys; from pgtf.distribution import all_reduce_check; "
    code += "from pgtf.commands import train, train_config; "
    code += "all_reduce_check.WAIT_FOR_WORKERS_SEC = 3; train.run(train_config.parse(sys.argv))"
    config, _ = jobs.tf_configs(2)
    done = subprocess.run(
        [sys.executable, "-c", code, f"--dataset={dataset_folder}", "--preset=demo"],
        cwd=jobs.ROOT,
        env=os.environ | {"TF_CONFIG": config},
        capture_output=True,
        text=True,
        timeout=jobs.TIMEOUT_SEC,
    )
    assert done.returncode == -signal.SIGKILL
    assert "error: not all workers of TF_CONFIG could be reached within 3 seconds" in done.stderr


def test_an_error_of_the_chief_ends_all_workers_with_its_line(options, tmp_path):
    outdir = tmp_path / "results"
    folder = outdir / "000-blocks-demo"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{")
    arguments = (*options, f"--outdir={outdir}")
    assert jobs.wait(jobs.start_workers(2, arguments, tmp_path)) == [2, 2]
    for index in (0, 1):
        assert "config.json" in (tmp_path / f"worker-{index}.txt").read_text().splitlines()[-1]


def test_workers_with_different_configurations_all_end_and_write_nothing(options, tmp_path):
    arguments = (*options, f"--outdir={tmp_path / 'results'}")
    processes = [
        jobs.start((*arguments, f"--seed={index}"), tmp_path / f"{index}.txt", TF_CONFIG=config)
        for index, config in enumerate(jobs.tf_configs(2))
    ]
    assert jobs.wait(processes) == [2, 2]
    for index, received in enumerate(("that of the chief", "training.seed: 0 -> 1")):
        last = (tmp_path / f"{index}.txt").read_text().splitlines()[-1]
        assert f"must be the same on all workers. Received: {received}" in last
    assert not (tmp_path / "results").exists()
