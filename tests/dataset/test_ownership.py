"""Nobody's files are deleted, written or waited for but those of the job itself."""

import json
import os

import pytest

from pgtf.dataset.journal import Journal
from pgtf.dataset.partial import PartialFolder
from pgtf.dataset.record_files import write_records
from tests.dataset import loads
from tests.dataset.commands import run
from tests.dataset.exports import JOB, files_of, interrupted, make

pytestmark = pytest.mark.usefixtures("small_tasks")


def tree(folder):
    """Everything below a folder: path -> content, or what a link leads to."""
    return {
        str(path.relative_to(folder)): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else path.stat().st_mode
        for path in folder.rglob("*")
    }


def one_line(folder, capsys, *flags):
    """Runs create_demo into a folder: it must end with 2, one line, and everything as it was."""
    before = tree(folder)
    capsys.readouterr()
    assert run("create_demo", folder / "dogs", "--num_images=5", "--num_workers=1", *flags) == 2
    assert tree(folder) == before
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "keeps what is done" not in error
    return error


@pytest.mark.parametrize("flags", [[], ["--resume"]])
@pytest.mark.parametrize("name", ["letter.txt", "progress", "dogs-r05.tfrecords", "sub/x"])
def test_a_folder_without_a_journal_is_refused_whole(name, flags, tmp_path, capsys):
    path = tmp_path / "dogs.partial" / name
    path.parent.mkdir(parents=True)
    path.write_text("precious")
    error = one_line(tmp_path, capsys, *flags)
    assert "dogs.partial: was not left by this tool" in error
    assert "Move it away" in error


@pytest.mark.parametrize("kind", ["folder", "file", "nothing"])
def test_a_partial_folder_that_is_a_link_is_refused(kind, tmp_path, capsys):
    if kind == "file":
        (tmp_path / "elsewhere").write_text("precious")
    elif kind == "folder":  # even that of a job
        with pytest.raises(KeyboardInterrupt):
            make(tmp_path / "dogs", load=interrupted(30, loads.load))
        (tmp_path / "dogs.partial").rename(tmp_path / "elsewhere")
    (tmp_path / "dogs.partial").symlink_to("elsewhere")
    assert "dogs.partial: is a link" in one_line(tmp_path, capsys)


@pytest.mark.parametrize("make_odd", [os.mkfifo, lambda path: path.write_text("precious")])
def test_a_partial_folder_that_is_no_folder_is_refused(make_odd, tmp_path, capsys):
    make_odd(tmp_path / "dogs.partial")
    assert "dogs.partial: is not what a job leaves" in one_line(tmp_path, capsys)


@pytest.fixture(params=[0, 30])
def left(request, tmp_path):
    """A folder that a job left, before its first checkpoint or behind it."""
    folder = tmp_path / "dogs.partial"
    if request.param:
        with pytest.raises(KeyboardInterrupt):
            make(tmp_path / "dogs", load=interrupted(request.param, loads.load))
    else:
        folder.mkdir()
        journal = Journal(str(folder))
        journal.begin(JOB, ["dogs-r03.tfrecords"])
        journal.close()
        (folder / "dogs-r03.tfrecords").write_bytes(bytes(100))
    return folder


LINKED = ["progress.jsonl", "dogs-r03.tfrecords", "dataset.json", "contact.png.12.tmp", "sub/x"]


@pytest.mark.parametrize("name", LINKED)
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_in_it_is_refused(left, link, name, tmp_path, capsys):
    path = left / name
    path.parent.mkdir(exist_ok=True)
    target = tmp_path / "target"
    if path.exists():
        path.rename(target)
    else:
        target.write_text("precious")
    link(target, path)
    for flags in ([], ["--resume"]):
        error = one_line(tmp_path, capsys, *flags)
        if link is os.symlink:
            assert f"{path.name!r} in it is a link" in error
        elif name != "sub/x":
            assert f"{path.name!r} in it is a file with another name" in error


@pytest.mark.parametrize("name", ["progress.jsonl", "dogs-r03.tfrecords", "dataset.json", "x"])
@pytest.mark.parametrize("flags", [[], ["--resume"]])
def test_a_pipe_in_it_is_refused_and_not_waited_for(left, name, flags, tmp_path, capsys):
    (left / name).unlink(missing_ok=True)
    os.mkfifo(left / name)
    assert f"{name!r} in it is not what a job leaves" in one_line(tmp_path, capsys, *flags)


def test_a_journal_that_is_a_folder_is_refused(tmp_path, capsys):
    (tmp_path / "dogs.partial" / "progress.jsonl").mkdir(parents=True)
    (tmp_path / "dogs.partial" / "progress.jsonl" / "x").write_text("precious")
    assert "'progress.jsonl' in it is not what a job leaves" in one_line(tmp_path, capsys)


@pytest.mark.parametrize(
    "name", ["letter.txt", "sub/x", "dogs-r03.tfrecords.tmp", "dogs-r03.tfrecords/x"]
)
@pytest.mark.parametrize("left", [0], indirect=True)
def test_beginning_anew_deletes_nothing_that_the_journal_does_not_name(
    left, name, tmp_path, capsys
):
    if name == "dogs-r03.tfrecords/x":
        (left / "dogs-r03.tfrecords").unlink()
    (left / name).parent.mkdir(exist_ok=True)
    (left / name).write_text("precious")
    error = one_line(tmp_path, capsys)
    assert f"{name.split('/')[0]!r} in it is no file that progress.jsonl names" in error


@pytest.mark.parametrize("left", [0], indirect=True)
def test_a_job_that_never_came_to_a_checkpoint_is_begun_anew(left, tmp_path):
    (left / "dogs-r03.tfrecords.4711.tmp").write_text("not completed")
    make(tmp_path / "dogs")
    (tmp_path / "whole").mkdir()
    make(tmp_path / "whole" / "dogs")
    assert files_of(tmp_path / "dogs") == files_of(tmp_path / "whole" / "dogs")


def test_an_empty_folder_is_taken(tmp_path):
    """A job may end between the creation of its folder and that of its journal."""
    (tmp_path / "dogs.partial").mkdir()
    make(tmp_path / "dogs")
    assert [path.name for path in tmp_path.iterdir()] == ["dogs"]


@pytest.mark.parametrize("name", ["../target", "/etc/x", "..", ".", "", 5, "progress.jsonl"])
def test_a_journal_names_no_files_elsewhere(name, tmp_path, capsys):
    (tmp_path / "dogs.partial").mkdir()
    (tmp_path / "target").write_text("precious")
    line = json.dumps({"job": JOB, "files": [name]}) + "\n"
    (tmp_path / "dogs.partial" / "progress.jsonl").write_text(line)
    assert "line 1 of progress.jsonl does not name a job" in one_line(tmp_path, capsys)


def test_a_failed_job_leaves_the_files_of_others(tmp_path):
    def load(items):
        (tmp_path / "dogs.partial" / "letter.txt").write_text("precious")
        raise ValueError("no image")

    with pytest.raises(ValueError, match="no image"):
        make(tmp_path / "dogs", load=load)
    found = {path.name for path in (tmp_path / "dogs.partial").iterdir()}
    assert found == {"letter.txt", "progress.jsonl"}


def test_discarding_leaves_the_files_of_others(tmp_path):
    with PartialFolder(str(tmp_path / "set"), {"a": 1}, JOB, False, ["b"]) as folder:
        for name in ("b", "c"):
            (tmp_path / "set.partial" / name).write_text("x")
        folder.discard()
    found = {path.name for path in (tmp_path / "set.partial").iterdir()}
    assert found == {"c", "progress.jsonl"}


def test_records_are_not_written_through_a_link(tmp_path):
    (tmp_path / "target").write_bytes(b"precious")
    (tmp_path / "a").symlink_to("target")
    with pytest.raises(OSError, match="symbolic links"):
        write_records([str(tmp_path / "a")], [loads.picture(0).reshape(1, -1)], 0)
    assert (tmp_path / "target").read_bytes() == b"precious"


@pytest.mark.parametrize("target", ["x/..", "x/.", ".", "..", "x/../", "a\nb", "a\x1b[2J", "x\x7f"])
@pytest.mark.parametrize("exists", [False, True])
def test_a_target_that_names_no_new_folder_is_refused(
    target, exists, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    if exists:
        (tmp_path / "x").mkdir()
    before = tree(tmp_path)
    assert run("create_demo", target, "--num_images=5") == 2
    error = capsys.readouterr().err
    assert "`tfrecord_dir` must name the folder to create" in error
    assert error.count("\n") == 1
    assert error.rstrip("\n").isprintable()
    assert tree(tmp_path) == before
    assert run("rank_images", tmp_path, "--keep=1", f"--out={target}") == 2
    assert "`out` must name the folder to create" in capsys.readouterr().err
    assert tree(tmp_path) == before


@pytest.mark.parametrize("to", ["elsewhere", "nowhere"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_target_that_is_a_link_is_refused(to, slash, tmp_path, capsys):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "dogs").symlink_to(to)
    assert run("create_demo", f"{tmp_path}/dogs{slash}", "--num_images=5") == 2
    error = capsys.readouterr().err
    assert error == f"error: {tmp_path}/dogs: is a link. Delete it or choose another name.\n"
    assert set(tree(tmp_path)) == {"elsewhere", "dogs"}


@pytest.mark.parametrize("name", ["datasets/dogs", "datasets/more/dogs", "datasets/../dogs"])
def test_a_folder_of_datasets_may_be_a_link(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "disk" / "sets").mkdir(parents=True)
    (tmp_path / "datasets").symlink_to("disk/sets")
    make(name)
    assert (tmp_path / name / "dogs-r03.tfrecords").exists()
