"""A run on a small dataset that is killed between two adaptations ends with the same bits."""

import shutil

import h5py
import numpy as np
import pytest

from pgtf.training import loop, overfitting, pace, watch
from tests.training import jobs
from tests.training.test_augmentation import config_of
from tests.training.test_loop import events, stats


@pytest.mark.slow  # two runs, which trace the augmentations
def test_a_run_killed_across_an_adaptation_ends_with_the_same_bits(
    config, dataset, strategy, tmp_path, monkeypatch
):
    """Adapted after each 32 images: the copy is of 64 images, its checkpoint of 48 or less."""
    changes = {"training.total_kimg": 0.128, "schedule.tick_kimg_base": 0.064}
    config = config_of(config, dataset, aug="ada", aug_interval=32, aug_kimg=0.128)
    config = config.replace(changes)
    real = overfitting.Measurement.__call__

    def shifted(self, call):
        """A signal of about 0.8, so that the probability rises at each adaptation."""
        shift = {"train": 50.0, "held_out": 10.0, "fakes": 0.0}
        return {k: x._replace(mean=x.mean + shift[k]) for k, x in real(self, call).items()}

    monkeypatch.setattr(overfitting.Measurement, "__call__", shifted)
    measures = watch.Measures(
        lambda fakes: float(fakes.mean()), lambda reals: lambda fakes: float(fakes.std())
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()

    def copy(tick, state, final):
        if tick.tick == 0:
            shutil.copytree(whole, killed)

    options = loop.RunOptions(callbacks=[copy], checkpoint_sec=0, watch=measures)
    loop.run(config, dataset, strategy, whole, options)
    monkeypatch.setattr(pace, "CALL_SEC", 0.0)
    loop.run(config, dataset, strategy, killed, loop.RunOptions(watch=measures))
    lines = stats(whole)
    assert [line["aug_p"] for line in lines] == [0.5, 1.0]
    assert all(line["aug_signal_mean"] == pytest.approx(0.8, abs=0.1) for line in lines)
    assert {"fakes_ms_ssim", "held_out_swd", "aug_signal"} <= lines[0].keys()
    assert lines == stats(killed)
    assert events(whole) == events(killed)
    assert [step for step, _ in events(whole)["aug_p"]] == [64, 128]
    name = "checkpoint/checkpoint-000000128.h5"
    left, right = jobs.arrays(whole / name), jobs.arrays(killed / name)
    assert left.keys() == right.keys()
    for key, array in left.items():
        np.testing.assert_array_equal(array, right[key], err_msg=key)
    texts = []
    for folder in (whole, killed):
        with h5py.File(folder / name) as file:
            texts.append(file.attrs["progress"].partition('"augment": ')[2])
    assert texts[0] == texts[1] != ""
    best = watch.BEST_SNAPSHOT
    assert (whole / best).read_bytes() == (killed / best).read_bytes()
