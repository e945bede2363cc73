"""Folders as real people have them."""

import os
import subprocess
import sys

import numpy as np
import PIL.features
import PIL.Image
import PIL.ImageCms
import pytest

from pgtf.commands import dataset as dataset_tool
from pgtf.dataset import exporter, open_dataset, partial
from pgtf.dataset.commands import print_summary
from pgtf.dataset.exporter import Options
from pgtf.dataset.sources import images
from pgtf.dataset.sources.images import ImageOptions
from tests.dataset import original
from tests.dataset.commands import run
from tests.dataset.folders import create, gradient, save, shades


def test_folders_are_walked_in_the_order_of_their_paths(tmp_path):
    for shade, name in enumerate(["a.png", "b/c.png", "b/a/x.jpg", "B.bmp"], 1):
        save(tmp_path / "in" / name, shade)
    save(tmp_path / "in" / ".hidden.png", 9)
    save(tmp_path / "in" / ".thumbnails" / "x.png", 9)
    (tmp_path / "in" / "notes.txt").write_text("no image")
    create(tmp_path, shuffle=False)
    assert shades(tmp_path / "out") == [4, 1, 3, 2]  # B.bmp, a.png, b/a/x.jpg, b/c.png


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path):
    save(tmp_path / "elsewhere" / "a.png", 1)
    save(tmp_path / "in" / "b.png", 2)
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "self").symlink_to("self")
    assert images.list_images(str(tmp_path / "in"))[0] == ["b.png", "linked/a.png", "self"]
    summary = create(tmp_path, shuffle=False, max_errors=1)
    assert shades(tmp_path / "out") == [2, 1]
    assert [x.reason for x in summary.rejected] == ["Too many levels of symbolic links"]


def test_a_pipe_is_passed_over(tmp_path):
    save(tmp_path / "in" / "a.png", 1)
    os.mkfifo(tmp_path / "in" / "b.png")  # opening it would wait for ever
    assert images.list_images(str(tmp_path / "in"))[0] == ["a.png"]


def test_images_of_odd_names_are_taken_and_other_files_counted(tmp_path, capsys):
    for shade, name in enumerate(["a.jpg_large", "b", "c.001", "d e.PNG", "ü.png", "n\nl.png"]):
        save(tmp_path / "x.png", shade)
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "x.png").rename(tmp_path / "in" / name)
    for name in ("labels.csv", "notes.txt", "more.txt", "paper.pdf"):
        (tmp_path / "in" / name).write_text("no image")
    summary = create(tmp_path, shuffle=False)
    assert sorted(shades(tmp_path / "out")) == list(range(6))
    assert summary.skipped == ("labels.csv", "more.txt", "notes.txt", "paper.pdf")
    print_summary(summary)
    line = "Skipped        4 files of other kinds: 2 .txt, 1 .csv, 1 .pdf\n"
    assert line in capsys.readouterr().out


def test_a_line_break_in_a_label_is_none_in_the_summary(tmp_path, capsys):
    save(tmp_path / "in" / "a\nb" / "x.png", 1)
    print_summary(create(tmp_path, labels="folders"))
    assert "Labels         1: a b\n" in capsys.readouterr().out


def test_names_that_are_no_text_can_be_labels(tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path / "in") + b"/caf\xe9")
    os.makedirs(folder)
    save(tmp_path / "in" / "b" / "x.png", 1)
    os.rename(tmp_path / "in" / "b" / "x.png", f"{folder}/x.png")
    save(tmp_path / "in" / "b" / "x.png", 2)
    create(tmp_path, labels="folders")
    dataset = open_dataset(tmp_path / "out", max_label_size="full")
    assert dataset.label_names == ("b", "caf\\udce9")


def test_max_images_takes_the_first_of_the_shuffled_order(tmp_path):
    for shade in range(10):
        save(tmp_path / "in" / f"{shade}.png", shade)
    create(tmp_path, max_images=3)
    assert shades(tmp_path / "out") == [4, 0, 7]  # as RandomState(123) shuffles ten


def test_a_transform_needs_a_resolution(tmp_path):
    save(tmp_path / "in" / "x.png", 1)
    with pytest.raises(ValueError, match="`transform` needs a resolution"):
        create(tmp_path, transform="pad")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_mixed_folder_is_converted(channels, tmp_path):
    save(tmp_path / "in" / "a.png", 10, (30, 20))
    PIL.Image.new("L", (7, 9), 20).save(tmp_path / "in" / "b.jpg", quality=100)
    PIL.Image.new("P", (16, 16)).save(tmp_path / "in" / "c.gif")
    PIL.Image.new("CMYK", (16, 16)).save(tmp_path / "in" / "d.jpg", quality=100)
    (tmp_path / "in" / "e.png").write_text("no image")
    summary = create(
        tmp_path,
        shuffle=False,
        resolution=16,
        transform="center-crop",
        channels=channels,
        max_errors=1,
    )
    assert (summary.num_images, summary.num_channels, summary.resolution) == (4, channels, 16)
    assert shades(tmp_path / "out") == [10, 20, 0, 255]
    assert [rejected.name for rejected in summary.rejected] == [str(tmp_path / "in" / "e.png")]


def interrupted(tmp_path, monkeypatch):
    """Leaves a job with three of six images behind."""
    for shade in range(6):
        save(tmp_path / "in" / f"{shade}.png", shade)

    def read(path, conversion, read=images.read_picture):
        if path.endswith("3.png"):
            raise KeyboardInterrupt
        return read(path, conversion)

    with monkeypatch.context() as patch:
        patch.setattr(partial, "CHECKPOINT_SECONDS", 0)
        patch.setattr(images, "read_picture", read)
        with pytest.raises(KeyboardInterrupt):
            create(tmp_path, shuffle=False)


def resume(tmp_path):
    options = ImageOptions(shuffle=False)
    return images.create(str(tmp_path / "out"), str(tmp_path / "in"), options, Options(1, True))


@pytest.mark.usefixtures("small_tasks")
@pytest.mark.parametrize("back", [False, True])
def test_a_job_is_not_resumed_with_files_of_other_names(back, tmp_path, monkeypatch):
    """The number of files and their order may be the same, but not the images."""
    monkeypatch.setattr(exporter, "MAX_CHUNK", 1)
    interrupted(tmp_path, monkeypatch)
    for old, new in (("5", "x"), ("x", "5"))[: 1 + back]:
        (tmp_path / "in" / f"{old}.png").rename(tmp_path / "in" / f"{new}.png")
    if back:
        assert resume(tmp_path).num_images == 6
        assert shades(tmp_path / "out") == list(range(6))
    else:
        with pytest.raises(ValueError, match="the interrupted job was another one"):
            resume(tmp_path)


@pytest.mark.parametrize("max_errors", [0, 1, 2, 3])
def test_the_first_picture_is_looked_for_behind_max_errors_bad_files(max_errors, tmp_path):
    for name in "ab":
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{name}.png").write_text("no image")
    save(tmp_path / "in" / "c.png", 7)
    if max_errors >= 2:
        summary = create(tmp_path, max_errors=max_errors)
        assert shades(tmp_path / "out") == [7]
        assert len(summary.rejected) == 2
    else:
        bad = "ab"[max_errors]
        with pytest.raises(ValueError, match=f"in/{bad}.png: not an image"):
            create(tmp_path, max_errors=max_errors)


def test_an_empty_file_is_said_to_be_empty(tmp_path):
    save(tmp_path / "in" / "b.png", 7)
    (tmp_path / "in" / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match="in/a.png: the file is empty"):
        create(tmp_path)


def suggestion(tmp_path):
    return images.suggested_command(str(tmp_path / "in")).removeprefix("python dataset_tool.py ")


def test_a_folder_of_images_is_told_the_command_it_needs(tmp_path, capsys):
    save(tmp_path / "in" / "x.png", 1)
    command = f"create_from_images datasets/in {tmp_path}/in"
    assert suggestion(tmp_path) == command
    assert run("verify", tmp_path / "in") == 2
    expected = f"{tmp_path}/in: holds images; make a dataset of them first: "
    assert capsys.readouterr().err == f"error: {expected}python dataset_tool.py {command}\n"


def test_the_suggested_dataset_is_not_the_folder_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "datasets" / "cats" / "x.png", 1)
    command = images.suggested_command("datasets/cats").split()
    assert command[2:] == ["create_from_images", "datasets/cats-2", "datasets/cats"]
    dataset_tool.main(command[2:])
    assert images.suggested_command("datasets/cats").split()[3] == "datasets/cats-3"


def test_the_suggested_command_works(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for i in range(30):
        save(tmp_path / "in" / str(i % 3) / f"{i} x.png", i, tuple(rng.integers(90, 200, 2)))
    PIL.Image.new("RGBA", (100, 100)).save(tmp_path / "in" / "transparent.png")
    PIL.Image.new("L", (100, 100)).save(tmp_path / "in" / "gray.png")
    command = suggestion(tmp_path).split()
    assert command[3:] == [
        "--resolution=64",
        "--transform=center-crop",
        "--channels=3",
        "--alpha=white",
    ]
    monkeypatch.chdir(tmp_path)
    dataset_tool.main(command)
    dataset = open_dataset("datasets/in")
    assert (dataset.num_images, dataset.resolution, dataset.num_channels) == (32, 64, 3)


def test_a_folder_of_other_files_is_told_nothing(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    assert images.suggested_command(str(tmp_path)) is None
    (tmp_path / "x.png").write_text("x")
    assert images.suggested_command(str(tmp_path)) is None


def test_files_of_the_original_are_read_the_same_way_through_conversion(tmp_path):
    options = ImageOptions(channels=3, resolution=32)
    images.create(str(tmp_path / "images-rgb"), str(original.INPUTS / "images-rgb"), options)
    original.assert_equals_original(tmp_path / "images-rgb", "images-rgb")


@pytest.mark.parametrize("extension", ["png", "jpg"])
def test_workers_import_no_more_than_reading_takes(extension, tmp_path):
    """Each import costs as much as several images, in every worker."""
    PIL.Image.fromarray(gradient(8, 8)).save(tmp_path / f"a.{extension}")
    code = (
        "import sys\n"
        "from pgtf.dataset import workers\n"
        "from pgtf.dataset.encoder import Encoder\n"
        "from pgtf.dataset.sources.image_files import LoadFiles\n"
        "from pgtf.dataset.sources.pictures import Conversion, read_picture\n"
        f"load = LoadFiles({str(tmp_path)!r}, Conversion(3, 8), read_picture)\n"
        f"assert Encoder(load, (3, 8, 8), None)((0, [('a.{extension}', 0)])).num_records == 1\n"
        "print(*sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(run.stdout.split())
    useless = {"absl", "tqdm", "pgtf.dataset.folder", "pgtf.dataset.exporter"}
    assert not imported & (useless | {"PIL.TiffImagePlugin", "PIL.WebPImagePlugin"})
