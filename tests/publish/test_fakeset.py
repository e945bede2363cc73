"""Reference sets: the same bytes whatever interrupts, and a check that finds what was changed."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import PIL.Image
import pytest

from pgtf import files, marks
from pgtf.dataset import open_dataset
from pgtf.export.source import Source
from pgtf.publish import fakeset, fakeset_check
from tests.commands.generating import refusal, run
from tests.training import jobs

pytestmark = pytest.mark.usefixtures("loaded_once")


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(fakeset, "SHARD", 32)


def content(folder):
    """{path: bytes} of all files of a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def lines_of(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(snapshot, tmp_path_factory):
    """80 images of seeds 20 to 99 in four shards."""
    out = tmp_path_factory.mktemp("sets") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fakeset, "SHARD", 32)
        run("fakeset", f"--snapshot={snapshot}", "--num=80", "--first=20", f"--out={out}")
    return out


def test_a_set_is_its_images_and_a_manifest_that_names_all_of_it(whole, snapshot):
    header, *lines = lines_of(whole)
    assert header["network"] == Source.from_snapshot(snapshot).sha256
    assert (header["num"], header["first"], header["codec"]["format"]) == (80, 20, "PNG")
    assert [line["seed"] for line in lines] == list(range(20, 100))
    assert lines[0]["file"] == "fakes/00000/seed0000020.png"
    assert lines[12]["file"] == "fakes/00001/seed0000032.png"
    assert content(whole).keys() == {"manifest.jsonl", *(line["file"] for line in lines)}
    mark = marks.read_mark(whole / lines[5]["file"])
    assert (mark.facts["Seeds"], mark.facts["Network"]) == ("25", header["network"])


def test_an_interrupted_set_has_the_same_bytes(
    whole, snapshot, small_shards, tmp_path, monkeypatch
):
    calls = 0
    write = files.write_atomically

    def interrupted(path, content):
        nonlocal calls
        calls += 1
        if calls in (3, 40, 70):  # in the first shard, between and within others
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(fakeset.files, "write_atomically", interrupted)
    command = ["fakeset", f"--snapshot={snapshot}", "--num=80", "--first=20", f"--out={tmp_path}/x"]
    for _ in range(3):
        with pytest.raises(SystemExit):
            run(*command)
    run(*command)
    assert content(tmp_path / "x") == content(whole)
    run(*command)  # a set that is complete
    assert content(tmp_path / "x") == content(whole)


def test_parts_in_any_order_and_a_larger_set_have_the_same_bytes(
    whole, snapshot, small_shards, tmp_path, capsys
):
    command = ["fakeset", f"--snapshot={snapshot}", "--num=80", "--first=20", f"--out={tmp_path}/x"]
    run(*command, "--part=1/2")
    assert "other shards are missing" in capsys.readouterr().out
    assert not (tmp_path / "x" / "manifest.jsonl").exists()
    run(*command, "--part=0/2")
    assert content(tmp_path / "x") == content(whole)
    run("fakeset", f"--snapshot={snapshot}", "--num=5", "--first=40", f"--out={tmp_path}/y")
    inner = content(tmp_path / "y")
    for name in (f"fakes/00001/seed{seed:07d}.png" for seed in range(40, 45)):
        assert inner[name] == content(whole)[name]


def test_another_set_in_the_folder_is_refused(whole, snapshot, small_shards, tmp_path, capsys):
    before = content(whole)
    text = refusal(capsys, "fakeset", f"--snapshot={snapshot}", "--num=81", f"--out={whole}")
    assert "was begun with another network, other settings" in text
    (tmp_path / "mine.txt").write_text("mine")
    text = refusal(capsys, "fakeset", f"--snapshot={snapshot}", "--num=8", f"--out={tmp_path}")
    assert "is not empty" in text
    assert content(whole) == before
    assert os.listdir(tmp_path) == ["mine.txt"]


def test_check_finds_every_file_right_and_every_change(whole, snapshot, tmp_path, capsys):
    manifest = whole / "manifest.jsonl"
    run("fakeset", f"--check={manifest}", f"--snapshot={snapshot}")
    told = capsys.readouterr().out
    assert "80 files, 80 with the manifest's bytes." in told
    assert "80 generated again, 80 with the same pixels; the largest difference is 0" in told
    copy = tmp_path / "copy"
    for name, file in content(whole).items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(file)
    with PIL.Image.open(copy / "fakes/00000/seed0000021.png") as picture:
        changed = np.array(picture)
    changed[3, 4, 0] ^= 32
    PIL.Image.fromarray(changed).save(copy / "fakes/00000/seed0000021.png")
    (copy / "fakes/00002/seed0000070.png").unlink()
    report = fakeset_check.check(copy / "manifest.jsonl", Source.from_snapshot(snapshot))
    names = ["fakes/00000/seed0000021.png", "fakes/00002/seed0000070.png"]
    assert (report.changed, report.far) == (names, names)
    assert (report.levels[0], report.levels[32], report.levels[255]) == (78, 1, 1)
    with pytest.raises(SystemExit) as stopped:
        run("fakeset", f"--check={copy / 'manifest.jsonl'}")
    assert stopped.value.code == 2
    assert "2 files are changed or missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        {"file": "../../etc/passwd", "seed": 1, "sha256": "0"},
        {"file": "/etc/passwd", "seed": 1, "sha256": "0"},
        {"file": "fakes/00000/seed0000001.png", "sha256": "0"},
        {"file": "fakes/00000/seed0000001.png", "seed": -1, "sha256": "0"},
        {"file": 7},
        [],
    ],
)
def test_a_manifest_from_elsewhere_is_checked(line, whole, tmp_path):
    header = (whole / "manifest.jsonl").read_text().splitlines()[0]
    (tmp_path / "manifest.jsonl").write_text(f"{header}\n{json.dumps(line)}\n")
    with pytest.raises(ValueError, match="manifest.jsonl line 2: "):
        fakeset_check.check(tmp_path / "manifest.jsonl", None)


def test_labels_and_real_images_are_in_the_manifest(labelled_snapshot, small_shards, tmp_path):
    jobs.write_blocks(tmp_path / "blocks")
    out = tmp_path / "x"
    size = (f"--snapshot={labelled_snapshot}", "--lod=1", "--num=36", f"--out={out}")
    run("fakeset", *size, f"--reals={tmp_path / 'blocks'}", "--mark=none")
    header, *lines = lines_of(out)
    assert header["reals"] == {"dataset": "blocks", "num": 36}
    assert [line["Classes"] for line in lines[:4]] == ["0", "1", "2", "0"]
    reals = [line for line in lines if line["file"].startswith("reals/")]
    assert [line["index"] for line in reals] == list(range(36))
    dataset = open_dataset(tmp_path / "blocks", max_label_size=0)
    with PIL.Image.open(out / reals[7]["file"]) as picture:
        assert np.array_equal(np.asarray(picture), dataset.read_images([7])[0])
    report = fakeset_check.check(out / "manifest.jsonl", Source.from_snapshot(labelled_snapshot))
    assert (report.num, report.num_generated, report.far, report.changed) == (72, 36, [], [])


@pytest.mark.slow  # starts the program twice
def test_a_killed_set_is_continued_to_the_same_bytes(snapshot, tmp_path):
    command = [sys.executable, "generate.py", "fakeset", f"--snapshot={snapshot}", "--num=1500"]
    with subprocess.Popen([*command, f"--out={tmp_path}/x"]) as process:
        while not list((tmp_path / "x").glob("fakes/00001/*7.png")):
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    for name in ("x", "y"):
        subprocess.run([*command, f"--out={tmp_path}/{name}"], check=True)
    assert content(tmp_path / "x") == content(tmp_path / "y")
