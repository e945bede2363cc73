"""The setting that makes NumPy sort fast on Zen 4."""

import os
import pathlib
import subprocess
import sys

import pytest

from pgtf.commands import fast_sort

ROOT = pathlib.Path(__file__).resolve().parents[2]
CPUINFO = """processor\t: 0
vendor_id\t: {vendor}
cpu family\t: {family}
model\t\t: 17
model name\t: a processor
flags\t\t: fpu {flags} avx2
power management:

"""


@pytest.fixture
def zen_4(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text(CPUINFO.format(vendor="AuthenticAMD", family=25, flags="avx512f"))
    return path


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


@pytest.mark.parametrize(
    ("version", "feature"),
    [("2.0.0", "AVX512F"), ("2.3.5", "AVX512F"), ("2.4.0rc1", "X86_V4"), ("2.10.1", "X86_V4")],
)
def test_each_numpy_gets_the_feature_name_that_it_knows(zen_4, version, feature):
    assert fast_sort.settings(zen_4, version) == {"NPY_DISABLE_CPU_FEATURES": feature}


def test_the_installed_numpy_knows_the_name_and_obeys(zen_4):
    (feature,) = fast_sort.settings(zen_4).values()
    code = (
        "from numpy._core import _multiarray_umath as m;"
        f"print({feature!r} in m.__cpu_dispatch__, m.__cpu_features__[{feature!r}])"
    )
    environment = os.environ | fast_sort.settings(zen_4)
    command = [sys.executable, "-W", "always", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"]
    # NumPy warns on a processor without AVX-512, which has nothing to disable.
    assert done.stderr == "" or "not supported by your machine" in done.stderr


@pytest.mark.parametrize("name", ["NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES"])
def test_a_choice_of_the_user_is_kept(monkeypatch, zen_4, name):
    """NumPy cannot be imported when both variables are set."""
    chosen = fast_sort.settings(zen_4)
    monkeypatch.setattr(fast_sort, "settings", lambda: chosen)
    for each in ("NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, "AVX2")
    before = dict(os.environ)
    fast_sort.choose()
    assert dict(os.environ) == before
    monkeypatch.delenv(name)
    monkeypatch.setenv("NPY_DISABLE_CPU_FEATURES", "")  # Restored afterwards.
    del os.environ["NPY_DISABLE_CPU_FEATURES"]
    fast_sort.choose()
    assert dict(os.environ).items() >= chosen.items()


@pytest.mark.parametrize("script", ["train.py", "metrics"])
def test_programs_choose_before_numpy_is_imported(script):
    """Python imports metrics/__init__.py before metrics/__main__.py."""
    run = f"run_module({script!r}" if script == "metrics" else f"run_path({script!r}"
    code = (
        "import runpy, sys\n"
        "from pgtf.commands import fast_sort\n"
        "fast_sort.choose = lambda: sys.exit(repr('numpy' in sys.modules))\n"
        f"runpy.{run}, run_name='__main__')"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == "False\n"
