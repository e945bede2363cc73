"""Time until training begins, and until it has grown: python -m benchmarks.start --stages=4,8,16

The first JSON line has the seconds from the command `train.py` to the end of its first call, at the
first stage, with the flags after `--`, and the part that importing TensorFlow and Keras takes. Then
one line for each stage: seconds of its first call, which traces and optimizes, less those of its
second.
"""

import argparse
import json
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
import time

if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

MINIBATCH = 4  # small, so that what remains is tracing


def first_step(started, flags):
    """Runs train.py in this process up to the end of its first call, and prints the seconds."""
    import keras  # noqa: F401

    imported = time.time() - started
    from pgtf.training.stepper import Stepper

    original = Stepper.run

    def run(self, call):
        original(self, call)
        row = {"imports_sec": imported, "first_step_sec": time.time() - started}
        print(json.dumps(row | {"resolution": call.now.resolution}), flush=True)
        os._exit(0)  # training must not go on, nor save anything

    Stepper.run = run
    sys.argv = ["train.py", *flags]
    runpy.run_path("train.py", run_name="__main__")


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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stages", default="4,8,16,32,64", help="(default: %(default)s)")
    parser.add_argument("--started", type=float, help=argparse.SUPPRESS)
    parser.add_argument("flags", nargs="*", help="of train.py, after -- (default: none)")
    args = parser.parse_args()
    if args.started:
        first_step(args.started, args.flags)
        return
    with tempfile.TemporaryDirectory() as outdir:
        command = [sys.executable, "-m", "benchmarks.start", f"--started={time.time()}", "--"]
        command += [*args.flags, f"--outdir={outdir}"]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr.strip().splitlines()[-1])
    print(done.stdout.splitlines()[-1], flush=True)
    if args.stages:
        stages([int(text) for text in args.stages.split(",")])


if __name__ == "__main__":
    main()
