"""Functions that workers import."""

import os
import signal
import sys
import time

import numpy as np

from pgtf.dataset.encoder import Rejected

SHAPE = (3, 8, 8)


def picture(number):
    return np.random.RandomState(number).randint(0, 256, SHAPE).astype(np.uint8)


def load(items):
    return [picture(item) for item in items]


def load_but_every_seventh(items):
    return [Rejected(f"item {i}", "a seventh") if i % 7 == 3 else picture(i) for i in items]


def square(x):
    return x * x


def slow_square(x):
    """The first take longest, so that results come back in another order than they must."""
    time.sleep(0.05 if x < 4 else 0)
    return x * x


def arrays(n):
    return {"a": np.full((n, 3), n), "b": [np.arange(n, dtype=np.uint8), "text"]}


def fail_at_5(x):
    if x == 5:
        raise ValueError(f"no {x}")
    return x


class Unpicklable(Exception):
    def __init__(self, a, b):
        super().__init__("odd")
        self.lock = open(os.devnull)  # noqa: SIM115


def fail_oddly(x):
    raise Unpicklable(1, 2)


def die_at_5(x):
    if x == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def loaded_modules(_):
    import sys

    return sorted(sys.modules)


def process_id(_):
    return os.getpid()


def count_up(last):
    yield from range(last)


def arrays_of_a_megabyte(num):
    for n in range(num):
        yield np.full(1 << 20, n, np.uint8)


def die_by(number):
    yield 1
    os.kill(os.getpid(), number)
    yield 2


def allocate(num_bytes):
    yield len(bytearray(num_bytes))


def raise_value_error(message):
    yield 1
    raise ValueError(message)


def never_end():
    yield 1
    while True:
        pass


def say_something():
    os.write(2, b"Assertion failed\n")
    yield sorted(sys.modules)


def done_to(what, value=None):
    """Returns this process's number, dies, takes memory, fails or never ends."""
    if what == "die":
        os.kill(os.getpid(), value)
    elif what == "allocate":
        bytearray(value)
    elif what == "fail":
        raise value
    while what == "never end":
        pass
    return os.getpid()
