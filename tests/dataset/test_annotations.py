"""Labels of image files."""

import json

import h5py
import numpy as np
import pytest

from pgtf.dataset import open_dataset
from pgtf.dataset.sources import hdf5
from pgtf.dataset.sources.annotations import read_labels
from pgtf.dataset.sources.label_values import combine
from tests.dataset.folders import create, save, shades


def labels_of(tmp_path, **options):
    for shade, name in enumerate(["dogs/a.png", "cats/b.png", "cats/c.png"], 1):
        save(tmp_path / "in" / name, shade)
    create(tmp_path, shuffle=False, **options)
    dataset = open_dataset(tmp_path / "out", max_label_size="full")
    assert shades(tmp_path / "out") == [2, 3, 1]  # cats/b, cats/c, dogs/a
    return dataset.read_labels(range(3)).tolist(), dataset.label_names


def test_labels_are_the_names_of_folders(tmp_path):
    labels, names = labels_of(tmp_path, labels="folders")
    assert labels == [[1, 0], [1, 0], [0, 1]]
    assert names == ("cats", "dogs")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["set/train/dog/a.png", "set/train/cat/b.png"], ["cat", "dog"]),
        (["a/dog/a.png", "b/dog/b.png"], ["a/dog", "b/dog"]),
        (["top/a.png", "top/sub/b.png"], ["top", "top/sub"]),
        (["only/a.png", "only/b.png"], ["only"]),
        (["set/10/a.png", "set/9/b.png", "set/1/c.png"], ["1", "9", "10"]),
    ],
)
def test_folders_above_all_classes_are_no_part_of_their_names(files, expected):
    assert read_labels("folders", "in", files).names == expected


TABLES = {
    "byte order mark, CRLF, spaces": (
        "\ufefffile, kind\r\ndogs/a.png, 0\r\ncats/c.png, 2\r\ncats/b.png ,1\r\n",
        [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
        (),
    ),
    "a file twice": (
        "file,kind\ndogs/a.png,0\ncats/c.png,0\ncats/b.png,1\n./cats/b.png,1\n",
        [[0, 1], [1, 0], [1, 0]],
        (),
    ),
    "classes": (
        "file,kind\ndogs/a.png,dog\ncats/c.png,cat\ncats/b.png,tiger\n",
        [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
        ("cat", "dog", "tiger"),
    ),
    "numbers": (
        "file,kind\ndogs/a.png,0\ncats/c.png,2\ncats/b.png,1\n",
        [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
        (),
    ),
    "columns": (
        "file,age,size\ndogs/a.png,0.5,-1\ncats/c.png,2,3\ncats/b.png,1,1\n",
        [[1, 1], [2, 3], [0.5, -1]],
        ("age", "size"),
    ),
}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_labels_are_read_from_a_csv(name, tmp_path):
    text, expected, names = TABLES[name]
    (tmp_path / "labels.csv").write_text(text, newline="", encoding="utf-8")
    assert labels_of(tmp_path, labels=str(tmp_path / "labels.csv")) == (expected, names)


JSONS = {
    "mapping": (
        {"dogs/a.png": "dog", "cats/b.png": "cat", "cats/c.png": "cat"},
        [[1, 0], [1, 0], [0, 1]],
    ),
    "StyleGAN's": (
        {"labels": [["dogs/a.png", 0], ["cats/b.png", 1], ["cats/c.png", 1]]},
        [[0, 1], [0, 1], [1, 0]],
    ),
    "numbers": (
        {"dogs/a.png": [0.5, 1], "cats/b.png": [1, 1], "./cats/c.png": [0, 0]},
        [[1, 1], [0, 0], [0.5, 1]],
    ),
}


@pytest.mark.parametrize("name", sorted(JSONS))
def test_labels_are_read_from_json(name, tmp_path):
    content, expected = JSONS[name]
    (tmp_path / "labels.json").write_text("\ufeff" + json.dumps(content))
    assert labels_of(tmp_path, labels=str(tmp_path / "labels.json"))[0] == expected


def test_labels_are_read_from_numpy_in_the_order_of_the_files(tmp_path):
    np.save(tmp_path / "labels.npy", [[1, 2], [3, 4], [5, 6]])
    labels, _ = labels_of(tmp_path, labels=str(tmp_path / "labels.npy"))
    assert labels == [[1, 2], [3, 4], [5, 6]]


def test_class_numbers_are_read_from_numpy(tmp_path):
    np.save(tmp_path / "labels.npy", [1, 0, 2])
    labels, _ = labels_of(tmp_path, labels=str(tmp_path / "labels.npy"))
    assert labels == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]


BAD_ARRAYS = {
    "rows": (np.zeros((4, 2)), "a row for each of 3 files. Received: shape=.4, 2."),
    "no columns": (np.zeros((3, 0)), "must have one number or more"),
    "NaN": ([[0, 0], [0, 0], [1, np.nan]], r"must be finite numbers. Received: \[1.0, nan\]"),
    "beyond float32": ([[0.0], [1e39], [0]], "must be finite numbers"),
    "complex": (np.zeros((3, 2), complex), "must be numbers .not complex128"),
    "text": ([["a"]] * 3, "must be numbers .not <U1"),
    "objects": (np.array([{}] * 3), "not a NumPy file of numbers"),
    "negative class": ([0, 1, -1], "class numbers must be 0 to 999999. Received: -1 to 1"),
    "huge class": ([0, 1, 10**6], "class numbers must be 0 to 999999. Received: 0 to 1000000"),
    "truth": ([True, False, True], "class numbers must be integers. Received: bool"),
    "infinite": ([0.5, np.inf, 2], r"must be finite numbers. Received: \[inf\] for row 1"),
}


@pytest.mark.parametrize("source", ["labels", "hdf5"])
@pytest.mark.parametrize("name", sorted(BAD_ARRAYS))
def test_bad_label_arrays_are_refused(name, source, tmp_path):
    array, message = BAD_ARRAYS[name]
    np.save(tmp_path / "x-labels.npy", array)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data8x8"] = np.zeros((3, 1, 8, 8), np.uint8)
    make = {
        "labels": lambda: labels_of(tmp_path, labels=str(tmp_path / "x-labels.npy")),
        "hdf5": lambda: hdf5.create(str(tmp_path / "out"), str(tmp_path / "x.h5")),
    }
    with pytest.raises(ValueError, match=f"x-labels.npy: .*{message}"):
        make[source]()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("keep", [0, 9, -1])
def test_damaged_label_arrays_are_refused(keep, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 2)))
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:keep])
    with pytest.raises(ValueError, match="x.npy: not a NumPy file of numbers, or damaged"):
        labels_of(tmp_path, labels=str(tmp_path / "x.npy"))


def test_labels_are_shuffled_with_the_images(tmp_path):
    for shade in range(20):
        save(tmp_path / "in" / f"{shade:02d}.png", shade)
    np.save(tmp_path / "labels.npy", np.arange(20)[:, None])
    create(tmp_path, labels=str(tmp_path / "labels.npy"))
    labels = open_dataset(tmp_path / "out", max_label_size="full").read_labels(range(20))
    assert labels[:, 0].tolist() == shades(tmp_path / "out") != list(range(20))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "file,kind\ndogs/a.png,dog\n", "x.csv: no label for .*cats/b.png"),
        ("x.csv", "file,kind\n", "x.csv: must have a header and rows"),
        ("x.csv", "file,a,b\nx,1,2\ny,1\n", "x.csv: must have a header and rows"),
        ("x.csv", "file,a,b\nx,1,2\ny,1,z\n", "x.csv: more than one label column must hold num"),
        ("x.csv", b"file,kind\ndogs/a.png,caf\xe9\n", "x.csv: not a CSV file in UTF-8"),
        ("x.csv", f"file,kind\nx,{'y' * 200_000}\n", "x.csv: not a CSV file .*field larger"),
        ("x.csv", "", "x.csv: must have a header and rows"),
        ("x.csv", "file,kind\nx,0\n./x,1\n", "x.csv: two labels for ./x: 0 and 1"),
        (
            "x.csv",
            "file,a,b\ndogs/a.png,1,2\ncats/b.png,1,nan\ncats/c.png,1,2\n",
            r"x.csv: labels must be finite numbers. Received: \[1.0, nan\]",
        ),
        (
            "x.csv",
            f"file,a\ndogs/a.png,1\ncats/b.png,{10**20}\ncats/c.png,1\n",
            "x.csv: class numbers must be 0 to 999999. Received: 1 to 1000000000",
        ),
        ("x.json", "{", "x.json: not JSON"),
        ("x.json", b"\xff", "x.json: not JSON"),
        (
            "x.csv",
            f"file,a\ndogs/a.png,1\ncats/b.png,{5000 * '7'}\ncats/c.png,1\n",
            "x.csv: class numbers must be 0 to 999999. Received: 7{100}..., 5000 digits",
        ),
        ("x.json", "[" * 100_000, "x.json: not JSON"),
        (
            "x.json",
            '{"dogs/a.png": 1, "dogs/a.png": 2}',
            "x.json: not JSON .two values for the key",
        ),
        ("x.json", f'{{"dogs/a.png": {5000 * "7"}}}', "x.json: not JSON .Exceeds the limit"),
        (
            "x.json",
            f'{{"dogs/a.png": {4000 * "7"}, "cats/b.png": 1, "cats/c.png": 1}}',
            r"x.json: class numbers must be 0 to 999999. Received: 1 to 7+\.\.\.7+\.$",
        ),
        (
            "x.json",
            f'{{"dogs/a.png": [{400 * "7"}], "cats/b.png": [1], "cats/c.png": [1]}}',
            "x.json: labels must be numbers",
        ),
        ("x.json", "{}", "x.json: no label for .*cats/b.png and 2 others.* Received, no names"),
        ("x.json", '{"labels": [[1, 2]]}', "x.json: must be {file: label}"),
        (
            "x.json",
            '{"dogs/a.png": [], "cats/b.png": [], "cats/c.png": []}',
            "x.json: labels must have one number or more",
        ),
        (
            "x.json",
            '{"dogs/a.png": 1, "cats/b.png": 1, "cats/c.png": null}',
            "x.json: labels must all be .* for example: 1, None",
        ),
        (
            "x.json",
            '{"dogs/a.png": true, "cats/b.png": true, "cats/c.png": false}',
            r"x.json: labels must all be .* for example: (True|False)\.",
        ),
        ("x.json", "[1]", "x.json: must be {file: label}"),
        ("x.json", '{"labels": [1]}', "x.json: must be {file: label}"),
        (
            "x.json",
            '{"dogs/a.png": 1, "cats/b.png": "x", "cats/c.png": [2]}',
            "x.json: labels must all be",
        ),
        (
            "x.json",
            '{"dogs/a.png": [1], "cats/b.png": [1, 2], "cats/c.png": [2]}',
            "x.json: all labels must have as many numbers",
        ),
        ("x.txt", "", "`labels` must be folders, or a .csv"),
    ],
)
def test_bad_labels_are_refused(name, content, message, tmp_path):
    content = content.encode() if isinstance(content, str) else content
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        labels_of(tmp_path, labels=str(tmp_path / name))
    assert not (tmp_path / "out").exists()


def test_whole_numbers_of_which_most_are_missing_are_said_to_be_classes(caplog):
    names = [f"{i}.png" for i in range(4)]
    ages = [[63, 41, 58, 63], [63.0, 41.0, 58.0, 63.0], [0, 4, 8, 9]]
    found = [combine("x.csv", names, labels, ["age"]) for labels in ages]
    (message,) = caplog.messages
    assert "64 label columns, one for each of 0 to 63, though only 3 numbers occur" in message
    assert "with a decimal point: 63.0." in message
    assert [labels.values.shape for labels in found] == [(4,), (4, 1), (4,)]
