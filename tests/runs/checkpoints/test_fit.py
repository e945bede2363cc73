"""Checkpoints that do not fit the run are named before anything of it changes."""

import json

import numpy as np
import pytest

from pgtf.interop import hdf5
from pgtf.runs.checkpoints import newest_first
from pgtf.training.state import Progress, TrainingState
from tests.runs.checkpoints.conftest import numbers


def _array(group, name, value):
    def damage(groups, _):
        groups[group] = dict(groups[group])
        if value is None:
            del groups[group][name]
        else:
            groups[group][name] = value(groups[group].get(name, np.zeros(3, "float32")))

    return damage


def _text(name, change):
    def damage(_, attributes):
        attributes[name] = json.dumps(change(json.loads(attributes[name])))

    return damage


def _lod(value):
    return _text("networks", lambda found: found | {"Gs": found["Gs"] | {"lod": value}})


MOMENT = "m/4x4/Conv/bias"
UNFIT = {
    "a moment is missing": (_array("G_opt", MOMENT, None), f"G_opt: .*{MOMENT} is missing"),
    "a moment's shape": (_array("D_opt", MOMENT, lambda a: a[:-1]), "D_opt: .*must have shape"),
    "a moment's dtype": (_array("D_opt", MOMENT, np.float64), "must be float32, found float64"),
    "integers": (_array("G_opt", MOMENT, np.int32), "must be of floats, found int32"),
    "an unknown moment": (_array("G_opt", "m/x", np.copy), "G_opt: .*m/x is unknown"),
    "no step count": (_array("D_opt", "beta2_power", None), "beta2_power is missing"),
    "a step count of NaN": (_array("D_opt", "beta2_power", lambda a: a * np.nan), "in 0 ... 1"),
    "a weight's shape": (_array("D", "4x4/Conv/bias", lambda a: a[:-1]), "D: .*must have shape"),
    "a weight is missing": (_array("Gs", "4x4/Conv/bias", None), "Gs: .*is missing"),
    "lod": (_lod(99.0), "Gs: `lod` must be in 0"),
    "a lod of another type": (_lod("0"), "`Gs.lod` in `networks` must be a number"),
    "a negative counter": (_text("progress", lambda p: p | {"tick": -1}), "`tick` must be"),
    "an endless number": (_text("progress", lambda p: p | {"cur_nimg": 10**400}), "`cur_nimg` mu"),
    "a place beyond": (_text("progress", lambda p: p | {"tick_start_nimg": 2**40}), "at most"),
    "a stage of three": (_text("progress", lambda p: p | {"stage": [1, 2, 3]}), "`stage` must be"),
    "an unknown counter": (_text("progress", lambda p: p | {"more": 1}), "without more"),
    "counters that are a list": (_text("progress", lambda p: [1]), "`progress`: must be an object"),
}  # fmt: skip


def test_a_checkpoint_that_does_not_fit_is_named_before_anything_is_changed(
    checkpoints, state, folder, config, strategy
):
    state.G.lod = state.D.lod = state.Gs.lod = 0.5
    checkpoints.save(state)
    (path,) = newest_first(folder)
    fresh = TrainingState(config, strategy)
    before, lod = numbers(fresh), fresh.G.lod
    content = path.read_bytes()
    for kind, (damage, message) in UNFIT.items():
        groups, attributes = hdf5.parse(content, path)
        damage(groups, attributes)
        hdf5.write_hdf5(path, groups, attributes)
        with pytest.raises(ValueError, match=f"^{path}.*{message}") as caught:
            checkpoints.restore(fresh)
        assert "\n" not in str(caught.value)
        for name, array in numbers(fresh).items():
            np.testing.assert_array_equal(array, before[name], err_msg=f"{kind}: {name}")
        assert (fresh.progress, fresh.G.lod) == (Progress(), lod), kind


def test_a_checkpoint_with_a_damaged_description_is_named(checkpoints, state, folder):
    checkpoints.save(state)
    (path,) = newest_first(folder)
    groups, attributes = hdf5.read_hdf5(path)
    for name in ("config", "dataset", "progress", "networks"):
        for text in ("", "[", "[" * 100_000, "5", '{"a": NaN}', 7):
            hdf5.write_hdf5(path, groups, attributes | {name: text})
            with pytest.raises(ValueError, match=f"^{path}.*{name}") as caught:
                checkpoints.restore(state, healthy=True)
            assert "\n" not in str(caught.value)
