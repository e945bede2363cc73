"""train.py --dataset=FOLDER_OF_IMAGES."""

import dataclasses
import json
import os
import shutil

import numpy as np
import PIL.Image
import pytest

from pgtf import interop, networks
from tests.training.jobs import TINY


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder of eight pictures of 9x12 pixels, and a working directory."""
    (tmp_path / "cats").mkdir()
    rng = np.random.default_rng(0)
    for i in range(8):
        pixels = rng.integers(0, 256, (9, 12, 3), np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / "cats" / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cats"


def test_a_folder_of_images_becomes_a_dataset_that_is_trained_on_and_found_again(
    run, pictures, tmp_path
):
    arguments = ["--dataset=cats", *TINY, "--total_kimg=0.064"]
    code, out, err = run(*arguments, "--dry_run")
    assert code == 0
    path = json.loads(out.split("\n}\n")[0] + "\n}")["dataset"]["path"]
    assert f"Dataset: to be made: {path}, up to 8 images of cats at 8x8" in err
    assert os.listdir() == ["cats"]

    code, out, err = run(*arguments)
    assert code == 0
    assert os.listdir("datasets") == [os.path.basename(path)]
    (folder,) = (tmp_path / "results").iterdir()
    assert f"Dataset: {path}, made of the images in cats." in (folder / "log.txt").read_text()
    records = os.stat(f"{path}/{os.path.basename(path)}-r03.tfrecords")

    code, out, _ = run(*arguments)
    assert code == 0
    assert f"{folder.name} is finished" in out
    assert os.stat(f"{path}/{os.path.basename(path)}-r03.tfrecords") == records
    code, _, err = run("--dataset=datasets", *TINY)
    assert code == 2
    assert err.endswith(f"error: datasets holds the datasets {path[9:]}: --dataset={path}\n")


def test_the_resolution_of_a_folder_of_images_may_be_stated(run, pictures):
    code, out, err = run("--dataset=cats", "--gpus=1", "--dry_run", "--resolution=4")
    assert (code, " at 4x4 " in err) == (0, True)
    made = json.loads(out.split("\n}\n")[0] + "\n}")
    assert made["G"]["resolution"] == made["dataset"]["resolution"] == 4
    code, _, err = run("--dataset=cats", "--gpus=1", "--dry_run", "--resolution=5")
    assert (code, "`resolution` must be a power of two" in err) == (2, True)


def test_dry_run_of_a_folder_of_images_says_what_would_be_held_out_and_taken(
    run, pictures, tmp_path, config
):
    flags = ["--dataset=cats", *TINY, "--total_kimg=0.064", "--dry_run"]
    code, _, err = run(*flags, "--aug=ada")
    assert (code, "must have 32 images or more to hold some out. Received: 8." in err) == (2, True)
    for i in range(8, 40):
        shutil.copy("cats/0.png", f"cats/{i}.png")
    code, out, err = run(*flags, "--aug=ada")
    assert code == 0
    path = json.loads(out.split("\n}\n")[0] + "\n}")["dataset"]["path"]
    kept = f"Held out: {path} has no split, so 16 of up to 40 images, chosen by the seed, will be"
    assert kept in err
    assert "Held out" not in run(*flags)[2]
    code, _, err = run(*flags, "--freeze_D=1")
    assert (code, "`--freeze_D` needs --transfer." in err) == (2, True)
    options = {"num_channels": 1, "latent_size": 8}
    G = networks.build(dataclasses.replace(config.G, **options), seed=1)
    D = networks.build(dataclasses.replace(config.D, num_channels=1), seed=2)
    interop.save_snapshot(tmp_path / "gray.h5", G, D, G, cur_nimg=1000)
    code, _, err = run(*flags, "--transfer=gray.h5", "--freeze_D=1")
    assert (code, "transferred from gray.h5, trained up to 8x8" in err) == (0, True)
    assert any(line.split()[:3] == ["D", "8x8", "frozen"] for line in err.splitlines())
    assert sorted(os.listdir()) == ["cats", "gray.h5"]
