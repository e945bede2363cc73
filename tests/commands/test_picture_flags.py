"""Commands that decode pictures of users have --range and --max_pixels, with one meaning."""

import argparse
import errno
import json
import os
import pathlib

import numpy as np
import PIL.Image
import pytest

from pgtf import files
from pgtf.commands import dataset, generate, generate_flags, metrics_flags, restoration_flags
from pgtf.dataset import open_dataset
from pgtf.dataset.faces import create as create_faces
from pgtf.dataset.faces.landmarks import Face
from pgtf.dataset.faces.maker import Maker
from pgtf.dataset.faces.options import FaceOptions
from pgtf.dataset.faces.photographs import LoadPhotographs
from pgtf.dataset.faces.ranking import rank_images
from pgtf.dataset.sources import image_folder
from pgtf.dataset.sources.image_folder import Fitting, open_image_folder
from pgtf.export.source import Source
from pgtf.foreign import pictures
from pgtf.restoration import restorer
from pgtf.restoration.photographs import Photographs
from tests import tiny
from tests.foreign.tiffs import tiff

PARSERS = {
    "create_from_images out in": dataset.parse,
    "create_faces out in a.csv": dataset.parse,
    "rank_images in --keep=1": dataset.parse,
    "--reals=REALS": metrics_flags.parse,
    "neighbours --reals=REALS": metrics_flags.parse,
    "train --task=sr --images=in": restoration_flags.parse,
    "evaluate --model=a --images=in": restoration_flags.parse,
    "project --pkl=PKL --target=PKL": generate_flags.parse,
}
WHOLE_SETS = ("create_from_images", "create_faces", "rank_images")
POINTS = np.array([[20, 20], [44, 20], [32, 30], [24, 44], [40, 44]], np.float32)


@pytest.mark.parametrize("command", PARSERS)
def test_every_command_that_decodes_pictures_has_the_flags(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "a" / "assets.extra").mkdir(parents=True)
    (tmp_path / "a" / "saved_model.pb").write_bytes(b"")
    about = {"format": restorer.FORMAT, "task": "jpeg", "scale": 1, "margin": 8, "stride": 8}
    (tmp_path / "a" / restorer.ABOUT_FILE).write_text(json.dumps(about))
    (tmp_path / "a.pkl").write_bytes(b"x")
    words = command.replace("REALS", str(tmp_path)).replace("PKL", str(tmp_path / "a.pkl")).split()
    parse = PARSERS[command]
    args = parse(["x", *words, "--range=-5,4095", "--max_pixels=7"])
    assert (args.value_range, args.max_pixels) == ((-5, 4095), 7)
    assert parse(["x", *words]).value_range is None
    if words[0] in WHOLE_SETS:
        assert parse(["x", *words, "--range=auto"]).value_range == "auto"
    else:
        with pytest.raises(SystemExit):
            parse(["x", *words, "--range=auto"])
        assert "must be LOW,HIGH" in capsys.readouterr().err


@pytest.fixture
def deep(tmp_path, rng):
    """RGB pixels, and a folder with a TIFF file that holds them in 12 of 16 bits."""
    pixels = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    pixels[0, 0], pixels[0, 1] = 0, 255
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tif").write_bytes(tiff(pixels.astype(np.uint16) * 16))
    return pixels, str(tmp_path / "in")


FULL = (0, 255 * 16)
READERS = {
    "metrics": lambda folder, options: open_image_folder(folder, Fitting(**options)).read(0, 1)[0],
    "restoration": lambda folder, options: Photographs(folder, [], **options).read("a.tif"),
    "rank_images": lambda folder, options: next(
        LoadPhotographs(folder, "white", **options)(["a.tif"])
    ),
    "project": lambda folder, options: _target(folder, options),
    "create_faces": lambda folder, options: _face(folder, options),
}


def _target(folder, options):
    options = {"value_range": None, "max_pixels": 1 << 20} | options
    args = argparse.Namespace(target=os.path.join(folder, "a.tif"), **options)
    source = Source(tiny.generator(resolution=64), pathlib.Path("x.h5"), {})
    return np.rint(generate._target(args, source) * 127.5 + 127.5).astype(np.uint8)


def _face(folder, options):
    maker = Maker(folder, "points.csv", FaceOptions(resolution=16, **options))
    return next(maker([Face("a.tif", POINTS)]))


@pytest.mark.parametrize("name", READERS)
def test_a_range_has_the_pixels_of_8_bits_in_every_command(name, deep, tmp_path):
    pixels, folder = deep
    found = READERS[name](folder, {"value_range": FULL})
    PIL.Image.fromarray(pixels).save(tmp_path / "a.png")
    os.rename(tmp_path / "a.png", os.path.join(folder, "a.tif"))  # its content tells its kind
    expected = READERS[name](folder, {})
    np.testing.assert_array_equal(found, expected)
    if name != "create_faces":
        found = found.transpose(1, 2, 0) if len(found) == 3 else found
        np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("name", READERS)
def test_a_limit_holds_and_is_named_in_every_command(name, deep):
    try:
        found = READERS[name](deep[1], {"max_pixels": 1000})
        reason = found.reason
    except ValueError as error:
        reason = str(error)
    assert "must have at most 1000 pixels, found 64x64; --max_pixels=4096 accepts it" in reason
    assert "Remove" not in reason


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("lasts", [False, True])
def test_a_wavering_disk_rejects_no_picture_in_any_command(name, lasts, deep, monkeypatch):
    monkeypatch.setattr(files, "WAITS_SEC", (0, 0))
    opened, failures = pictures.open_regular, [0]
    expected = READERS[name](deep[1], {"value_range": FULL})

    def wavering(path):
        if lasts or failures[0] < 2:
            failures[0] += 1
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), path)
        return opened(path)

    monkeypatch.setattr(pictures, "open_regular", wavering)
    if name == "metrics":  # It is found before, by another reader.
        monkeypatch.setattr(image_folder, "list_images", lambda folder: (["a.tif"], []))
    if lasts:
        with pytest.raises(OSError, match=r"Stale file handle: .*a\.tif"):
            READERS[name](deep[1], {"value_range": FULL})
    else:
        np.testing.assert_array_equal(READERS[name](deep[1], {"value_range": FULL}), expected)
        assert failures[0] == 2


def test_auto_is_the_range_of_all_photographs_and_is_kept(deep, tmp_path):
    pixels, folder = deep
    (tmp_path / "points.json").write_text(json.dumps({"a.tif": POINTS.tolist()}))
    faces = FaceOptions(resolution=16, value_range="auto", min_face=0)
    create_faces(str(tmp_path / "made"), folder, str(tmp_path / "points.json"), faces)
    made = open_dataset(tmp_path / "made")
    assert made.meta["range"] == list(FULL)
    expected = _face(folder, {"value_range": FULL})
    np.testing.assert_array_equal(made.read_images([0])[0], expected.transpose(1, 2, 0))
    found, given = (
        rank_images(folder, 1, str(tmp_path / out), value_range=value_range)
        for out, value_range in (("auto", "auto"), ("given", FULL))
    )
    tables = [pathlib.Path(ranked.path, "scores.csv").read_text() for ranked in (found, given)]
    assert tables[0] == tables[1]
