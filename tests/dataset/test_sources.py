import dataclasses
import gzip
import io
import os
import pickle
import tarfile
import zlib

import h5py
import numpy as np
import PIL.Image
import pytest
import scipy.io

from pgtf.dataset import open_dataset
from pgtf.dataset.exporter import Options, shuffled
from pgtf.dataset.sources import cifar, hdf5, lsun, mnist, svhn
from pgtf.grids import Grid
from tests.dataset import recipes

ONE = Options(num_workers=1)


def contents(folder):
    """Images NHWC and class numbers of a dataset, in the order of the source."""
    dataset = open_dataset(folder, max_label_size="full")
    source = np.argsort(shuffled(dataset.num_images))
    return dataset.read_images(source), dataset.read_labels(source).argmax(1), dataset.label_names


@pytest.mark.parametrize("form", ["folder", "inner folder", "archive"])
def test_cifar10_is_read_from_every_form(form, tmp_path):
    inner = tmp_path / "cifar" / "cifar-10-batches-py"
    recipes.write_cifar10(inner, num=20)
    source = {"folder": inner, "inner folder": inner.parent, "archive": tmp_path / "c.tar.gz"}[form]
    if form == "archive":
        with tarfile.open(source, "w:gz") as archive:
            archive.add(inner, "cifar-10-batches-py")
    cifar.create_cifar10(str(tmp_path / "out"), str(source), ONE, num_images=100)
    pictures, labels, names = contents(tmp_path / "out")
    for number in range(5):
        expected = recipes.noise(2001 + number, (20, 3, 32, 32)).transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(pictures[number * 20 : number * 20 + 20], expected)
        expected = recipes.classes(2101 + number, 20, 10)
        np.testing.assert_array_equal(labels[number * 20 : number * 20 + 20], expected)
    assert names[:3] == ("airplane", "automobile", "bird")


def test_cifar100_takes_its_names_from_meta(tmp_path):
    recipes.write_cifar100(tmp_path / "in", num=500)
    names = [f"class {i}" for i in range(100)]
    recipes.write_pickle(tmp_path / "in" / "meta", {"fine_label_names": names})
    cifar.create_cifar100(str(tmp_path / "out"), str(tmp_path / "in"), ONE, num_images=500)
    _, labels, found = contents(tmp_path / "out")
    np.testing.assert_array_equal(labels, recipes.classes(3002, 500, 100))
    assert found == tuple(names)


def test_python_2_pickles_of_cifar_are_read(tmp_path):
    # Byte for byte what Python 2 writes: strings are byte strings, the array's bytes too.
    data = recipes.noise(1, (2, 3, 32, 32)).reshape(2, -1)
    text = b"(dp0\nS'data'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n"
    text += b"(I0\ntp4\nS'b'\np5\ntp6\nRp7\n(I1\n(I2\nI3072\ntp8\ncnumpy\ndtype\np9\n(S'u1'\np10\n"
    text += b"I0\nI1\ntp11\nRp12\n(I3\nS'|'\np13\nNNNI-1\nI-1\nI0\ntp14\nbI00\nS"
    text += repr(data.tobytes())[1:].encode() + b"\np15\ntp16\nbsS'fine_labels'\np17\n(lp18\nI3\n"
    text += b"aI5\nas."
    (tmp_path / "train").write_bytes(text)
    cifar.create_cifar100(str(tmp_path / "out"), str(tmp_path), ONE, num_images=2)
    pictures, labels, _ = contents(tmp_path / "out")
    assert labels.tolist() == [3, 5]
    np.testing.assert_array_equal(pictures.transpose(0, 3, 1, 2).reshape(2, -1), data)


def test_svhn_is_read_from_the_official_file(tmp_path):
    pictures = recipes.noise(5, (30, 3, 32, 32))
    digits = recipes.classes(6, 30, 10)
    matlab = {"X": pictures.transpose(2, 3, 1, 0), "y": np.where(digits == 0, 10, digits)}
    scipy.io.savemat(tmp_path / "train_32x32.mat", {"X": matlab["X"], "y": matlab["y"][:, None]})
    svhn.create_svhn(str(tmp_path / "out"), str(tmp_path), ONE, num_images=30)
    found, labels, _ = contents(tmp_path / "out")
    np.testing.assert_array_equal(found, pictures.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(labels, digits)


def test_packed_and_unpacked_mnist_are_the_same(tmp_path):
    recipes.write_mnist(tmp_path / "unpacked", num=50)
    (tmp_path / "packed").mkdir()
    for path in (tmp_path / "unpacked").iterdir():
        (tmp_path / "packed" / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    for form in ("packed", "unpacked"):
        source, target = str(tmp_path / form), str(tmp_path / form / "x")
        mnist.create_mnist(target, source, ONE, num_images=50)
    files = [sorted((tmp_path / form / "x").iterdir()) for form in ("packed", "unpacked")]
    for a, b in zip(*files, strict=True):
        assert (a.name, a.read_bytes()) == (b.name, b.read_bytes())
    pictures, _, _ = contents(tmp_path / "packed" / "x")
    np.testing.assert_array_equal(pictures[:, 2:-2, 2:-2, 0], recipes.noise(1001, (50, 28, 28)))
    assert pictures[:, [0, 1, -2, -1]].max() == 0


def encoded(kind, size=(40, 30)):
    gradient = np.add.outer(np.arange(size[1]), 2 * np.arange(size[0])).astype(np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.stack([gradient] * 3, axis=2)).save(buffer, kind, lossless=True)
    return buffer.getvalue()


def test_lsun_objects_may_be_webp():
    webp, png = (lsun.decode(encoded(kind), 16) for kind in ("webp", "png"))
    assert webp.shape == (3, 16, 16)
    np.testing.assert_array_equal(webp, png)


def test_lsun_of_a_grid_is_the_largest_crop_of_its_shape():
    file = encoded("png", (40, 30))
    found = lsun.decode(file, 16, Grid(2, 4))  # 8x16 of 40x20 in the middle
    with PIL.Image.open(io.BytesIO(file)) as picture:
        crop = picture.crop((0, 5, 40, 25)).resize((16, 8), PIL.Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(found, np.asarray(crop).transpose(2, 0, 1))


def test_lsun_of_a_grid_takes_the_resolution_that_has_its_longer_side(tmp_path):
    entries = {}
    for side, gray in ((8, 10), (16, 20)):
        file = io.BytesIO()
        PIL.Image.new("RGB", (side, side), (gray,) * 3).save(file, "PNG")
        entries[b"%d-00000" % side] = file.getvalue()
    lmdb_of(tmp_path / "in", entries)
    options = dataclasses.replace(ONE, grid=Grid(5, 4))
    lsun.create(str(tmp_path / "out"), str(tmp_path / "in"), 8, options=options)
    pictures = open_dataset(tmp_path / "out").read_images([0])
    assert pictures.shape == (1, 10, 8, 3)
    assert set(pictures.flat) == {20}


def lmdb_of(folder, entries):
    environment = pytest.importorskip("lmdb").open(str(folder), map_size=1 << 20)
    with environment.begin(write=True) as transaction:
        for key, value in entries.items():
            transaction.put(key, value)
    environment.close()


def test_a_truncated_lmdb_is_an_error(tmp_path):
    lmdb_of(tmp_path / "in", {b"%d" % i: encoded("png") for i in range(100)})
    os.truncate(tmp_path / "in" / "data.mdb", 3 * 4096)
    with pytest.raises(ValueError, match="data.mdb is truncated. Received: 12288 bytes, not"):
        lsun.create(str(tmp_path / "out"), str(tmp_path / "in"), 8)


@pytest.mark.parametrize(("resolution", "shade"), [(8, 10), (16, 20), (32, 30), (64, 30)])
def test_of_several_resolutions_in_an_lmdb_one_is_taken(resolution, shade, tmp_path):
    entries = {b"length": b"2"}
    for side, gray in ((8, 10), (16, 20), (32, 30)):
        picture = PIL.Image.new("RGB", (side, side), (gray,) * 3)
        file = io.BytesIO()
        picture.save(file, "PNG")
        entries |= {b"%d-%05d" % (side, i): file.getvalue() for i in range(2)}
    lmdb_of(tmp_path / "in", entries)
    target = str(tmp_path / "out")
    summary = lsun.create(target, str(tmp_path / "in"), resolution, options=ONE)
    assert (summary.num_images, summary.rejected) == (2, ())
    assert (open_dataset(target).read_images(range(2)) == shade).all()


def test_an_lsun_entry_that_is_too_large_for_opencv_is_skipped(tmp_path):
    side = (60_000).to_bytes(4, "big")
    huge = bytearray(encoded("png"))
    huge[16:24] = side + side
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    lmdb_of(tmp_path / "in", {b"a": bytes(huge), b"b": encoded("png")})
    summary = lsun.create(str(tmp_path / "out"), str(tmp_path / "in"), 8, options=ONE)
    assert summary.num_images == 1
    assert summary.rejected[0].reason == "must have at most 178956970 pixels, found 3600000000"


def test_an_lmdb_that_lacks_its_last_page_is_an_error(tmp_path):
    lmdb_of(tmp_path / "in", {b"%d" % i: encoded("png") for i in range(100)})
    environment = pytest.importorskip("lmdb").open(str(tmp_path / "in"), readonly=True, lock=False)
    page = environment.stat()["psize"]
    whole = (environment.info()["last_pgno"] + 1) * page
    environment.close()
    os.truncate(tmp_path / "in" / "data.mdb", whole)
    lsun.create(str(tmp_path / "whole"), str(tmp_path / "in"), 8, max_images=1, options=ONE)
    os.truncate(tmp_path / "in" / "data.mdb", whole - page)
    message = f"data.mdb is truncated. Received: {whole - page} bytes, not {whole}"
    with pytest.raises(ValueError, match=message):
        lsun.create(str(tmp_path / "out"), str(tmp_path / "in"), 8)


@pytest.mark.parametrize("label", [10, 255])
def test_labels_of_mnist_are_digits(label, tmp_path):
    recipes.write_mnist(tmp_path / "in", num=5)
    labels = np.array([0, 9, label, 1, 2], np.uint8)
    (tmp_path / "in" / "train-labels-idx1-ubyte").write_bytes(recipes.idx(labels))
    with pytest.raises(ValueError, match=f"labels must be 0 to 9. Received: {label}"):
        mnist.create_mnist(str(tmp_path / "out"), str(tmp_path / "in"), ONE, num_images=5)
    assert not (tmp_path / "out").exists()


def test_svhn_labels_are_digits(tmp_path):
    for name in svhn.PICKLES:
        labels = np.full(2, -1)
        recipes.write_pickle(tmp_path / name, (recipes.noise(1, (2, 3, 32, 32)), labels))
    with pytest.raises(ValueError, match="labels must be 6 digits"):
        svhn.create_svhn(str(tmp_path / "out"), str(tmp_path), ONE, num_images=6)


def test_classes_of_svhn_in_matlab_are_1_to_10(tmp_path):
    content = {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[1], [11]], np.uint8)}
    scipy.io.savemat(tmp_path / "train_32x32.mat", content)
    with pytest.raises(ValueError, match="labels must be 2 digits"):
        svhn.create_svhn(str(tmp_path / "out"), str(tmp_path), ONE, num_images=2)


@pytest.mark.parametrize("label", [-1, 100, 300_000_000])
def test_classes_of_cifar_are_in_range(label, tmp_path):
    content = {"data": np.zeros((2, 3072), np.uint8), "fine_labels": [0, label]}
    recipes.write_pickle(tmp_path / "train", content)
    with pytest.raises(ValueError, match=f"train: `fine_labels` must be 0 to 99. .*{label}"):
        cifar.create_cifar100(str(tmp_path / "out"), str(tmp_path), ONE, num_images=2)


def test_labels_of_cifar_are_no_lists(tmp_path):
    content = {"data": np.zeros((2, 3072), np.uint8), "fine_labels": [[1], [1, 2]]}
    recipes.write_pickle(tmp_path / "train", content)
    with pytest.raises(ValueError, match="train: `fine_labels` must be whole numbers"):
        cifar.create_cifar100(str(tmp_path / "out"), str(tmp_path), ONE, num_images=2)


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (5, 8, 8, 3), (5, 3, 9, 9), (5, 3, 8, 16)])
def test_other_shapes_of_hdf5_are_refused(shape, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data"] = np.zeros(shape, np.uint8)
    with pytest.raises(ValueError, match="x.h5: data must hold images .*4x4 times a power of two"):
        hdf5.create(str(tmp_path / "out"), str(tmp_path / "x.h5"))


class Hostile:
    def __reduce__(self):
        return (open, ("hostile-was-here", "w"))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_hostile_pickle_runs_nothing(protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train").write_bytes(pickle.dumps({"data": Hostile()}, protocol))
    with pytest.raises(ValueError, match="train: refused class 'io.open'"):
        cifar.create_cifar100("out", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_pickle_protocol_of_arrays_is_read(protocol, tmp_path):
    content = {
        "data": recipes.noise(1, (3, 3, 32, 32)).reshape(3, -1),
        "fine_labels": [np.int64(4), 1, 0],
        "batch_label": b"bytes",
    }
    (tmp_path / "train").write_bytes(pickle.dumps(content, protocol))
    cifar.create_cifar100(str(tmp_path / "out"), str(tmp_path), ONE, num_images=3)
    pictures, labels, _ = contents(tmp_path / "out")
    assert labels.tolist() == [4, 1, 0]
    np.testing.assert_array_equal(pictures.transpose(0, 3, 1, 2).reshape(3, -1), content["data"])


PIXELS = recipes.noise(1, (3, 3, 32, 32)).reshape(3, -1)


def python_2_pickle(key):
    """A data batch byte for byte as Python 2's cPickle wrote the published ones in protocol 2."""

    def text(value, size=1):
        head = b"U%c" % len(value) if size == 1 else b"T" + len(value).to_bytes(4, "little")
        return head + value

    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x04cnumpy\nndarray\nq\x05K\x00\x85" + text(
        b"b"
    )
    array += b"\x87Rq\x06(K\x01K\x03M\x00\x0c\x86cnumpy\ndtype\nq\x07" + text(b"u1")
    array += b"K\x00K\x01\x87Rq\x08(K\x03" + text(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2
    array += b"K\x00tb\x89" + text(PIXELS.tobytes(), 4) + b"tb"
    names = b"".join(
        text(b"leptodactylus_pentadactylus_s_00000%d.png" % i) + b"q\x21" for i in range(3)
    )
    return (
        b"\x80\x02}q\x01(" + text(b"batch_label") + b"q\x02" + text(b"training batch 1 of 5")
        + text(key) + b"q\x03]q\x22(K\x06K\x09K\x09e" + text(b"data") + array
        + text(b"filenames") + b"]q\x20(" + names + b"eu."
    )  # fmt: skip


def repickled(content, encoding, protocol):
    """The same, loaded and saved again with Python 3."""
    return pickle.dumps(pickle.loads(content, encoding=encoding), protocol)


FORMS = {"as published": lambda content: content}
FORMS |= {
    f"{encoding}, protocol {protocol}": lambda c, e=encoding, p=protocol: repickled(c, e, p)
    for encoding in ("latin1", "bytes")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
}


@pytest.mark.parametrize("form", FORMS)
def test_published_and_repickled_cifar_files_are_read(form, tmp_path):
    (tmp_path / "train").write_bytes(FORMS[form](python_2_pickle(b"fine_labels")))
    names = [b"class %d" % i for i in range(100)]
    content = {"fine_label_names": names, b"coarse_label_names": names[:20]}
    if "bytes" in form:
        content = {b"fine_label_names": names}
    (tmp_path / "meta").write_bytes(pickle.dumps(content))
    cifar.create_cifar100(str(tmp_path / "out"), str(tmp_path), ONE, num_images=3)
    pictures, labels, found = contents(tmp_path / "out")
    assert labels.tolist() == [6, 9, 9]
    assert found == tuple(f"class {i}" for i in range(10))
    np.testing.assert_array_equal(pictures.transpose(0, 3, 1, 2).reshape(3, -1), PIXELS)


OTHER_TYPES = [{}, "text", b"x", 3, np.zeros(3), [1.5], [True], [[]]]


@pytest.mark.parametrize(
    ("key", "value"),
    [(key, value) for key in ("data", "fine_labels", "fine_label_names") for value in OTHER_TYPES]
    + [(key, value) for key in ("data", "fine_labels") for value in (None, [])],
)
def test_cifar_values_of_another_type_are_named(key, value, tmp_path):
    content = {"data": PIXELS, "fine_labels": [1, 2, 3]}
    for name in ("train", "meta"):
        (tmp_path / name).write_bytes(pickle.dumps(content | {key: value}))
    with pytest.raises(ValueError, match=f"(train|meta): `{key}` must be|must hold 3 images"):
        cifar.create_cifar100(str(tmp_path / "out"), str(tmp_path), ONE, num_images=3)


@pytest.mark.parametrize("content", [[], 3, None, "text", PIXELS])
def test_a_cifar_file_that_holds_no_dict_is_named(content, tmp_path):
    (tmp_path / "train").write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match="train: must hold a dict. Received: "):
        cifar.create_cifar100(str(tmp_path / "out"), str(tmp_path), num_images=3)


def test_a_cifar_file_larger_than_its_images_can_be_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "MAX_OTHER_BYTES", 1000)
    (tmp_path / "train").write_bytes(bytes(3 * 5 * 3072 + 1001))
    with pytest.raises(ValueError, match="train: must have at most 47080 bytes"):
        cifar.create_cifar100(str(tmp_path / "out"), str(tmp_path), num_images=3)


def test_svhn_pickles_of_other_types_are_named(tmp_path):
    good = (recipes.noise(1, (2, 3, 32, 32)), np.zeros(2, np.uint8))
    for bad in (
        good[:1],
        [good[0], [1, 2]],
        (good[0].astype(float), good[1]),
        (*good[:1], good[0]),
    ):
        for name in svhn.PICKLES:
            recipes.write_pickle(tmp_path / name, bad)
        with pytest.raises(ValueError, match="train_1.pkl: must hold a pair of uint8 images"):
            svhn.create_svhn(str(tmp_path / "out"), str(tmp_path), ONE, num_images=6)
