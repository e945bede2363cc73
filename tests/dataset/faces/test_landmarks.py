"""Tables of landmarks."""

import numpy as np

from pgtf.dataset.faces.landmarks import COLUMNS, read_landmarks

NUMBERS = np.arange(1, 11)


def test_the_header_of_a_csv_file_says_the_order_of_its_columns(tmp_path, rng):
    for number, order in enumerate([np.arange(10), np.arange(10)[::-1], rng.permutation(10)]):
        path = tmp_path / f"{number}.csv"
        header = ",".join(["file", *(COLUMNS[i] for i in order)])
        row = ",".join(["a.png", *(str(NUMBERS[i]) for i in order)])
        path.write_text(f"{header}\n{row}\n")
        (face,) = read_landmarks(str(path), ["a.png"])
        np.testing.assert_array_equal(face.landmarks, NUMBERS.reshape(5, 2))


def test_other_words_in_the_header_leave_the_columns_in_their_order(tmp_path):
    path = tmp_path / "a.csv"
    header = ",".join(["file", *reversed(COLUMNS[1:]), "another"])
    path.write_text(f"{header}\na.png,{','.join(map(str, NUMBERS))}\n")
    (face,) = read_landmarks(str(path), ["a.png"])
    np.testing.assert_array_equal(face.landmarks, NUMBERS.reshape(5, 2))
