"""generate.py: the files its sub-commands write, and bad input that they refuse."""

import io
import json
import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from pgtf import images
from pgtf.commands import generate
from pgtf.export import export, film, pictures, walk
from pgtf.interop import load_pkl, load_snapshot, save_snapshot
from pgtf.networks import latents_from_seeds
from tests import tiny
from tests.commands.generating import pixels, refusal, run
from tests.export.conftest import NO_REPORT

pytestmark = pytest.mark.usefixtures("loaded_once")


@pytest.fixture(scope="module")
def outdir(tmp_path_factory):
    """A results folder: run 0 without labels, run 1 with three and a fade at 8x8."""
    outdir = tmp_path_factory.mktemp("results")
    for name, label_size, lod in [("000-faces-demo", 0, 0.0), ("001-digits-demo", 3, 1.25)]:
        networks = [make(seed, label_size) for seed, make in enumerate(_MAKERS)]
        for network in networks:
            network.lod = lod
        (outdir / name).mkdir()
        meta = {"cur_nimg": 12000, "label_names": ["a", "b", "c"][:label_size]}
        save_snapshot(outdir / name / "network-snapshot-000012.h5", *networks, **meta)
    return outdir


_MAKERS = [
    lambda seed, label_size: tiny.generator(seed, label_size=label_size),
    lambda seed, label_size: tiny.discriminator(seed, label_size=label_size),
    lambda seed, label_size: tiny.generator(seed, label_size=label_size),
]


@pytest.fixture(scope="module")
def Gs(outdir):
    """The moving average of run 0."""
    return load_snapshot(outdir / "000-faces-demo" / "network-snapshot-000012.h5")[2]


@pytest.fixture(scope="module")
def labelled_Gs(outdir):
    """The moving average of run 1."""
    return load_snapshot(outdir / "001-digits-demo" / "network-snapshot-000012.h5")[2]


def expected_pixels(network, seeds, labels=None):
    latents = latents_from_seeds(seeds, network.latent_size)
    return images.to_uint8(network(latents, labels).numpy())


def test_images_writes_the_pixels_of_gs_one_file_per_seed(outdir, Gs, tmp_path):
    run("images", "--run=0", f"--outdir={outdir}", "--seeds=0-2,40", f"--out={tmp_path}/out")
    names = ["seed0000.png", "seed0001.png", "seed0002.png", "seed0040.png"]
    assert sorted(os.listdir(tmp_path / "out")) == names
    for name, expected in zip(names, expected_pixels(Gs, [0, 1, 2, 40]), strict=True):
        assert np.abs(pixels(tmp_path / "out" / name).astype(int) - expected).max() <= 1


def test_an_image_depends_on_its_seed_alone(outdir, tmp_path):
    run("images", "--run=0", f"--outdir={outdir}", "--seeds=0-30", f"--out={tmp_path}/many")
    run("images", "--run=0", f"--outdir={outdir}", "--seeds=17", f"--out={tmp_path}/one")
    many, one = (pixels(tmp_path / out / "seed0017.png") for out in ("many", "one"))
    assert np.abs(many.astype(int) - one).max() <= 1


def test_without_run_the_newest_run_is_used_and_results_lie_in_it(outdir, labelled_Gs):
    run("images", f"--outdir={outdir}", "--seeds=5")
    path = outdir / "001-digits-demo" / "network-snapshot-000012-images" / "seed0005.png"
    expected = expected_pixels(labelled_Gs, [5], np.eye(3, dtype=np.float32)[[5 % 3]])
    assert pixels(path).shape == (8, 8, 3)  # the lod of the snapshot
    assert np.abs(pixels(path).astype(int) - expected[0]).max() <= 1


def test_random_state_samples_latents_as_the_original_release(outdir, Gs, tmp_path):
    flags = ["--random_state=1000", "--num=1000", "--indices=477,56"]
    run("images", f"--run={outdir}/000-faces-demo", *flags, f"--out={tmp_path}/out")
    latents = np.random.RandomState(1000).randn(1000, tiny.LATENT_SIZE)[[477, 56]]
    expected = images.to_uint8(Gs(latents.astype(np.float32)).numpy())
    for name, image in zip(["index0477.png", "index0056.png"], expected, strict=True):
        assert np.abs(pixels(tmp_path / "out" / name).astype(int) - image).max() <= 1


def test_a_pickle_of_the_original_release_gives_its_images(tmp_path):
    path = Path(__file__).parent / "data" / "reference" / "networks" / "net-d-nosrc.pkl"
    flags = [f"--pkl={path}", "--random_state=1000", "--indices=3", f"--out={tmp_path}/out"]
    run("images", *flags)
    Gs = load_pkl(path)[2]
    latents = np.random.RandomState(1000).randn(4, Gs.latent_size)[3:]
    labels = np.zeros([1, Gs.config.label_size], np.float32)
    expected = images.to_uint8(Gs(latents, labels).numpy())[0].squeeze()
    found = pixels(tmp_path / "out" / "index0003.png").astype(int)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize(
    ("flag", "label"),
    [
        ("--class=2", [0, 0, 1]),
        ("--class=b", [0, 1, 0]),
        ("--label=0.5,0,2", [0.5, 0, 2]),
        ("--random_state=3 --num=1", [0, 0, 0]),  # as the published examples
    ],
)
def test_the_label_is_what_the_flags_say(outdir, labelled_Gs, tmp_path, flag, label):
    run("images", f"--outdir={outdir}", *flag.split(), "--out", tmp_path / "out", *seeds_of(flag))
    latents = latents_from_seeds([0], tiny.LATENT_SIZE)
    if "random_state" in flag:
        latents = np.random.RandomState(3).randn(1, tiny.LATENT_SIZE)
    expected = images.to_uint8(labelled_Gs(latents, np.float32([label])).numpy())[0]
    (path,) = (tmp_path / "out").iterdir()
    assert np.abs(pixels(path).astype(int) - expected).max() <= 1


def seeds_of(flag):
    return [] if "random_state" in flag else ["--seeds=0"]


def test_lod_chooses_the_resolution(outdir, tmp_path):
    for lod, resolution in [(0.5, 16), (2, 4)]:
        run("images", "--run=0", f"--outdir={outdir}", "--seeds=0", f"--lod={lod}", "--overwrite",
            f"--out={tmp_path}")  # fmt: skip
        assert pixels(tmp_path / "seed0000.png").shape == (resolution, resolution, 3)


def test_a_grid_is_nearly_square(outdir, Gs, tmp_path):
    flags = ["--seeds=0-6", "--zoom=1", f"--out={tmp_path}/new/grid.png"]
    run("grid", "--run=0", f"--outdir={outdir}", *flags)
    grid = pixels(tmp_path / "new" / "grid.png")
    expected = images.image_grid(expected_pixels(Gs, range(7)))
    assert grid.shape == (48, 48, 3)
    assert np.abs(grid[:32].astype(int) - expected[:32]).max() <= 1
    assert np.abs(grid[32:, :16].astype(int) - expected[32:, :16]).max() <= 1
    assert np.all(grid[32:, 16:] == 128)  # empty cells are mid-gray


@pytest.mark.parametrize(
    ("flags", "zoom"),
    [
        (["--seeds=0-6"], 14),  # 48 pixels: 14 is the smallest that makes them 640 or more
        (["--seeds=0-6", "--lod=2"], 54),
        (["--seeds=0-6", "--zoom=3"], 3),
    ],
)
def test_the_pixels_of_a_small_grid_are_repeated(outdir, tmp_path, flags, zoom):
    plain, zoomed = (tmp_path / name for name in ("plain.png", "zoomed.png"))
    run("grid", "--run=0", f"--outdir={outdir}", f"--out={zoomed}", *flags)
    run("grid", "--run=0", f"--outdir={outdir}", f"--out={plain}", *flags, "--zoom=1")
    assert np.array_equal(pixels(zoomed), pixels(plain).repeat(zoom, 0).repeat(zoom, 1))


@pytest.mark.parametrize(
    ("height", "width", "zoom"),
    [(256, 256, 3), (640, 640, 1), (8192, 8192, 1), (639, 10, 2), (4, 40, 16)],
)
def test_a_grid_is_enlarged_until_its_longer_side_can_be_read(height, width, zoom):
    assert pictures.readable_zoom(height, width) == zoom


def test_images_are_enlarged_only_if_asked(outdir, tmp_path):
    for zoom in ([], ["--zoom=3"]):
        run("images", "--run=0", f"--outdir={outdir}", "--seeds=4", f"--out={tmp_path}/{len(zoom)}",
            *zoom)  # fmt: skip
    plain, zoomed = (pixels(tmp_path / number / "seed0004.png") for number in "01")
    assert plain.shape == (16, 16, 3)
    assert np.array_equal(zoomed, plain.repeat(3, 0).repeat(3, 1))


def test_a_grid_of_a_labelled_network_has_one_row_per_class(outdir, labelled_Gs, tmp_path):
    run("grid", f"--outdir={outdir}", "--seeds=3,4", "--zoom=1", f"--out={tmp_path}/grid.png")
    grid = pixels(tmp_path / "grid.png")
    assert grid.shape == (3 * 8, 2 * 8, 3)
    for row in range(3):
        labels = np.eye(3, dtype=np.float32)[[row, row]]
        expected = images.image_grid(expected_pixels(labelled_Gs, [3, 4], labels), (2, 1))
        assert np.abs(grid[8 * row : 8 * row + 8].astype(int) - expected).max() <= 1


def test_the_same_grid_again_is_no_error_and_another_one_needs_overwrite(outdir, tmp_path, capsys):
    flags = ["grid", "--run=0", f"--outdir={outdir}", f"--out={tmp_path}/grid.png"]
    run(*flags, "--seeds=0-3")
    run(*flags, "--seeds=0-3")
    capsys.readouterr()
    content = (tmp_path / "grid.png").read_bytes()
    assert "--overwrite" in refusal(capsys, *flags, "--seeds=4-7")
    assert (tmp_path / "grid.png").read_bytes() == content
    run(*flags, "--seeds=4-7", "--overwrite")
    assert (tmp_path / "grid.png").read_bytes() != content


def test_export_writes_a_model_that_answers_as_gs_and_its_card(outdir, Gs, tmp_path, monkeypatch):
    # The check in a process of its own: tests/export/test_self_check.py.
    monkeypatch.setattr(export, "self_check", lambda folder, expected: NO_REPORT)
    record = {"metric": "fid", "value": 9.5, "snapshot": "network-snapshot-000012.h5"}
    older = record | {"value": 99}
    other = record | {"value": 1, "snapshot": "network-snapshot-000011.h5"}
    lines = "".join(json.dumps(line) + "\n" for line in (older, record, other))
    (outdir / "000-faces-demo" / "metric-fid.jsonl").write_text(lines)
    run("export", "--run=0", f"--outdir={outdir}", f"--out={tmp_path}/faces", "--licence=CC0-1.0")
    loaded = tf.saved_model.load(str(tmp_path / "faces" / "1"))
    seeds = tf.constant([7, 8], tf.int64)
    answer = loaded.signatures["seeds"](seed=seeds)["images"].numpy()
    assert np.abs(answer.astype(int) - expected_pixels(Gs, [7, 8])).max() <= 1
    facts = loaded.signatures["info"](dummy=tf.constant([0], tf.int64))
    assert (facts["kimg"], facts["fid"], facts["name"]) == (12, b"9.5", b"faces")
    card = json.loads((tmp_path / "faces" / "1" / "model_card.json").read_text())
    assert card["licence"] == "CC0-1.0"
    assert card["metrics"] == {"fid": record}
    assert card["source"]["file"] == "network-snapshot-000012.h5"


def test_a_video_shows_the_walk_of_every_cell(outdir, Gs, tmp_path):
    flags = [
        "--grid=2x1",
        "--zoom=2",
        "--seconds=1",
        "--fps=4",
        "--smoothing=0.25",
        "--random_state=5",
    ]
    run("video", "--run=0", f"--outdir={outdir}", *flags, f"--out={tmp_path}/walk.webp")
    with PIL.Image.open(tmp_path / "walk.webp") as file:
        assert (file.size, file.n_frames) == ((64, 32), 4)
        frame = np.asarray(file.convert("RGB")).astype(int)
    latents = walk.smooth_loop(4, 2, tiny.LATENT_SIZE, 1, 5)[0]
    expected = film.zoomed(images.image_grid(images.to_uint8(Gs(latents).numpy()), (2, 1)), 2)
    assert np.corrcoef(frame.ravel(), expected.ravel())[0, 1] > 0.9  # the format loses some


def test_project_writes_four_files_beside_each_other(outdir, tmp_path):
    PIL.Image.new("RGB", (40, 20), "red").save(tmp_path / "red.png")
    flags = [f"--target={tmp_path}/red.png", "--steps=2", f"--out={tmp_path}/red"]
    run("project", "--run=0", f"--outdir={outdir}", *flags)
    assert sorted(os.listdir(tmp_path / "red")) == [
        "latents.npz", "projected.png", "search.mp4", "side-by-side.png"
    ]  # fmt: skip
    assert pixels(tmp_path / "red" / "side-by-side.png").shape == (16, 32, 3)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("report --run=0", "no image grid"),
        ("video --run=0 --grid=3", "COLUMNSxROWS"),
        ("video --run=0 --fps=0", "above 0"),
        ("video --run=0 --out=film.avi", "film.avi"),
        ("timelapse --run=0", "no image grid"),
        ("project --run=0", "--target"),
        ("project --run=0 --target=nowhere.jpg", "nowhere.jpg"),
        ("images --run=7", "no run '7'"),
        ("images --run=0 --seeds=9-3", "`--seeds`"),
        ("images --run=0 --seeds=", "`--seeds`"),
        ("images --run=0 --seeds=a", "`--seeds`"),
        ("images --run=0 --seeds=0-99999999", "`--seeds` must be at most"),
        ("images --run=0 --class=1", "network with labels"),
        ("images --run=1 --class=3", "0 ... 2, or one of a, b, c. Received: '3'"),
        ("images --run=1 --class=-1", "Received: '-1'"),
        ("images --run=1 --label=1,2", "3 numbers"),
        ("images --run=1 --label=1,2,nan", "3 numbers"),
        ("images --run=0 --num=5", "`--random_state`"),
        ("images --run=0 --random_state=1 --num=5 --indices=5", "0 ... 4"),
        ("images --run=0 --random_state=1 --seeds=5", "exclude each other"),
        ("images --run=0 --lod=3", "0 ... 2"),
        ("images --run=0 --zoom=0", "above 0"),
        ("images --run=0 --zoom=1500", "`--zoom` must be at most 1448 for images of 16x16"),
        ("grid --run=0 --zoom=1e3", "above 0"),
        ("grid --run=0 --zoom=500", "at most 8 images of 16x16 pixels enlarged 500 times"),
        ("video --run=0 --zoom=1500 --seconds=1", "`--zoom` must be at most 1448"),
        ("images --run=0 --snapshot=x", "not allowed with"),
        ("images --snapshot=nowhere.h5", "nowhere.h5"),
        ("images --pkl=nowhere.pkl", "nowhere.pkl"),
        ("grid --run=0 --out=/proc/nowhere/grid.png", "/proc/nowhere"),
        ("images --run=0 --out=/proc/nowhere", "/proc/nowhere"),
        ("export --run=0 --out=/proc/nowhere", "/proc/nowhere"),
        ("export --run=0 --version=0", "--version: invalid int above 0"),
        ("grid --sedes=4", "--sedes"),
        ("walk", "'walk'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(outdir, capsys, flags, words):
    before = sorted(outdir.rglob("*"))
    command, *flags = flags.split()
    assert words in refusal(capsys, command, f"--outdir={outdir}", *flags)
    assert sorted(outdir.rglob("*")) == before


def test_a_run_without_snapshots_and_a_folder_without_runs_are_refused(tmp_path, capsys):
    assert "no run in" in refusal(capsys, "grid", f"--outdir={tmp_path}")
    (tmp_path / "000-faces-demo").mkdir()
    assert "no network snapshot yet" in refusal(capsys, "grid", f"--outdir={tmp_path}")


def test_existing_images_are_kept(outdir, tmp_path, capsys):
    flags = ["images", "--run=0", f"--outdir={outdir}", f"--out={tmp_path}"]
    (tmp_path / "seed0001.png").write_text("mine")
    assert "seed0001.png exists" in refusal(capsys, *flags, "--seeds=0-3")
    assert os.listdir(tmp_path) == ["seed0001.png"]
    run(*flags, "--seeds=0-3", "--overwrite")
    assert PIL.Image.open(io.BytesIO((tmp_path / "seed0001.png").read_bytes())).size == (16, 16)


def test_an_interrupted_command_is_one_line_and_the_code_of_shells(capsys, monkeypatch):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setitem(generate.COMMANDS, "grid", interrupted)
    with pytest.raises(SystemExit) as stopped:
        run("grid", "--snapshot", __file__)
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "interrupted; no file is half-written.\n"
