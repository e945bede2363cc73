"""create_faces on photographs whose faces are known."""

import csv
import json
import os
import shutil

import numpy as np
import PIL.Image
import pytest

from pgtf.commands import dataset as dataset_tool
from pgtf.dataset import open_dataset
from pgtf.dataset.exporter import Options, shuffled
from pgtf.dataset.faces import FaceOptions, builder, create
from pgtf.dataset.faces.alignment import align
from pgtf.dataset.faces.maker import read_report
from pgtf.grids import Grid
from tests.dataset.faces import synthetic

SIDE = 128


@pytest.fixture(scope="module")
def photographs():
    rng = np.random.default_rng(7)
    return [synthetic.photograph(rng) for _ in range(20)]


@pytest.fixture(scope="module")
def written(photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces") / "photos"
    synthetic.write_folder(folder, photographs[:6])
    return folder


@pytest.fixture
def folder(tmp_path, written):
    """Six photographs with landmarks.csv."""
    return shutil.copytree(written, tmp_path / "photos")


def run(*args):
    """Runs create_faces and returns its exit status."""
    try:
        dataset_tool.main(["create_faces", *(str(arg) for arg in args)])
    except SystemExit as end:
        return end.code
    return 0


def images_of(path):
    """uint8 [N, 3, R, R] of a dataset."""
    dataset = open_dataset(str(path))
    return dataset.files[dataset.resolution_log2].read(range(dataset.num_images))


def scores_of(path):
    """Rows of scores.csv of a dataset."""
    with open(path / "scores.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("lanczos", [False, True])
def test_eyes_land_where_the_geometry_says(photographs, lanczos):
    for photo in photographs:
        image = align(photo.pixels.transpose(2, 0, 1), photo.landmarks, SIDE, lanczos=lanczos)
        expected = synthetic.expected_eyes(photo.landmarks, SIDE)
        assert np.abs(synthetic.found_eyes(image, expected) - expected).max() < 0.01 * SIDE


@pytest.mark.parametrize(("grid", "size"), [("5x4", (160, 128)), ("3x4", (96, 128))])
def test_a_face_of_another_grid_shows_more_on_two_sides_of_its_square(
    photographs, folder, tmp_path, grid, size
):
    table = folder / "landmarks.csv"
    flags = ("--resolution=128", f"--grid={grid}")
    assert run(tmp_path / "faces", folder, table, *flags) == 0
    assert run(tmp_path / "best", folder, table, *flags, "--keep=3") == 0
    found = images_of(tmp_path / "faces")
    assert found.shape == (6, 3, *size)
    assert images_of(tmp_path / "best").shape == (3, 3, *size)
    top, left = ((side - min(size)) // 2 for side in size)
    for image, number in zip(found, shuffled(6), strict=True):
        landmarks = photographs[number].landmarks
        expected = synthetic.expected_eyes(landmarks, min(size)) + [left, top]
        assert np.abs(synthetic.found_eyes(image, expected) - expected).max() < 0.01 * SIDE
    pixels = photographs[0].pixels.transpose(2, 0, 1)
    landmarks = photographs[0].landmarks
    square = align(pixels, landmarks, 64).astype(int)
    portrait = align(pixels, landmarks, 64, grid=Grid(8, 4)).astype(int)
    assert np.abs(portrait[:, 32:96] - square).mean() < 1  # gray levels: other places of samples
    assert align(pixels, landmarks, 64, grid=Grid(8, 8)).shape == (3, 128, 128)


def test_the_dataset_holds_every_face_in_shuffled_order(folder, photographs, tmp_path):
    assert run(tmp_path / "faces", folder, folder / "landmarks.csv", f"--resolution={SIDE}") == 0
    images = images_of(tmp_path / "faces")
    for image, number in zip(images, shuffled(6), strict=True):
        expected = synthetic.expected_eyes(photographs[number].landmarks, SIDE)
        assert np.abs(synthetic.found_eyes(image, expected) - expected).max() < 0.01 * SIDE
    rows = scores_of(tmp_path / "faces")
    assert [row["rank"] for row in rows] == list("123456")
    assert {row["file"] for row in rows} == {f"{i:03d}.png" for i in range(6)}
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    with PIL.Image.open(tmp_path / "faces" / "quality.png") as sheet:
        assert sheet.size == (6 * 128, 3 * 128)


def test_the_best_are_kept(folder, tmp_path, capsys):
    args = folder, folder / "landmarks.csv", f"--resolution={SIDE}"
    assert run(tmp_path / "all", *args) == 0
    assert run(tmp_path / "best", *args, "--keep=2") == 0
    assert "2 kept of 6" in capsys.readouterr().out
    tables = [scores_of(tmp_path / name) for name in ("all", "best")]
    assert [(row["file"], row["score"]) for row in tables[0]] == [
        (row["file"], row["score"]) for row in tables[1]
    ]
    assert [row["kept"] for row in tables[1]] == list("110000")
    by_file = {
        f"{number:03d}.png": image
        for number, image in zip(shuffled(6), images_of(tmp_path / "all"), strict=True)
    }
    kept = images_of(tmp_path / "best")
    best = sorted(row["file"] for row in tables[1][:2])
    for image, place in zip(kept, shuffled(2), strict=True):
        assert (image == by_file[best[place]]).all()
    assert not list(tmp_path.glob("*.partial"))


def test_any_number_of_workers_writes_the_same(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("pgtf.dataset.exporter.BYTES_PER_WORKER", 1)
    for num in (1, 3):
        options = FaceOptions(resolution=32, keep=4)
        table = str(folder / "landmarks.csv")
        create(str(tmp_path / str(num)), str(folder), table, options, Options(num_workers=num))
    assert (images_of(tmp_path / "1") == images_of(tmp_path / "3")).all()
    files = [(tmp_path / name / "scores.csv").read_bytes() for name in "13"]
    assert files[0] == files[1]


@pytest.mark.parametrize("keep", [3, 6])
def test_an_interrupted_job_continues_to_the_same_bytes(folder, tmp_path, monkeypatch, keep):
    monkeypatch.setattr("pgtf.dataset.partial.CHECKPOINT_SECONDS", 0)
    args = folder, folder / "landmarks.csv", "--resolution=32", f"--keep={keep}"
    assert run(tmp_path / "whole", *args) == 0
    made = []

    def interrupted(self, face, make=builder.Maker.make):
        made.append(face)
        if len(made) == 5:
            raise KeyboardInterrupt
        return make(self, face)

    with monkeypatch.context() as patch:
        patch.setattr(builder.Maker, "make", interrupted)
        patch.setattr("pgtf.dataset.faces.ranking.CHUNK", 1)
        assert run(tmp_path / "twice", *args, "--num_workers=1") == 130
    assert len(list(tmp_path.glob("twice*.partial"))) == 1
    assert run(tmp_path / "twice", *args) == 2  # --resume is asked for
    assert run(tmp_path / "twice", *args, "--resume") == 0
    assert not list(tmp_path.glob("*.partial"))
    for name in ("twice-r05.tfrecords", "scores.csv"):
        whole = tmp_path / "whole" / name.replace("twice", "whole")
        assert (tmp_path / "twice" / name).read_bytes() == whole.read_bytes()


@pytest.fixture
def left(folder, tmp_path, monkeypatch):
    """A job that was interrupted at the fifth of six faces: its arguments."""
    args = folder, folder / "landmarks.csv", "--resolution=32"
    made = []

    def interrupted(self, face, make=builder.Maker.make):
        made.append(face)
        if len(made) == 5:
            raise KeyboardInterrupt
        return make(self, face)

    with monkeypatch.context() as patch:
        patch.setattr("pgtf.dataset.partial.CHECKPOINT_SECONDS", 0)
        patch.setattr("pgtf.dataset.exporter.MAX_CHUNK", 1)
        patch.setattr(builder.Maker, "make", interrupted)
        assert run(tmp_path / "faces", *args, "--num_workers=1") == 130
    return args


def test_a_job_is_not_resumed_with_other_landmarks(left, tmp_path, capsys):
    table = left[1].read_text()
    row = table.splitlines()[-1]
    moved = row.split(",")
    moved[1] = str(float(moved[1]) + 1)  # one coordinate of one face, a pixel off
    left[1].write_text(table.replace(row, ",".join(moved)))
    assert run(tmp_path / "faces", *left, "--resume") == 2
    assert "the interrupted job was another one" in capsys.readouterr().err
    left[1].write_text(table)
    assert run(tmp_path / "faces", *left, "--resume") == 0


def test_a_job_is_not_resumed_with_photographs_of_other_names(left, tmp_path, capsys):
    photos, landmarks, _ = left
    table = landmarks.read_text()
    assert table.count("005.png") == 1
    (photos / "005.png").rename(photos / "x.png")  # neither the order nor a landmark changes
    landmarks.write_text(table.replace("005.png", "x.png"))
    assert run(tmp_path / "faces", *left, "--resume") == 2
    assert "the interrupted job was another one" in capsys.readouterr().err


@pytest.mark.parametrize("cut", [b'["003.png", 0, 1', bytes(4), b'["', b'["\xc3'])
def test_a_line_that_a_crash_cut_does_not_end_the_resumed_job(left, cut, tmp_path):
    report = tmp_path / "faces.partial" / "quality.jsonl"
    assert len(read_report(report)) == 4
    with open(report, "ab") as file:
        file.write(cut)  # the next line follows it
    assert run(tmp_path / "faces", *left, "--resume") == 0
    (tmp_path / "whole").mkdir()
    assert run(tmp_path / "whole" / "faces", *left) == 0
    for path in (tmp_path / "whole" / "faces").iterdir():
        assert (tmp_path / "faces" / path.name).read_bytes() == path.read_bytes()
    assert len(scores_of(tmp_path / "faces")) == 6


def test_the_quality_of_faces_is_on_the_disk_before_they_count(folder, tmp_path, monkeypatch):
    """Without this, a resumed job would lack the scores of faces that it does not make again."""
    monkeypatch.setattr("pgtf.dataset.partial.CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr("pgtf.dataset.exporter.MAX_CHUNK", 1)
    synced = []
    fsync = os.fsync

    def spy(descriptor):
        synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    args = folder, folder / "landmarks.csv", "--resolution=32", "--num_workers=1"
    assert run(tmp_path / "faces", *args) == 0
    places = [i for i, name in enumerate(synced) if name == "progress.jsonl"]
    assert len(places) >= 3  # the job, and at least two checkpoints
    for start, end in zip(places, places[1:], strict=False):
        assert "quality.jsonl" in synced[start:end]


def test_a_foreign_folder_is_refused_before_faces_are_ranked(folder, tmp_path, capsys):
    (tmp_path / "faces.partial").mkdir()
    (tmp_path / "faces.partial" / "letter.txt").write_text("precious")
    assert run(tmp_path / "faces", folder, folder / "landmarks.csv", "--keep=2") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "faces.partial: was not left by this tool" in line
    assert [x.name for x in (tmp_path / "faces.partial").iterdir()] == ["letter.txt"]


def test_a_photograph_may_have_several_faces(folder, photographs, tmp_path):
    first = photographs[0].landmarks
    table = synthetic.write_table(
        folder / "two.csv", [("000.png", first), ("000.png", first + [3, 0])]
    )
    for name in os.listdir(folder):
        if name.endswith(".png") and name != "000.png":
            os.unlink(folder / name)
    assert run(tmp_path / "faces", folder, table, "--resolution=64") == 0
    one, two = images_of(tmp_path / "faces")
    assert (one != two).any()


def test_landmarks_are_read_from_all_three_formats(folder, photographs, tmp_path):
    points = {f"{i:03d}.png": photo.landmarks for i, photo in enumerate(photographs[:6])}
    (tmp_path / "points.json").write_text(
        json.dumps({name: value.tolist() for name, value in points.items()})
    )
    lines = [f"{name} " + " ".join(f"{v:.9f}" for v in p.ravel()) for name, p in points.items()]
    header = " ".join(f"{name}_{axis}" for name in synthetic.COLUMNS for axis in "xy")
    (tmp_path / "list.txt").write_text("\n".join(["6", header, *lines]) + "\n")
    images = []
    for table in (folder / "landmarks.csv", tmp_path / "points.json", tmp_path / "list.txt"):
        faces = tmp_path / f"faces-{table.suffix}"
        assert run(faces, folder, table, "--resolution=16") == 0
        images.append(images_of(faces))
    assert (images[0] == images[1]).all()
    assert (images[0] == images[2]).all()
