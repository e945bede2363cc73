import json
import os
import shutil

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset import inspection, open_dataset, tfrecords
from pgtf.dataset.exporter import Options
from pgtf.dataset.sources import demo
from tests.dataset import original

DATASETS = sorted(path for path in original.FULL.iterdir() if path.is_dir())


@pytest.mark.parametrize("path", DATASETS, ids=lambda path: path.name)
def test_the_originals_datasets_are_whole(path):
    assert inspection.verify(str(path)).num_images == open_dataset(path).num_images


@pytest.fixture
def folder(tmp_path):
    demo.create(str(tmp_path / "demo"), 20, 16, options=Options(1))
    return tmp_path / "demo"


def rewrite(folder, level, change):
    """Applies a change to the images of a level; the records are otherwise good."""
    path = folder / f"demo-r{level:02d}.tfrecords"
    file = tfrecords.open_records(str(path))
    images = file.read(range(file.num_records))
    change(images)
    path.write_bytes(tfrecords.to_records(images).tobytes())


@pytest.mark.parametrize("level", [2, 3])
def test_a_level_that_is_not_the_mean_of_the_finest_is_found(level, folder):
    def change(images):
        images[17, 1, 2, 3] ^= 1
        images[18] = 0

    rewrite(folder, level, change)
    offset = 17 * tfrecords.layout((3, 1 << level, 1 << level)).record_size
    message = rf"demo-r0{level}.tfrecords record 17 \(offset {offset}\): the image is not the "
    with pytest.raises(ValueError, match=message):
        inspection.verify(str(folder))


def test_a_changed_finest_image_is_found(folder):
    def change(images):
        images[5] = images[6]

    rewrite(folder, 4, change)
    with pytest.raises(ValueError, match="record 5 .*is not the 8x8 mean"):
        inspection.verify(str(folder))


@pytest.mark.parametrize("level", [2, 3, 4])
def test_a_flipped_bit_is_found(level, folder):
    path = folder / f"demo-r{level:02d}.tfrecords"
    data = bytearray(path.read_bytes())
    size = len(data) // 20
    data[11 * size + size // 2] ^= 16
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"record 11 \(offset {11 * size}\): damaged"):
        inspection.verify(str(folder))


def test_labels_that_are_no_numbers_are_found(folder):
    path = folder / "demo-rxx.labels"
    labels = np.load(path)
    labels[13, 2] = np.nan
    with open(path, "wb") as file:
        np.save(file, labels)
    offset = path.stat().st_size - (20 - 13) * labels.shape[1] * 4
    message = rf"demo-rxx.labels row 13 \(offset {offset}\): must be finite"
    with pytest.raises(ValueError, match=message):
        inspection.verify(str(folder))


def cut(path, num_bytes):
    os.truncate(path, num_bytes)


# The change, given the finest file and its record size; the fault and its offset.
FAULTS = {
    "first length": (
        lambda path, size: flip(path, 0),
        r"record 0 \(offset 0\): not a TFRecord file, or damaged",
    ),
    "first key": (lambda path, size: flip(path, 20), r"record 0 \(offset 0\): must be a tf.train"),
    "empty": (lambda path, size: cut(path, 0), "no record in it"),
    "first cut": (lambda path, size: cut(path, size - 1), r"record 0 \(offset 0\): the file ends"),
    "cut": (lambda path, size: cut(path, 7 * size + 5), "record 7 .offset {7}.: the file ends"),
    "short": (lambda path, size: cut(path, 7 * size), "r04.tfrecords ends at record 7 .offset {7}"),
}


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 16
    path.write_bytes(data)


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_fault_that_is_found_at_once_has_its_offset_too(name, folder):
    change, message = FAULTS[name]
    path = folder / "demo-r04.tfrecords"
    size = path.stat().st_size // 20
    change(path, size)
    with pytest.raises(ValueError, match=message.replace("{7}", str(7 * size))):
        inspection.verify(str(folder))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("resolution", 32, "`resolution` says 32, but the files hold 16"),
        ("num_channels", 1, "`num_channels` says 1, but the files hold 3"),
        ("label_names", ["a"], "`label_names` says 1, but the files hold [1-9]"),
        ("label_names", 5, "`label_names` must be a list of strings"),
        ("label_names", [5], "`label_names` must be a list of strings"),
    ],
)
def test_a_description_of_something_else_is_found(key, value, message, folder):
    meta = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(meta | {key: value}))
    with pytest.raises(ValueError, match=message):
        inspection.verify(str(folder))


def test_a_lost_label_file_is_found(folder):
    (folder / "demo-rxx.labels").unlink()
    with pytest.raises(ValueError, match=r"`label_names` says \d+, but the files hold 0\."):
        inspection.verify(str(folder))


def test_extract_does_not_write_into_a_folder_in_use(folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("x")
    with pytest.raises(FileExistsError, match="out: is not empty"):
        inspection.extract(str(folder), str(tmp_path / "out"))
    (tmp_path / "out" / "precious").unlink()
    assert inspection.extract(str(folder), str(tmp_path / "out")) == 20
    assert len(list((tmp_path / "out").iterdir())) == 20


def test_extract_touches_nothing_but_its_folder(folder, tmp_path):
    (tmp_path / "out.partial").mkdir()  # an interrupted job's
    (tmp_path / "out.partial" / "progress.jsonl").write_text("precious")
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileExistsError, match="file: is a file. Choose another name"):
        inspection.extract(str(folder), str(tmp_path / "file"))
    assert inspection.extract(str(folder), str(tmp_path / "out")) == 20
    assert (tmp_path / "out.partial" / "progress.jsonl").read_text() == "precious"
    assert sorted(x.name for x in tmp_path.iterdir()) == ["demo", "file", "out", "out.partial"]


def no_space(*args):
    raise OSError(28, "No space left on device")  # as `write` of an open file does


def test_a_disk_too_full_for_pictures_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(PIL.Image.Image, "save", no_space)
    with pytest.raises(OSError, match="No space left on device: '.*/out'"):
        inspection.extract(str(folder), str(tmp_path / "out"))
    assert [x.name for x in tmp_path.iterdir()] == ["demo"]


def test_an_extraction_that_fails_leaves_nothing(folder, tmp_path):
    data = bytearray((folder / "demo-r04.tfrecords").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "demo-r04.tfrecords").write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        inspection.extract(str(folder), str(tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_copies_are_identical_and_others_are_not(folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "copy")
    result = inspection.compare(str(folder), str(tmp_path / "copy"))
    assert result == inspection.Comparison(20, (20, 20), 20, 20)
    demo.create(str(tmp_path / "fewer"), 15, 16, seed=1, options=Options(1))
    result = inspection.compare(str(folder), str(tmp_path / "fewer"))
    assert (result.num_compared, result.num_images, result.identical_images) == (15, (20, 15), 0)
    assert capsys.readouterr().out.count("Image ") == 15
