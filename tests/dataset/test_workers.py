import os
import subprocess
import sys
import time

import numpy as np
import pytest

from pgtf.dataset.workers import TASKS_AHEAD, ordered_map
from tests.dataset import loads


@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_tasks(num_workers):
    results = list(ordered_map(loads.slow_square, range(20), num_workers))
    assert results == [x * x for x in range(20)]


def test_arrays_come_back_unchanged():
    for n, result in enumerate(ordered_map(loads.arrays, range(5), 2)):
        np.testing.assert_array_equal(result["a"], np.full((n, 3), n))
        np.testing.assert_array_equal(result["b"][0], np.arange(n))
        assert result["b"][1] == "text"


def test_tasks_are_read_a_bounded_number_ahead():
    taken = []

    def tasks():
        for x in range(1000):
            taken.append(x)
            yield x

    results = ordered_map(loads.square, tasks(), 2)
    next(results)
    assert len(taken) <= 2 * TASKS_AHEAD + 1
    results.close()


def test_two_workers_are_two_other_processes():
    found = set(ordered_map(loads.process_id, range(50), 2))
    assert len(found) == 2
    assert os.getpid() not in found


@pytest.mark.parametrize("num_workers", [1, 2])
def test_an_exception_is_raised_here_after_the_results_before_it(num_workers):
    results = ordered_map(loads.fail_at_5, range(10), num_workers)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="^no 5$"):
        next(results)


def test_an_exception_that_cannot_be_pickled_comes_as_its_traceback():
    with pytest.raises(RuntimeError, match="Unpicklable: odd"):
        list(ordered_map(loads.fail_oddly, range(3), 2))


def test_a_killed_worker_is_an_error_not_a_hang():
    with pytest.raises(OSError, match="ended with exit code -9"):
        list(ordered_map(loads.die_at_5, range(50), 2))


def test_workers_end_when_the_results_are_closed():
    results = ordered_map(loads.process_id, range(1000), 2)
    workers = {next(results) for _ in range(20)}
    results.close()
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_workers_do_not_import_tensorflow():
    (modules,) = {tuple(found) for found in ordered_map(loads.loaded_modules, range(2), 2)}
    assert "numpy" in modules
    assert "tensorflow" not in modules


def test_a_script_needs_no_guard_for_its_main_module(tmp_path):
    (tmp_path / "script.py").write_text(
        "from pgtf.dataset.workers import ordered_map\n"
        "from tests.dataset import loads\n"
        "print(list(ordered_map(loads.square, range(5), 2)))\n"
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[0, 1, 4, 9, 16]\n", done.stderr


def test_workers_of_a_killed_caller_end(tmp_path):
    code = (
        "import os, signal; from pgtf.dataset.workers import ordered_map\n"
        "from tests.dataset import loads\n"
        "ids = ordered_map(loads.process_id, range(100), 2)\n"
        "print(sorted({next(ids) for _ in range(20)}), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    workers = [int(number) for number in done.stdout.strip(" []\n").split(",")]
    assert done.returncode == -9
    deadline = time.monotonic() + 20
    while any(os.path.exists(f"/proc/{worker}") for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
