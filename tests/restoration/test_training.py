"""The commands as typed: train, resume, refuse; then tiles without seams and create_faces."""

import io
import json
import pathlib

import numpy as np
import PIL.Image
import pytest
from skimage.metrics import structural_similarity

from pgtf.commands import dataset as dataset_tool
from pgtf.commands import restoration
from pgtf.dataset import open_dataset
from pgtf.restoration import training
from pgtf.restoration.config import SCALES
from pgtf.restoration.restorer import Restorer
from tests.dataset import photographs
from tests.dataset.faces import synthetic

BICUBIC = PIL.Image.Resampling.BICUBIC


def run(*args):
    """Runs python -m pgtf.restoration and returns its exit status."""
    try:
        restoration.main([str(arg) for arg in args])
    except SystemExit as end:
        return end.code
    return 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve tiles as PNG files."""
    root = tmp_path_factory.mktemp("images")
    chosen = photographs.tiles(128, 1, np.random.default_rng(2))
    for number, (_, tile) in zip(range(12), chosen, strict=False):
        PIL.Image.fromarray(tile).save(root / f"{number:02d}.png")
    return root


def arguments(task, folder, out):
    sizes = "--total_kimg=0.032", "--minibatch=4", "--patch=32"
    return "train", f"--task={task}", f"--images={folder}", f"--out={out}", *sizes


@pytest.fixture(scope="module")
def steps():
    """Losses of the steps of both trainings, filled by `models`: {task: [{name: loss}]}."""
    return {task: [] for task in SCALES}


@pytest.fixture(scope="module")
def models(folder, steps, tmp_path_factory):
    """Networks of both tasks, barely trained: {task: path}."""
    root, train_step = tmp_path_factory.mktemp("models"), training.Trainer.train_step

    def recorded(trainer, *minibatch):
        losses = train_step(trainer, *minibatch)
        steps[trainer.config.task].append(losses)
        return losses

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.Trainer, "train_step", recorded)
        for task in SCALES:
            assert run(*arguments(task, folder, root / task)) == 0
    return {task: root / task for task in SCALES}


def test_the_result_is_measured_and_described(models):
    for task, path in models.items():
        about = json.loads((path / "assets.extra" / "restoration.json").read_text())
        assert about["task"] == task
        assert about["scale"] == SCALES[task]
        ways = {"jpeg": {"no restoration", "network"}}.get(task) or {
            *("no restoration (pixels repeated)", "bicubic", "Lanczos", "network")
        }
        assert set(about["held_out"]) == ways
        assert (path / "held-out.png").exists()
        assert not (path / "checkpoint.npz").exists()
        assert not path.with_name(f"{path.name}.partial").exists()


@pytest.mark.parametrize("task", SCALES)
def test_the_values_are_those_of_the_image_held_out(models, folder, task):
    with PIL.Image.open(folder / "05.png") as file:  # the sixth of twelve
        clean = np.asarray(file)
    degraded = spoil(task, clean)
    network = Restorer.open(str(models[task]))
    ways = {"network": network(degraded.transpose(2, 0, 1)).transpose(1, 2, 0)}
    if task == "jpeg":
        ways["no restoration"] = degraded
    else:
        ways["bicubic"] = np.asarray(PIL.Image.fromarray(degraded).resize((128, 128), BICUBIC))
    about = json.loads((models[task] / "assets.extra" / "restoration.json").read_text())
    for name, image in ways.items():
        options = {"data_range": 255, "channel_axis": 2, "use_sample_covariance": False}
        ssim = structural_similarity(image, clean, gaussian_weights=True, sigma=1.5, **options)
        error = np.mean((image.astype(float) - clean) ** 2)
        # A pixel of a network may be rounded to another level when the file is loaded again.
        assert about["held_out"][name]["psnr"] == pytest.approx(10 * np.log10(255**2 / error), 1e-4)
        assert about["held_out"][name]["ssim"] == pytest.approx(ssim, 1e-4)


def spoil(task, image):
    """Degrades an image with Pillow as for the measurements."""
    picture = PIL.Image.fromarray(image)
    if task == "sr":
        return np.asarray(picture.resize((32, 32), BICUBIC))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=20, subsampling="4:2:0")
    return np.asarray(PIL.Image.open(buffer))


@pytest.mark.parametrize("task", SCALES)
def test_the_statistics_are_the_means_of_the_steps(models, steps, task):
    (line,) = (models[task] / "stats.jsonl").read_text().splitlines()
    found = json.loads(line)
    assert found.pop("nimg") == 32
    assert len(steps[task]) == 8
    names = {"jpeg": ["error"], "sr": ["error", "adversarial", "D"]}[task]
    expected = {name: np.mean([x[name] for x in steps[task] if name in x]) for name in names}
    assert found == pytest.approx(expected, rel=1e-6)
    counts = [sum(name in step for step in steps[task]) for name in names]
    assert counts == [8, 2, 2][: len(names)]  # the last quarter is adversarial


def test_a_trained_network_is_not_trained_again(models, folder, capsys):
    assert run(*arguments("jpeg", folder, models["jpeg"])) == 0
    assert "is trained already" in capsys.readouterr().out
    assert run(*arguments("sr", folder, models["jpeg"])) == 2
    assert "must be a network of task=sr" in capsys.readouterr().err


# The steps of sr are of both kinds; those of jpeg are of the first kind alone.
@pytest.mark.parametrize("task", ["sr", pytest.param("jpeg", marks=pytest.mark.slow)])
def test_an_interrupted_training_ends_with_the_same_weights(
    task, folder, models, tmp_path, monkeypatch, capsys
):
    calls = []

    def agree(self):
        calls.append(1)
        self.signum = 15 if len(calls) == 5 else None  # eight iterations

    with monkeypatch.context() as patch:
        patch.setattr(restoration.Interrupt, "agree", agree)
        assert run(*arguments(task, folder, tmp_path / task)) == 128 + 15
    assert training.checkpoint_of(tmp_path / f"{task}.partial").exists()
    other = (*arguments(task, folder, tmp_path / task), "--lrate=0.5")
    assert run(*other) == 2
    assert "lrate is 0.001, asked for 0.5" in capsys.readouterr().err
    assert run(*arguments(task, folder, tmp_path / task)) == 0
    assert "Resuming from" in capsys.readouterr().out
    images = np.random.default_rng(0).uniform(-1, 1, (40, 44, 3)).astype(np.float32)
    resumed, whole = (Restorer.open(str(x)) for x in (tmp_path / task, models[task]))
    # Seldom to the bit: TensorFlow may add gradients in another order when it traces again.
    np.testing.assert_allclose(resumed.restore(images), whole.restore(images), rtol=0, atol=1e-4)


@pytest.mark.parametrize("task", SCALES)
def test_tiles_leave_no_seam(models, task, rng):
    _, image = next(photographs.tiles(400, 1, rng))
    image = image[:390, :371].astype(np.float32) / 127.5 - 1
    whole = Restorer.open(str(models[task]), task)
    tiled = Restorer(whole.path, task, whole.scale, whole.margin, whole.stride, tile=64)
    difference = np.abs(tiled.restore(image) - _at_once(whole, image)) * 127.5
    assert difference.max() < 0.01  # grey levels


def _at_once(restorer, image):
    return Restorer(
        restorer.path, restorer.task, restorer.scale, restorer.margin, restorer.stride, tile=4096
    ).restore(image)


@pytest.mark.parametrize("flag", ["--patch=0", "--total_kimg=0", "--minibatch=0"])
def test_zero_is_refused_and_not_taken_for_the_default(folder, tmp_path, capsys, flag):
    task = "train", "--task=sr", f"--images={folder}", f"--out={tmp_path}/sr"
    assert run(*task, flag) == 2
    (line,) = capsys.readouterr().err.splitlines()
    name, value = flag[2:].split("=")
    assert line.startswith(f"error: `{name}` must be")
    assert f"Received: {name}={value}" in line
    assert list(tmp_path.iterdir()) == []


def test_create_faces_takes_both(models, tmp_path):
    rng = np.random.default_rng(3)
    photos = [synthetic.photograph(rng, sizes=(60, 90)) for _ in range(2)]
    table = synthetic.write_folder(tmp_path / "photos", photos, "jpg")
    images = {}
    for name, flags in {
        "none": ["--restore=none"],
        "sr": [f"--restore={models['sr']}"],
        "both": [f"--restore={models['sr']}", f"--jpeg={models['jpeg']}"],
    }.items():
        args = [tmp_path / name, tmp_path / "photos", table, "--resolution=128", *flags]
        dataset_tool.main(["create_faces", *(str(arg) for arg in args)])
        dataset = open_dataset(str(tmp_path / name))
        images[name] = dataset.files[dataset.resolution_log2].read([0, 1]).astype(int)
    for a, b in ("none", "sr"), ("sr", "both"):
        assert 0 < np.abs(images[a] - images[b]).mean() < 25


@pytest.mark.parametrize(
    ("flag", "task", "message"),
    [
        ("--restore", "jpeg", "must be a network of task=sr. Received: task=jpeg"),
        ("--jpeg", "sr", "must be a network of task=jpeg. Received: task=sr"),
        ("--restore", None, "not a restoration network"),
    ],
)
def test_a_network_for_something_else_is_one_line(models, tmp_path, capsys, flag, task, message):
    path = models.get(task) or pathlib.Path(tmp_path)
    with pytest.raises(SystemExit) as end:
        dataset_tool.main(["create_faces", str(tmp_path / "x"), "y", "z", f"{flag}={path}"])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert str(path) in line


def test_a_damaged_checkpoint_is_one_line(folder, tmp_path, capsys):
    (tmp_path / "x.partial").mkdir()
    (tmp_path / "x.partial" / "checkpoint.npz").write_bytes(b"PK\x03\x04")
    assert run(*arguments("jpeg", folder, tmp_path / "x")) == 2
    assert "not a checkpoint" in capsys.readouterr().err


def test_evaluate_prints_the_table(models, folder, tmp_path, capsys):
    picture = tmp_path / "picture.png"
    args = f"--model={models['sr']}", f"--images={folder}", f"--picture={picture}"
    assert run("evaluate", *args) == 0
    assert "bicubic" in capsys.readouterr().out
    assert picture.exists()
    assert run("evaluate", *args, "--task=jpeg") == 2
