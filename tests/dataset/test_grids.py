"""Datasets of another grid than 4x4, made by the commands."""

import json
import re

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset import inspection, open_dataset
from pgtf.dataset.pyramid import pyramid, suggested_grid
from pgtf.dataset.sources.images import suggested_command
from pgtf.grids import Grid
from tests.dataset.commands import run


def save(folder, height, width, count=3, mode="RGB"):
    folder.mkdir()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, height, width, 3), np.uint8)
    images = images if mode == "RGB" else images[..., 0]
    for i, image in enumerate(images):
        PIL.Image.fromarray(image).save(folder / f"{i}.png")
    return images


def halved(images, dtype):
    """The 2x2 means of images [n, H, W, C], before they are rounded."""
    num, height, width, channels = images.shape
    return images.reshape(num, height // 2, 2, width // 2, 2, channels).astype(dtype).mean((2, 4))


@pytest.mark.parametrize(("grid", "factor"), [((5, 4), 4), ((4, 3), 8), ((2, 8), 2)])
def test_pictures_of_a_grid_keep_their_shape_and_have_a_pyramid(grid, factor, tmp_path, capsys):
    height, width = grid[0] * factor, grid[1] * factor
    images = save(tmp_path / "in", height, width)
    name, target = f"{grid[0]}x{grid[1]}", tmp_path / "out"
    command = ("create_from_images", target, tmp_path / "in", f"--grid={name}", "--shuffle=0")
    assert run(*command) == 0
    assert f"Resolution     {height}x{width} RGB (height x width)" in capsys.readouterr().out
    dataset = inspection.verify(str(target))
    assert (dataset.grid, dataset.size) == (Grid(*grid), (height, width))
    means = images.astype(np.float64)
    for level in sorted(dataset.files, reverse=True):
        found = dataset.read_images(range(3), level)
        np.testing.assert_array_equal(found, np.rint(means))
        means = halved(means, np.float64) if level > 2 else means
    assert json.loads((target / "dataset.json").read_text())["grid"] == [*grid]
    with PIL.Image.open(target / "contact-sheet.png") as sheet:
        assert sheet.size == (2 * width, 2 * height)


def test_pictures_of_any_shape_are_cropped_padded_or_resized_to_the_grid(tmp_path):
    save(tmp_path / "in", 60, 90, count=1)
    source = np.asarray(PIL.Image.open(tmp_path / "in" / "0.png"))
    flags = ("--grid=5x4", "--resolution=16")  # 20x16
    found = {}
    for transform in ("center-crop", "pad", "resize"):
        target = tmp_path / transform
        chosen = f"--transform={transform}"
        assert run("create_from_images", target, tmp_path / "in", *flags, chosen) == 0
        found[transform] = open_dataset(target).read_images([0])[0]
    crop = PIL.Image.fromarray(source[:, 21:69]).resize((16, 20), PIL.Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(found["center-crop"], crop)
    assert (found["pad"][:4] == 0).all()
    inner = PIL.Image.fromarray(source).resize((16, 11), PIL.Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(found["pad"][4:15], inner)
    whole = PIL.Image.fromarray(source).resize((16, 20), PIL.Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(found["resize"], whole)


@pytest.mark.parametrize(
    ("size", "grid", "message"),
    [
        ((20, 16), None, "width and height must be the same. Received: 16x20. .*--grid=5x4"),
        ((28, 28), None, "power of two of at least 4. Received: 28x28. .*--grid=7x7"),
        ((40, 32), "4x3", r"must be 4x3 times a power of two \(height x width\). .*--grid=5x4"),
        ((67, 71), "5x4", r"Received: 71x67. Add --resolution and --transform to convert\.$"),
        ((20, 16), "5x", "`grid` must be HEIGHTxWIDTH"),
    ],
)
def test_pictures_without_a_pyramid_are_one_line_with_a_remedy(
    size, grid, message, tmp_path, capsys
):
    save(tmp_path / "in", *size, count=1)
    flags = [f"--grid={grid}"] if grid else []
    assert run("create_from_images", tmp_path / "out", tmp_path / "in", *flags) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "Received" in line]
    assert re.search(message, line), line


@pytest.mark.parametrize(
    ("size", "flag"), [((40, 32), "--grid=5x4"), ((60, 80), "--transform=center-crop")]
)
def test_the_suggested_command_keeps_a_shape_that_has_a_small_grid(size, flag, tmp_path):
    save(tmp_path / "in", *size)
    words = suggested_command(str(tmp_path / "in")).split()
    assert flag in words
    at = words.index("create_from_images")
    assert run(words[at], tmp_path / "out", *words[at + 2 :]) == 0


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((1280, 1024), "5x4"),
        ((128, 96), "4x3"),
        ((128, 512), "2x8"),
        ((256, 256), "4x4"),
        ((67, 71), "None"),
    ],
)
def test_the_suggested_grid_is_small(size, grid):
    assert str(suggested_grid(*size)) == grid


def test_every_create_command_takes_a_grid(tmp_path):
    assert run("create_demo", tmp_path / "faces", "--num_images=3", "--resolution=8") == 0
    flags = ("--num_images=3", "--grid=4x8", "--resolution=8")
    assert run("create_demo", tmp_path / "wide", *flags) == 0
    dataset = inspection.verify(str(tmp_path / "wide"))
    assert (dataset.size, dataset.resolution) == ((8, 16), 8)
    assert [*dataset.files] == [2, 3]


def test_datasets_of_a_grid_are_shown_extracted_and_compared(tmp_path, capsys):
    images = save(tmp_path / "in", 20, 16)
    flags = ("--grid=5x4", "--shuffle=0")
    assert run("create_from_images", tmp_path / "a", tmp_path / "in", *flags) == 0
    assert run("display", tmp_path / "a", f"--save={tmp_path / 'page.png'}") == 0
    with PIL.Image.open(tmp_path / "page.png") as page:
        assert page.size == (12 * 16, 8 * 20)
    assert run("extract", tmp_path / "a", tmp_path / "pictures") == 0
    np.testing.assert_array_equal(
        PIL.Image.open(tmp_path / "pictures" / "img00000002.png"), images[2]
    )
    capsys.readouterr()
    assert run("compare", tmp_path / "a", tmp_path / "a") == 0
    assert "Identical images: 3 / 3" in capsys.readouterr().out
    assert run("verify", tmp_path / "a") == 0
    assert "3 images, 5x4 to 20x16, no label columns" in capsys.readouterr().out


def test_deep_pyramids_are_means_that_are_rounded_once():
    values = np.random.default_rng(0).integers(0, 65536, (2, 3, 80, 64)).astype(np.uint16)
    grid = Grid(5, 4)
    means = values.transpose(0, 2, 3, 1).astype(np.float64)
    levels = pyramid(values, grid)
    assert [level.shape[2:] for level in levels] == [grid.size_at(i) for i in (6, 5, 4, 3, 2)]
    for level, exact in zip(levels, pyramid(values.astype(np.float32), grid), strict=True):
        assert (level.dtype, exact.dtype) == (np.uint16, np.float32)
        np.testing.assert_array_equal(level.transpose(0, 2, 3, 1), np.rint(means))
        np.testing.assert_allclose(exact.transpose(0, 2, 3, 1), means, rtol=1e-7)
        means = halved(means, np.float64) if len(means[0]) > 5 else means
    ties = np.array([[[[0, 1], [0, 1]]], [[[1, 2], [1, 2]]]], np.uint16)
    assert pyramid(ties, Grid(1, 1))[1].ravel().tolist() == [0, 2]
