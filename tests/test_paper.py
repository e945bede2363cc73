"""benchmarks.paper: scaled configurations, the table, and a whole table of a few images."""

import argparse
import json

import numpy as np
import PIL.Image
import pytest

from benchmarks import experiments, paper
from benchmarks.experiments import Scale
from pgtf.config import PRESETS
from pgtf.dataset import open_dataset
from pgtf.dataset.tfrecords import to_records


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """70 noisy 16x16 images."""
    folder = tmp_path_factory.mktemp("datasets") / "noise"
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (70, 3, 16, 16), np.uint8)
    for log2 in (2, 3, 4):
        records = to_records(np.ascontiguousarray(images[..., :: 16 >> log2, :: 16 >> log2]))
        (folder / f"noise-r{log2:02d}.tfrecords").write_bytes(records.tobytes())
    return open_dataset(folder, max_label_size=0)


def test_every_row_of_every_table_fits_a_dataset_and_keeps_what_the_row_is_about(dataset):
    kept = ("loss.wgan_epsilon", "training.D_repeats", "G.use_batchnorm", "D.mbdisc_kernels")
    kept += ("G.use_wscale", "schedule.minibatch_base", "schedule.G_lrate_base", "G.latent_size")
    for rows in paper.TABLES.values():
        for row in rows:
            config = experiments.scaled(row, dataset, Scale(kimg=0.01, fmap_max=8, seed=3))
            preset = PRESETS[row.preset]
            changed = {line.split(":")[0] for line in preset.differences(config)}
            assert not changed & set(kept) - row.changes.keys()
            assert config.G.resolution == config.D.resolution == 16
            assert config.training.total_kimg == pytest.approx(preset.training.total_kimg * 0.01)
            if config.D.structure == "paper":
                assert (config.G.fmap_max, config.D.fmap_max) == (8, 8)
                ratio = preset.D.fmap_base / preset.D.fmap_max
                assert config.D.fmap_base / config.D.fmap_max == pytest.approx(ratio)


def test_a_table_says_that_it_is_scaled_and_has_the_papers_figures_beside(dataset):
    args = argparse.Namespace(table="1", scale=0.002, fmap_max=32, seed=1)
    found = {"row": "g", "kimg": 20.0, "seconds": 12.5, "values": {"swd": 31.4159}}
    text = paper.table(args, dataset, paper.TABLES["1"], [found])
    assert text.startswith("SCALED: 0.002 of the paper's images, at most 32 feature maps, 16x16")
    assert "| row | kimg | seconds | swd | paper |" in text
    assert "| g | 20.0 | 12.5 | 31.42 | SWD x 10^3 4.06/3.04/2.02/5.13/3.56 |" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--table=1", "--scale=0"), "`--scale` must be above 0. Received: 0.0."),
        (("--table=1", "--rows=g,x"), "no row `x`. Rows: a, b, c, d, estar, e, f, g, h."),
        (("--table=figure4", "--seconds=0"), "`--seconds` must be above 0. Received: 0.0."),
        (("--table=losses", "--plot=x.png"), "`--plot` is for --table=figure4."),
        (("--table=mnist1k",), "counting modes needs a classifier.npz there"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(dataset, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit, match="2"):
        paper.main([*arguments, f"--dataset={dataset.path}", f"--outdir={tmp_path}"])
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error


@pytest.mark.slow
def test_a_table_is_trained_measured_and_not_trained_again(dataset, tmp_path, capsys):
    arguments = ["--table=1", f"--dataset={dataset.path}", f"--outdir={tmp_path}", "--rows=b,g"]
    arguments += ["--scale=0.00005", "--fmap_max=8", "--metrics=swd:64"]
    paper.main(arguments)
    first = capsys.readouterr().out
    (results,) = tmp_path.glob("*/results.jsonl")
    records = [json.loads(line) for line in results.read_text().splitlines()]
    assert [record["row"] for record in records] == ["b", "g"]
    assert all(record["kimg"] >= 0.5 and record["values"]["swd"] > 0 for record in records)
    paper.main(arguments)
    assert capsys.readouterr().out == first
    assert len(results.read_text().splitlines()) == 2


@pytest.mark.slow
def test_growing_and_fixed_resolution_are_measured_at_the_same_times_and_drawn(dataset, tmp_path):
    pytest.importorskip("matplotlib")
    arguments = ["--table=figure4", f"--dataset={dataset.path}", f"--outdir={tmp_path}"]
    arguments += ["--scale=0.0002", "--fmap_max=8", "--metrics=swd:64", "--seconds=2"]
    paper.main([*arguments, f"--plot={tmp_path / 'curves.png'}"])
    (results,) = tmp_path.glob("*/results.jsonl")
    records = [json.loads(line) for line in results.read_text().splitlines()]
    growing, fixed = records[: paper.LOOKS], records[paper.LOOKS :]
    assert {x["row"] for x in growing} == {"growing"}
    assert {x["row"] for x in fixed} == {"fixed"}
    wanted = 2 * np.arange(1, paper.LOOKS + 1) / paper.LOOKS
    for looks in (growing, fixed):
        late = np.array([x["seconds"] for x in looks]) - wanted
        assert late.min() > -0.06  # rounded
        assert late.max() < 2
    assert growing[-1]["kimg"] > 0.64  # 16x16 has faded in
    with PIL.Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 500
