"""Default of mirror_augment per dataset: that of the original release's config.py."""

import shutil

import h5py
import numpy as np
import pytest

from pgtf.dataset import open_dataset
from pgtf.dataset.exporter import Options
from pgtf.dataset.sources import celeba, cifar, demo, hdf5, lsun, mnist, svhn
from tests.dataset import exports, folders, original, recipes
from tests.dataset.test_sources import encoded, lmdb_of

ONE = Options(num_workers=1)
LSUN = (
    "airplane bedroom bicycle bird boat bottle bridge bus car cat chair churchoutdoor classroom "
    "conferenceroom cow diningroom diningtable dog horse kitchen livingroom motorbike person "
    "pottedplant restaurant sheep sofa tower train tvmonitor"
).split()
MIRRORED = ["celebahq", "celeba", *(f"lsun-{category}-100k" for category in LSUN)]
OTHERS = ["cifar10", "cifar100", "svhn", "mnist", "mnistrgb", "lsun-bedroom", "lsun-dog", "syn1024"]
OTHERS += ["celeba128", "my-celebahq", "celebahq-small", "lsun-100k", "CelebA", "faces"]


def described(folder):
    """Command and default of a dataset whose folder has a name of nobody's."""
    meta = open_dataset(folder, max_label_size=0).meta
    assert meta["format"] == 1
    return meta["source"], meta.get("mirror")


@pytest.fixture
def unnamed(tmp_path):
    """A dataset of the original release without dataset.json."""
    shutil.copytree(original.FULL / "hdf5", tmp_path / "set")
    return tmp_path / "set"


def test_the_original_mirrors_thirty_two_datasets():
    assert len(MIRRORED) == 32


@pytest.mark.parametrize(
    ("names", "mirror"), [(MIRRORED, True), (OTHERS, False)], ids=["mirrored", "others"]
)
def test_a_folder_without_our_file_follows_the_originals_name(unnamed, names, mirror):
    for name in names:
        unnamed = unnamed.rename(unnamed.parent / name)
        dataset = open_dataset(f"{unnamed}/", max_label_size=0)
        assert dataset.mirror is mirror, name
        assert f"dataset named {name}" in dataset.mirror_source


@pytest.mark.parametrize(
    ("name", "mirror"), [("celebahq", True), ("lsun-cat-100k", True), ("lsun-cat", False)]
)
def test_a_link_or_a_renamed_folder_follows_the_name_of_its_files(unnamed, name, mirror):
    for path in unnamed.iterdir():
        path.rename(path.with_name(f"{name}-{path.name.rpartition('-')[2]}"))
    link = unnamed.with_name("job-17")
    link.symlink_to(unnamed)
    for path in (unnamed, link):
        dataset = open_dataset(path, max_label_size=0)
        assert dataset.mirror is mirror
        named = name if mirror else path.name
        assert f"dataset named {named}" in dataset.mirror_source
    (unnamed / "dataset.json").write_text(f'{{"mirror": {str(not mirror).lower()}}}')
    assert open_dataset(link, max_label_size=0).mirror is not mirror


@pytest.mark.parametrize(("name", "mirror"), [("celebahq", False), ("cats", True)])
def test_our_file_wins_over_the_name(unnamed, name, mirror):
    unnamed = unnamed.rename(unnamed.parent / name)
    (unnamed / "dataset.json").write_text(f'{{"mirror": {str(mirror).lower()}}}')
    dataset = open_dataset(unnamed, max_label_size=0)
    assert dataset.mirror is mirror
    assert dataset.mirror_source == f"the default in {unnamed}/dataset.json"


def test_our_file_of_before_the_field_leaves_it_to_the_name(unnamed):
    (unnamed / "dataset.json").write_text('{"num_images": 10}')
    assert open_dataset(unnamed, max_label_size=0).mirror is False
    unnamed = unnamed.rename(unnamed.parent / "celeba")
    assert open_dataset(unnamed, max_label_size=0).mirror is True


def test_celeba_is_mirrored(tmp_path):
    recipes.write_celeba(tmp_path, num=2)
    celeba.create(str(tmp_path / "out"), str(tmp_path), options=ONE, num_images=2)
    assert described(tmp_path / "out") == ("create_celeba", True)


@pytest.mark.parametrize(("max_images", "mirror"), [(2, True), (None, False)])
def test_lsun_is_mirrored_when_it_is_cut_short(max_images, mirror, tmp_path):
    lmdb_of(tmp_path / "in", {b"%d" % i: encoded("png") for i in range(3)})
    lsun.create(str(tmp_path / "out"), str(tmp_path / "in"), 8, max_images, ONE)
    assert described(tmp_path / "out") == ("create_lsun", mirror)


def test_digits_and_small_images_are_not_mirrored(tmp_path):
    source, target = (lambda name: str(tmp_path / "in" / name)), lambda name: str(tmp_path / name)
    recipes.write_mnist(tmp_path / "in" / "mnist", num=5)
    recipes.write_cifar10(tmp_path / "in" / "cifar10", num=2)
    recipes.write_cifar100(tmp_path / "in" / "cifar100", num=5)
    recipes.write_svhn(tmp_path / "in" / "svhn", num=2)
    mnist.create_mnist(target("a"), source("mnist"), ONE, num_images=5)
    mnist.create_mnistrgb(target("b"), source("mnist"), 5, options=ONE, num_digits=5)
    cifar.create_cifar10(target("c"), source("cifar10"), ONE, num_images=10)
    cifar.create_cifar100(target("d"), source("cifar100"), ONE, num_images=5)
    svhn.create_svhn(target("e"), source("svhn"), ONE, num_images=6)
    demo.create(target("f"), 5, 8, options=ONE)
    assert [described(tmp_path / name) for name in "abcdef"] == [
        ("create_mnist", False),
        ("create_mnistrgb", False),
        ("create_cifar10", False),
        ("create_cifar100", False),
        ("create_svhn", False),
        ("create_demo", False),
    ]


def test_images_of_anybody_leave_it_to_the_name_of_the_folder(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data"] = np.zeros((5, 3, 8, 8), np.uint8)
    for name, mirror in (("celebahq", True), ("cats", False)):
        hdf5.create(str(tmp_path / name), str(tmp_path / "x.h5"), options=ONE)
        assert described(tmp_path / name) == ("create_from_hdf5", None)
        assert open_dataset(tmp_path / name).mirror is mirror
    folders.save(tmp_path / "in" / "a.png", 7)
    folders.create(tmp_path)
    assert described(tmp_path / "out") == ("create_from_images", None)


def test_a_source_may_say_more(tmp_path):
    exports.make(tmp_path / "set", meta={"mirror": True, "more": 1})
    dataset = open_dataset(tmp_path / "set")
    assert (dataset.mirror, dataset.meta["more"]) == (True, 1)
