"""Speed, time left and progress within a tick."""

import io
import json
import logging
import math
import types

import numpy as np
import pytest

from pgtf.config import PRESETS
from pgtf.runs.checkpoints import newest_first
from pgtf.training import calls, loop, pace, plan, progress, ticks
from pgtf.training.cost import compilation_cost, iteration_cost
from pgtf.training.pace import Pace
from pgtf.training.state import Progress
from tests.training import jobs

CORES = 2


def whole_plan(config):
    """All calls of a run, each of one evaluation of the schedule."""
    nimg, found = 0, []
    while nimg < config.training.total_kimg * 1000:
        call = plan.next_call(config.schedule, config.training, nimg, nimg, 1)
        found.append(call)
        nimg = call.end_nimg
    return found


@pytest.fixture(scope="module")
def demo():
    ticks = {"schedule.tick_kimg_base": 2, "schedule.tick_kimg_dict": {}}
    return PRESETS["demo"].replace(ticks).for_dataset(5, 3, 0, 1)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_time_left_is_that_of_the_iterations_to_come_if_each_costs_what_is_expected(demo, share):
    """From a tick at 4x4 the whole run is foreseen, although 32x32 is far slower per image."""
    measured = Pace(demo, CORES)
    everything, sec_per_cost = whole_plan(demo), 3e-9
    first = everything[0].now
    cost = iteration_cost(demo, first, CORES)
    measured.iterated(first, 10, 10 * cost * sec_per_cost)
    begin = round(demo.training.total_kimg * 1000 * share)
    left = sum(
        len(call.nimgs) * iteration_cost(demo, call.now, CORES)
        for call in everything
        if call.nimgs[0] >= begin
    )
    assert measured.eta_sec(begin) == pytest.approx(left * sec_per_cost, rel=0.01)


def test_stages_to_come_are_compiled_and_ticks_to_come_have_pauses(demo, monkeypatch):
    clock = types.SimpleNamespace(monotonic=lambda: clock.now, now=0.0)
    monkeypatch.setattr(pace, "time", clock)
    measured = Pace(demo, CORES)
    stages = [state for _, state in demo.schedule.stages(demo.training.total_kimg)]
    measured.compiled(stages[0], 6.0)
    others = sum(map(compilation_cost, stages[1:])) / compilation_cost(stages[0])
    assert measured.eta_sec(0) == pytest.approx(6.0 * others)
    assert measured.eta_sec(demo.training.total_kimg * 1000) == 0
    with measured.pause():
        clock.now += 2.0
    measured.end_tick()
    ticks_left = demo.training.total_kimg / 2  # 2 kimg each
    assert measured.eta_sec(0) == pytest.approx(6.0 * others + 2.0 * ticks_left)


def test_calls_take_about_two_seconds_and_begin_with_one_evaluation(demo):
    now, repeats = demo.schedule.at(0), demo.training.minibatch_repeats
    measured = Pace(demo, CORES)
    assert measured.max_evaluations() == 1
    measured.iterated(now, 10, 1.0)
    assert measured.max_evaluations() == int(2.0 / (0.1 * repeats))
    measured.iterated(now, 1, 60.0)
    assert measured.max_evaluations() == 1
    measured.compiled(now, 5.0)
    assert measured.max_evaluations() == 1
    together = Pace(demo, CORES, num_workers=2)
    together.iterated(now, 10, 1.0)
    assert together.max_evaluations() is None  # Workers must make the same calls.


def test_a_call_is_split_without_losing_an_iteration(demo):
    whole = plan.next_call(demo.schedule, demo.training, 0, 0)
    for number in range(1, len(whole.nimgs) + 1):
        parts = whole.split(number)
        assert len(parts) == (1 if number == len(whole.nimgs) else 2)
        for name in ("nimgs", "alphas", "G_lrates", "D_lrates"):
            assert sum((getattr(part, name) for part in parts), []) == getattr(whole, name)
        assert len(parts[0].nimgs) == number
        assert [part.end_nimg for part in parts[:-1]] == [part.nimgs[0] for part in parts[1:]]
        assert parts[-1].end_nimg == whole.end_nimg


def counted(found):
    run = calls.Calls._run

    def call(self, planned):
        found.append(planned)
        return run(self, planned)

    return call


def test_the_bits_of_a_run_do_not_depend_on_the_length_of_its_calls(
    config, dataset, strategy, tmp_path, monkeypatch, without_graphs
):
    """As far as the loop decides; test_loop.py has calls of both lengths of the real Stepper."""
    snapshots, number = {}, {}
    for seconds in (0.0, math.inf):
        monkeypatch.setattr(pace, "CALL_SEC", min(seconds, 1e9))
        lengths, folder = [], tmp_path / str(seconds)
        with monkeypatch.context() as patch:
            patch.setattr(calls.Calls, "_run", counted(lengths))
            folder.mkdir()
            loop.run(config, dataset, strategy, folder)
        number[seconds] = len(lengths)
        (path,) = folder.glob("network-snapshot-000000.h5")
        snapshots[seconds] = jobs.arrays(path)
    assert number[0.0] > number[math.inf]
    for name, array in snapshots[0.0].items():
        np.testing.assert_array_equal(array, snapshots[math.inf][name], err_msg=name)


def test_without_haste_checkpoints_are_those_of_the_growth_and_of_the_end(
    config, dataset, strategy, tmp_path, without_graphs
):
    loop.run(config, dataset, strategy, tmp_path)
    assert [path.name for path in newest_first(tmp_path / "checkpoint")] == [
        "checkpoint-000000288.h5",
        "checkpoint-000000080.h5",
    ]


class Killed(Exception):
    pass


def test_the_speed_of_a_tick_in_which_a_run_resumed_is_that_of_its_part(
    config, dataset, strategy, tmp_path, monkeypatch, without_graphs
):
    """The first line after a resume counts the images since then, not those of the whole tick."""
    run, number = calls.Calls.run_next, []

    def killed_in_the_second_tick(self):
        if self._state.progress.cur_nimg == 128:
            raise Killed
        return run(self)

    options = loop.RunOptions(checkpoint_sec=0.0)
    with monkeypatch.context() as patch:
        patch.setattr(pace, "CALL_SEC", 0.0)
        patch.setattr(calls.Calls, "run_next", killed_in_the_second_tick)
        with pytest.raises(Killed):
            loop.run(config, dataset, strategy, tmp_path, options)
    loop.run(config, dataset, strategy, tmp_path, options)
    for line in (tmp_path / "stats.jsonl").read_text().splitlines():
        tick = json.loads(line)
        number.append(tick["sec_per_tick"] / tick["sec_per_kimg"] * 1000)
    assert number == pytest.approx([96, 192 - 128, 96], rel=1e-9)


def test_a_tick_is_closed_with_the_images_of_its_part(demo):
    counters = Progress(cur_nimg=1000, tick_start_nimg=200, tick=3)
    tick = ticks.finish(
        counters, ["skipped"], demo.schedule.at(0), sec_per_tick=5.0, num_nimg=500, eta_sec=7200.0
    )
    assert (tick.sec_per_kimg, tick.eta_hours) == (10.0, 2.0)
    assert (counters.tick, counters.tick_start_nimg) == (4, 1000)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_the_tick_the_images_and_the_time_left_and_then_clears_them(
    demo, monkeypatch
):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(progress, "REDRAW_SEC", 0.0)
    shown, counters = progress.TickProgress(), Progress(cur_nimg=500, tick=3)
    shown.show(counters, demo.schedule.at(0), eta_sec=3723.0)
    shown.show(Progress(cur_nimg=1000, tick=3), demo.schedule.at(0), eta_sec=61.0)
    text = terminal.getvalue()
    assert "tick 3:  50%" in text
    assert "1.00k/2.00k" in text
    assert "4x4, eta 01:01" in text
    shown.clear()
    assert terminal.getvalue().endswith("\r")
    assert terminal.getvalue().rsplit("\r", 2)[1].strip() == ""


def test_without_a_terminal_a_long_tick_says_where_it_is_every_five_minutes(
    demo, monkeypatch, caplog
):
    clock = types.SimpleNamespace(monotonic=lambda: clock.now, now=0.0)
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    shown, counters = progress.TickProgress(), Progress(cur_nimg=500, tick=3)
    with caplog.at_level(logging.INFO, logger="absl"):
        for clock.now in (10.0, 299.0, 301.0, 310.0, 602.0):
            shown.show(counters, demo.schedule.at(0), eta_sec=3723.0)
    assert caplog.messages == ["tick 3: 0.5 of 2 kimg, 4x4, eta 1:02:03"] * 2
