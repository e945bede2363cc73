"""python -m metrics against the images that training never sees."""

import json
import re
import shutil

import numpy as np
import PIL.Image
import pytest

from pgtf.commands import metrics_flags, metrics_sources
from pgtf.commands.metrics import main
from pgtf.config import Config
from pgtf.dataset import open_dataset
from pgtf.dataset.exporter import Options
from pgtf.dataset.sources import images
from pgtf.dataset.sources.images import ImageOptions
from pgtf.interop import save_snapshot
from pgtf.metrics import records
from pgtf.networks import Discriminator, Generator
from pgtf.runs import identity
from tests.metrics.test_main import error_of

NUM, HELD_OUT = 40, 16


@pytest.fixture(autouse=True)
def _no_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def dataset(tmp_path, rng):
    """Forty images of noise, of which sixteen are held out and lie in the folder `fakes`, too."""
    (tmp_path / "in").mkdir()
    for i in range(NUM):
        pixels = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / "in" / f"{i:02d}.png")
    options = ImageOptions(held_out=str(HELD_OUT))
    images.create(str(tmp_path / "set"), str(tmp_path / "in"), options, Options(1))
    (tmp_path / "fakes").mkdir()
    held_out = open_dataset(tmp_path / "set", split="held_out")
    for i, pixels in enumerate(held_out.read_images(range(HELD_OUT))):
        PIL.Image.fromarray(pixels).save(tmp_path / "fakes" / f"{i:02d}.png")
    return tmp_path / "set"


@pytest.mark.parametrize(("split", "found"), [("train", 0), ("held_out", 16), ("all", 16)])
def test_reals_are_those_of_the_split(split, found, dataset, capsys):
    main(["neighbours", f"--dataset={dataset}", "--fakes=fakes", f"--split={split}"])
    distances = re.findall(r"\d+\.\d", capsys.readouterr().out.partition("apart:")[2])
    assert len(distances) == HELD_OUT
    assert distances.count("0.0") == found


def test_the_record_names_the_split(dataset, capsys):
    command = [f"--dataset={dataset}", "--fakes=fakes", "--metrics=msssim:16", "--records=out"]
    for split in ("train", "held_out"):
        main([*command, f"--split={split}"])
    train, held_out = records.load("out", "msssim")
    assert (train["reals"], held_out["reals"]) == ("set", "set (split held_out)")
    assert "reals_notes" not in train
    assert held_out["reals_notes"] == {"split": "held_out"}


def test_the_held_out_images_of_a_run_are_found_from_its_record_of_the_dataset(dataset, tmp_path):
    folder = tmp_path / "results" / "000-set-demo"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(Config().replace({"dataset.path": "gone"}).to_json())
    identity.store(folder, identity.Record("demo", identity.Source.of(open_dataset(dataset))))
    for split, number in (("train", NUM - HELD_OUT), ("held_out", HELD_OUT), ("all", NUM)):
        args = metrics_flags.parse(["metrics", "--run=0", f"--split={split}"])
        reals, found = metrics_sources.reals_of(args)
        assert reals.num_images == found.num_images == number
        assert (reals.read(0, 2) == found.read_images([0, 1])).all()


@pytest.fixture
def run(dataset, tmp_path):
    """A run of one snapshot, and copies of its dataset: moved, and with another split."""
    folder = tmp_path / "results" / "000-set-demo"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(Config().replace({"dataset.path": str(dataset)}).to_json())
    identity.store(folder, identity.Record("demo", identity.Source.of(open_dataset(dataset))))
    small = {"num_channels": 3, "resolution": 16, "fmap_base": 32, "fmap_max": 8}
    Gs = Generator(**small)
    save_snapshot(folder / "network-snapshot-000001.h5", Gs, Discriminator(**small), Gs)
    for name in ("moved", "others"):
        shutil.copytree(dataset, tmp_path / name / "set")
    description = tmp_path / "others" / "set" / "dataset.json"
    meta = json.loads(description.read_text())
    meta["split"]["held_out"] -= 1
    description.write_text(json.dumps(meta))
    return folder


def test_reals_are_those_of_training_wherever_they_lie(run):
    for flags, expected in (
        ([], True),
        (["--dataset=set"], True),
        (["--dataset=moved/set"], True),
        (["--dataset=others/set"], False),
        (["--dataset=moved/set", "--split=held_out"], False),
        (["--split=all"], False),
        (["--reals=fakes"], False),
    ):
        args = metrics_flags.parse(["metrics", "--run=0", *flags])
        _, found = metrics_sources.reals_of(args)
        assert metrics_sources.are_of_training(args, found) == expected, flags
    (run / identity.IDENTITY_FILE).unlink()  # as in runs of the first edition
    args = metrics_flags.parse(["metrics", "--run=0", "--dataset=set"])
    assert metrics_sources.are_of_training(args, open_dataset("set"))


def test_held_out_images_neither_choose_the_best_snapshot_nor_describe_it(run):
    (run / "best-swd.h5").write_bytes(b"chosen in training")
    main(["--run=0", "--metrics=swd:16", "--split=held_out"])
    assert (run / "best-swd.h5").read_bytes() == b"chosen in training"
    snapshot = run / "network-snapshot-000001.h5"
    assert records.of_snapshot(snapshot) == {}
    main(["--run=0", "--metrics=swd:16"])
    assert (run / "best-swd.h5").read_bytes() == snapshot.read_bytes()
    main(["--run=0", "--metrics=swd:16", "--split=held_out", "--again"])
    assert records.load(run, "swd")[-1]["reals"] == "set (split held_out)"
    assert records.of_snapshot(snapshot)["swd"]["reals"] == "set"


def test_a_split_that_is_not_there_is_one_line(dataset, tmp_path, capsys):
    meta = json.loads((dataset / "dataset.json").read_text())
    del meta["split"]
    (dataset / "dataset.json").write_text(json.dumps(meta))
    line = error_of(capsys, f"--dataset={dataset}", "--split=held_out")
    assert "must hold out images. Received: none. `dataset_tool.py create_from_images" in line
    line = error_of(capsys, "--reals=fakes", "--fakes=in", "--split=all")
    assert "`--split` is for datasets, not for the folder fakes" in line
