"""A short version of `python -m tests.chaos --kills=100`."""

import pytest

from tests import chaos, faults


@pytest.mark.slow
@pytest.mark.parametrize("cpu_replicas", [0, 2])
def test_a_run_killed_three_times_ends_with_the_files_of_an_undisturbed_one(tmp_path, cpu_replicas):
    figures = chaos.torment(tmp_path, kills=3, seed=1, cpu_replicas=cpu_replicas)
    assert figures["different_files"] == []
    assert figures["compared_files"] >= 8  # reals, two grids, two snapshots, statistics, ...
    assert sum(figures["kills_by_moment"].values()) == 3


@pytest.mark.slow
@faults.needs_library
def test_a_run_on_a_bad_disk_ends_with_the_files_of_an_undisturbed_one(tmp_path):
    disks = chaos.bad_disks(tmp_path, no_locks=True, stale=23)
    figures = chaos.torment(tmp_path, kills=3, seed=1, disks=disks)
    assert figures["different_files"] == figures["damaged_files"] == []
    assert figures["attempts_after_errors"] >= 10
