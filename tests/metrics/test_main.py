"""python -m metrics as a user meets it."""

import json
import signal

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from pgtf.commands import metrics_flags, metrics_sources
from pgtf.commands.metrics import main
from pgtf.config import Config
from pgtf.dataset import open_dataset
from pgtf.dataset.sources import demo
from pgtf.distribution.signals import stopped_by_signals
from pgtf.interop import save_snapshot
from pgtf.metrics import records
from pgtf.metrics.inception import GRAPH_NAME
from pgtf.networks import Discriminator, Generator
from pgtf.runs import identity
from tests.metrics.frozen_graph import FrozenGraph
from tests.metrics.pictures import waves

NUM = 70
SMALL = {"num_channels": 3, "resolution": 16, "fmap_base": 32, "fmap_max": 8}


@pytest.fixture(autouse=True)
def _no_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("datasets") / "faces"
    demo.create(str(path), num_images=NUM, resolution=16)
    return path


@pytest.fixture(scope="module")
def networks():
    return {seed: Generator(**SMALL, seed=seed) for seed in (0, 1)}, Discriminator(**SMALL, seed=0)


@pytest.fixture
def run(tmp_path, dataset, networks):
    """A run of two snapshots, the first in the middle of growing."""
    folder = tmp_path / "results" / "000-faces-demo"
    folder.mkdir(parents=True)
    config = Config().replace({"dataset.path": str(dataset)})
    (folder / "config.json").write_text(config.to_json())
    generators, D = networks
    for seed, Gs in generators.items():
        Gs.lod = 1.5 if seed == 0 else 0.0
        save_snapshot(folder / f"network-snapshot-{seed + 1:06d}.h5", Gs, D, Gs)
    return folder


@pytest.fixture
def graph_file(tmp_path):
    path = tmp_path / GRAPH_NAME
    path.write_bytes(FrozenGraph().serialized())
    return path


def save_images(folder, images):
    folder.mkdir()
    for i, image in enumerate(images):
        PIL.Image.fromarray(image.squeeze()).save(folder / f"{i:03d}.png")
    return folder


def error_of(capsys, *argv):
    """The one line that a wrong command prints."""
    with pytest.raises(SystemExit) as caught:
        main(list(map(str, argv)))
    assert caught.value.code == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
    return line


def test_every_snapshot_of_a_run_is_recorded_once(run, capsys):
    command = ["--run=0", "--metrics=swd:16,msssim", "--num_images=20"]
    main(command)
    for metric, number in (("swd", 16), ("msssim", 20)):
        found = records.load(run, metric)
        assert [r["snapshot"] for r in found] == [
            "network-snapshot-000001.h5",
            "network-snapshot-000002.h5",
        ]
        assert [r["kimg"] for r in found] == [1, 2]
        assert {(r["num_images"], r["num_reals"]) for r in found} == {(number, number)}
        assert {r["reals"] for r in found} == {"faces"}
    best = min(records.load(run, "swd"), key=lambda r: r["value"])
    assert (run / "best-swd.h5").read_bytes() == (run / best["snapshot"]).read_bytes()
    capsys.readouterr()
    main(command)
    assert capsys.readouterr().out.count("recorded already") == 2
    assert len(records.load(run, "swd")) == 2
    main([*command, "--again"])
    assert len(records.load(run, "swd")) == 4
    first, _, again, _ = records.load(run, "swd")
    assert first["values"] == again["values"]


def test_a_snapshot_recorded_with_other_numbers_of_reals_is_measured_again(run, capsys):
    command = ["--run=0", "--metrics=msssim:20@every=2"]
    for more in ([], ["--num_reals=10"], ["--num_reals=20"]):
        main([*command, *more])
    assert [r["num_reals"] for r in records.load(run, "msssim")] == [20, 10]
    assert capsys.readouterr().out.count("recorded already") == 1


def test_records_may_go_to_another_folder(run, tmp_path):
    main(["--run=0", "--metrics=swd:16", "--records=elsewhere"])
    found = records.load(tmp_path / "elsewhere", "swd")
    assert [(r["kimg"], r["lod"]) for r in found] == [(1, 1.5), (2, 0.0)]
    assert not list(run.glob("*swd*"))


def test_every_nth_snapshot_and_the_last_are_measured(run):
    main(["--metrics=msssim:4@every=5"])  # Without --run the newest run is measured.
    assert [r["kimg"] for r in records.load(run, "msssim")] == [2]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_continues_where_it_was(run, monkeypatch, capsys, signum):
    command = ["--run=0", "--metrics=msssim:70"]
    with monkeypatch.context() as patch:
        made = []

        def run_once(self, latents, labels):
            made.append(len(latents))
            if len(made) > 3:  # 64 and 6 images of the first snapshot, 64 of the second
                signal.raise_signal(signum)
            return np.zeros((len(latents), 16, 16, 3), np.float32)

        patch.setattr(Generator, "run", run_once)
        with pytest.raises(SystemExit) as caught, stopped_by_signals():
            main(command)
    assert caught.value.code == 128 + signum
    assert capsys.readouterr().err.endswith("interrupted. With --run the same command continues.\n")
    assert [r["kimg"] for r in records.load(run, "msssim")] == [1]
    main(command)
    assert capsys.readouterr().out.count("recorded already") == 1
    assert [r["kimg"] for r in records.load(run, "msssim")] == [1, 2]


def test_a_signal_waits_for_the_line_that_is_being_written(run, monkeypatch):
    append = records.append

    def interrupted(folder, record):
        signal.raise_signal(signal.SIGTERM)
        append(folder, record)

    monkeypatch.setattr(records, "append", interrupted)
    with pytest.raises(SystemExit) as caught, stopped_by_signals():
        main(["--run=0", "--metrics=swd:16,msssim:4"])
    assert caught.value.code == 143
    assert [r["kimg"] for r in records.load(run, "swd")] == [1]
    assert (run / "best-swd.h5").exists()
    assert records.load(run, "msssim") == []


def test_the_others_are_measured_if_one_snapshot_is_damaged(run, capsys):
    (run / "network-snapshot-000001.h5").write_bytes(b"damaged")
    with pytest.raises(SystemExit):
        main(["--run", str(run), "--metrics=msssim:4"])
    assert "network-snapshot-000001.h5" in capsys.readouterr().err
    assert [r["kimg"] for r in records.load(run, "msssim")] == [2]


def test_two_folders_are_compared(tmp_path, graph_file, capsys):
    reals = save_images(tmp_path / "reals", waves(40, 16, seed=1))
    fakes = save_images(tmp_path / "fakes", waves(30, 16, seed=2))
    main([f"--reals={reals}", f"--fakes={fakes}", "--metrics=fid,kid", f"--inception={graph_file}"])
    out = capsys.readouterr().out
    found = {r["metric"]: r for r in map(json.loads, out.splitlines()[2::2])}
    assert found["fid"]["num_images"] == found["kid"]["num_images"] == 30
    assert found["fid"]["num_reals"] == found["kid"]["num_reals"] == 40
    assert "(30 fakes, 40 reals)" in out
    assert found["fid"]["inception_sha256"] in out.splitlines()[0]
    assert found["fid"]["mode"] == "legacy"
    assert len(list((tmp_path / "cache/pgtf/metrics").iterdir())) == 2


def test_a_dataset_against_itself_is_near(dataset, capsys):
    main([f"--dataset={dataset}", "--metrics=swd"])
    line, record = capsys.readouterr().out.splitlines()
    assert "faces  swd" in line
    assert 0 < json.loads(record)["value"] < 40


def test_names_of_the_field_and_numbers_of_reals_reach_the_record(dataset, graph_file, capsys):
    main([f"--dataset={dataset}", "--metrics=FID20_full,kid20", f"--inception={graph_file}"])
    records = [json.loads(x) for x in capsys.readouterr().out.splitlines()[2::2]]
    assert [(r["num_images"], r["num_reals"]) for r in records] == [(20, NUM), (20, 20)]
    main([f"--dataset={dataset}", "--metrics=msssim:20", "--num_reals=all"])
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (record["num_images"], record["num_reals"], record["pairs_reals"]) == (20, NUM, NUM // 2)
    assert (record["grid"], record["channels"], record["order"]) == ([16, 16], 3, "random")


def test_more_fakes_than_reals_are_measured(dataset, networks, tmp_path, capsys):
    generators, D = networks
    generators[1].lod = 0.0
    save_snapshot(tmp_path / "snapshot.h5", generators[1], D, generators[1])
    main(["--snapshot=snapshot.h5", f"--dataset={dataset}", "--metrics=msssim:200,swd:75"])
    out = capsys.readouterr().out
    found = [json.loads(x) for x in out.splitlines()[1::2]]
    assert [(r["num_images"], r["num_reals"]) for r in found] == [(200, NUM), (75, NUM)]
    assert f"(200 fakes, {NUM} reals)" in out


def test_fakes_in_a_folder_are_read_with_the_channels_of_the_reals(tmp_path, dataset, capsys):
    """One gray file among colors, in folders of classes."""
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    save_images(fakes / "cats", waves(6, 16, seed=1))
    save_images(fakes / "dogs", waves(3, 16, seed=2, channels=1))
    main([f"--dataset={dataset}", f"--fakes={fakes}", "--metrics=msssim"])
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (record["num_images"], record["num_reals"], record["channels"]) == (9, 9, 3)
    assert record["fakes_notes"] == {"converted": 3}
    assert "reals_notes" not in record
    main([f"--dataset={dataset}", f"--fakes={fakes / 'dogs'}", "--metrics=msssim"])
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (record["num_images"], record["channels"]) == (3, 3)
    main([f"--reals={fakes}", "--metrics=msssim", "--channels=1"])
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (record["channels"], record["reals_notes"]) == (1, {"converted": 6})


def test_the_sheet_of_neighbours_shows_a_random_choice_of_a_folder(tmp_path):
    """The first sixteen files by name are all of one class."""
    images = np.repeat(np.arange(0, 240, 10, dtype=np.uint8), 16)[:, None, None, None]
    folder = save_images(tmp_path / "classes", np.broadcast_to(images, (384, 16, 16, 1)))
    main(["neighbours", f"--reals={folder}", "--out=sheet.png"])
    with PIL.Image.open("sheet.png") as sheet:
        shades = np.asarray(sheet)[0, ::16]
    assert len(np.unique(shades)) > 8


def test_gray_datasets_are_measured_too(tmp_path, graph_file, capsys):
    gray = save_images(tmp_path / "gray", waves(12, 16, seed=1, channels=1))
    main([f"--reals={gray}", "--metrics=swd,is", f"--inception={graph_file}"])
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert record["gray_shown_as_rgb"] is True


def test_a_saved_model_has_the_values_of_its_snapshot(tmp_path, dataset, networks, capsys):
    generators, D = networks
    Gs = generators[1]
    Gs.lod = 0.0
    save_snapshot(tmp_path / "snapshot.h5", Gs, D, Gs)
    module = tf.Module()
    module.model = Gs.model(4)

    @tf.function(input_signature=[tf.TensorSpec([None, Gs.latent_size], name="latents")])
    def serve(latents):
        images = module.model([latents, tf.constant(1.0)])
        return {"images": tf.saturate_cast(tf.round(images * 127.5 + 127.5), tf.uint8)}

    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": serve})
    values = []
    for source in ("--snapshot=snapshot.h5", "--saved_model=model"):
        main([source, f"--dataset={dataset}", "--metrics=swd:10"])
        values.append(json.loads(capsys.readouterr().out.splitlines()[-1])["value"])
    assert values[1] == pytest.approx(values[0], rel=1e-3)


def test_a_saved_model_that_reports_broken_images_is_refused(tmp_path, dataset, capsys):
    @tf.function(input_signature=[tf.TensorSpec([None, 4], name="latents")])
    def serve(latents):
        status = tf.where(latents[:, 0] > 0, 3, 0)
        return {"images": tf.zeros([tf.shape(latents)[0], 16, 16, 3], tf.uint8), "status": status}

    tf.saved_model.save(tf.Module(), str(tmp_path / "model/1"), signatures=serve)
    message = error_of(capsys, "--saved_model=model", f"--dataset={dataset}", "--metrics=swd:10")
    assert "must make finite images" in message


@pytest.mark.parametrize("shape", [(32, 32, 3), (16, 16, 1)])
def test_a_saved_model_of_other_images_is_refused(shape, dataset, capsys):
    @tf.function(input_signature=[tf.TensorSpec([None, 4], name="latents")])
    def serve(latents):
        return {"images": tf.zeros([tf.shape(latents)[0], *shape], tf.uint8)}

    tf.saved_model.save(tf.Module(), "model/1", signatures=serve)
    message = error_of(capsys, "--saved_model=model", f"--dataset={dataset}", "--metrics=swd:10")
    assert "must make images of [16, 16, 3], or of a fraction of that size" in message
    assert f"Received: {list(shape)}" in message


def test_the_classifier_of_a_dataset_is_trained_and_found(dataset, capsys):
    main(["train_classifier", f"--dataset={dataset}", "--epochs=1"])
    assert "of the images held out" in capsys.readouterr().out
    main([f"--dataset={dataset}", "--metrics=modes"])
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert record["num_images"] == NUM
    assert 1 <= record["value"] <= NUM
    assert set(record["values"]) == {"modes", "kl"} | {f"kl_{name}" for name in demo.FACTORS}


def test_plot_and_neighbours_make_pictures(run, dataset, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    main(["--run=0", "--metrics=msssim:4"])
    main(["plot"])
    assert (run / "metrics.png").read_bytes().startswith(b"\x89PNG")
    main(["neighbours", "--run=0", "--out=sheet.png"])
    with PIL.Image.open("sheet.png") as sheet:
        assert sheet.size == (16 * 16, 6 * 16)
    main(["neighbours", f"--dataset={dataset}", "--out=self.png"])
    with PIL.Image.open("self.png") as sheet:
        pixels = np.asarray(sheet)
    np.testing.assert_array_equal(pixels[:16], pixels[16:32])  # Each image is its own neighbour.


def test_bad_input_is_one_line(tmp_path, dataset, run, graph_file, capsys):
    small = save_images(tmp_path / "small", waves(5, 8, seed=1))
    mixed = save_images(tmp_path / "mixed", waves(2, 16, seed=1))
    PIL.Image.fromarray(waves(1, 8, seed=1)[0]).save(mixed / "other.png")
    wrong = tmp_path / "wrong.pb"
    wrong.write_bytes(b"x" * 100)
    data = f"--dataset={dataset}"
    cases = {
        ("--snapshot=some.h5",): "some.h5: no such file",
        (data, "--metrics=fdi"): "Did you mean `fid`",
        (data, "--metrics=swd:500"): "asked for 500 images, and there are only 70",
        (data, "--metrics=fdi50k_full"): "no metric `fdi50k_full`. Did you mean `fid50k_full`",
        (data, "--num_reals=71"): "`num_reals` must be at most 70",
        (data, "--num_reals=some"): "--num_reals: must be a number above 0, or all",
        (f"--reals={mixed}",): "must have 16x16 pixels, as ",
        (f"--reals={small}", "--transform=pad"): "`transform` needs a resolution",
        (data, f"--fakes={small}"): "must have images like faces, [16, 16, 3]. Received: [8, 8, 3]."
        " Add --resolution=16 --transform=resize",
        (data, "--channels=1"): "are for folders of image files. Give one as --reals or --fakes",
        (data, "--metrics=fid"): "`fid` needs the Inception network. Give its file as --inception",
        (data, "--metrics=fid", f"--inception={wrong}"): "not the frozen graph of 2015",
        (data, "--metrics=fid", f"--inception={graph_file}", "--inception_sha256=00"): "not 00.",
        (data, "--metrics=modes", "--classifier=missing.npz"): "missing.npz",
        (data, "--num_images=0"): "must be above 0. Received: 0",
        (data, "--snapshot=missing.h5"): "missing.h5",
        (data, f"--saved_model={tmp_path}"): "must be a SavedModel with a signature",
        (f"--reals={small}",): "16x16 pixels or more. Received: 8x8",
        (f"--reals={small}", "--metrics=is"): "`is` needs 10 images or more. Received: 5",
        (f"--reals={small}", f"--fakes={tmp_path / 'missing'}"): "missing",
        ("--run=7",): "no run '7' in results. Runs there: 000-faces-demo",
        ("plot", "--run=0"): "no metric-*.jsonl of snapshots to draw",
        ("--dataset=nowhere",): "nowhere: no such file",
        ("train_classifier", data, "--epochs=0"): "`epochs` must be at least 1. Received: epochs=0",
        ("--unknown",): "--unknown",
    }
    for argv, message in cases.items():
        assert message in error_of(capsys, *argv), argv


def test_the_dataset_of_a_run_is_found_from_another_working_directory(run, dataset):
    opened = open_dataset(dataset, max_label_size=0)
    identity.store(run, identity.Record("demo", identity.Source.of(opened)))
    config = Config().replace({"dataset.path": f"datasets/{dataset.name}"})
    (run / "config.json").write_text(config.to_json())
    args = metrics_flags.parse(["metrics", f"--run={run}"])
    reals, found = metrics_sources.reals_of(args)
    assert (found.path, reals.num_images) == (str(dataset), NUM)


@pytest.mark.parametrize("stated", [True, False, None])
def test_the_reals_of_a_snapshot_are_mirrored_as_in_its_training(
    stated, dataset, networks, tmp_path, monkeypatch
):
    generators, D = networks
    meta = {"config": {"dataset": {"path": "faces", "mirror_augment": stated}}}
    save_snapshot(tmp_path / "snapshot.h5", generators[1], D, generators[1], **meta)
    args = metrics_flags.parse(["metrics", "--snapshot=snapshot.h5", f"--dataset={dataset}"])
    for mirrors in (True, False):  # by the dataset's own default
        monkeypatch.setattr("pgtf.dataset.Dataset.mirror", mirrors)
        reals, _ = metrics_sources.reals_of(args)
        assert reals.mirror == (mirrors if stated is None else stated)
