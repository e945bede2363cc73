"""The commands as typed: the same records as the original's, summaries, contact sheets."""

import functools
import hashlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset import open_dataset
from pgtf.dataset.sources import celeba
from tests.dataset import original, recipes
from tests.dataset.commands import ROOT, run, save_pictures


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Function that returns the path of a case's input, stored or made from its recipe."""
    root = tmp_path_factory.mktemp("inputs")

    def find(stored, recipe):
        if stored:
            return str(original.DATASETS / stored)
        if not (root / recipe).exists():
            getattr(recipes, f"write_{recipe}")(root / recipe)
        return str(root / recipe)

    return find


# Of more than 50,000 images. Their sources are read in tests/dataset/test_sources.py, too; what is
# written of them is written by the same code as for cifar10.
SLOW = ("cifar100", "svhn")


def cases(command):
    """Cases of the reference whose command begins so."""
    found = [
        pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name, case in original.EXPECTED.items()
        if case["command"].startswith(command)
    ]
    assert found
    return found


@pytest.mark.parametrize("name", cases("create_"))
def test_records_equal_the_originals(name, inputs, tmp_path, monkeypatch):
    # The original's own check of the count was changed for the reference, too.
    small = functools.partial(celeba.create, num_images=recipes.CELEBA_IMAGES)
    monkeypatch.setattr(celeba, "create", small)
    line = original.EXPECTED[name]["command"]
    match = re.fullmatch(r"(create_\w+) \S+ (?:<make_inputs (\w+)>|(inputs/\S+))(.*)", line)
    command, recipe, stored, flags = match.groups()
    folder = tmp_path / name
    assert run(command, folder, inputs(stored, recipe), *shlex.split(flags)) == 0
    original.assert_equals_original(folder, name)


def test_every_command_of_the_original_has_a_case():
    commands = {case["command"].split()[0] for case in original.EXPECTED.values()}
    expected = "mnist mnistrgb cifar10 cifar100 svhn lsun celeba from_images from_hdf5".split()
    assert {f"create_{name}" for name in expected} | {"extract"} <= commands


@pytest.mark.parametrize("name", cases("extract"))
def test_extracted_images_equal_the_originals(name, tmp_path, capsys):
    _, dataset, _ = original.EXPECTED[name]["command"].split()
    folder = original.FULL / pathlib.Path(dataset).name
    assert run("extract", folder, tmp_path / "out") == 0
    expected = original.EXPECTED[name]["files"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(expected)
    for file, facts in expected.items():
        with PIL.Image.open(tmp_path / "out" / file) as picture:
            assert (picture.mode, list(picture.size)) == (facts["mode"], facts["size"])
            assert hashlib.sha256(picture.tobytes()).hexdigest() == facts["pixels_sha256"]
    assert f"Extracted {len(expected)} images" in capsys.readouterr().out


@pytest.fixture
def compared(tmp_path):
    """The datasets that the original's comparisons were made of."""
    for source in ("images-rgb", "images-gray", "hdf5", "hdf5-noshuffle"):
        shutil.copytree(original.FULL / source, tmp_path / source)
    for copy in ("hdf5-relabel", "hdf5-unlabeled"):
        shutil.copytree(original.FULL / "hdf5", tmp_path / copy)
    (tmp_path / "hdf5-unlabeled" / "hdf5-rxx.labels").unlink()
    path = tmp_path / "hdf5-relabel" / "hdf5-rxx.labels"
    labels = np.load(path)
    labels[[3, 7]] += 1
    with open(path, "wb") as file:
        np.save(file, labels)
    recipes.write_mnist(tmp_path / "mnist")
    assert (
        run("create_mnistrgb", tmp_path / "mnistrgb-500", tmp_path / "mnist", "--num_images=500")
        == 0
    )
    return tmp_path


def test_comparisons_say_what_the_original_says(compared, capsys):
    texts = sorted((original.DATASETS / "text").glob("cmp-*.txt"))
    assert texts
    for text in texts:
        lines = text.read_text().replace("\r", "\n").splitlines()
        a, b = (re.search('"datasets/(.*)"', line)[1] for line in lines if "Loading" in line)
        capsys.readouterr()
        flags = ["--ignore_labels", "1"] if "ignore" in text.name else []
        assert run("compare", compared / a, compared / b, *flags) == 0
        ours = capsys.readouterr().out.splitlines()
        facts = [line.strip() for line in lines if re.search(r"is different|Identical", line)]
        assert [line for line in ours if "Numbers" not in line] == facts, text.name
        assert any("Numbers" in line for line in ours) == any("number of" in x for x in lines)


def test_a_command_ends_with_a_summary_and_a_contact_sheet(tmp_path, capsys):
    folder = tmp_path / "demo"
    assert run("create_demo", folder, "--num_images=40", "--resolution=16") == 0
    out = capsys.readouterr().out
    sheet = re.search("Contact sheet  (.*)", out)[1]
    assert "Images         40\n" in out
    assert "Resolution     16x16 RGB\n" in out
    assert "Labels         24: skin=light, skin=tan" in out
    with PIL.Image.open(sheet) as picture:
        assert picture.size == (7 * 16, 6 * 16)
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert f"Size           {size / 2**20:.1f} MiB\n" in out


def test_display_writes_a_contact_sheet_where_there_is_no_screen(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert run("display", original.FULL / "images-gray") == 0
    assert capsys.readouterr().out == "Contact sheet  images-gray-contact-sheet.png\n"
    assert run("display", original.FULL / "images-rgb", "--save", "rgb.png") == 0
    with PIL.Image.open("rgb.png") as picture:
        assert (picture.mode, picture.size) == ("RGB", (12 * 32, 8 * 32))
        first = np.asarray(picture)[:32, :32]
    np.testing.assert_array_equal(
        first, open_dataset(original.FULL / "images-rgb").read_images([0])[0]
    )


def test_verify_says_what_it_checked(capsys):
    assert run("verify", original.FULL / "hdf5") == 0
    out = capsys.readouterr().out
    assert "hdf5 is whole: 10 images, resolutions 4 to 16, 4 label columns" in out


def test_rejected_files_are_listed_with_their_reasons(tmp_path, capsys):
    folder = save_pictures(tmp_path / "pictures", 6, "png")
    (folder / "0002.png").write_text("text")
    (folder / "0004.png").write_bytes(b"")
    assert run("create_from_images", tmp_path / "made", folder, "--max_errors=2") == 0
    out = capsys.readouterr().out
    assert "Rejected, 2 in all:" in out
    assert re.search(r"0002.png  not an image", out)
    assert re.search(r"0004.png  the file is empty", out)
    assert "Images         4\n" in out
    assert run("create_from_images", tmp_path / "more", folder, "--max_errors=1") == 2
    assert re.search(r"000[24].png: .* \(error 2\)", capsys.readouterr().err)


def test_the_script_runs_without_packages_that_it_does_not_need(tmp_path):
    """Workers and short commands must not wait seconds for them."""
    heavy = {"tensorflow", "keras", "h5py", "scipy", "cv2", "lmdb", "matplotlib"}
    code = "import sys; from pgtf.commands.dataset import main; main(sys.argv[1:])"
    code += f"; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code, "create_demo", tmp_path / "x", "--num_images=10"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.endswith("\n[]\n"), done.stderr


def test_names_that_are_no_text_can_be_printed(tmp_path):
    folder = save_pictures(tmp_path / "pictures", 2, "png")
    broken = os.fsencode(folder) + b"/caf\xe9\n.png"
    with open(broken, "w") as file:
        file.write("text")
    command = ["create_from_images", "made", "pictures", "--max_errors=1"]
    done = subprocess.run(
        [sys.executable, ROOT / "dataset_tool.py", *command],
        cwd=tmp_path,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr
    assert rb"caf\udce9 .png  not an image" in done.stdout
