"""The dataset has the published order and pixels, however it is built and interrupted."""

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset import exporter, open_dataset
from pgtf.dataset.celebahq import build
from pgtf.dataset.celebahq.maker import Maker
from pgtf.dataset.celebahq.report import Outcome, Result, table
from pgtf.dataset.exporter import Options
from pgtf.dataset.sources import images as image_source

from .fixture import CELEBA, DELTAS, EXPECTED, ROWS, SMALL, STAGES, md5, subset, write_list
from .test_inputs import write_attributes

ROOT = pathlib.Path(__file__).parents[3]
SMALL_ROWS = [ROWS[idx] for idx in SMALL]


def record_md5s(path):
    """MD5 of each record of the finest level, in order."""
    dataset = open_dataset(path)
    return [
        md5(image.transpose(2, 0, 1)) for image in dataset.read_images(range(dataset.num_images))
    ]


def contents(folder):
    """File name without the dataset's name -> bytes."""
    return {
        path.name.removeprefix(folder.name): path.read_bytes() for path in sorted(folder.iterdir())
    }


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Inputs of three images."""
    return subset(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def uninterrupted(small, tmp_path_factory):
    """The dataset of three images, built by two workers."""
    target = tmp_path_factory.mktemp("uninterrupted") / "celebahq"
    build(target, *small, **EXPECTED, num_workers=2)
    return target


def test_images_are_built_in_the_published_order(tmp_path, monkeypatch):
    """Images of one shade each; test_stages.py has the pixels of the real ones."""

    def shade(self, item):
        return np.full((3, 1024, 1024), item.row.idx, np.uint8), Result(item.row, Outcome.OK)

    monkeypatch.setattr(Maker, "make", shade)
    target = tmp_path / "celebahq"
    build(target, CELEBA, DELTAS, **EXPECTED, num_workers=1, resolution=64)
    shades = open_dataset(target).read_images(range(8))[:, 0, 0, 0]
    assert shades.tolist() == STAGES["order"] == [0, 1, 3, 7, 4, 2, 5, 6]


def test_images_are_built_with_their_published_pixels(uninterrupted):
    order = exporter.shuffled(3)
    assert record_md5s(uninterrupted) == [SMALL_ROWS[number].final_md5 for number in order]
    meta = open_dataset(uninterrupted).meta
    assert (meta["format"], meta["source"], meta["mirror"]) == (1, "create_celebahq", True)
    assert not uninterrupted.with_name("celebahq.partial").exists()


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [1, 2, 5])
def test_the_whole_fixture_is_built_in_the_published_order(tmp_path, monkeypatch, num_workers):
    monkeypatch.setattr(exporter, "BYTES_PER_WORKER", 1)  # as many workers as are asked for
    target = tmp_path / "celebahq"
    built = build(target, CELEBA, DELTAS, **EXPECTED, num_workers=num_workers)
    assert record_md5s(target) == [ROWS[idx].final_md5 for idx in STAGES["order"]]
    assert {result.outcome for result in built.results} == {Outcome.OK}
    assert built.summary.num_images == 8


# A build that kills itself in a function, at one of its calls.
KILLED = """
import os, signal, sys
from pgtf.dataset import partial
from pgtf.dataset.celebahq import builder, maker

place, calls, target, celeba, deltas = sys.argv[1], int(sys.argv[2]), *sys.argv[3:6]
partial.CHECKPOINT_SECONDS = 0
owner = maker.Maker if place == "make" else partial.PartialFolder
function = getattr(owner, place)

def die(*args, **kwargs):
    global calls
    calls -= 1
    if calls == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return function(*args, **kwargs)

setattr(owner, place, die)
builder.build(target, celeba, deltas, num_images=8, num_zips=1, first_jpeg_md5=None, num_workers=1)
"""


def run(code, *args, **options):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        **options,
    )


@pytest.mark.parametrize(
    ("place", "calls", "records"),
    # Kills at other instants, of quicker sources: test_journal.py, test_partial.py.
    [
        pytest.param("make", 1, {0}, marks=pytest.mark.slow),
        pytest.param("make", 3, {1, 2}, marks=pytest.mark.slow),
        ("advance", 2, {1}),
        pytest.param("publish", 1, {2, 3}, marks=pytest.mark.slow),
    ],
)
def test_a_killed_build_goes_on_to_the_same_bytes(
    small, uninterrupted, tmp_path, place, calls, records
):
    target = tmp_path / "celebahq"
    killed = run(KILLED, place, calls, target, *small)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not target.exists()
    journal = (tmp_path / "celebahq.partial" / "progress.jsonl").read_text().splitlines()
    assert max(json.loads(line).get("records", 0) for line in journal) in records
    build(target, *small, **EXPECTED, num_workers=2)
    assert contents(target) == contents(uninterrupted)


# A file may not grow beyond 5 MB, which is what a full disk looks like after the first record.
DISK_FULL = """
import resource, signal, sys
from pgtf.commands.command_line import one_line_errors
from pgtf.dataset.celebahq import build

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, 5_000_000))
with one_line_errors():
    build(*sys.argv[1:], num_images=8, num_zips=1, first_jpeg_md5=None, num_workers=1)
"""


@pytest.mark.slow  # of quicker sources: tests/test_dataset_tool_faults.py
def test_a_full_disk_is_one_line_and_can_be_continued(small, uninterrupted, tmp_path):
    target = tmp_path / "celebahq"
    full = run(DISK_FULL, target, *small)
    assert full.returncode == 2
    (line,) = [line for line in full.stderr.splitlines() if line.startswith("error: ")]
    assert line.endswith("celebahq-r10.tfrecords: file too large.")
    assert "celebahq-r10.tfrecords" in line
    assert "Traceback" not in full.stderr
    assert not target.exists()
    build(target, *small, **EXPECTED, num_workers=1)
    assert contents(target) == contents(uninterrupted)


def test_skipped_images_leave_the_others_in_order(small, uninterrupted, tmp_path):
    celeba, deltas = subset(tmp_path / "inputs")
    (celeba / "img_celeba" / SMALL_ROWS[1].orig_file).unlink()
    target = tmp_path / "celebahq"
    with pytest.raises(ValueError, match="8 JPEG files .* but it holds 7") as error:
        build(target, celeba, deltas, **EXPECTED, num_workers=1)
    assert "--on_error=skip" in str(error.value)
    built = build(target, celeba, deltas, **EXPECTED, num_workers=1, on_error="skip")
    others = [final for final in record_md5s(uninterrupted) if final != SMALL_ROWS[1].final_md5]
    assert record_md5s(target) == others
    assert [result.outcome for result in built.results] == [
        Outcome.OK,
        Outcome.MISSING,
        Outcome.OK,
    ]
    assert table(built.results).split() == ["ok", "2", "missing", "1"]
    with open(target / "celebahq-report.csv", newline="") as file:
        assert list(csv.reader(file)) == [
            ["idx", "orig_idx", "orig_file", "outcome", "detail"],
            ["0", "4", "000005.jpg", "ok", ""],
            ["1", "7", "000008.jpg", "missing", "000008.jpg is missing"],
            ["2", "0", "000001.jpg", "ok", ""],
        ]


def test_after_a_stop_the_same_job_can_skip(small, tmp_path):
    celeba, deltas = subset(tmp_path / "inputs")
    photograph = celeba / "img_celeba" / SMALL_ROWS[1].orig_file
    photograph.write_bytes(photograph.read_bytes()[:-2])
    target = tmp_path / "celebahq"
    with pytest.raises(
        ValueError, match=r"000008.jpg \(idx 1\): JPEG differs: .* truncated.*marker\. --on"
    ):
        build(target, celeba, deltas, **EXPECTED, num_workers=1)
    build(target, celeba, deltas, **EXPECTED, num_workers=1, on_error="skip")
    assert len(record_md5s(target)) == 2


def test_attributes_pictures_and_a_lower_resolution(small, uninterrupted, tmp_path):
    celeba, deltas = small
    values = ["1 -1", "-1 1", "1 1", "-1 -1", "1 -1", "1 1", "-1 1", "-1 1"]
    write_attributes(celeba, values)
    target = tmp_path / "celebahq"
    build(
        target,
        celeba,
        deltas,
        **EXPECTED,
        num_workers=2,
        labels="attributes",
        resolution=256,
        images_dir=tmp_path / "pictures",
    )
    dataset = open_dataset(target, max_label_size="full")
    assert dataset.resolution == 256
    assert dataset.label_names == ("Smiling", "Young")
    rows = [SMALL_ROWS[number] for number in exporter.shuffled(3)]
    labels = [[int(value == "1") for value in values[row.orig_idx].split()] for row in rows]
    assert dataset.read_labels(range(3)).tolist() == labels
    whole = open_dataset(uninterrupted)
    assert (dataset.read_images(range(3)) == whole.read_images(range(3), 8)).all()
    for idx, row in enumerate(SMALL_ROWS):
        picture = np.asarray(PIL.Image.open(tmp_path / "pictures" / f"{idx:05d}.png"))
        assert md5(picture.transpose(2, 0, 1)) == row.final_md5
    ready = tmp_path / "ready"
    image_source.create(str(ready), str(tmp_path / "pictures"), options=Options(num_workers=1))
    levels = [f"-r{log2:02d}.tfrecords" for log2 in range(2, 11)]
    from_pictures, from_deltas = contents(ready), contents(uninterrupted)
    assert [from_pictures[level] for level in levels] == [from_deltas[level] for level in levels]


def test_arguments_are_checked_first(small, tmp_path):
    with pytest.raises(ValueError, match="`resolution` must be one of .* Received: resolution=48"):
        build(tmp_path / "celebahq", *small, **EXPECTED, resolution=48)
    with pytest.raises(ValueError, match="a row for each of 202599 images"):
        build(tmp_path / "celebahq", *small)
    with pytest.raises(ValueError, match="MD5 9cad8178d6cb0196b36f7b34bc5eb6d3"):
        build(tmp_path / "celebahq", *small, num_images=8, num_zips=1)
    target = tmp_path / "celebahq"
    with pytest.raises(ValueError, match="`images_dir` must lie outside of .*celebahq"):
        build(target, *small, **EXPECTED, images_dir=target / "png")
    celeba, deltas = subset(tmp_path / "inputs")
    write_list(deltas, ROWS)
    with pytest.raises(ValueError, match="deltas00000.zip lacks 5 deltas, delta00003.dat first"):
        build(tmp_path / "celebahq", celeba, deltas, **EXPECTED)
    assert sorted(os.listdir(tmp_path)) == ["inputs"]


# Reads a worker's peak memory from Linux, in KiB. Not ru_maxrss: it includes that of pytest.
PEAK = """
import pathlib, sys
from pgtf.dataset.celebahq.maker import Item, Maker
from pgtf.dataset.celebahq.preflight import check_inputs

celeba, deltas = sys.argv[1:]
found = check_inputs(celeba, deltas, num_images=8, num_zips=1, first_jpeg_md5=None)
maker = Maker(celeba, deltas)
for row in found.rows[5:6] + found.rows[7:]:
    assert maker.make(Item(row, found.landmarks[row.orig_idx]))[0] is not None
assert "tensorflow" not in sys.modules
print(pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_a_worker_stays_below_700_mib():
    done = run(PEAK, CELEBA, DELTAS, check=True)
    assert int(done.stdout) < 700 * 1024
