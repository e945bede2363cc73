"""Makes NumPy sort fast on AMD's Zen 4, where an instruction of its AVX-512 code is slow.

SWD spends most of its time in sorting, which takes 25 ns per value there with AVX-512 and 6 ns
with AVX2 (docs/metrics.md). NumPy chooses between the two once, when it is imported, and only the
environment can change its choice. No other installed package sorts float32 nearly as fast: on an
Intel Xeon where NumPy takes 5 ns, a radix sort by its 16-bit argsort takes 40 ns, OpenCV 99 ns,
TensorFlow 157 ns.
"""

from __future__ import annotations

import os
import pathlib
import re

_ZEN_4 = re.compile(r"vendor_id\s*: AuthenticAMD\ncpu family\s*: 25\n(.+\n)*flags\s*:.* avx512f ")
_SETTING, _OPPOSITE = "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES"


def choose() -> None:
    """Makes NumPy sort fast in this process and its children.

    A program must call this before it imports NumPy. A user's own choice is kept.
    """
    if _SETTING in os.environ or _OPPOSITE in os.environ:  # NumPy refuses both at once
        return
    os.environ.update(settings())


def settings(
    cpuinfo: str | os.PathLike[str] = "/proc/cpuinfo", numpy_version: str | None = None
) -> dict[str, str]:
    """Returns environment variables that make NumPy sort fast here; {} on most processors.

    Args:
        cpuinfo: file in which Linux describes the processors.
        numpy_version: text such as "2.4.6"; None = the installed version.
    """
    try:
        described = pathlib.Path(cpuinfo).read_text()
    except OSError:  # The system is not Linux.
        return {}
    if not _ZEN_4.search(described):
        return {}
    import importlib.metadata

    # NumPy warns of any name that it does not know, so name only the feature that sorting uses.
    version = numpy_version or importlib.metadata.version("numpy")
    major, minor = map(int, version.split(".")[:2])
    return {_SETTING: "X86_V4" if (major, minor) >= (2, 4) else "AVX512F"}
