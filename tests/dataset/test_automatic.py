"""Datasets that training makes of a folder of images."""

import os
import shlex

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset import NoDataset, open_dataset
from pgtf.dataset.sources import automatic
from pgtf.dataset.sources.automatic import is_source, make, plan
from tests.dataset.commands import run
from tests.dataset.folders import save, shades


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_dataset_is_made_once_per_content(tmp_path):
    for shade in (10, 20, 30):
        save(tmp_path / "cats" / f"{shade}.png", shade, (40, 33))
    planned = plan("cats")
    assert (planned.images.resolution, planned.images.channels, planned.num_files) == (32, 3, 3)
    assert os.path.dirname(planned.target) == "datasets"
    assert planned.target.startswith("datasets/cats-")
    assert make(planned).num_images == 3
    assert sorted(shades(planned.target)) == [10, 20, 30]
    assert make(plan("cats/")) is None
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "cats").rename(tmp_path / "elsewhere" / "cats")
    os.utime("elsewhere/cats/10.png", (1, 1))
    assert plan("elsewhere/cats").target == planned.target
    assert plan("elsewhere/cats", 16).target != planned.target
    assert plan("elsewhere/cats", 16).images.resolution == 16


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("change", ["pixel", "name", "removed"])
def test_another_content_is_another_dataset(change, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(automatic, "WHOLE_BYTES", 1 << 20 if whole else 0)
    for shade in (10, 20):
        save(tmp_path / "cats" / f"{shade}.bmp", shade, (8, 8))
    before = plan("cats").target
    stamp = os.stat("cats/20.bmp")
    if change == "pixel":
        content = bytearray((tmp_path / "cats" / "20.bmp").read_bytes())
        content[-1] ^= 1
        (tmp_path / "cats" / "20.bmp").write_bytes(content)
        os.utime("cats/20.bmp", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    elif change == "name":
        os.rename("cats/20.bmp", "cats/21.bmp")
    else:
        os.remove("cats/20.bmp")
    assert plan("cats").target != before


@pytest.mark.parametrize(
    ("sides", "resolution"),
    [([8, 31, 500], 16), ([32], 32), ([255, 255, 9], 128), ([300, 2000, 700], 256), ([3], 4)],
)
def test_the_resolution_is_a_power_of_two_up_to_the_median_and_256(sides, resolution, tmp_path):
    for i, side in enumerate(sides):
        save(tmp_path / "in" / f"{i}.png", 1, (side, side + 5))
    assert plan("in").images.resolution == resolution


def test_images_are_center_crops_on_white_and_damaged_ones_are_listed(tmp_path):
    pixels = np.zeros((16, 24, 4), np.uint8)
    pixels[:, 4:20] = (10, 200, 30, 255)
    (tmp_path / "in").mkdir()
    PIL.Image.fromarray(pixels).save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_text("no image")
    planned = plan("in", 16)
    summary = make(planned)
    assert [x.name for x in summary.rejected] == ["in/b.png"]
    image = open_dataset(planned.target).read_images([0])[0]
    assert (image == (10, 200, 30)).all()
    assert "--transform=center-crop" in planned.command


def test_gray_images_are_one_channel(tmp_path):
    (tmp_path / "in").mkdir()
    PIL.Image.new("L", (9, 9), 7).save(tmp_path / "in" / "a.png")
    assert plan("in").images.channels == 1


def test_a_run_in_the_folder_is_no_source(tmp_path):
    save(tmp_path / "a.png", 7)
    before = plan(".").target
    for name in ("reals.png", "fakes000000.png"):
        save(tmp_path / "results" / "000-x-demo" / name, 9)
    for name in ("config.json", "identity.json"):
        (tmp_path / "results" / "000-x-demo" / name).write_text("{}")
    make(plan("."))
    assert plan(".").target == before


def test_a_parent_of_datasets_names_them(tmp_path, capsys):
    for shade, name in enumerate(["cats", "dogs", ".hidden"]):
        save(tmp_path / "in" / name / "a.png", shade, (8, 8))
        os.rename(plan_and_make(f"in/{name}"), tmp_path / "datasets" / name)
    assert not is_source("datasets/cats")
    with pytest.raises(
        NoDataset, match="^datasets holds the datasets cats, dogs: choose one, "
    ) as e:
        is_source("datasets")
    assert e.value.choose("--dataset=") == (
        "datasets holds the datasets cats, dogs: --dataset=datasets/cats"
    )
    save(tmp_path / "datasets" / "cats-contact-sheet.png", 9)  # no reason to advise a dataset of it
    assert run("verify", "datasets") == 2
    expected = "datasets holds the datasets cats, dogs: choose one, for example datasets/cats"
    assert capsys.readouterr().err == f"error: {expected}\n"
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoDataset, match="empty: no dataset in it"):
        is_source("empty")
    (tmp_path / "empty" / "x.npy").write_text("x")
    with pytest.raises(
        ValueError, match="no dataset in it.* other files: 1 .npy. `create_from_arrays`"
    ):
        is_source("empty")


def plan_and_make(folder):
    planned = plan(folder)
    make(planned)
    return planned.target


def test_a_resolution_must_be_a_power_of_two(tmp_path):
    save(tmp_path / "in" / "a.png", 7)
    with pytest.raises(ValueError, match="`resolution` must be a power of two.*resolution=100"):
        plan("in", 100)


def test_files_that_cannot_be_opened_are_told_before_and_left_out(tmp_path):
    """Three photographs and two HEIC files are trained on without a package for the latter."""
    for i in range(4):
        save(tmp_path / "in" / f"{i}.png", 50 * i, (8, 8))
    for name in ("x.heic", "y.heic", "z.jxl"):
        (tmp_path / "in" / name).write_bytes(b"\xff\x0a")
    planned = plan("in")
    assert "up to 4 images of in at 8x8 without 3 others, such as in/x.heic: " in str(planned)
    assert [x.name for x in make(planned).rejected] == ["in/x.heic", "in/y.heic", "in/z.jxl"]
    assert open_dataset(planned.target).num_images == 4


def test_a_folder_of_damage_is_refused_with_the_command_that_leaves_it_out(tmp_path):
    for i in range(8):
        save(tmp_path / "in" / f"{i}.png", i, (8, 8))
    for path in sorted((tmp_path / "in").iterdir())[:5]:
        path.write_bytes(path.read_bytes()[:48])  # in the middle of its pixels
    planned = plan("in")
    assert "up to 8 images of in at 8x8 (as does" in str(planned)
    with pytest.raises(ValueError, match=r"in/\d.png: .* \(error 2\). Remove such files") as e:
        make(planned)
    flags = shlex.split(str(e.value).partition("dataset_tool.py ")[2])
    assert run(*flags) == 0
    assert open_dataset(planned.target).num_images == 3
    for path in (tmp_path / "in").iterdir():
        path.write_text("no image")
    with pytest.raises(ValueError, match="none of 8 files .* read. in/0.png: not an image"):
        plan("in")
