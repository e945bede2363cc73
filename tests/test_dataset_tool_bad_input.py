"""Bad input of every kind is one line, and leaves nothing."""

import gzip
import os
import pickle
import re
import shutil

import numpy as np
import PIL.Image
import pytest

from tests.dataset import original, recipes
from tests.dataset.commands import run, save_pictures


def break_jpeg_500(folder):
    path = save_pictures(folder / "pictures", 1000, "jpg") / "0500.jpg"
    path.write_bytes(path.read_bytes()[:-20])


def text_as_png(folder):
    (save_pictures(folder / "pictures", 3, "png") / "0001.png").write_text("this is no picture")


def text_as_first_png(folder):
    (save_pictures(folder / "pictures", 3, "png") / "0000.png").write_text("this is no picture")


def empty_png(folder):
    (save_pictures(folder / "pictures", 3, "png") / "0002.png").write_bytes(b"")


def flipped_bit_in_png(folder):
    path = save_pictures(folder / "pictures", 3, "png") / "0002.png"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 8
    path.write_bytes(data)


def mixed_sizes(folder):
    pixels = np.zeros((16, 16, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(save_pictures(folder / "pictures", 3, "png") / "0001.png")


def mixed_modes(folder):
    pixels = np.zeros((8, 8), np.uint8)
    PIL.Image.fromarray(pixels).save(save_pictures(folder / "pictures", 3, "png") / "0001.png")


def no_pictures(folder):
    (folder / "pictures").mkdir()


def mnist(folder, images=60_000, labels=60_000, cut=0):
    digits, classes = np.zeros((images, 28, 28), np.uint8), np.zeros(labels, np.uint8)
    for name, values in (("images-idx3", digits), ("labels-idx1", classes)):
        data = gzip.compress(recipes.idx(values), 1)
        (folder / f"train-{name}-ubyte.gz").write_bytes(data[: len(data) - cut])


def mnist_cut(folder):
    mnist(folder, cut=100)


def mnist_few(folder):
    mnist(folder, images=59_999)


def mnist_few_labels(folder):
    mnist(folder, labels=100)


def mnist_floats(folder):
    mnist(folder)
    header = np.array([0xD03, 60_000, 28, 28], ">u4").tobytes()  # type 0x0D: float
    with gzip.open(folder / "train-images-idx3-ubyte.gz", "wb", 1) as file:
        file.write(header + bytes(60_000 * 28 * 28 * 4))


class Hostile:
    def __reduce__(self):
        return (os.system, ("touch hostile-was-here",))


def cifar(folder, data=None, labels=None, **others):
    data = np.zeros((50_000, 3072), np.uint8) if data is None else data
    labels = [0] * len(data) if labels is None else labels
    content = {"data": data, "fine_labels": labels} | others
    (folder / "train").write_bytes(pickle.dumps(content, 2))


def cifar_hostile(folder):
    (folder / "train").write_bytes(pickle.dumps(Hostile(), 2))


def cifar_float(folder):
    cifar(folder, data=np.zeros((5, 3072), np.float32))


def cifar_text_labels(folder):
    cifar(folder, labels=["a"] * 50_000)


def cifar_few(folder):
    cifar(folder, data=np.zeros((49_999, 3072), np.uint8))


def cifar_cut(folder):
    cifar(folder)
    (folder / "train").write_bytes((folder / "train").read_bytes()[:100_000])


def not_hdf5(folder):
    (folder / "x.h5").write_bytes(b"no HDF5")


def not_lmdb(folder):
    (folder / "data.mdb").write_bytes(b"no LMDB" * 1000)


def nothing(folder):
    pass


# The fault; the command with its input below the folder; the one line.
BAD_INPUTS = [
    (nothing, "create_from_images nowhere", "nowhere: no such folder of images"),
    (nothing, "create_mnist nowhere", "nowhere: must contain train-images-idx3-ubyte.gz"),
    (nothing, "create_cifar10 nowhere", "nowhere: must contain data_batch_1"),
    (nothing, "create_svhn nowhere", "nowhere: must contain train_32x32.mat"),
    (nothing, "create_lsun nowhere", "nowhere: no such LMDB folder"),
    (nothing, "create_celeba nowhere", "nowhere/img_align_celeba_png: no such folder"),
    (nothing, "create_from_hdf5 nowhere.h5", "nowhere.h5: no such file"),
    (no_pictures, "create_from_images pictures", "pictures: no image files in it"),
    (break_jpeg_500, "create_from_images pictures", "pictures/0500.jpg: damaged JPEG data"),
    (text_as_png, "create_from_images pictures", "pictures/0001.png: not an image, or of a kind"),
    (text_as_first_png, "create_from_images pictures", "pictures/0000.png: not an image"),
    (empty_png, "create_from_images pictures", "pictures/0002.png: the file is empty"),
    (flipped_bit_in_png, "create_from_images pictures", "pictures/0002.png: "),
    (mixed_sizes, "create_from_images pictures", "0001.png: must be 8x8 RGB .* found 16x16 RGB"),
    (mixed_modes, "create_from_images pictures", "0001.png: must be 8x8 RGB .* found 8x8 gray"),
    (mnist_cut, "create_mnist .", "images-idx3-ubyte.gz: damaged or truncated gzip"),
    (mnist_few, "create_mnist .", "images-idx3-ubyte.gz: must hold 60000 .* 59999 x 28 x 28"),
    (mnist_few_labels, "create_mnist .", "labels-idx1-ubyte.gz: must hold 60000 .* 100 in the"),
    (mnist_floats, "create_mnist .", "images-idx3-ubyte.gz: not an IDX file of 3-dim.* bytes"),
    (cifar_hostile, "create_cifar100 .", "train: refused class '.*system'"),
    (cifar_float, "create_cifar100 .", r"train: `data` must be uint8 \[n, 3072\].* float32"),
    (cifar_text_labels, "create_cifar100 .", "train: `fine_labels` must be whole numbers"),
    (cifar_few, "create_cifar100 .", "must hold 50000 images .* 49999 images, 49999 labels"),
    (cifar_cut, "create_cifar100 .", "train: not a pickle, or a damaged one"),
    (not_hdf5, "create_from_hdf5 x.h5", "x.h5: not an HDF5 file, or damaged"),
    (not_lmdb, "create_lsun .", "not an LMDB folder"),
]


@pytest.mark.parametrize(
    ("spoil", "line", "message"), BAD_INPUTS, ids=[f"{x[0].__name__}-{x[1]}" for x in BAD_INPUTS]
)
def test_bad_input_is_one_line_and_leaves_nothing(
    spoil, line, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    spoil(tmp_path)
    before = sorted(tmp_path.iterdir())
    command, source = line.split()
    assert run(command, "out/made", source) == 2
    errors = [x for x in capsys.readouterr().err.splitlines() if "Writing" not in x and x]
    assert len(errors) == 1
    assert re.search("^error: .*" + message, errors[0]), errors[0]
    assert [path for path in sorted(tmp_path.iterdir()) if path.name != "out"] == before
    assert not list(tmp_path.glob("out/*"))
    assert not (tmp_path / "hostile-was-here").exists()


BAD_ORIGINALS = [
    ("bad-notpow2", "the resolution must be a power of two"),
    ("bad-notsquare", "width and height must be the same"),
    ("bad-rgba", "must be stored as RGB or grayscale. Received: RGBA"),
]


@pytest.mark.parametrize(("name", "message"), BAD_ORIGINALS)
def test_what_the_original_refuses_is_refused(name, message, tmp_path, capsys):
    assert run("create_from_images", tmp_path / "x", original.INPUTS / name) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", ["display", "verify"])
def test_no_dataset_is_one_line(command, tmp_path, capsys):
    assert run(command, tmp_path / "nowhere") == 2
    assert re.fullmatch("error: .*nowhere: no such dataset folder.*\n", capsys.readouterr().err)


WRONG_VALUES = [
    ("create_demo x --resolution=33", "`resolution` must be a power of two .*=33"),
    ("create_demo x --resolution=2", "`resolution` must be a power of two .*=2"),
    ("create_demo x --seed=-1", "`seed` must be 0 to 4294967295. Received: seed=-1"),
    ("create_mnistrgb x . --random_seed=4294967296", "`random_seed` must be .*=4294967296"),
    ("create_lsun x lmdb --resolution=100", "`resolution` must be a power of two .*=100"),
    ("create_demo /", "`tfrecord_dir` must name the folder to create"),
    (["create_demo", ""], "`tfrecord_dir` must name the folder to create"),
]


@pytest.mark.parametrize(("line", "message"), WRONG_VALUES)
def test_a_wrong_value_is_one_line_that_names_it(line, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(original.INPUTS / "lsun_lmdb", "lmdb")
    assert run(*(line.split() if isinstance(line, str) else line)) == 2
    assert re.fullmatch(f"error: {message}.*\n", capsys.readouterr().err)
    assert os.listdir() == ["lmdb"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["create_demo"],
        ["nonsense"],
        ["create_demo", "x", "--num_images=0"],
        ["create_demo", "x", "--num_workers=0"],
        ["create_demo", "x", "--num_workers=-1"],
        ["create_from_images", "x", "y", "--max_errors=-1"],
    ],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    assert run(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "--help lists the flags" in line
