"""Kernels, bytes and least time of compiled iterations on an H200, without one.

    python -m benchmarks.gpu_program --stages=16:128,64:32,1024:4

For each stage of `v2-1gpu` the iteration before and after November 2026 is compiled for the card
(gpu_lowering.py, gpu_compiling.py), and what the program will do is read from it: one JSON line a
stage, then the model's time of the whole schedule. Requirements: requirements-gpu-program.txt.

The model: a kernel takes its bytes over BYTES_PER_SEC or its floating-point operations over
FLOPS, whichever is longer, over the share of the peak that such kernels reach, and no less than
LAUNCH_SEC. Nothing of it has been measured on a card since.
"""

import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from benchmarks.gpu_hlo import kernels_of
from pgtf.commands.parsers import Parser

STAGES = "4:128,8:128,16:128,32:64,64:32,128:16,256:8,512:4,1024:4"
KIMG = {4: 600, 1024: 3000}  # of v2-1gpu, fades with the stage that follows; 1200 for all others
# NVIDIA H200, 2026: bytes/s of its memory that long kernels reach, and bfloat16 FLOP/s.
BYTES_PER_SEC, FLOPS = 4.3e12, 790e12
LAUNCH_SEC = 4e-6
# Shares of these: convolutions, others; and what an iteration took longer than the model says
# in the four stages that were measured compiled (docs/performance.md).
CONV_SHARE, SHARE, MEASURED = 0.5, 0.75, 1.15
LIMIT_HOURS = 9.0
# Limits of tests/gpu_program: (part, resolution, minibatch) -> values of `summary`.
LIMITS = {
    ("D", 16, 128): {"kernels": 250, "gb": 5.9, "copies": 18, "convolutions": 48},
    ("G", 16, 128): {"kernels": 180, "gb": 3.2, "copies": 18, "convolutions": 25},
    ("D", 64, 32): {"kernels": 380, "gb": 13.2, "copies": 32, "convolutions": 88},
    ("G", 64, 32): {"kernels": 280, "gb": 6.8, "copies": 32, "convolutions": 45},
    ("D", 1024, 4): {"kernels": 640, "gb": 29.7, "copies": 60, "convolutions": 168},
    ("G", 1024, 4): {"kernels": 490, "gb": 15.1, "copies": 60, "convolutions": 85},
}


def compiled(resolution, minibatch, precision, part, folder, jax_python=None):
    """Optimized HLO of a part of an iteration, each step in a process of its own."""
    name = f"{part}.{resolution}.{minibatch}.{precision}"
    module, text = folder / f"{name}.pb", folder / f"{name}.txt"
    if not text.exists():
        args = [str(x) for x in (resolution, minibatch, precision, part, module)]
        _run([sys.executable, "-m", "benchmarks.gpu_lowering", *args])
        python = jax_python or os.environ.get("JAX_PYTHON", sys.executable)
        _run([python, "-m", "benchmarks.gpu_compiling", str(module), str(text)])
        module.unlink()
    return text.read_text()


def _run(command):
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-3000:]}")


def summary(kernels):
    """Numbers of a program: kernels, GB, seconds of the roofline and of the model."""
    roofline = [max(k.num_bytes / BYTES_PER_SEC, k.flops / FLOPS) for k in kernels]
    shares = [CONV_SHARE if k.is_convolution else SHARE for k in kernels]
    modelled = [max(t / share, LAUNCH_SEC) for t, share in zip(roofline, shares, strict=True)]
    return {
        "kernels": len(kernels),
        "gb": sum(k.num_bytes for k in kernels) / 1e9,
        "tflop": sum(k.flops for k in kernels) / 1e12,
        "roofline_ms": 1e3 * sum(roofline),
        "model_ms": 1e3 * sum(modelled),
        "copies": sum(k.kind == "copy" for k in kernels),
        "convolutions": collections.Counter(k.convolution for k in kernels if k.is_convolution),
    }


def hours(rows):
    """Model's time of the schedule from {resolution: (minibatch, milliseconds)}."""
    return sum(
        KIMG.get(resolution, 1200) * 1000 / minibatch * milliseconds / 3.6e6
        for resolution, (minibatch, milliseconds) in rows.items()
    )


def main():
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--stages", default=STAGES, help="(default: %(default)s)")
    parser.add_argument("--precision", default="bf16", help="as of train.py (default: %(default)s)")
    parser.add_argument("--parts", default="before,iteration", help="(default: %(default)s)")
    parser.add_argument("--folder", type=pathlib.Path, help="keep the programs here (default: no)")
    args = parser.parse_args()
    times = collections.defaultdict(dict)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or pathlib.Path(temporary)
        for stage in args.stages.split(","):
            resolution, minibatch = map(int, stage.split(":"))
            row = {"resolution": resolution, "minibatch": minibatch, "precision": args.precision}
            for part in args.parts.split(","):
                text = compiled(resolution, minibatch, args.precision, part, folder)
                row[part] = summary(kernels_of(text))
                times[part][resolution] = (minibatch, row[part]["model_ms"])
            print(json.dumps(row), flush=True)
    for part, rows in times.items():
        if len(rows) == len(STAGES.split(",")):
            total = hours(rows) * MEASURED
            print(f"{part}: {total:.1f} h of 12,000 kimg by the model; goal: {LIMIT_HOURS:g} h")


if __name__ == "__main__":
    main()
