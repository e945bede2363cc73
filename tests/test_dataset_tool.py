"""The commands as typed: the same records as the original's, one-line errors, summaries."""

import functools
import gzip
import hashlib
import os
import pathlib
import pickle
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import PIL.Image
import pytest

import dataset_tool
from pgtf.dataset import exporter, open_dataset, partial
from pgtf.dataset.sources import celeba
from tests.dataset import original, recipes

ROOT = pathlib.Path(__file__).parents[1]


def run(*args):
    """Runs a command and returns its exit status."""
    try:
        dataset_tool.main([str(arg) for arg in args])
    except SystemExit as end:
        return end.code
    return 0


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Where the input of a case is: stored, or made from its recipe when first asked for."""
    root = tmp_path_factory.mktemp("inputs")

    def find(stored, recipe):
        if stored:
            return str(original.DATASETS / stored)
        if not (root / recipe).exists():
            getattr(recipes, f"write_{recipe}")(root / recipe)
        return str(root / recipe)

    return find


def cases(command):
    """Cases of the reference whose command begins so."""
    found = [
        name for name, case in original.EXPECTED.items() if case["command"].startswith(command)
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


def save_pictures(folder, count, kind, size=8):
    folder.mkdir()
    for i in range(count):
        pixels = recipes.noise(i, (1, 3, size, size))[0].transpose(1, 2, 0)
        PIL.Image.fromarray(pixels).save(folder / f"{i:04d}.{kind}")
    return folder


def break_jpeg_500(folder):
    path = save_pictures(folder / "pictures", 1000, "jpg") / "0500.jpg"
    path.write_bytes(path.read_bytes()[:-20])


def text_as_png(folder):
    (save_pictures(folder / "pictures", 3, "png") / "0001.png").write_text("this is no picture")


def text_as_first_png(folder):
    (save_pictures(folder / "pictures", 3, "png") / "0000.png").write_text("this is no picture")


def empty_png(folder):
    (save_pictures(folder / "pictures", 3, "png") / "0002.png").write_bytes(b"")


def flipped_bit_in_png(folder):
    path = save_pictures(folder / "pictures", 3, "png") / "0002.png"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 8
    path.write_bytes(data)


def mixed_sizes(folder):
    pixels = np.zeros((16, 16, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(save_pictures(folder / "pictures", 3, "png") / "0001.png")


def mixed_modes(folder):
    pixels = np.zeros((8, 8), np.uint8)
    PIL.Image.fromarray(pixels).save(save_pictures(folder / "pictures", 3, "png") / "0001.png")


def no_pictures(folder):
    (folder / "pictures").mkdir()


def mnist(folder, images=60_000, labels=60_000, cut=0):
    digits, classes = np.zeros((images, 28, 28), np.uint8), np.zeros(labels, np.uint8)
    for name, values in (("images-idx3", digits), ("labels-idx1", classes)):
        data = gzip.compress(recipes.idx(values), 1)
        (folder / f"train-{name}-ubyte.gz").write_bytes(data[: len(data) - cut])


def mnist_cut(folder):
    mnist(folder, cut=100)


def mnist_few(folder):
    mnist(folder, images=59_999)


def mnist_few_labels(folder):
    mnist(folder, labels=100)


def mnist_floats(folder):
    mnist(folder)
    header = np.array([0xD03, 60_000, 28, 28], ">u4").tobytes()  # type 0x0D: float
    with gzip.open(folder / "train-images-idx3-ubyte.gz", "wb", 1) as file:
        file.write(header + bytes(60_000 * 28 * 28 * 4))


class Hostile:
    def __reduce__(self):
        return (os.system, ("touch hostile-was-here",))


def cifar(folder, data=None, labels=None, **others):
    data = np.zeros((50_000, 3072), np.uint8) if data is None else data
    labels = [0] * len(data) if labels is None else labels
    content = {"data": data, "fine_labels": labels} | others
    (folder / "train").write_bytes(pickle.dumps(content, 2))


def cifar_hostile(folder):
    (folder / "train").write_bytes(pickle.dumps(Hostile(), 2))


def cifar_float(folder):
    cifar(folder, data=np.zeros((5, 3072), np.float32))


def cifar_text_labels(folder):
    cifar(folder, labels=["a"] * 50_000)


def cifar_few(folder):
    cifar(folder, data=np.zeros((49_999, 3072), np.uint8))


def cifar_cut(folder):
    cifar(folder)
    (folder / "train").write_bytes((folder / "train").read_bytes()[:100_000])


def not_hdf5(folder):
    (folder / "x.h5").write_bytes(b"no HDF5")


def not_lmdb(folder):
    (folder / "data.mdb").write_bytes(b"no LMDB" * 1000)


def nothing(folder):
    pass


# What is wrong; the command with its input below the folder; the one line.
BAD_INPUTS = [
    (nothing, "create_from_images nowhere", "nowhere: no such folder of images"),
    (nothing, "create_mnist nowhere", "nowhere: must contain train-images-idx3-ubyte.gz"),
    (nothing, "create_cifar10 nowhere", "nowhere: must contain data_batch_1"),
    (nothing, "create_svhn nowhere", "nowhere: must contain train_32x32.mat"),
    (nothing, "create_lsun nowhere", "nowhere: no such LMDB folder"),
    (nothing, "create_celeba nowhere", "nowhere/img_align_celeba_png: no such folder"),
    (nothing, "create_from_hdf5 nowhere.h5", "nowhere.h5: no such file"),
    (no_pictures, "create_from_images pictures", "pictures: no image files in it"),
    (break_jpeg_500, "create_from_images pictures", "pictures/0500.jpg: image file is truncated"),
    (text_as_png, "create_from_images pictures", "pictures/0001.png: not an image, or of a kind"),
    (text_as_first_png, "create_from_images pictures", "pictures/0000.png: not an image"),
    (empty_png, "create_from_images pictures", "pictures/0002.png: the file is empty"),
    (flipped_bit_in_png, "create_from_images pictures", "pictures/0002.png: "),
    (mixed_sizes, "create_from_images pictures", "0001.png: must be 8x8 RGB .* found 16x16 RGB"),
    (mixed_modes, "create_from_images pictures", "0001.png: must be 8x8 RGB .* found 8x8 gray"),
    (mnist_cut, "create_mnist .", "images-idx3-ubyte.gz: damaged or truncated gzip"),
    (mnist_few, "create_mnist .", "images-idx3-ubyte.gz: must hold 60000 .* 59999 x 28 x 28"),
    (mnist_few_labels, "create_mnist .", "labels-idx1-ubyte.gz: must hold 60000 .* 100 in the"),
    (mnist_floats, "create_mnist .", "images-idx3-ubyte.gz: not an IDX file of 3-dim.* bytes"),
    (cifar_hostile, "create_cifar100 .", r"train: not a pickle of arrays \(it asks for .*system"),
    (cifar_float, "create_cifar100 .", r"train: `data` must be uint8 \[n, 3072\].* float32"),
    (cifar_text_labels, "create_cifar100 .", "train: `fine_labels` must be whole numbers"),
    (cifar_few, "create_cifar100 .", "must hold 50000 images .* 49999 images, 49999 labels"),
    (cifar_cut, "create_cifar100 .", "train: not a pickle of arrays"),
    (not_hdf5, "create_from_hdf5 x.h5", "x.h5: not an HDF5 file, or damaged"),
    (not_lmdb, "create_lsun .", "not an LMDB folder"),
]


@pytest.mark.parametrize(
    ("spoil", "line", "message"), BAD_INPUTS, ids=[f"{x[0].__name__}-{x[1]}" for x in BAD_INPUTS]
)
def test_bad_input_is_one_line_and_leaves_nothing(
    spoil, line, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    spoil(tmp_path)
    before = sorted(tmp_path.iterdir())
    command, source = line.split()
    assert run(command, "out/made", source) == 2
    errors = [x for x in capsys.readouterr().err.splitlines() if "Writing" not in x and x]
    assert len(errors) == 1
    assert re.search("^error: .*" + message, errors[0]), errors[0]
    assert [path for path in sorted(tmp_path.iterdir()) if path.name != "out"] == before
    assert not list(tmp_path.glob("out/*"))
    assert not (tmp_path / "hostile-was-here").exists()


BAD_ORIGINALS = [
    ("bad-notpow2", "the resolution must be a power of two"),
    ("bad-notsquare", "width and height must be the same"),
    ("bad-rgba", "must be stored as RGB or grayscale. Received: RGBA"),
]


@pytest.mark.parametrize(("name", "message"), BAD_ORIGINALS)
def test_what_the_original_refuses_is_refused(name, message, tmp_path, capsys):
    assert run("create_from_images", tmp_path / "x", original.INPUTS / name) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", ["display", "verify"])
def test_no_dataset_is_one_line(command, tmp_path, capsys):
    assert run(command, tmp_path / "nowhere") == 2
    assert re.fullmatch("error: .*nowhere: no such dataset folder.*\n", capsys.readouterr().err)


@pytest.fixture
def as_nobody(tmp_path):
    """Runs what follows without the superuser's rights."""
    if os.geteuid() != 0:
        yield
        return
    parents = [path for path in tmp_path.parents if not path.stat().st_mode & 1]  # pytest's own
    for path in parents:
        path.chmod(0o711)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for path in parents:
            path.chmod(0o700)


@pytest.mark.parametrize("locked", ["pictures", "pictures/0001.png"])
def test_a_path_without_permission_is_one_line(locked, tmp_path, monkeypatch, capsys, request):
    save_pictures(tmp_path / "pictures", 3, "png")
    (tmp_path / "out").mkdir()
    for folder in (tmp_path, tmp_path / "out"):
        folder.chmod(0o777)
    monkeypatch.chdir(tmp_path)
    pathlib.Path(locked).chmod(0)
    assert run("create_from_images", "out/first", original.INPUTS / "images-gray") == 0  # imports
    capsys.readouterr()
    request.getfixturevalue("as_nobody")
    assert run("create_from_images", "out/made", "pictures") == 2
    assert re.search(
        f"error: .*Permission denied.*{locked}|{locked}: Permission denied", capsys.readouterr().err
    )


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, capsys, request):
    save_pictures(tmp_path / "pictures", 3, "png")
    monkeypatch.chdir(tmp_path)
    assert run("create_from_images", "first", "pictures") == 0  # imports
    capsys.readouterr()
    tmp_path.chmod(0o555)
    request.getfixturevalue("as_nobody")
    assert run("create_from_images", "made", "pictures") == 2
    assert re.search("error: .*Permission denied: 'made.partial'", capsys.readouterr().err)


def test_too_small_a_disk_is_found_before_work_begins(tmp_path, monkeypatch, capsys):
    usage = shutil.disk_usage(tmp_path)._replace(free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert run("create_demo", tmp_path / "demo", "--num_images=1000") == 2
    message = r"the disk is too small. Needed: 5\.\d MiB, free: 1.0 MiB"
    assert re.search(message, capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_is_one_line_and_looks_unfinished(tmp_path, monkeypatch, capsys):
    write = os.pwrite
    room = [2 << 20]

    def until_full(descriptor, data, offset):
        room[0] -= len(data)
        if room[0] < 0:
            raise OSError(28, "No space left on device")
        return write(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", until_full)
    monkeypatch.setattr(partial, "CHECKPOINT_SECONDS", 0)
    flags = ["--num_images=1000", "--num_workers=1"]
    assert run("create_demo", tmp_path / "demo", *flags) == 2
    message = (
        "error: .Errno 28. No space left on device: .* .*demo.partial keeps what is done; --res"
    )
    assert re.search(message, capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["demo.partial"]
    monkeypatch.setattr(os, "pwrite", write)
    assert run("create_demo", tmp_path / "demo", *flags) == 2
    assert "an interrupted job left it. Add --resume" in capsys.readouterr().err
    assert run("create_demo", tmp_path / "demo", *flags, "--resume") == 0
    assert run("create_demo", tmp_path / "whole" / "demo", *flags) == 0
    for path in (tmp_path / "whole" / "demo").iterdir():
        assert path.read_bytes() == (tmp_path / "demo" / path.name).read_bytes()


def test_a_disk_that_is_full_before_the_labels_is_one_line(tmp_path, monkeypatch, capsys):
    def no_space(path, *args):
        raise OSError(28, "No space left on device")  # as `write` of an open file does

    monkeypatch.setattr(exporter, "write_labels", no_space)
    assert run("create_demo", tmp_path / "demo", "--num_images=5") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == f"error: [Errno 28] No space left on device: '{tmp_path}/demo.partial'"
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_all_processes_in_a_few_words(tmp_path):
    arguments = ["create_demo", "demo", "--resolution=128", "--num_images=50000", "--num_workers=2"]
    job = subprocess.Popen(
        [sys.executable, ROOT / "dataset_tool.py", *arguments],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Shells have background jobs ignore it, and these tests may run in one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    finest = tmp_path / "demo.partial" / "demo-r07.tfrecords"
    deadline = time.monotonic() + 120
    while not (finest.exists() and finest.stat().st_size):
        assert job.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(job.pid, signal.SIGINT)  # as a terminal does
    _, errors = job.communicate(timeout=300)  # the disk may be slow to sync
    assert job.returncode == 130
    assert errors.splitlines()[-1].startswith("interrupted.")
    assert "Traceback" not in errors
    with pytest.raises(ProcessLookupError):
        os.killpg(job.pid, 0)


def test_an_existing_dataset_is_not_overwritten(tmp_path, capsys):
    (tmp_path / "demo").mkdir()
    assert run("create_demo", tmp_path / "demo") == 2
    assert "demo: exists already. Delete it or choose another name." in capsys.readouterr().err
    assert list((tmp_path / "demo").iterdir()) == []


def test_a_missing_package_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "lmdb", None)
    assert run("create_lsun", tmp_path / "x", original.INPUTS / "lsun_lmdb") == 2
    assert re.search(
        "error: This needs the package lmdb .*pip install lmdb", capsys.readouterr().err
    )


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


def test_the_script_runs_without_tensorflow(tmp_path):
    """Workers and short commands must not wait seconds for it."""
    code = "import dataset_tool, sys; dataset_tool.main(sys.argv[1:])"
    code += "; print('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "create_demo", tmp_path / "x", "--num_images=10"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.endswith("False\n"), done.stderr


WRONG_VALUES = [
    ("create_demo x --resolution=33", "`resolution` must be a power of two .*=33"),
    ("create_demo x --resolution=2", "`resolution` must be a power of two .*=2"),
    ("create_demo x --seed=-1", "`seed` must be 0 to 4294967295. Received: seed=-1"),
    ("create_mnistrgb x . --random_seed=4294967296", "`random_seed` must be .*=4294967296"),
    ("create_lsun x lmdb --resolution=100", "`resolution` must be a power of two .*=100"),
    ("create_demo /", "`tfrecord_dir` must name the folder to create"),
    (["create_demo", ""], "`tfrecord_dir` must name the folder to create"),
]


@pytest.mark.parametrize(("line", "message"), WRONG_VALUES)
def test_a_wrong_value_is_one_line_that_names_it(line, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(original.INPUTS / "lsun_lmdb", "lmdb")
    assert run(*(line.split() if isinstance(line, str) else line)) == 2
    assert re.fullmatch(f"error: {message}.*\n", capsys.readouterr().err)
    assert os.listdir() == ["lmdb"]


def test_an_unwanted_partial_folder_is_not_said_to_be_this_jobs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = partial.PartialFolder("demo", {}, {}, resume=False)
    assert run("create_demo", "demo", "--num_images=5") == 2
    assert capsys.readouterr().err == "error: demo.partial: another process is writing it.\n"
    folder.__exit__(None, None, None)


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


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["create_demo"],
        ["nonsense"],
        ["create_demo", "x", "--num_images=0"],
        ["create_demo", "x", "--num_workers=0"],
        ["create_demo", "x", "--num_workers=-1"],
        ["create_from_images", "x", "y", "--max_errors=-1"],
    ],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    assert run(*arguments) == 2
    assert "usage: dataset_tool.py" in capsys.readouterr().err
