"""Kills a run repeatedly: python -m tests.chaos --kills=100

A tiny run (4x4, a fade, 8x8; a checkpoint after every call) is killed with SIGKILL at random
instants and started again each time. In the end every snapshot, picture, line of statistics and
curve of TensorBoard must equal those of an undisturbed run, bit for bit. Prints the figures as one
JSON line; exit code 1 if anything differs. The disk of the disturbed run may be a bad one (needs a
C compiler).
"""

import collections
import errno
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

from pgtf.commands.command_line import missing_packages_reported
from pgtf.commands.parsers import Parser

with missing_packages_reported():
    from tqdm import tqdm

    from pgtf import lazy
    from tests import faults

# The command line does without them.
checkpoints = lazy.Module("pgtf.runs.checkpoints")
jobs = lazy.Module("tests.training.jobs")
ticks = lazy.Module("pgtf.training.ticks")

FIRST = "checkpoint-000000000.h5"  # written before the first iteration
KIMG_PER_KILL = 0.4  # length of the run per kill: every life trains a little
OPTIONS = (
    "--config.schedule.lod_initial_resolution=4",
    "--config.schedule.minibatch_base=8",
    "--config.schedule.tick_kimg_base=0.1",
    "--config.training.network_snapshot_ticks=3",
    "--checkpoint_minutes=0",
)


def main():
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="default: %(default)s")
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed of the instants; default: %(default)s"
    )
    parser.add_argument("--cpu_replicas", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--no_locks",
        action="store_true",
        help="flock fails with ENOLCK, EOPNOTSUPP and ENOSYS in turn, from life to life",
    )
    parser.add_argument(
        "--stale",
        type=int,
        default=0,
        metavar="N",
        help="every N-th open, read, write, fsync or rename of the run and its dataset fails once, "
        "with ESTALE and EIO in turn, from life to life; 0 = none; default: %(default)s",
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        disks = bad_disks(folder, args.no_locks, args.stale)
        figures = torment(folder, args.kills, args.seed, args.cpu_replicas, disks)
    print(json.dumps(figures))
    sys.exit(1 if figures["different_files"] else 0)


def bad_disks(folder, no_locks=False, stale=0):
    """Returns environments for the lives of a run in `folder`, in turn."""
    disks = []
    for number in range(6):
        lock = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)[number % 3]
        fault = (errno.ESTALE, errno.EIO)[number % 2]
        # Python's own temporary files lie on another disk.
        disk = {"TMPDIR": tempfile.gettempdir()} | (faults.no_locks(lock) if no_locks else {})
        disks.append(disk | (faults.failing(folder, stale, fault) if stale else {}))
    return disks


def torment(folder, kills, seed, cpu_replicas=0, disks=({},)):
    """Trains undisturbed and disturbed in `folder`. Returns figures by name.

    `disks` holds additions to the environment of the disturbed run: life i has number i, modulo
    their number.
    """
    jobs.write_blocks(folder / "blocks")
    arguments = (*_arguments(folder, kills), f"--cpu_replicas={cpu_replicas}")
    undisturbed, disturbed = folder / "undisturbed", folder / "disturbed"
    start_sec, train_sec = _timed(arguments, undisturbed)
    rng, deaths = random.Random(seed), collections.Counter()
    for number in tqdm(range(kills), desc="kills", unit="kill"):
        # Half of the lives end while they train; together they get through a part of the run.
        trains = number % 2 == 1
        seconds = rng.uniform(0, train_sec / kills if trains else start_sec)
        disk = disks[number % len(disks)]
        deaths[_one_life(arguments, disturbed, seconds, trains, disk)] += 1
    _finish(_start(arguments, disturbed, disks[kills % len(disks)]), disturbed)
    left, right = _contents(undisturbed), _contents(disturbed)
    names = sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
    return {
        "kills": kills,
        "kills_by_moment": dict(deaths),
        "compared_files": len(left),
        "different_files": names,
        "attempts_after_errors": _said(disturbed).count("Trying again"),
        "damaged_files": sorted(path.name for path in disturbed.rglob("*.damaged")),
        "kimg": KIMG_PER_KILL * kills,
    }


def _arguments(folder, kills):
    total_kimg = KIMG_PER_KILL * kills
    return (
        *jobs.TINY,
        *OPTIONS,
        f"--dataset={folder / 'blocks'}",
        f"--total_kimg={total_kimg}",
        f"--config.schedule.lod_training_kimg={total_kimg / 4}",
        f"--config.schedule.lod_transition_kimg={total_kimg / 4}",
    )


def _start(arguments, outdir, disk=None):
    outdir.mkdir(exist_ok=True)
    return jobs.start((*arguments, f"--outdir={outdir}"), outdir / "output.txt", **(disk or {}))


def _said(outdir):
    """Returns the log of all lives."""
    return "".join(path.read_text() for path in outdir.glob("*/log.txt"))


def _timed(arguments, outdir):
    """Trains undisturbed. Returns seconds until the first tick, and from there to the end."""
    started = time.monotonic()
    process = _start(arguments, outdir)
    jobs.wait_for(lambda: jobs.num_ticks(outdir) > 0, process)
    first_tick = time.monotonic()
    _finish(process, outdir)
    return first_tick - started, time.monotonic() - first_tick


def _finish(process, outdir):
    """Waits for the end of a run without a time limit."""
    if jobs.wait([process], timeout_sec=None) != [0]:
        raise RuntimeError((outdir / "output.txt").read_text())


def _one_life(arguments, outdir, seconds, trains, disk):
    """Starts or continues the run and kills it. Returns the activity it was killed in.

    The seconds count from its start or, if it `trains`, from its first checkpoint.
    """
    before = _position(outdir)
    process = _start(arguments, outdir, disk)
    try:
        if trains:
            jobs.wait_for(lambda: _position(outdir) not in (None, FIRST, before), process)
        code = process.wait(seconds)
        raise RuntimeError(f"ended by itself with {code}: {(outdir / 'output.txt').read_text()}")
    except subprocess.TimeoutExpired:
        pass
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    if list(outdir.rglob("*.tmp")):
        return "writing a file"
    if _position(outdir) not in (None, FIRST, before):
        return "training"
    return "tracing" if "Training to" in (outdir / "output.txt").read_text() else "starting"


def _position(outdir):
    """Returns the newest checkpoint's name, None before the first."""
    newest = [checkpoints.newest_first(folder) for folder in outdir.glob("*/checkpoint")]
    return newest[0][0].name if newest and newest[0] else None


def _contents(outdir):
    """Returns what to compare: snapshots, pictures, configuration, statistics without times."""
    (folder,) = (path.parent for path in outdir.glob("*/config.json"))
    found = {path.name: path.read_bytes() for path in folder.glob("*.png")}
    found |= {path.name: path.read_bytes() for path in folder.glob("*.h5")}
    found["config.json"] = (folder / "config.json").read_bytes()
    lines = map(json.loads, (folder / "stats.jsonl").read_text().splitlines())
    rows = [{k: v for k, v in line.items() if k not in ticks.TIME_FIELDS} for line in lines]
    curves = {k: v for k, v in jobs.curves(folder).items() if k not in ticks.TIME_FIELDS}
    found |= {"events": curves}
    return found | {"stats.jsonl": rows, "finished": (folder / "finished").exists()}


if __name__ == "__main__":
    main()
