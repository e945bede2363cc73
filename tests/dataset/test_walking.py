"""Folders with what NAS, desktop systems and earlier jobs left in them."""

import errno
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from pgtf import files
from pgtf.dataset import open_dataset
from pgtf.dataset.commands import print_summary
from pgtf.dataset.sources import images, reading, walking
from pgtf.dataset.sources.walking import find_images, list_images
from pgtf.foreign import zips
from tests import faults
from tests.dataset.commands import run
from tests.dataset.folders import create, save, shades


def write(path, content="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_what_systems_add_is_passed_over_and_counted(tmp_path, capsys):
    folder = tmp_path / "in"
    save(folder / "cat" / "a.jpg", 10)
    save(folder / "dog" / "b.jpg", 20)
    save(folder / "cat" / "@eaDir" / "a.jpg" / "SYNOPHOTO_THUMB_M.jpg", 9)
    for trash in ("$RECYCLE.BIN", "#recycle", ".Trash", "@Recycle"):
        save(folder / trash / "x.jpg", 9)
    save(folder / "cat" / "._a.jpg", 9)
    for name in ("Thumbs.db", "Icon\r", "README", "paper.pdf", "cat/labels.h5"):
        write(folder / name)
    summary = create(tmp_path, shuffle=False, labels="folders")
    dataset = open_dataset(tmp_path / "out", max_label_size="full")
    assert dataset.label_names == ("cat", "dog")
    assert dataset.read_labels(range(2)).tolist() == [[1, 0], [0, 1]]
    assert dict(summary.passed_over) == {
        **{"$RECYCLE.BIN": 1, "#recycle": 1, "@Recycle": 1, "@eaDir": 1},
        **{"hidden": 2, "Thumbs.db": 1, "Icon\r": 1},
    }
    assert summary.skipped == ("README", "cat/labels.h5", "paper.pdf")
    print_summary(summary)
    out = capsys.readouterr().out
    assert "3 files of other kinds: 1 without extension, 1 .h5, 1 .pdf\n" in out
    (line,) = (x for x in out.splitlines() if "@eaDir" in x)
    assert line.startswith("Skipped        ")
    assert "2 hidden" in line
    assert "1 $RECYCLE.BIN" in line


def test_a_file_without_extension_is_judged_by_its_content(tmp_path):
    save(tmp_path / "x.png", 1)
    content = (tmp_path / "x.png").read_bytes()
    write(tmp_path / "in" / "whole", content)
    write(tmp_path / "in" / "cut.img", content[:20])  # to be rejected, not passed over
    write(tmp_path / "in" / "LICENSE", "text")
    found = find_images(str(tmp_path / "in"))
    assert (found.images, found.others) == (["cut.img", "whole"], ["LICENSE"])


def test_datasets_are_no_source_of_images(tmp_path, capsys):
    for shade in range(3):
        save(tmp_path / "in" / f"{shade}.png", shade)
    for _ in range(2):
        assert run("create_from_images", tmp_path / "in" / "made", tmp_path / "in") == 0
        shutil.move(tmp_path / "in" / "made", tmp_path / "in" / "first")
        assert sorted(shades(tmp_path / "in" / "first")) == [0, 1, 2]
        shutil.rmtree(tmp_path / "in" / "second", ignore_errors=True)
        (tmp_path / "in" / "first").rename(tmp_path / "in" / "second")
    assert "Skipped        1 dataset\n" in capsys.readouterr().out
    assert run("create_from_images", tmp_path / "x", tmp_path / "in" / "second") == 2
    assert "second: holds a dataset, NAME-rLL.tfrecords, and not images." in capsys.readouterr().err


def test_a_folder_that_cannot_be_read_is_a_rejected_entry(tmp_path, monkeypatch):
    save(tmp_path / "in" / "a.png", 7)
    save(tmp_path / "in" / "locked" / "b.png", 8)
    scan = os.scandir

    def locked(path):
        if str(path).endswith("locked"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(walking.os, "scandir", locked)
    with pytest.raises(ValueError, match="in/locked: Permission denied .*--max_errors=1 leaves"):
        create(tmp_path)
    with pytest.raises(PermissionError, match="in/locked: Permission denied"):
        list_images(str(tmp_path / "in"))
    summary = create(tmp_path, max_errors=1, labels=None)
    assert [(x.name, x.reason) for x in summary.rejected] == [
        (f"{tmp_path}/in/locked", "Permission denied")
    ]
    assert shades(tmp_path / "out") == [7]


def test_an_image_outside_the_folders_of_classes_has_no_class(tmp_path):
    save(tmp_path / "in" / "a.png", 1)
    with pytest.raises(ValueError, match="must have a sub-folder per class .* a.png"):
        create(tmp_path, labels="folders")
    save(tmp_path / "in" / "cat" / "b.png", 2)
    save(tmp_path / "in" / "dog" / "c.png", 3)
    with pytest.raises(ValueError, match="in/a.png: lies in no sub-folder.*--max_errors=1"):
        create(tmp_path, labels="folders")
    summary = create(tmp_path, labels="folders", max_errors=1, shuffle=False)
    assert [x.name for x in summary.rejected] == [f"{tmp_path}/in/a.png"]
    dataset = open_dataset(tmp_path / "out", max_label_size="full")
    assert dataset.label_names == ("cat", "dog")
    assert dataset.read_labels(range(2)).tolist() == [[1, 0], [0, 1]]
    assert shades(tmp_path / "out") == [2, 3]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.parquet", "2 .parquet. Write the images in the tables or archives as PNG files"),
        ("a.npy", "2 .npy. `create_from_arrays` reads arrays and scans"),
        ("data.mdb", "2 .mdb. `create_lsun`"),
        ("README", "2 without extension.$"),
    ],
)
def test_a_folder_without_images_says_what_it_has(name, message, tmp_path):
    write(tmp_path / "in" / name)
    write(tmp_path / "in" / "more" / name)
    with pytest.raises(ValueError, match=f"in: no image files in it, but other files: {message}"):
        find_images(str(tmp_path / "in"))


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("lasts", [False, True])
def test_a_wavering_disk_costs_no_file(lasts, number, tmp_path, monkeypatch):
    for shade in range(3):
        save(tmp_path / "in" / f"{shade}.png", shade)
    monkeypatch.setattr(files, "WAITS_SEC", (0, 0))
    read, failures = images.read_picture, [0]

    def wavering(path, conversion):
        if path.endswith("1.png") and (lasts or failures[0] < 2):
            failures[0] += 1
            raise OSError(number, os.strerror(number), path)
        return read(path, conversion)

    monkeypatch.setattr(images, "read_picture", wavering)
    if lasts:
        with pytest.raises(OSError, match=r"in/1.png"):
            create(tmp_path, max_errors=3)
        assert not (tmp_path / "out").exists()
    else:
        assert create(tmp_path, max_errors=3, shuffle=False).rejected == ()
        assert shades(tmp_path / "out") == [0, 1, 2]


@pytest.mark.parametrize("kind", ["folder", "link", "archive", "end of an archive"])
def test_a_wavering_disk_hides_no_folder(kind, tmp_path, monkeypatch):
    save(tmp_path / "in" / "there" / "a.png", 5)
    (tmp_path / "in" / "link").symlink_to("there")
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.write(tmp_path / "in" / "there" / "a.png", "there/a.png")
    monkeypatch.setattr(files, "WAITS_SEC", (0, 0))
    place, name, path, source = {
        "folder": (os, "stat", tmp_path / "in", "in"),
        "link": (os, "stat", tmp_path / "in" / "link", "in"),
        "archive": (zips, "is_zip", tmp_path / "in.zip", "in.zip"),
        "end of an archive": (zipfile, "_EndRecData", None, "in.zip"),
    }[kind]
    real, failures = getattr(place, name), [0]

    def wavering(what, **options):
        if failures[0] < 2 and (path is None or os.fspath(what) == os.fspath(path)):
            failures[0] += 1
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(what))
        return real(what, **options)

    monkeypatch.setattr(place, name, wavering)
    found = find_images(str(tmp_path / source)).images
    assert found == ["there/a.png"] if source == "in.zip" else ["link/a.png", "there/a.png"]
    assert failures[0] == 2


def test_another_failure_of_reading_is_a_rejected_file():
    def locked():
        raise PermissionError(errno.EACCES, "Permission denied", "a.png")

    assert reading.read_or_reject("a.png", locked).reason == "Permission denied"


@faults.needs_library
@pytest.mark.parametrize("every", [23, 41])
def test_no_picture_is_lost_on_a_file_system_that_fails_now_and_then(every, tmp_path):
    """Neither by its conversion, nor by the looks at sizes, pages and values before it."""
    for shade in range(12):
        kind = ("png", "bmp", "tif")[shade % 3]
        save(tmp_path / "in" / f"{shade:02d}.{kind}", shade, (8, 8))
    script = (
        "import sys\n"
        "from pgtf import files\n"
        "files.WAITS_SEC = (0.001,) * 4\n"
        "from pgtf.commands import dataset\n"
        "dataset.main(sys.argv[1:])\n"
    )
    create = ["create_from_images", tmp_path / "out", tmp_path / "in", "--shuffle=0"]
    flags = ["--max_errors=12", "--pages=all", "--num_workers=1"]
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, create), *flags],
        env=os.environ | faults.failing(tmp_path / "in", every, errno.ESTALE),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Stale file handle. Trying again" in done.stderr
    assert shades(tmp_path / "out") == list(range(12))
