"""generate.py with latents from files, walks from seed to seed, and many images."""

import os

import numpy as np
import PIL.Image
import pytest

from pgtf import images
from pgtf.export import film, pictures, projection, samples, source
from pgtf.interop import save_snapshot
from pgtf.networks import Generator, latents_from_seeds
from tests import tiny
from tests.commands.generating import pixels, refusal, run

pytestmark = pytest.mark.usefixtures("loaded_once")

NAMES = {"faces": 0, "digits": 3}


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory):
    """{name: snapshot}: one without labels, one with three and a fade at 8x8."""
    folder, found = tmp_path_factory.mktemp("snapshots"), {}
    for name, label_size in NAMES.items():
        rng = np.random.default_rng(label_size)
        make = (tiny.generator, tiny.discriminator, tiny.generator)
        networks = [
            tiny.with_random_biases(f(seed, label_size=label_size), rng)
            for seed, f in enumerate(make)
        ]
        for network in networks:
            network.lod = 1.25 if label_size else 0.0
        found[name] = folder / f"{name}.h5"
        save_snapshot(found[name], *networks, cur_nimg=0, label_names=["a", "b", "c"][:label_size])
    return found


@pytest.fixture(params=NAMES)
def snapshot(request, snapshots):
    return snapshots[request.param]


@pytest.fixture
def written(monkeypatch):
    """The frames of every film, as they reach the encoder."""
    films, write = [], film.write_film

    def spy(path, frames, fps, mark):
        films.append(list(frames))
        return write(path, iter(films[-1]), fps, mark)

    monkeypatch.setattr(film, "write_film", spy)
    return films


def test_latents_of_a_file_give_the_images_of_their_seeds_named_by_row(snapshot, tmp_path):
    latents = latents_from_seeds([4, 0, 7], 8).numpy()
    np.save(tmp_path / "some.npy", latents.astype(np.float64))
    flags = [f"--snapshot={snapshot}", "--lod=0.5", *class_of(snapshot)]
    run("images", *flags, "--seeds=4,0,7", f"--out={tmp_path}/a")
    run("images", *flags, f"--latents={tmp_path}/some.npy", f"--out={tmp_path}/b")
    assert sorted(os.listdir(tmp_path / "b")) == [f"latent000{i}.png" for i in range(3)]
    for i, seed in enumerate([4, 0, 7]):
        expected = pixels(tmp_path / "a" / f"seed000{seed}.png")
        assert expected.shape == (16, 16, 3)
        np.testing.assert_array_equal(pixels(tmp_path / "b" / f"latent000{i}.png"), expected)


def class_of(snapshot):
    return ["--class=b"] if snapshot.stem == "digits" else []


def test_labels_of_a_file_count_unless_a_flag_says_otherwise(snapshots, tmp_path):
    latents = latents_from_seeds([4, 0], 8).numpy()
    labels = np.float32([[0.5, 0, 2], [0, 1, 0]])
    np.savez(tmp_path / "some.npz", latents=latents, labels=labels)
    np.save(tmp_path / "some.npy", latents)
    Gs = source.load_snapshot(snapshots["digits"])[2]
    flags = [f"--snapshot={snapshots['digits']}", "--overwrite"]
    for more, expected in [
        ([f"--latents={tmp_path}/some.npz"], labels),
        ([f"--latents={tmp_path}/some.npz", "--label=0,0,1"], np.float32([[0, 0, 1]] * 2)),
        ([f"--latents={tmp_path}/some.npy"], np.eye(3, dtype=np.float32)[:2]),
        ([f"--latents={tmp_path}/some.npy", "--class=c"], np.float32([[0, 0, 1]] * 2)),
    ]:
        live = images.to_uint8(Gs.run(latents, expected)).astype(int)
        run("images", *flags, *more, f"--out={tmp_path}/out")
        for i, image in enumerate(live):
            assert np.abs(pixels(tmp_path / "out" / f"latent000{i}.png") - image).max() <= 1
    flags = [*flags, "--zoom=1"]
    run("grid", *flags, f"--latents={tmp_path}/some.npz", f"--out={tmp_path}/grid.png")
    assert pixels(tmp_path / "grid.png").shape == (8, 16, 3)
    live = images.image_grid(images.to_uint8(Gs.run(latents, labels)), (2, 1)).astype(int)
    assert np.abs(pixels(tmp_path / "grid.png") - live).max() <= 1
    run("grid", *flags, f"--latents={tmp_path}/some.npy", f"--out={tmp_path}/grid.png")
    assert pixels(tmp_path / "grid.png").shape == (3 * 8, 16, 3)  # a row per class


def test_what_project_and_explore_write_is_read(snapshots, tmp_path, monkeypatch):
    monkeypatch.setattr(projection, "NUM_CANDIDATES", projection.NUM_STARTS)
    PIL.Image.new("RGB", (16, 16), "red").save(tmp_path / "red.png")
    flags = [f"--snapshot={snapshots['digits']}"]
    run("project", *flags, f"--target={tmp_path}/red.png", "--steps=1", f"--out={tmp_path}/red")
    run("images", *flags, f"--latents={tmp_path}/red/latents.npz", f"--out={tmp_path}/out")
    found = pixels(tmp_path / "out" / "latent0000.png")
    assert np.abs(found - pixels(tmp_path / "red" / "projected.png")).max() <= 1
    np.save(tmp_path / "seed0003-latent.npy", latents_from_seeds([3], 8))  # as explore
    flags = [*flags, f"--latents={tmp_path}/seed0003-latent.npy", "--zoom=1"]
    run("grid", *flags, f"--out={tmp_path}/grid.png")
    assert pixels(tmp_path / "grid.png").shape == (24, 8, 3)


def test_a_film_from_seed_to_seed_begins_with_the_picture_of_the_first(snapshot, tmp_path, written):
    flags = [f"--snapshot={snapshot}", "--overwrite"]
    film_flags = ["--seconds=2", "--fps=6", f"--out={tmp_path}/walk.gif"]
    for seed in (1, 7, 3):
        run("images", *flags, f"--seeds={seed}", f"--out={tmp_path}")
    shown = [pixels(tmp_path / f"seed000{seed}.png") for seed in (1, 7, 3)]
    run("video", *flags, *film_flags, "--seeds=1,7,3")
    run("video", *flags, *film_flags, "--seeds=1,7,3", "--loop")
    there, round_trip = written
    assert (len(there), len(round_trip)) == (12, 12)
    np.testing.assert_array_equal(there[0], shown[0])
    np.testing.assert_array_equal(there[11], shown[2])
    for i, picture in enumerate(shown):
        np.testing.assert_array_equal(round_trip[4 * i], picture)
    steps = [np.abs(a.astype(int) - b).mean() for a, b in zip(there, there[1:], strict=False)]
    assert min(steps) > 0
    with PIL.Image.open(tmp_path / "walk.gif") as file:
        assert file.n_frames == 12
        assert np.abs(np.asarray(file.convert("RGB")).astype(int) - shown[0]).mean() < 2


def test_cells_of_a_grid_share_the_seeds_or_latents_in_order(snapshots, tmp_path, written):
    latents = latents_from_seeds(range(6), 8).numpy()
    np.save(tmp_path / "some.npy", latents)
    flags = [f"--snapshot={snapshots['faces']}", "--grid=1x2", "--seconds=1", "--fps=3"]
    run("video", *flags, f"--latents={tmp_path}/some.npy", f"--out={tmp_path}/a.webp")
    run("video", *flags, "--seeds=0-5", "--zoom=2", f"--out={tmp_path}/b.webp")
    Gs = source.load_snapshot(snapshots["faces"])[2]
    for i, frame in enumerate(written[0]):
        expected = images.image_grid(images.to_uint8(Gs.run(latents[[i, 3 + i]])), (1, 2))
        assert np.abs(frame.astype(int) - expected).max() <= 1
        np.testing.assert_array_equal(written[1][i], film.zoomed(frame, 2))


@pytest.mark.parametrize(("fps", "seconds"), [(30, 0.1), (25, 2), (24, 0.5), (29.97, 1), (1, 0.2)])
def test_a_film_has_as_many_frames_as_its_seconds_need_and_moves(
    snapshots, tmp_path, written, fps, seconds
):
    flags = [f"--snapshot={snapshots['faces']}", "--lod=2", f"--fps={fps}", f"--seconds={seconds}"]
    run("video", *flags, f"--out={tmp_path}/walk.mp4")
    (frames,) = written
    assert len(frames) == max(round(fps * seconds), 1)
    if len(frames) > 3:
        assert np.ptp(frames, axis=0).mean() > 1  # gray levels


def test_the_first_images_are_written_before_the_last_latents_are_sampled(
    snapshots, tmp_path, monkeypatch
):
    sizes, out = [], tmp_path / "out"
    run_one = Generator.run

    def stopped(self, latents, *rest):
        sizes.append((len(latents), len(os.listdir(out))))
        if len(sizes) == 3:
            raise KeyboardInterrupt
        return run_one(self, latents, *rest)

    sampled = []
    monkeypatch.setattr(samples.networks, "latents_from_seeds", lambda seeds, size: (
        sampled.append(len(seeds)), latents_from_seeds(seeds, size))[1])  # fmt: skip
    monkeypatch.setattr(Generator, "run", stopped)
    for flags in ("--seeds=0-99999", "--random_state=1 --num=100000"):
        sizes.clear()
        with pytest.raises(SystemExit) as ended:
            run("images", f"--snapshot={snapshots['faces']}", *flags.split(), f"--out={out}")
        assert ended.value.code == 130
        assert sizes == [(16, 0), (16, 16), (16, 32)]
        assert len(os.listdir(out)) == 32
        for path in out.iterdir():
            assert pixels(path).shape == (16, 16, 3)
            path.unlink()
    assert sampled == [16, 16, 16]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("grid --seeds=0-4096", "at most 4096 images of 16x16 pixels. Received: 4097"),
        ("images --latents=F --seeds=1", "`--seeds` and `--latents` exclude each other"),
        ("images --latents=F --random_state=1", "`--random_state` and `--latents` exclude"),
        ("images --latents=F --num=2", "need `--random_state`"),
        ("images --latents=F --indices=1", "need `--random_state`"),
        ("images --latents=F --lod=9", "`lod` must be in 0 ... 2"),
        ("images --latents=F.none", "F.none"),
        ("images --latents=", "Is a directory"),
        ("grid --latents=W", "Received: [2, 9]"),
        ("video --latents=W", "Received: [2, 9]"),
        ("video --latents=F --seeds=1,2", "`--seeds` and `--latents` exclude"),
        ("video --seeds=1,2 --random_state=3", "`--seeds` and `--random_state` exclude"),
        ("video --latents=F --smoothing=3", "`--smoothing` is for the random walk"),
        ("video --seeds=5", "at least two latent vectors. Received: 1"),
        ("video --seeds=5-9 --grid=2x1", "each of the 2 cells of `--grid`, as many"),
        ("video --seeds=5-6 --grid=2x1", "each of the 2 cells of `--grid`, as many"),
        ("video --seeds=1,2 --lod=7", "`lod` must be in 0 ... 2"),
        ("video --lod=7", "`lod` must be in 0 ... 2"),
        ("video --seconds=9999999", "at most 16777216 latent vectors"),
        ("video --random_state=-1", "`--random_state` must be in 0 ... 4294967295. Received: -1"),
        ("video --fps=1e-5 --out=O.gif", "`--fps` must be at least"),
    ],
)
def test_flags_that_do_not_fit_are_one_line_and_leave_nothing(
    snapshots, tmp_path, capsys, monkeypatch, flags, words
):
    monkeypatch.setattr(pictures, "MAX_GRID_PIXELS", 2**20)
    files = {"F": np.ones([2, 8]), "W": np.ones([2, 9])}
    for name, array in files.items():
        np.save(tmp_path / f"{name}.npy", array)
        flags = flags.replace(f"={name} ", f"={tmp_path}/{name}.npy ")
        if flags.endswith(f"={name}"):
            flags = f"{flags[: -len(name)]}{tmp_path}/{name}.npy"
    out = [] if "--out" in flags else [f"--out={tmp_path}/O" + ".webp" * ("video" in flags)]
    command, *flags = flags.replace("--out=O", f"--out={tmp_path}/O").split()
    before = sorted(tmp_path.iterdir())
    line = refusal(capsys, command, f"--snapshot={snapshots['faces']}", *flags, *out)
    assert words in line
    assert sorted(tmp_path.iterdir()) == before
