"""Curves of a run."""

import PIL.Image
import pytest

from pgtf.metrics import plot as plot_module
from pgtf.metrics import records
from pgtf.metrics.plot import curves, plot


def add(folder, metric, kimg, value, **fields):
    values = {metric: value, f"{metric}_16": value / 2}
    record = {"metric": metric, "kimg": kimg, "values": values, "num_images": 100, "seed": 1}
    records.append(folder, record | {"reals": "demo"} | fields)


def test_each_setting_is_a_curve_and_the_last_value_counts(tmp_path):
    add(tmp_path, "swd", 10, 8.0)
    add(tmp_path, "swd", 20, 6.0)
    add(tmp_path, "swd", 20, 5.0)
    add(tmp_path, "swd", 20, 4.0, num_images=200)
    add(tmp_path, "swd", 20, 9.0, reals="held out")
    add(tmp_path, "swd", 20, 2.0, num_reals=300, order="random")
    add(tmp_path, "swd", None, 3.0)
    records.append(tmp_path, {"metric": "swd", "kimg": 30})  # no record of ours
    assert curves(tmp_path, "swd") == {
        "swd (100 fakes of demo, seed 1)": {10: 8.0, 20: 5.0},
        "swd_16 (100 fakes of demo, seed 1)": {10: 4.0, 20: 2.5},
        "swd (200 fakes of demo, seed 1)": {20: 4.0},
        "swd_16 (200 fakes of demo, seed 1)": {20: 2.0},
        "swd (100 fakes of held out, seed 1)": {20: 9.0},
        "swd_16 (100 fakes of held out, seed 1)": {20: 4.5},
        "swd (100 fakes, 300 reals of demo, seed 1, random order)": {20: 2.0},
        "swd_16 (100 fakes, 300 reals of demo, seed 1, random order)": {20: 1.0},
    }


def test_every_recorded_metric_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    add(tmp_path, "fid", 10, 8.0, mode="clean")
    add(tmp_path, "swd", 10, 8.0)
    out = tmp_path / "metrics.png"
    assert plot(tmp_path, out) == ["swd", "fid"]
    with PIL.Image.open(out) as two:
        (tmp_path / "metric-fid.jsonl").unlink()
        plot(tmp_path, tmp_path / "one.png")
        with PIL.Image.open(tmp_path / "one.png") as one:
            assert (one.width, 2 * one.height) == (two.width, two.height)


def test_panels_name_the_metric_its_unit_and_its_direction(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(plot_module, "draw", lambda panels, *_: shown.extend(panels))
    for metric in ("msssim", "modes", "swd"):
        add(tmp_path, metric, 10, 8.0)
    assert plot_module.plot(tmp_path, tmp_path / "x.png") == ["swd", "msssim", "modes"]
    assert shown == [
        "Sliced Wasserstein distance x 10^3 (swd, lower is better)",
        "MS-SSIM (msssim)",
        "Modes hit (modes, higher is better)",
    ]


def test_divergences_of_single_factors_are_not_drawn(tmp_path):
    add(tmp_path, "modes", 10, 8.0, values={"modes": 8, "kl": 0.5, "kl_skin": 0.25})
    assert [label.split()[0] for label in curves(tmp_path, "modes")] == ["modes", "kl"]


def test_a_run_without_records_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no metric-\*.jsonl of snapshots to draw"):
        plot(tmp_path, tmp_path / "x.png")


def test_settings_that_all_curves_share_are_said_once():
    shared = ["swd (9 fakes, seed 0)", "swd_16 (9 fakes, seed 0)"]
    assert plot_module._legend(shared) == (["swd", "swd_16"], "9 fakes, seed 0")
    other = ["swd (9 fakes, seed 0)", "swd (9 fakes, seed 1)"]
    assert plot_module._legend(other) == (other, None)
    assert plot_module._legend(["plain", "lines"]) == (["plain", "lines"], None)


def test_the_numbers_of_a_record_are_told_as_far_as_they_are_known():
    assert records.numbers({"num_images": 50, "num_reals": 40}) == "50 fakes, 40 reals"
    assert records.numbers({"num_images": 50, "evaluations": 3}) == "3 x 50 fakes"
    assert records.numbers({"metric": "fid", "values": {}}) == "? fakes"
