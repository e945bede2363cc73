"""Zip archives of images, read in place."""

import io
import json
import os
import struct
import zipfile

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset import open_dataset
from pgtf.dataset.sources import automatic
from pgtf.dataset.sources.walking import find_images
from pgtf.foreign import zips
from pgtf.foreign.files import read_bytes
from tests.dataset.commands import run
from tests.dataset.folders import create, shades


def png(shade, side=8):
    file = io.BytesIO()
    PIL.Image.new("RGB", (side, side), (shade,) * 3).save(file, "PNG")
    return file.getvalue()


def write(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


MEMBERS = {
    "cat/a.png": png(10),
    "cat/._a.png": png(99),
    "dog/b.png": png(20),
    "dog/sub/c.PNG": png(30),
    "__MACOSX/cat/a.png": png(99),
    "dog/@eaDir/b.png/thumb.jpg": png(99),
    "old/cats-r03.tfrecords": b"x",
    "old/contact-sheet.png": png(99),
    "README": b"text",
}


def test_a_zip_is_walked_as_a_folder_is(tmp_path):
    write(tmp_path / "in.zip", MEMBERS)
    found = find_images(str(tmp_path / "in.zip"))
    assert found.images == ["cat/a.png", "dog/b.png", "dog/sub/c.PNG"]
    assert found.others == ["README"]
    assert found.passed_over == {"hidden": 1, "__MACOSX": 1, "@eaDir": 1, "dataset": 1}


@pytest.mark.parametrize("flags", [(), ("--resolution=8", "--channels=3", "--transform=resize")])
def test_a_dataset_of_a_zip_is_that_of_its_folder_to_the_byte(flags, tmp_path):
    write(tmp_path / "in.zip", MEMBERS)
    with zipfile.ZipFile(tmp_path / "in.zip") as archive:
        archive.extractall(tmp_path / "in")
    for source in ("in.zip", "in"):
        folder = tmp_path / f"of-{source}" / "set"
        create_flags = ("--labels=folders", *flags)
        assert run("create_from_images", folder, tmp_path / source, *create_flags) == 0
    names = sorted(os.listdir(tmp_path / "of-in" / "set"))
    assert len(names) == 5
    for name in names:
        pair = [(tmp_path / f"of-{x}" / "set" / name).read_bytes() for x in ("in.zip", "in")]
        assert pair[0] == pair[1]
    assert sorted(os.listdir(tmp_path)) == ["in", "in.zip", "of-in", "of-in.zip"]


@pytest.mark.usefixtures("small_tasks")
def test_several_workers_make_the_same_bytes_of_a_folder_or_an_archive(tmp_path):
    members = {f"{i % 3}/{i:02d}.png": png(5 * i) for i in range(22)}
    write(tmp_path / "in.zip", members | {"1/bad.png": png(0)[:40], "2/worse.jpg": b"no image"})
    with zipfile.ZipFile(tmp_path / "in.zip") as archive:
        archive.extractall(tmp_path / "in")
    flags = ("--labels=folders", "--max_errors=2")
    made = []
    for source, workers in (("in", 1), ("in", 2), ("in.zip", 2)):
        folder = tmp_path / f"{source}-{workers}" / "set"
        more = f"--num_workers={workers}"
        assert run("create_from_images", folder, tmp_path / source, *flags, more) == 0
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert made[0] == made[1] == made[2]
    assert sorted(shades(tmp_path / "in-2" / "set")) == [5 * i for i in range(22)]


def test_labels_in_the_archive_are_found(tmp_path):
    labels = {"labels": [["00000/1.png", 1], ["00000/0.png", 0], ["00001/2.png", 1]]}
    members = {f"{i // 2:05d}/{i}.png": png(i) for i in range(3)}
    write(tmp_path / "in.zip", members | {"dataset.json": json.dumps(labels)})
    create(tmp_path, "in.zip", labels="dataset.json", shuffle=False)
    dataset = open_dataset(tmp_path / "out", max_label_size="full")
    assert shades(tmp_path / "out") == [0, 1, 2]
    assert dataset.read_labels(range(3)).tolist() == [[1, 0], [0, 1], [0, 1]]


def test_training_makes_a_dataset_of_a_zip(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "cats.zip", MEMBERS)
    assert automatic.is_source("cats.zip")
    planned = automatic.plan("cats.zip")
    assert planned.target.startswith("datasets/cats-")
    assert automatic.make(planned).num_images == 3
    assert automatic.plan("cats.zip").is_made


def test_windows_paths_in_an_archive_are_paths(tmp_path):
    write(tmp_path / "in.zip", {"cats\\a.png": png(1), "/abs/b.png": png(2)})
    assert find_images(str(tmp_path / "in.zip")).images == ["abs/b.png", "cats/a.png"]


def test_paths_out_of_the_archive_are_not_followed(tmp_path):
    (tmp_path / "secret.png").write_bytes(png(9))
    write(
        tmp_path / "in.zip", {"../secret.png": png(1), "a/../../secret.png": png(1), "b.png": b""}
    )
    assert find_images(str(tmp_path / "in.zip")).images == ["b.png"]
    with pytest.raises(FileNotFoundError, match="in.zip/secret.png: no such file in the archive"):
        read_bytes(f"{tmp_path}/in.zip/secret.png", 100)


def test_a_damaged_file_in_an_archive_is_rejected_by_name(tmp_path):
    write(tmp_path / "in.zip", {"a.png": png(1), "b.png": png(2)}, zipfile.ZIP_STORED)
    content = bytearray((tmp_path / "in.zip").read_bytes())
    content[content.index(b"IDAT") + 6] ^= 1
    (tmp_path / "in.zip").write_bytes(content)
    summary = create(tmp_path, "in.zip", max_errors=1)
    (rejected,) = summary.rejected
    assert rejected.name == f"{tmp_path}/in.zip/a.png"
    assert rejected.reason.startswith("damaged (it is not what")
    assert shades(tmp_path / "out") == [2]


def encrypted(content):
    at = content.index(b"PK\x01\x02")
    content[at + 8] |= 1
    return content


def huge(content):
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<L", 1 << 29)
    return content


def other_method(content):
    at = content.index(b"PK\x01\x02")
    content[at + 10] = 9
    return content


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (encrypted, "is encrypted; unpack the archive"),
        (huge, r"claims to have 536870912 bytes, too many for \d+ compressed ones"),
        (other_method, "is compressed in a way that is not read"),
    ],
)
def test_a_hostile_file_is_rejected_before_it_is_unpacked(change, reason, tmp_path):
    write(tmp_path / "in.zip", {"a.png": png(1)})
    content = bytearray((tmp_path / "in.zip").read_bytes())
    (tmp_path / "in.zip").write_bytes(change(content))
    with pytest.raises(ValueError, match=f"in.zip/a.png: {reason}"):
        create(tmp_path, "in.zip")


def overlapping(path):
    """Two entries that share one compressed file."""
    content = write(path, {"a.png": b"x" * 5000 + os.urandom(5000), "b.png": b"y"}).read_bytes()
    first, second = (content.index(b"PK\x01\x02"), content.rindex(b"PK\x01\x02"))
    changed = bytearray(content)
    for start, end in ((16, 28), (42, 46)):  # checksum and sizes; place in the archive
        changed[second + start : second + end] = content[first + start : first + end]
    path.write_bytes(changed)


def truncated(path):
    path.write_bytes(write(path, MEMBERS).read_bytes()[:-30])


def twice(path):
    content = write(path, {"a.png": png(1), "b.png": png(2)}).read_bytes()
    path.write_bytes(content.replace(b"b.png", b"a.png"))


def with_a_large_directory(path):
    content = bytearray(write(path, MEMBERS).read_bytes())
    content[-10:-6] = struct.pack("<L", (1 << 28) + 1)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (overlapping, "its files overlap"),
        (truncated, "File is not a zip file"),
        (twice, "two files have the name a.png"),
        (with_a_large_directory, "its list of files has 268435457 bytes"),
    ],
)
def test_a_hostile_archive_is_one_line(make, what, tmp_path):
    make(tmp_path / "in.zip")
    with pytest.raises(ValueError, match=rf"in.zip: not a zip archive, or damaged \({what}"):
        find_images(str(tmp_path / "in.zip"))


@pytest.mark.parametrize("name", ["cats.tar", "cats.rar", "cats.zip", "a.png"])
def test_another_file_is_no_folder(name, tmp_path):
    (tmp_path / name).write_bytes(b"Rar!")
    with pytest.raises(ValueError, match=f"{name}: must be a folder of images, or a .zip file"):
        find_images(str(tmp_path / name))


def test_arrays_and_texts_are_read_from_archives(tmp_path):
    file = io.BytesIO()
    np.save(file, [[0.5], [1.5]])
    members = {"a.png": png(1), "b.png": png(2), "x.npy": file.getvalue()}
    write(tmp_path / "in.zip", members)
    create(tmp_path, "in.zip", labels="x.npy", shuffle=False)
    dataset = open_dataset(tmp_path / "out", max_label_size="full")
    assert dataset.read_labels(range(2)).tolist() == [[0.5], [1.5]]
    assert zips.open_member(str(tmp_path / "none" / "a.png")) is None
