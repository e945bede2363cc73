import re
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from pgtf.commands import dataset as dataset_tool
from pgtf.dataset import open_dataset


class Labels:
    names = ("cat", "dog", "fish")


class Features:
    """Stands for FeaturesDict, which is not a dictionary: it has no `get`."""

    def __init__(self, **features):
        self._features = features

    def __contains__(self, name):
        return name in self._features

    def __getitem__(self, name):
        return self._features[name]

    def __iter__(self):
        return iter(self._features)


@pytest.fixture
def package(monkeypatch, rng):
    """Stands for tensorflow_datasets, with one dataset of five images and one without images."""
    images = rng.integers(0, 256, (5, 12, 8, 3), np.uint8)
    examples = tf.data.Dataset.from_tensor_slices({"image": images, "label": [1, 0, 1, 1, 0]})
    infos = {
        "pets": types.SimpleNamespace(features=Features(image=None, label=Labels())),
        "plain": types.SimpleNamespace(features=Features(image=None)),
        "texts": types.SimpleNamespace(features=Features(text=None, id=None)),
    }

    def load(name, split, with_info, shuffle_files):
        if name not in infos:
            raise LookupError(f"Dataset {name} not found.\nDid you mean: pets{' or others' * 99}")
        return examples, infos[name]

    fake = types.SimpleNamespace(load=load, as_numpy=lambda dataset: dataset.as_numpy_iterator())
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", fake)
    return images


def test_attributes_are_columns(package, tmp_path, monkeypatch):
    smiling, age = [True, False, True, False, False], [0.5, 1, 2, 3, 4]
    attributes = {"Smiling": smiling, "Age": age, "Name": ["a"] * 5}
    content = {"image": package, "attributes": attributes}
    examples = tf.data.Dataset.from_tensor_slices(content)
    features = Features(image=None, attributes=Features(Smiling=None, Age=None, Name=None))
    found = examples, types.SimpleNamespace(features=features)
    monkeypatch.setattr(sys.modules["tensorflow_datasets"], "load", lambda *args, **kwargs: found)
    dataset_tool.main(["create_from_tfds", str(tmp_path / "faces"), "faces", "--resolution=8"])
    dataset = open_dataset(tmp_path / "faces", max_label_size="full")
    assert dataset.label_names == ("Smiling", "Age")
    assert dataset.read_labels(range(5)).tolist() == [
        list(x) for x in zip(smiling, age, strict=True)
    ]


def test_images_and_labels_are_taken_in_their_order(package, tmp_path):
    dataset_tool.main(["create_from_tfds", str(tmp_path / "pets"), "pets", "--resolution=8"])
    dataset = open_dataset(tmp_path / "pets", max_label_size="full")
    np.testing.assert_array_equal(dataset.read_images(range(5)), package[:, 2:10])
    assert dataset.read_labels(range(5)).argmax(1).tolist() == [1, 0, 1, 1, 0]
    assert dataset.label_names == ("cat", "dog")


def test_an_unknown_name_is_one_line(package, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        dataset_tool.main(["create_from_tfds", str(tmp_path / "x"), "nets", "--resolution=8"])
    error = capsys.readouterr().err
    assert "cannot load nets, split train (Dataset nets not found. Did you mean: pets or" in error
    assert error.count("\n") == 1
    assert len(error) < 400


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--transform=none"], "must be 8x8 RGB like the others, found 8x12 RGB"),
        (["--transform=none", "--resolution=4", "--channels=1"], "4x4 grayscale .* 8x12 gray"),
    ],
)
def test_an_example_that_does_not_fit_is_named(flags, message, package, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        dataset_tool.main(
            ["create_from_tfds", str(tmp_path / "x"), "pets", "--resolution=8", *flags]
        )
    assert re.search(f"error: example 0: .*{message}", capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_labels_are_not_needed_but_images_are(package, tmp_path, capsys):
    dataset_tool.main(["create_from_tfds", str(tmp_path / "plain"), "plain", "--resolution=8"])
    assert open_dataset(tmp_path / "plain", max_label_size="full").label_size == 0
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        dataset_tool.main(["create_from_tfds", str(tmp_path / "x"), "texts", "--resolution=8"])
    assert capsys.readouterr().err == "error: texts must have images. Received: text, id.\n"


def test_a_missing_package_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(SystemExit, match="2"):
        dataset_tool.main(["create_from_tfds", str(tmp_path / "x"), "pets", "--resolution=8"])
    assert "pip install tensorflow-datasets" in capsys.readouterr().err
