"""A disk that fills up: a file system of a few hundred KiB, and then room again."""

import shutil
import subprocess
import sys

import pytest

from tests.training import jobs

# Runs on a private file system, which ends with the shell.
SCRIPT = """
set -e
mount -t tmpfs -o size=$1k tmpfs "$2"
shift
outdir=$1; shift
kept=$1; shift
"$@" || echo "first: $?"
cp -r "$outdir" "$kept/full"
mount -o remount,size=100m "$outdir"
"$@" || echo "again: $?"
cp -r "$outdir" "$kept/room"
"""
NAMESPACE = ("unshare", "--map-root-user", "--mount")
OPTIONS = (
    *jobs.TINY,
    "--config.schedule.minibatch_base=8",
    "--config.schedule.tick_kimg_base=0.2",
    "--config.training.network_snapshot_ticks=5",
    "--total_kimg=2",
    "--checkpoint_minutes=0.01",
)


def can_mount():
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def undisturbed(dataset_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    arguments = (*OPTIONS, f"--dataset={dataset_folder}", f"--outdir={folder / 'results'}")
    assert jobs.wait([jobs.start(arguments, folder / "output.txt")]) == [0]
    return folder / "results"


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="no right to mount a file system of one's own")
# Sizes in KiB: a checkpoint has 290, a snapshot 134, the pictures 12, the JSON files 8.
@pytest.mark.parametrize("size", [312, 632, 716])
def test_training_stops_with_one_line_and_continues_when_there_is_room(
    dataset_folder, undisturbed, tmp_path, size
):
    (tmp_path / "results").mkdir()
    train = [sys.executable, "train.py", *OPTIONS, f"--dataset={dataset_folder}"]
    train.append(f"--outdir={tmp_path / 'results'}")
    arguments = [str(size), tmp_path / "results", tmp_path, *train]
    done = subprocess.run(
        [*NAMESPACE, "sh", "-c", SCRIPT, "sh", *map(str, arguments)],
        cwd=jobs.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "first: 2" in done.stdout, done.stderr
    assert "again: " not in done.stdout
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "the disk is full" in line
    assert "Make room and run the same command again" in line
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("full/*/checkpoint/checkpoint-*.h5"))
    assert not list(tmp_path.glob("full/**/*.tmp"))
    (path,) = undisturbed.glob("*/network-snapshot-000002.h5")
    (again,) = tmp_path.glob("room/*/network-snapshot-000002.h5")
    assert again.read_bytes() == path.read_bytes()
