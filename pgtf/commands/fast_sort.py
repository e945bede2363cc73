"""NumPy's sort on AMD's Zen 4, where an instruction of its AVX-512 form is slow.

Most of SWD is sorting, which takes 25 ns a value there with AVX-512 and 6 ns with AVX2
(docs/metrics.md). NumPy chooses between the two once, when it is imported, and only by the
environment. Nothing else that is installed sorts float32 nearly as fast: on an Intel Xeon where
NumPy takes 5 ns, a radix sort by its 16-bit argsort takes 40 ns, OpenCV 99 ns, TensorFlow 157 ns.
"""

import importlib.metadata
import os
import pathlib
import re

_ZEN_4 = re.compile(r"vendor_id\s*: AuthenticAMD\ncpu family\s*: 25\n(.+\n)*flags\s*:.* avx512f ")
_SETTING, _OPPOSITE = "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES"


def choose():
    """Makes NumPy sort fast in this process and its children.

    Only the entry of a program may call it, before NumPy is imported. A user's own choice stays.
    """
    if _SETTING in os.environ or _OPPOSITE in os.environ:  # NumPy refuses both at once
        return
    os.environ.update(settings())


def settings(cpuinfo="/proc/cpuinfo", numpy_version=None):
    """Returns environment variables with which NumPy sorts fast here; {} on most processors.

    Args:
        cpuinfo: file in which Linux describes the processors.
        numpy_version: text such as "2.4.6"; that of the installed NumPy by default.
    """
    try:
        described = pathlib.Path(cpuinfo).read_text()
    except OSError:  # another system
        return {}
    if not _ZEN_4.search(described):
        return {}
    # NumPy warns of every name that it does not know, so this is the one that its sort depends on.
    version = numpy_version or importlib.metadata.version("numpy")
    major, minor = map(int, version.split(".")[:2])
    return {_SETTING: "X86_V4" if (major, minor) >= (2, 4) else "AVX512F"}
