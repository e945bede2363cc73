"""The setting with which NumPy sorts fast on Zen 4."""

import os
import subprocess
import sys

import pytest

from pgtf import fast_sort

CPUINFO = """processor\t: 0
vendor_id\t: {vendor}
cpu family\t: {family}
model\t\t: 17
model name\t: a processor
flags\t\t: fpu {flags} avx2
power management:

"""


@pytest.mark.parametrize(
    ("vendor", "family", "flags", "is_set"),
    [
        ("AuthenticAMD", 25, "avx512f", True),  # Zen 4
        ("AuthenticAMD", 25, "avx", False),  # Zen 3
        ("AuthenticAMD", 26, "avx512f", False),  # Zen 5
        ("GenuineIntel", 6, "avx512f", False),
    ],
)
def test_it_is_for_zen_4(tmp_path, vendor, family, flags, is_set):
    path = tmp_path / "cpuinfo"
    path.write_text(CPUINFO.format(vendor=vendor, family=family, flags=flags) * 2)
    assert bool(fast_sort.settings(path)) == is_set


def test_other_systems_are_left_alone(tmp_path):
    assert fast_sort.settings(tmp_path / "none") == {}


def test_numpy_understands_it_and_says_nothing(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text(CPUINFO.format(vendor="AuthenticAMD", family=25, flags="avx512f"))
    code = (
        "import numpy as np; from numpy._core._multiarray_umath import __cpu_features__ as f;"
        "print(any(f.get(x) for x in ('X86_V4', 'AVX512_SKX', 'AVX512_ICL')))"
    )
    environment = os.environ | fast_sort.settings(path)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("False", "")


def test_it_is_chosen_before_numpy_is_imported():
    code = "import sys, metrics; from pgtf import fast_sort; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n"
