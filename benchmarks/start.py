"""Time until training begins, and until it has grown: python -m benchmarks.start --stages=4,8,16

The first JSON line has the seconds from the command `train.py`, with the flags after `--`, to the
end of its first iteration, and those of each part, as the log of the command tells them apart:
`flags` until TensorFlow is imported, `imports` with the dataset, `networks`, `data` until there are
minibatches, `iteration` with tracing and compiling. `cpu_sec` counts all threads of the process.
Then one line for each stage: seconds of its first call, which traces and optimizes, less those of
its second.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from pgtf.commands.parsers import Parser

if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

MINIBATCH = 4  # small, so that what remains is tracing
# Beginning of the log line at which a part ends.
PARTS = {
    "flags": "Loading TensorFlow",
    "imports": "Building the networks",
    "networks": "Training to",
    "data": "Compiling",
    "iteration": "Compiled",
}


def first_iteration(command):
    """Runs a command of train.py until its first iteration has ended: -> a row to print."""
    started, rows = time.monotonic(), {}
    before, cpu_before, parts = 0.0, 0.0, iter(PARTS.items())
    name, beginning = next(parts)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        for line in run.stdout:
            if not line.startswith(beginning):
                continue
            seconds, cpu = time.monotonic() - started, cpu_seconds(run.pid)
            rows[name] = {"sec": seconds - before, "cpu_sec": cpu - cpu_before}
            before, cpu_before = seconds, cpu
            name, beginning = next(parts, (None, None))
            if name is None:
                run.kill()  # training must not go on
                return {"first_iteration_sec": seconds, "cpu_sec": cpu, "parts": rows}
        raise SystemExit(run.stderr.read().strip().splitlines()[-1])


def cpu_seconds(pid):
    """Seconds that all threads of a process have computed so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:13]) / os.sysconf("SC_CLK_TCK")


def stages(resolutions):
    """Prints a line for each stage of full-size networks that grow in this process."""
    from benchmarks.training import make_stepper, seconds_per_iteration
    from pgtf.training.stepper import Stepper

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        config, stepper = make_stepper(folder, max(resolutions), MINIBATCH, "fp32", "off")
        for resolution in resolutions:
            changes = {"schedule.lod_initial_resolution": resolution}
            stage = Stepper(
                stepper._state, config.replace(changes), stepper._dataset, stepper._strategy
            )
            seconds = seconds_per_iteration(stage._config, stage, False, 1)
            change = seconds.first_call - seconds.median
            row = {"resolution": resolution, "stage_change_sec": change}
            print(json.dumps(row), flush=True)


def main():
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--stages", default="4,8,16,32,64", help="(default: %(default)s)")
    parser.add_argument("flags", nargs="*", help="of train.py, after -- (default: none)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as outdir:
        command = [sys.executable, "train.py", *args.flags, f"--outdir={outdir}"]
        print(json.dumps(first_iteration(command)), flush=True)
    if args.stages:
        stages([int(text) for text in args.stages.split(",")])


if __name__ == "__main__":
    main()
