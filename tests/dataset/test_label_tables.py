"""Tables of labels as Kaggle, pandas, spreadsheets and StyleGAN's tools write them."""

import json

import numpy as np
import pytest

from pgtf.dataset import open_dataset
from pgtf.dataset.sources.annotations import LabelOptions, read_labels
from pgtf.dataset.sources.matching import match_names
from tests.dataset.commands import run
from tests.dataset.folders import save

NAMES = ["0001.jpg", "0002.jpg"]


def labels(tmp_path, text, names=NAMES, suffix=".csv", **options):
    """Labels of files in tmp_path/img, of which only the names matter, and names of columns."""
    path = tmp_path / f"labels{suffix}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = read_labels(str(path), str(tmp_path / "img"), names, LabelOptions(**options))
    return found.values.tolist(), found.names


CLASSES = ([0, 1], ["cat", "dog"])
DIALECTS = {
    "ids without extension": "id,breed\n0001,cat\n0002,dog\n",
    "semicolons": "file;class\n0001.jpg;cat\n0002.jpg;dog\n",
    "semicolons as Excel says": "sep=;\r\nfile;class\r\n0001.jpg;cat\r\n0002.jpg;dog\r\n",
    "tabs": "file\tclass\n0002.jpg\tdog\n0001.jpg\tcat\n",
    "UTF-16 with tabs": "file\tclass\r\n0001.jpg\tcat\r\n0002.jpg\tdog\r\n".encode("utf-16"),
    "byte order mark and quotes": '\ufeff"file","class"\n"0001.jpg","cat"\n"0002.jpg","dog"\n',
    "index of pandas": ",file,class\n0,0001.jpg,cat\n1,0002.jpg,dog\n",
    "index of pandas, read and written again": "Unnamed: 0,file,class\n0,0001,cat\n1,0002,dog\n",
    "backslashes": "file,class\n.\\0001.jpg,cat\n.\\0002.jpg,dog\n",
    "prefix": "file,class\nimg/0001.jpg,cat\nimg/0002.jpg,dog\n",
    "prefix of another name": "file,class\ntrain/a/0001.jpg,cat\ntrain/a/0002.jpg,dog\n",
    "Windows paths": "file,class\nC:\\my cats\\0001.jpg,cat\nC:\\my cats\\0002.jpg,dog\n",
    "URLs": "file,class\nhttps://a.b/c/0001.jpg,cat\nhttps://a.b/c/0002.jpg,dog\n",
    "other case": "file,class\n0001.JPG,cat\nIMG/0002.Jpg,dog\n",
    "trailing separators and blank rows": "file,class,\n0001.jpg,cat,\n,,\n0002.jpg,dog,\n\n",
    "more rows": "file,class\n0003.jpg,eel\n0001.jpg,cat\n0002.jpg,dog\nx.png,\n",
    "pictures converted since": "file,class\n0001.PNG,cat\nimg/0002.webp,dog\n",
    "absolute": "file,class\n{root}/img/0001.jpg,cat\n{root}/img/0002.jpg,dog\n",
}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_name_is_matched_in_every_dialect(name, tmp_path):
    text = DIALECTS[name]
    if isinstance(text, str):
        text = text.replace("{root}", str(tmp_path))
    assert labels(tmp_path, text) == CLASSES


def test_a_table_in_the_same_words_as_files_below_folders_is_matched(tmp_path):
    names = ["cats/1.png", "dogs/2.png"]
    assert labels(tmp_path, "id,n\n2,7\n1,3\n", names)[0] == [3, 7]
    assert labels(tmp_path, "id,n\nDogs\\2,7\ncats\\1,3\n", names)[0] == [3, 7]


def test_of_two_parts_of_a_set_the_one_that_the_folder_is_counts(tmp_path):
    rows = "file,class\nval/0001.jpg,7\nimg/0001.jpg,3\n/a/img/0002.jpg,4\n/a/val/0002.jpg,8\n"
    assert labels(tmp_path, rows)[0] == [3, 4]


def test_a_composed_letter_is_the_one_that_macos_takes_apart():
    assert match_names(["caf\u00e9.jpg"], "x", ["cafe\u0301.jpg"]) == {
        "cafe\u0301.jpg": ["caf\u00e9.jpg"]
    }


AMBIGUOUS = {
    "one row, two files": ("file,n\na.png,1\n", ["x/a.png", "y/a.png"], "a.png may be x/a.png or"),
    "an id, two files": ("file,n\na,1\n", ["a.jpg", "a.png"], "a may be a.jpg or a.png"),
    "two rows, one file": ("f,n\nx/a.png,1\ny/a.png,2\n", ["a.png"], "two labels for a.png: 1 for"),
    "a row that is another's": ("f,n\na.png,1\n", ["a.png", "x/a.png"], "no label for .*x/a.png"),
    "another kind, two files": (
        "f,n\na.jpg,1\n",
        ["a.png", "a.webp"],
        "a.jpg may be a.png or a.webp",
    ),
    "another folder": (
        "f,n\ndogs/a.png,1\n",
        ["cats/a.png"],
        "no label for .*cats/a.png. Add one. Received, for example: 'dogs/a.png'",
    ),
    "a number without its zeros": (
        "f,n\n1,3\n2,4\n",
        NAMES,
        "no label for .*0001.jpg and 1 others",
    ),
    "an index that names other files": (
        "id,file,n\n1,2.jpg,7\n2,1.jpg,8\n",
        ["1.jpg", "2.jpg"],
        "first column, id, must name the files.* '1'; and '2.jpg' in the column file.* "
        "Add --file_column=file",
    ),
    "exchanged columns": ("class,file\ncat,0001.jpg\ndog,0002.jpg\n", NAMES, "--file_column=file"),
    "no header": ("0001.jpg,cat\n0002.jpg,dog\n", NAMES, "first line must name.*--header=0"),
    "no header and exchanged columns": (
        "cat,0001.jpg\ndog,0002.jpg\n",
        NAMES,
        "first line must name.* Received: cat, 0001.jpg.* --header=0 --file_column=2",
    ),
    "texts beside numbers": (
        "id,breed,age\n0001,cat,3\n0002,dog,4\n",
        NAMES,
        r"must hold numbers .line 2: breed holds 'cat'.*--label_columns; there are id, breed, age",
    ),
    "another name": ("f,n\nimg/x.jpg,1\n", NAMES, "Received, for example: 'img/x.jpg'"),
    "blank": (
        "f,class\n0001.jpg,\n0002.jpg,dog\n",
        NAMES,
        "line 2: the label of 0001.jpg is blank",
    ),
    "a blank as pandas writes it": (
        "f,class\n0001.jpg,cat\n0002.jpg,NaN\n",
        NAMES,
        "line 3: the label of 0002.jpg is blank",
    ),
    "thousands": (
        "f;n\n0001.jpg;1.234,5\n0002.jpg;2\n",
        NAMES,
        "line 2: n holds '1.234,5'. Write numbers without separators of thousands",
    ),
    "blank number": (
        "f,age\n0001.jpg,1.5\n0002.jpg, \n",
        NAMES,
        "line 3: the label of 0002.jpg is",
    ),
    "blank among several": ("f,a,b\n0001.jpg,1,2\n0002.jpg,,3\n", NAMES, "line 3: a is blank"),
    "blank file": ("f,a\n0001.jpg,1\n0002.jpg,2\n,3\n", NAMES, "line 4: its column f is blank"),
    "decimal comma": (
        'f,age\n0001.jpg,"23,5"\n0002.jpg,"1,5"\n',
        NAMES,
        "line 2: age holds '23,5'",
    ),
    "negative": ("f,n\n0001.jpg,-1\n0002.jpg,1\n", NAMES, "Received: -1 to 1. Write numbers that"),
    "ragged": ("f,n\n0001.jpg,1\n0002.jpg,1,2\n", NAMES, "3 cells in line 3, 2 in line 1"),
    "one column": ("f\n0001.jpg\n", NAMES, "separated by commas.* Received: 'f'"),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_may_mean_several_things_is_refused(name, tmp_path):
    text, names, message = AMBIGUOUS[name]
    with pytest.raises(ValueError, match=f"labels.csv.*{message}"):
        labels(tmp_path, text, names)


def test_the_flags_that_messages_name_help(tmp_path):
    assert labels(tmp_path, "0001.jpg,cat\n0002.jpg,dog\n", header=False) == CLASSES
    exchanged = "class,file\ndog,0002.jpg\ncat,0001.jpg\n"
    assert labels(tmp_path, exchanged, file_column="file") == CLASSES
    kaggle = "id,breed,age\n0001,cat,3\n0002,dog,4\n"
    assert labels(tmp_path, kaggle, label_columns=("Breed",)) == CLASSES
    with pytest.raises(ValueError, match="`label_columns` must name one of.*id, breed, age"):
        labels(tmp_path, kaggle, label_columns=("size",))


MEANINGS = {
    "numbers": ("f,age\n0001.jpg,23.5\n0002.jpg,31\n", [23.5, 31], [[23.5], [31]], ["age"]),
    "decimal comma": (
        "f;age\n0001.jpg;23,5\n0002.jpg;1e1\n",
        [23.5, 10.0],
        [[23.5], [10]],
        ["age"],
    ),
    "classes": ("f,age\n0001.jpg,3\n0002.jpg,0\n", [3, 0], [3, 0], []),
    "several": (
        "f,a,b\n0001.jpg,1,-1\n0002.jpg,2,.5\n",
        [[1, -1], [2, 0.5]],
        [[1, -1], [2, 0.5]],
        ["a", "b"],
    ),
}


@pytest.mark.parametrize("name", MEANINGS)
def test_csv_json_and_npy_mean_the_same(name, tmp_path):
    table, values, expected, names = MEANINGS[name]
    assert labels(tmp_path, table) == (expected, names)
    pairs = [list(pair) for pair in zip(NAMES, values, strict=True)]
    for content in (dict(pairs), {"labels": pairs}, {"labels": dict(pairs)}):
        assert labels(tmp_path, json.dumps(content), suffix=".json")[0] == expected
    np.save(tmp_path / "labels.npy", values)
    found = read_labels(str(tmp_path / "labels.npy"), str(tmp_path), NAMES)
    assert found.values.tolist() == expected


def test_class_names_that_look_like_numbers_stay_names(tmp_path):
    assert labels(tmp_path, "f,n\n0001.jpg,1_0\n0002.jpg,2\n") == ([0, 1], ["1_0", "2"])


def test_one_column_of_numbers_is_stored_as_such(tmp_path):
    for i, name in enumerate(NAMES):
        save(tmp_path / "in" / name, i)
    (tmp_path / "age.csv").write_text("file,age\n0002,31.25\n0001,23.5\n")
    create = ("create_from_images", tmp_path / "out", tmp_path / "in", "--shuffle=0")
    assert run(*create, "--labels", tmp_path / "age.csv") == 0
    dataset = open_dataset(tmp_path / "out", max_label_size="full")
    assert dataset.read_labels([0, 1]).tolist() == [[23.5], [31.25]]
    assert dataset.label_names == ("age",)


def test_the_null_of_stylegans_tool_means_no_labels(tmp_path, capsys):
    save(tmp_path / "in" / "a.png", 1)
    (tmp_path / "null.json").write_text('{"labels": null}')
    create = ("create_from_images", tmp_path / "out", tmp_path / "in")
    assert run(*create, "--labels", tmp_path / "null.json") == 0
    assert "Labels         none\n" in capsys.readouterr().out


def test_classes_that_are_numbers_are_in_their_order(tmp_path):
    names = [f"{number}/a.png" for number in ("0", "1", "10", "2", "010")]
    found = read_labels("folders", str(tmp_path), names)
    assert found.names == ["0", "1", "2", "010", "10"]
    assert found.values.tolist() == [0, 1, 4, 2, 3]
