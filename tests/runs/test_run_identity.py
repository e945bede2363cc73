"""The table of run identity in docs/training.md: every cell, by the real decision."""

import re
import shutil
from pathlib import Path

import pytest

from pgtf.runs.identity import Beginning
from tests.runs.identity_rows import ROWS, Command

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
TRAINED, LENGTH = 96, 288  # images: of the unfinished run so far, of both runs in the end


def outcome(command):
    """Runs the decision: -> its outcome in the words of the table, the line that says so."""
    before = sorted(path.name for path in command.outdir.glob("*"))
    try:
        opened = command.open()
    except ValueError as error:
        return "refused", [str(error)]
    notes = list(opened.notes)
    if opened.folder.name not in before:
        assert "a new run, in " in notes.pop(0)
        word = "begins"
    else:
        word = "finished" if opened.finished else "continues"
    return f"{word}, with a note" if notes else word, notes


@pytest.mark.parametrize("is_finished", [False, True], ids=["unfinished", "finished"])
@pytest.mark.parametrize("description", ROWS)
def test_a_command_does_what_its_cell_of_the_table_says(
    tmp_path, dataset_folder, config, description, is_finished
):
    change, *cells, says, preset, nimg, first = ROWS[description]
    shutil.copytree(dataset_folder, tmp_path / "blocks")
    command = Command(tmp_path, config)
    if first is not None:
        first(command)
    command.preset = preset
    if nimg is not None:
        command.options["beginning"] = Beginning.of(command.networks, nimg)
    command.run = command.open().folder
    (command.run / "checkpoint").mkdir()
    nimg = LENGTH if is_finished else TRAINED
    (command.run / "checkpoint" / f"checkpoint-{nimg:09d}.h5").touch()
    if is_finished:
        (command.run / "finished").touch()
    change(command)
    before = contents(tmp_path)
    found, lines = outcome(command)
    assert found == cells[is_finished]
    if lines:
        (line,) = lines
        assert re.search(says, line)
        assert "\n" not in line
        assert "--new" in line or found != "refused"
    # What was stored stays until training has begun.
    assert {
        path: content for path, content in contents(tmp_path).items() if path in before
    } == before


def contents(folder):
    """Content of all files by path."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {path: path.read_bytes() for path in paths}


def test_the_docs_have_these_rows_and_cells():
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index("| what differs |") :].split("\n\n")[0]
    cells = [re.split(r" \| ", line.strip("| ")) for line in table.splitlines()[2:]]
    assert {line[0]: tuple(line[1:3]) for line in cells} == {
        description: (unfinished, finished)
        for description, (_, unfinished, finished, *_) in ROWS.items()
    }
