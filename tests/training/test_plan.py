"""Calls cut the original's loop into pieces without changing it."""

import itertools
import math

import pytest

from pgtf.schedule import Schedule
from pgtf.training import plan
from pgtf.training.config import TrainingConfig

GROWING = Schedule(
    resolution_log2=5,
    lod_training_kimg=0.5,
    lod_transition_kimg=0.7,
    minibatch_dict={8: 8, 16: 4},
    minibatch_base=16,
    G_lrate_dict={8: 0.002, 32: 0.005},
    D_lrate_dict={16: 0.003},
    tick_kimg_base=0.3,
    tick_kimg_dict={4: 0.35, 32: 0.1},
)
CASES = {
    "growing": (GROWING, TrainingConfig(total_kimg=5)),
    "repeats": (GROWING, TrainingConfig(total_kimg=5, minibatch_repeats=1, D_repeats=5)),
    "odd": (GROWING, TrainingConfig(total_kimg=4.9999, minibatch_repeats=3, D_repeats=2)),
    "no_growing": (
        Schedule(resolution_log2=4, lod_initial_resolution=16, tick_kimg_base=1, tick_kimg_dict={}),
        TrainingConfig(total_kimg=3),
    ),
    "jumps": (
        Schedule(resolution_log2=5, lod_training_kimg=0.4, lod_transition_kimg=0),
        TrainingConfig(total_kimg=2),
    ),
}


def originals_loop(schedule, training):
    """The loop of the original release: -> (numbers of each iteration, images at each tick)."""
    rows, ticks, nimg, tick_start = [], [], 0, 0
    while nimg < training.total_kimg * 1000:
        now = schedule.at(nimg)
        for _ in range(training.minibatch_repeats):
            rates = (now.G_lrate, now.D_lrate)
            rows.append((nimg, now.resolution, now.minibatch, now.alpha, *rates))
            for _ in range(training.D_repeats):
                nimg += now.minibatch
        if nimg >= tick_start + now.tick_kimg * 1000 or nimg >= training.total_kimg * 1000:
            ticks.append(nimg)
            tick_start = nimg
    return rows, ticks


def planned(schedule, training, usual=None):
    """All calls of a run; a tick ends as the training loop ends it."""
    calls, ticks, nimg, tick_start = [], [], 0, 0
    while nimg < training.total_kimg * 1000:
        call = plan.next_call(schedule, training, nimg, tick_start, None, usual)
        calls.append(call)
        nimg = call.end_nimg
        final = nimg >= training.total_kimg * 1000
        if final or nimg >= tick_start + call.now.tick_kimg * 1000:
            ticks.append(nimg)
            tick_start = nimg
    return calls, ticks


def rows_of(calls):
    return [
        (nimg, call.now.resolution, call.now.minibatch, *numbers)
        for call in calls
        for nimg, *numbers in zip(
            call.nimgs, call.alphas, call.G_lrates, call.D_lrates, strict=True
        )
    ]


@pytest.mark.parametrize("call_pixels", [1, 64, 100_000])
@pytest.mark.parametrize("case", CASES)
def test_iterations_and_ticks_are_those_of_the_originals_loop_however_calls_are_split(
    monkeypatch, case, call_pixels
):
    monkeypatch.setattr(plan, "CALL_PIXELS", call_pixels)
    calls, ticks = planned(*CASES[case])
    assert (rows_of(calls), ticks) == originals_loop(*CASES[case])
    assert len(calls[0].nimgs) > CASES[case][1].minibatch_repeats or call_pixels < 64


@pytest.mark.parametrize("case", CASES)
def test_calls_for_gpus_are_longer_and_have_the_same_iterations_and_ticks(case):
    usual = plan.GPU_EVALUATIONS
    calls, ticks = planned(*CASES[case], usual)
    assert (rows_of(calls), ticks) == originals_loop(*CASES[case])
    repeats = CASES[case][1].minibatch_repeats
    assert max(len(call.nimgs) for call in calls) > usual * repeats / 2
    schedule = Schedule(lod_initial_resolution=1024)
    call = plan.next_call(schedule, TrainingConfig(), 0, 0, None, usual)
    assert len(call.nimgs) == usual * TrainingConfig().minibatch_repeats


def test_a_call_keeps_one_stage_and_one_minibatch():
    calls, _ = planned(*CASES["growing"])
    for call in calls:
        looked_at = call.nimgs[:: CASES["growing"][1].minibatch_repeats]
        stages = {GROWING.at(nimg).stage for nimg in looked_at}
        assert stages == {call.now.stage}
    stages = [key for key, _ in itertools.groupby(call.now.stage for call in calls)]
    assert stages == [(3, 3), (2, 3), (2, 2), (1, 2), (1, 1), (0, 1), (0, 0)]


def test_calls_follow_each_other_without_a_gap_and_do_not_pass_a_tick():
    calls, ticks = planned(*CASES["growing"])
    for before, after in itertools.pairwise(calls):
        assert before.end_nimg == after.nimgs[0]
    assert set(ticks) <= {call.end_nimg for call in calls}
    assert len(ticks) > 10


def test_calls_get_shorter_as_images_get_larger():
    schedule = Schedule(lod_initial_resolution=4, minibatch_base=16)
    lengths = {}
    for level in range(9):
        nimg = level * 1_200_000 + 16
        call = plan.next_call(schedule, TrainingConfig(), nimg, nimg)
        lengths[call.now.resolution] = len(call.nimgs)
    assert list(lengths) == [4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert list(lengths.values()) == [64, 32, 16, 8, 4, 4, 4, 4, 4]


def test_continuing_at_the_end_of_any_call_gives_the_same_rest():
    schedule, training = CASES["growing"]
    whole, _ = originals_loop(schedule, training)
    calls, _ = planned(schedule, training)
    for call in calls[:-1:7]:
        # A resumed run knows where its tick began; a tick more changes calls, not iterations.
        rest, nimg = [], call.end_nimg
        while nimg < training.total_kimg * 1000:
            rest.append(plan.next_call(schedule, training, nimg, nimg))
            nimg = rest[-1].end_nimg
        assert rows_of(rest) == whole[-len(rows_of(rest)) :]


def test_a_fraction_of_an_image_is_trained_to_the_end():
    schedule, training = CASES["odd"]
    calls, ticks = planned(schedule, training)
    assert calls[-1].end_nimg == ticks[-1] >= math.ceil(4999.9)
