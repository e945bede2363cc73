"""Names the kind of processor on which a computation gave certain bits."""

import os
import re
from pathlib import Path

import tensorflow as tf

# Instructions that oneDNN, Eigen and XLA choose their kernels by.
_CHOSEN_BY = re.compile(r"avx\w*|amx\w*|fma|f16c")


def kind():
    """Returns vendor, model, instructions, threads and TensorFlow's version in one line.

    Where the line is the same, the same program is expected to give the same bits. The number of
    threads is part of it because sums are split among them: one thread gave other bits than two.
    """
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text()
    except OSError:
        cpuinfo = ""
    return described(cpuinfo, len(os.sched_getaffinity(0)), tf.__version__)


def described(cpuinfo, threads, version):
    """Returns the line for the text of /proc/cpuinfo, a number of threads and a version."""
    facts = dict(
        re.findall(r"^(vendor_id|cpu family|model|flags)\s*: (.*)$", cpuinfo, re.MULTILINE)
    )
    names = sorted(set(filter(_CHOSEN_BY.fullmatch, facts.pop("flags", "").split())))
    words = [*facts.values(), *names, f"threads={threads}", f"tensorflow={version}"]
    return " ".join(words)
