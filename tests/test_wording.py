"""Counts, times and paths in messages."""

import pytest

from pgtf import wording
from pgtf.wording import counted, duration, meant


def test_one_is_singular_and_all_else_is_plural():
    assert [counted(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert counted(2, "batch", "batches") == "2 batches"
    assert counted(1, "batch", "batches") == "1 batch"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (29.4, "29 s"), (31, "1 min"), (490, "8 min"), (3599, "1 h"), (3600, "1 h"),
        (9000, "2 h 30 min"), (86_000, "1 d"), (86_400 * 2 + 3600, "2 d 1 h"), (1e6, "11 d 14 h"),
    ],
)  # fmt: skip
def test_a_time_has_the_units_that_fit(seconds, text):
    assert duration(seconds) == text


def test_a_path_that_was_meant_lies_in_the_same_folder_and_has_a_similar_name(
    tmp_path, monkeypatch
):
    (tmp_path / "demo").mkdir()
    for name in ("demos", "faces.zip"):
        (tmp_path / name).touch()
    assert meant(tmp_path / "dmo", folders_only=True) == f" Did you mean {tmp_path / 'demo'}?"
    assert meant(f"{tmp_path}/demoss/") == f" Did you mean {tmp_path / 'demos'}?"
    assert meant(tmp_path / "demos_", folders_only=True) == f" Did you mean {tmp_path / 'demo'}?"
    assert meant(tmp_path / "face.zip", folders_only=True) == (
        f" Did you mean {tmp_path / 'faces.zip'}?"
    )
    monkeypatch.chdir(tmp_path)
    assert meant("dmo", folders_only=True) == " Did you mean demo?"
    for path in ("results", "no/demo", "demos/x", "d\0/demo", ""):
        assert meant(path) == "", path
    monkeypatch.setattr(wording, "MAX_NAMES", 0)
    assert meant("dmo") == ""
