import os
import signal

import numpy as np
import pytest

from pgtf.dataset import isolated as isolated_module
from pgtf.dataset.isolated import Isolation, isolated
from tests.dataset import loads

MIB = 1 << 20


def test_what_is_yielded_in_the_process_is_yielded_here():
    assert list(isolated("x", loads.count_up, 5, max_bytes=MIB)) == [0, 1, 2, 3, 4]
    assert list(isolated("x", loads.count_up, 0, max_bytes=MIB)) == []
    found = list(isolated("x", loads.arrays_of_a_megabyte, 3, max_bytes=MIB))
    np.testing.assert_array_equal(found, np.repeat(np.arange(3, dtype=np.uint8)[:, None], MIB, 1))


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGKILL])
def test_the_death_of_the_process_is_one_line(number):
    results = isolated("in/x.mat", loads.die_by, number, max_bytes=MIB)
    assert next(results) == 1
    ended = f"reading it ended with {signal.Signals(number).name}"
    line = f"^in/x.mat: damaged: {ended}[.] Get an intact copy[.]$"
    with pytest.raises(ValueError, match=line):
        next(results)


def test_more_memory_than_allowed_is_one_line():
    allowed = isolated_module.BASE_BYTES
    assert list(isolated("x", loads.allocate, allowed // 2, max_bytes=allowed)) == [allowed // 2]
    with pytest.raises(ValueError, match="^x: damaged: reading it takes more than 512 MiB"):
        list(isolated("x", loads.allocate, 4 * allowed, max_bytes=allowed))


def test_what_never_ends_is_ended():
    results = isolated("x", loads.never_end, max_bytes=MIB, max_cpu_seconds=1)
    assert next(results) == 1
    with pytest.raises(ValueError, match="x: damaged: reading it ended with SIGXCPU"):
        next(results)


def test_an_error_of_the_reader_is_raised_here():
    results = isolated("x", loads.raise_value_error, "x: no good", max_bytes=MIB)
    assert next(results) == 1
    with pytest.raises(ValueError, match="^x: no good$"):
        next(results)


def test_the_process_says_nothing_and_has_no_tensorflow(capfd):
    (modules,) = isolated("x", loads.say_something, max_bytes=MIB)
    assert "tensorflow" not in modules
    assert capfd.readouterr().err == ""


def test_the_process_ends_when_the_results_are_closed():
    before = set(os.listdir("/proc"))
    results = isolated("x", loads.count_up, 1000, max_bytes=MIB)
    next(results)
    results.close()
    started = {name for name in set(os.listdir("/proc")) - before if name.isdecimal()}
    assert not any(_parent(name) == os.getpid() for name in started)


def _parent(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return None


@pytest.fixture
def isolation():
    found = Isolation(loads.done_to, max_cpu_seconds=1)
    yield found
    found._end()


def test_one_process_reads_all_files_that_do_not_end_it(isolation):
    pid = isolation("live", max_bytes=MIB)
    assert pid != os.getpid()
    for error in (ValueError("x: no good"), FileNotFoundError("x")):
        with pytest.raises(type(error), match="x"):
            isolation("fail", error, max_bytes=MIB)
    assert isolation("allocate", 64 * MIB, max_bytes=128 * MIB) == pid


@pytest.mark.parametrize(
    ("what", "value", "message"),
    [
        ("die", signal.SIGSEGV, "^damaged: reading it ended with SIGSEGV$"),
        ("allocate", 256 * MIB, "^damaged: reading it takes more than 128 MiB of memory$"),
        ("never end", None, "^damaged: reading it ended with SIGXCPU$"),
    ],
)
def test_after_a_file_that_ends_the_process_another_reads(what, value, message, isolation):
    pid = isolation("live", max_bytes=MIB)
    with pytest.raises(ValueError, match=message):
        isolation(what, value, max_bytes=128 * MIB)
    assert isolation("live", max_bytes=MIB) != pid


def test_the_process_of_an_isolation_ends_with_it():
    isolation = Isolation(loads.done_to)
    pid = isolation("live", max_bytes=MIB)
    del isolation
    assert not os.path.exists(f"/proc/{pid}")
