"""Tables of landmarks."""

import json

import numpy as np
import pytest

from pgtf.dataset.faces.landmarks import COLUMNS, read_landmarks

NUMBERS = np.arange(1, 11)


def test_the_header_of_a_csv_file_says_the_order_of_its_columns(tmp_path, rng):
    for number, order in enumerate([np.arange(10), np.arange(10)[::-1], rng.permutation(10)]):
        path = tmp_path / f"{number}.csv"
        header = ",".join(["file", *(COLUMNS[i] for i in order)])
        row = ",".join(["a.png", *(str(NUMBERS[i]) for i in order)])
        path.write_text(f"{header}\n{row}\n")
        (face,) = read_landmarks(str(path), str(tmp_path), ["a.png"])
        np.testing.assert_array_equal(face.landmarks, NUMBERS.reshape(5, 2))


def test_other_words_in_the_header_leave_the_columns_in_their_order(tmp_path):
    path = tmp_path / "a.csv"
    header = ",".join(["file", *reversed(COLUMNS[1:]), "another"])
    path.write_text(f"{header}\na.png,{','.join(map(str, NUMBERS))}\n")
    (face,) = read_landmarks(str(path), str(tmp_path), ["a.png"])
    np.testing.assert_array_equal(face.landmarks, NUMBERS.reshape(5, 2))


WORDS = ["file", *COLUMNS]
TABLES = {
    "semicolons and decimal commas": ";".join(WORDS) + "\r\na.png;" + ";".join(["1,5"] * 10),
    "tabs": "\t".join(WORDS) + "\na.png\t" + "\t".join(["1.5"] * 10),
    "the index of pandas": "," + ",".join(WORDS) + "\n0,a.png," + ",".join(["1.5"] * 10),
    "a byte order mark": "\ufeff" + ",".join(WORDS) + "\na.png," + ",".join(["1.5"] * 10),
    "a folder": ",".join(WORDS) + "\nphotos/a.png," + ",".join(["1.5"] * 10),
    "windows": ",".join(WORDS) + "\n.\\A.PNG," + ",".join(["1.5"] * 10),
    "no extension": ",".join(WORDS) + "\na," + ",".join(["1.5"] * 10),
    "columns of other things": ",".join(["width", *WORDS[1:], "score"])
    + "\na.png,"
    + ",".join(["1.5"] * 10)
    + ",0.9",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_any_dialect_is_read(name, tmp_path):
    (tmp_path / "a.csv").write_bytes(TABLES[name].encode())
    (face,) = read_landmarks(str(tmp_path / "a.csv"), str(tmp_path / "photos"), ["a.png"])
    np.testing.assert_array_equal(face.landmarks, np.full((5, 2), 1.5))


def test_a_name_that_may_mean_two_photographs_is_refused(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"a": list(range(10))}))
    with pytest.raises(ValueError, match=r"a\.json: a may be a\.jpg or a\.png"):
        read_landmarks(str(tmp_path / "a.json"), str(tmp_path), ["a.jpg", "a.png"])
