"""NumPy's sort on AMD's Zen 4, where an instruction of its AVX-512 form is slow.

Most of SWD is sorting, which takes 25 ns a value there with AVX-512 and 6 ns with AVX2
(docs/metrics.md). NumPy reads its settings once, when it is imported.
"""

import os
import pathlib
import re

_ZEN_4 = re.compile(r"vendor_id\s*: AuthenticAMD\ncpu family\s*: 25\n(.+\n)*flags\s*:.* avx512f ")
# NumPy's names of what has AVX-512; X86_V4 since 2.4. It passes over those that it does not know.
_SETTING = (
    "NPY_DISABLE_CPU_FEATURES",
    "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V4",
)


def choose():
    """Makes NumPy sort fast in this process and its children; before NumPy is imported."""
    for name, value in settings().items():
        os.environ.setdefault(name, value)


def settings(cpuinfo="/proc/cpuinfo"):
    """Environment variables with which NumPy sorts fast on this processor; {} for most.

    Args:
        cpuinfo: file in which Linux describes the processors.
    """
    try:
        described = pathlib.Path(cpuinfo).read_text()
    except OSError:  # another system
        return {}
    return dict([_SETTING]) if _ZEN_4.search(described) else {}
