"""Nothing that DICOM headers or folder names say about patients reaches a dataset or a message."""

import json
import re

import numpy as np
import pytest

from tests.dataset.commands import run
from tests.dataset.scans import DATE, NAME, fail, make, noise, scan

NUMBERS = ("1000123", "1000456")
WHO = re.compile("Doe|Jane|DOE|JANE|1963|1000123|1000456|1\\.2\\.840")


@pytest.fixture
def scans(tmp_path):
    """Returns a function that writes two patients' scans into folders of these names."""

    def write(*folders):
        for number, folder in zip(NUMBERS, folders, strict=True):
            (tmp_path / "in" / folder).mkdir(parents=True)
            for i in range(3):
                fields = {"PatientID": number, "PatientBirthDate": f"{DATE[:-1]}{number[-1]}"}
                scan(tmp_path / "in" / folder / f"{i}.dcm", noise(8, 8) + i, **fields)
        return tmp_path / "in"

    return write


@pytest.mark.parametrize(
    "folders",
    [
        ("DOE_JANE_1000123", "DOE_JANE_1000456"),
        ("Jane Doe (1963)", "Jane Doe (1964)"),
        NUMBERS,
        ("19630413-ct/a", "19630416-ct/b"),
    ],
)
def test_folders_that_are_named_after_patients_are_no_classes(folders, scans, tmp_path, capsys):
    line = fail(tmp_path, scans(*folders), capsys, "--labels=folders")
    assert re.search("classes of 6 of 6 files are names, numbers or dates of their patients", line)
    assert not WHO.search(line)


def test_folders_with_other_names_are_classes(scans, tmp_path):
    dataset = make(tmp_path, scans("covid", "normal"), "--labels=folders")
    assert dataset.meta["label_names"] == ["covid", "normal"]


@pytest.mark.parametrize("cells", [NUMBERS, ("19630413", "19630416"), ("1000123.0", "1000456.0")])
@pytest.mark.parametrize("others", [True, False])
def test_numbers_and_dates_of_patients_are_no_labels(cells, others, scans, tmp_path, capsys):
    source, more = scans("a", "b"), ",0.5" if others else ""
    rows = [f"{folder}/{i}.dcm,{cell}{more}" for folder, cell in zip("ab", cells, strict=True)
            for i in range(3)]  # fmt: skip
    table = tmp_path / "x.csv"
    table.write_text("\n".join([f"file,who{',age' if others else ''}", *rows]))
    if cells[0].endswith(".0") or others:
        line = fail(tmp_path, source, capsys, f"--labels={table}")
        assert re.search("numbers or dates of patients.*--label_columns.*--split_by", line), line
        assert not WHO.search(line)
    else:  # so many classes are refused before
        assert "class numbers must be" in fail(tmp_path, source, capsys, f"--labels={table}")
    if others:
        flags = (f"--labels={table}", "--split_by=who", "--held_out=3")
        assert make(tmp_path, source, *flags).meta["label_names"] == ["age"]


@pytest.mark.parametrize(
    "rows",
    [
        "file,patient,age\na/0.dcm,1000123,x\na/1.dcm,DOE^JANE,3",  # forgotten --split_by=patient
        "file,patient,age\na/0.dcm,Jane Doe,1",
        "patient,born,age\nDOE JANE,19630413,1",  # no column of files
        "file,patient\na/0.dcm,1000123",  # classes that are too many
        "file,patient\na/0.dcm,1000123\na/0.dcm,Doe",
    ],
)
def test_a_table_that_cannot_be_used_is_named_without_its_patients(rows, scans, tmp_path, capsys):
    (tmp_path / "x.csv").write_text(rows + "\n")
    line = fail(tmp_path, scans("a", "b"), capsys, f"--labels={tmp_path / 'x.csv'}")
    assert "x.csv" in line
    assert not WHO.search(line), line


def test_a_patient_is_the_same_in_all_folders_and_a_split_by_hashes_stores_none(scans, tmp_path):
    source = scans("DOE_JANE_1000123", "DOE_JANE_1000456")
    for i in range(3):
        fields = {"PatientID": NUMBERS[0]}
        scan(source / f"later{i}.dcm", noise(8, 8) + 9 + i, **fields)
    dataset = make(tmp_path, source, "--held_out=3", "--max_errors=1")
    assert dataset.meta["subjects"] == 2
    for path in (tmp_path / "out").iterdir():
        assert not WHO.search(path.read_bytes().decode("latin1")), path.name
    assert not re.search("[0-9a-f]{16}", json.dumps(dataset.meta | {"fingerprint": None}))


def test_a_unit_that_is_a_name_is_compared_and_not_shown(scans, tmp_path, capsys):
    source = tmp_path / "in"
    source.mkdir()
    for i, unit in enumerate(("DOEJANE", "JANEDOE", "HU")):
        fields = {"RescaleSlope": 1, "RescaleIntercept": 0, "RescaleType": unit}
        scan(source / f"{i}.dcm", noise(8, 8), **fields)
    line = fail(tmp_path, source, capsys)
    assert re.search(r"must have values in another unit \([0-9a-f]{4}\), as 0", line), line
    assert not WHO.search(line)


def test_names_of_files_that_are_left_out_are_gone_with_the_partial_folder(tmp_path, capsys):
    source = tmp_path / "in"
    source.mkdir()
    for i in range(3):
        scan(source / f"{i}.dcm", noise(8, 8) + i)
    scan(source / f"{NAME}.dcm", np.full((8, 8), 3, np.uint16))
    assert run("create_from_arrays", tmp_path / "out", source, "--max_errors=1") == 0
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []
    for path in (tmp_path / "out").iterdir():
        assert not WHO.search(path.read_bytes().decode("latin1")), path.name
