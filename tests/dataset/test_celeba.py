"""CelebA as people have it: PNG or JPEG files, unpacked or not, with attributes."""

import shutil
import zipfile

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset import open_dataset
from pgtf.dataset.exporter import Options, shuffled
from pgtf.dataset.sources import celeba

NUM = 5
ATTRIBUTES = ["Bald", "Smiling", "Young"]
VALUES = np.array([[1, -1, 1], [-1, -1, 1], [1, 1, -1], [-1, 1, -1], [-1, -1, -1]])


def create(tmp_path, source="celeba", **options):
    folder = str(tmp_path / source)
    return celeba.create(
        str(tmp_path / "out"), folder, num_images=NUM, options=Options(1), **options
    )


def write(folder, kind="jpg"):
    """Writes five images, each of one color, hidden files of macOS, and Anno."""
    images = folder / ("img_align_celeba" + ("_png" if kind == "png" else ""))
    images.mkdir(parents=True)
    for i in range(NUM):
        picture = PIL.Image.new("RGB", (178, 218), (40 * i,) * 3)
        picture.save(images / f"{i + 1:06d}.{kind}", quality=100)
        (images / f"._{i + 1:06d}.{kind}").write_text("macOS")
    rows = [f"{i + 1:06d}.jpg  {'  '.join(map(str, row))}" for i, row in enumerate(VALUES.tolist())]
    (folder / "Anno").mkdir()
    text = "\n".join([str(NUM), " ".join(ATTRIBUTES), *rows])
    (folder / "Anno" / "list_attr_celeba.txt").write_text(text)
    return images


def shades(tmp_path):
    dataset = open_dataset(tmp_path / "out", max_label_size="full")
    assert dataset.meta["mirror"] is True
    return dataset.read_images(range(NUM))[:, 0, 0, 0].tolist()


EXPECTED = [40 * int(i) for i in shuffled(NUM)]


def test_jpeg_files_are_taken_in_the_order_of_the_png_files_and_said_to_differ(tmp_path, caplog):
    write(tmp_path / "celeba")
    create(tmp_path)
    assert shades(tmp_path) == EXPECTED
    assert "pixels differ from those of the original release" in caplog.text


def test_png_files_are_preferred(tmp_path, caplog):
    write(tmp_path / "celeba")
    shutil.rmtree(tmp_path / "celeba" / "Anno")
    images = write(tmp_path / "celeba", "png")
    PIL.Image.new("RGB", (178, 218), (250, 250, 250)).save(images / "000001.png")
    create(tmp_path)
    assert shades(tmp_path) == [shade or 250 for shade in EXPECTED]
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("celeba", "Img/img_align_celeba"),
        ("celeba", "img_align_celeba/img_align_celeba"),
        ("celeba/img_align_celeba", "img_align_celeba"),
    ],
)
def test_the_folders_that_archives_unpack_are_found(source, place, tmp_path):
    images = write(tmp_path / "celeba").rename(tmp_path / "images")
    (tmp_path / "celeba" / place).parent.mkdir(exist_ok=True)
    images.rename(tmp_path / "celeba" / place)
    create(tmp_path, source, labels="attributes")
    assert shades(tmp_path) == EXPECTED


@pytest.mark.parametrize("source", ["celeba", "celeba/Img/img_align_celeba.zip"])
def test_the_archive_need_not_be_unpacked(source, tmp_path):
    images = write(tmp_path / "celeba")
    (tmp_path / "celeba" / "Img").mkdir()
    with zipfile.ZipFile(tmp_path / "celeba" / "Img" / "img_align_celeba.zip", "w") as archive:
        for path in images.iterdir():
            archive.write(path, f"img_align_celeba/{path.name}")
    shutil.rmtree(images)
    create(tmp_path, source)
    assert shades(tmp_path) == EXPECTED


@pytest.mark.parametrize("kind", ["txt", "csv"])
def test_attributes_are_labels(kind, tmp_path):
    write(tmp_path / "celeba")
    if kind == "csv":
        (tmp_path / "celeba" / "Anno" / "list_attr_celeba.txt").unlink()
        rows = [
            f"{i + 1:06d}.jpg,{','.join(map(str, row))}" for i, row in enumerate(VALUES.tolist())
        ]
        text = "\n".join([",".join(["image_id", *ATTRIBUTES]), *rows[::-1]])
        (tmp_path / "celeba" / "list_attr_celeba.csv").write_text(text)
    create(tmp_path, labels="attributes")
    dataset = open_dataset(tmp_path / "out", max_label_size="full")
    assert dataset.label_names == tuple(ATTRIBUTES)
    labels = dataset.read_labels(range(NUM))
    assert labels.tolist() == (VALUES[shuffled(NUM)] > 0).astype(float).tolist()
    assert dataset.meta["label_groups"] == [
        {"kind": "multilabel", "columns": [0, 3], "names": ATTRIBUTES}
    ]


def test_missing_parts_are_named(tmp_path):
    (tmp_path / "celeba").mkdir()
    with pytest.raises(
        FileNotFoundError, match="img_align_celeba_png: no such folder .* nor img_a"
    ):
        create(tmp_path)
    write(tmp_path / "celeba")
    shutil.rmtree(tmp_path / "celeba" / "Anno")
    with pytest.raises(FileNotFoundError, match="must contain Anno/list_attr_celeba.txt"):
        create(tmp_path, labels="attributes")
    (tmp_path / "celeba" / "img_align_celeba" / "000003.jpg").unlink()
    with pytest.raises(ValueError, match="img_align_celeba: must hold 5 images. Received: 4"):
        create(tmp_path)
