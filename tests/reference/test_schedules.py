"""The training schedule is that of the original release, exactly, for all of its presets."""

import dataclasses
import json

import pytest

from pgtf.config import PRESETS, max_minibatch_per_gpu
from pgtf.schedule import Schedule
from tests.reference.cases import Difference, check, find

FILES = {path: json.loads(path.read_text()) for path in find("schedule/*.json")}
CASES = [
    pytest.param(case, file["columns"], id=f"{case['name']}-{case['precision']}-{index}")
    for file in FILES.values()
    for index, case in enumerate(file["cases"])
]
PRESET_CASES = [case for case in CASES if case.values[0]["name"].startswith("preset-")]
PREFIX = "preset-"  # names of cases that are a preset and nothing else begin with it


def numeric_keys(options):
    """JSON has turned the resolutions that are keys into text."""
    return {
        name: {int(key): item for key, item in value.items()} if isinstance(value, dict) else value
        for name, value in options.items()
    }


def schedule_of(case):
    return Schedule(
        resolution_log2=case["dataset_resolution"].bit_length() - 1,
        num_gpus=case["num_gpus"],
        **numeric_keys(case["sched"]),
    )


def rows_that_differ(case, columns):
    schedule = schedule_of(case)
    for row in case["rows"]:
        expected = dict(zip(columns, row, strict=True))
        state = schedule.at(expected["nimg"])
        ours = dataclasses.asdict(state) | {"kimg": state.nimg / 1000}
        if any(ours[name] != value for name, value in expected.items()):
            yield expected


def differences(case, columns):
    where = f"{case['name']}, {case['precision']}, {case['dataset_resolution']}"
    count = len(list(rows_that_differ(case, columns)))
    yield Difference("rows of schedules that differ", where, count, 0)


@pytest.mark.parametrize(("case", "columns"), CASES)
def test_every_value_of_every_row_is_equal(case, columns):
    assert case["rows"]
    check(differences(case, columns))


@pytest.mark.parametrize(("case", "columns"), PRESET_CASES)
def test_our_preset_is_the_originals(case, columns):
    preset = PRESETS[case["name"].removeprefix(PREFIX)]
    limits = max_minibatch_per_gpu(case["precision"])
    ours = dataclasses.replace(
        preset.schedule,
        resolution_log2=case["dataset_resolution"].bit_length() - 1,
        max_minibatch_per_gpu=limits,
    )
    assert ours == schedule_of(case)
    assert preset.training.total_kimg == case["total_kimg"]
    options = dataclasses.asdict(preset.D)
    assert {name: options[name] for name in case["D_overrides"]} == case["D_overrides"]
