"""The schedule against written tables and properties."""

import dataclasses
import itertools
import math

import pytest

from pgtf.schedule import Schedule

PHASES = ("lod_training_kimg", "lod_transition_kimg", "lrate_rampup_kimg")
FULL = Schedule()  # the paper's: 1024x1024, 600 + 600 thousand images a level


@pytest.mark.parametrize(
    ("kimg", "lod", "resolution"),
    [
        (0, 8, 4),
        (300, 8, 4),
        (600, 8, 4),  # the first image of a fade still has the old resolution
        (600.001, 8 - 1 / 600_000, 8),
        (900, 7.5, 8),
        (1199.999, 7 + 1 / 600_000, 8),
        (1200, 7, 8),
        (1800, 7, 8),
        (2100, 6.5, 16),
        (9000, 1, 512),
        (9300, 0.5, 1024),
        (9600, 0, 1024),
        (1e6, 0, 1024),
    ],
)
def test_lod_falls_by_one_during_each_fade(kimg, lod, resolution):
    state = FULL.at(round(kimg * 1000))
    assert state.lod == pytest.approx(lod, abs=1e-9)
    assert state.resolution == resolution
    assert state.nimg == round(kimg * 1000)


@pytest.mark.parametrize(
    ("kimg", "alpha", "stage"),
    [
        (0, 1, (8, 8)),
        (600, 1, (8, 8)),
        (750, 0.25, (7, 8)),
        (1199, 599 / 600, (7, 8)),
        (1200, 1, (7, 7)),
    ],
)
def test_alpha_rises_from_0_to_1_during_a_fade_and_the_stage_changes_at_both_ends(
    kimg, alpha, stage
):
    state = FULL.at(kimg * 1000)
    assert state.alpha == pytest.approx(alpha, abs=1e-9)
    assert state.stage == stage


SCHEDULES = [
    FULL,
    Schedule(resolution_log2=5, lod_training_kimg=12, lod_transition_kimg=12),
    Schedule(resolution_log2=6, lod_training_kimg=0.032, lod_transition_kimg=0.064),
    Schedule(resolution_log2=7, lod_training_kimg=0.1, lod_transition_kimg=0.1),
    Schedule(resolution_log2=7, lod_training_kimg=0, lod_transition_kimg=3),
    Schedule(resolution_log2=7, lod_training_kimg=2.5, lod_transition_kimg=0),
    Schedule(resolution_log2=8, lod_initial_resolution=32),
    Schedule(resolution_log2=2),
    Schedule(resolution_log2=7, lod_initial_resolution=128, lod_training_kimg=0),
    Schedule(resolution_log2=7, lod_training_kimg=0, lod_transition_kimg=0),
]


def moments(schedule):
    """Image counts all over a schedule, with the neighbours of every boundary."""
    phase = (schedule.lod_training_kimg + schedule.lod_transition_kimg or 1) * 1000
    length = phase * (schedule.resolution_log2 - 1)
    boundaries = [p * phase + o for p in range(9) for o in (0, schedule.lod_training_kimg * 1000)]
    near = {math.floor(b) + i for b in boundaries for i in (-1, 0, 1, 2)}
    return sorted({n for n in near if n >= 0} | {round(i * length / 99) for i in range(100)})


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_lod_never_rises_and_resolutions_grow_one_level_at_a_time(schedule):
    states = [schedule.at(nimg) for nimg in moments(schedule)]
    start = schedule.resolution_log2 - math.log2(schedule.lod_initial_resolution)
    assert states[0].lod == start
    for before, after in itertools.pairwise(states):
        assert start >= before.lod >= after.lod >= 0
        assert after.resolution in (before.resolution, 2 * before.resolution)
        assert 0 < after.alpha <= 1
        assert after.stage[1] - after.stage[0] in (0, 1)
        assert (after.alpha == 1) == (after.stage[0] == after.stage[1])
        assert after.resolution == 2 ** (schedule.resolution_log2 - after.stage[0])


@pytest.mark.parametrize("schedule", SCHEDULES[:7])
def test_every_schedule_ends_at_lod_0(schedule):
    assert schedule.at(10**9).lod == 0


def test_without_phases_there_is_no_growing():
    schedule = Schedule(resolution_log2=7, lod_training_kimg=0, lod_transition_kimg=0)
    # As in the original: constant at the initial resolution.
    assert {schedule.at(nimg).lod for nimg in (0, 1, 10**9)} == {5}
    schedule = Schedule(resolution_log2=7, lod_initial_resolution=128)
    assert {schedule.at(nimg).lod for nimg in (0, 1, 700_000, 10**9)} == {0}


def test_without_fades_the_resolution_jumps():
    schedule = Schedule(resolution_log2=4, lod_training_kimg=10, lod_transition_kimg=0)
    lods = [schedule.at(nimg).lod for nimg in (0, 9999, 10_000, 19_999, 20_000, 99_999)]
    assert lods == [2, 2, 1, 1, 0, 0]


def test_tables_are_looked_up_by_resolution_and_fall_back_to_the_base():
    schedule = Schedule(
        minibatch_base=10,
        minibatch_dict={8: 20},
        G_lrate_base=0.1,
        G_lrate_dict={8: 0.2},
        D_lrate_base=0.3,
        D_lrate_dict={4: 0.4},
        tick_kimg_base=7,
        tick_kimg_dict={8: 8},
    )
    four, eight = schedule.at(0), schedule.at(700_000)
    assert (four.minibatch, four.G_lrate, four.D_lrate, four.tick_kimg) == (10, 0.1, 0.4, 7)
    assert (eight.minibatch, eight.G_lrate, eight.D_lrate, eight.tick_kimg) == (20, 0.2, 0.3, 8)


@pytest.mark.parametrize(
    ("num_gpus", "minibatch", "cap", "expected"),
    [
        (1, 16, None, 16),
        (3, 16, None, 15),  # rounded down to whole replicas
        (2, 16, 4, 8),  # 4 fit on each
        (2, 6, 4, 6),
        (4, 3, None, 0),
    ],
)
def test_minibatches_are_whole_replicas_capped_by_their_memory(num_gpus, minibatch, cap, expected):
    caps = {} if cap is None else {4: cap}
    schedule = Schedule(num_gpus=num_gpus, minibatch_base=minibatch, max_minibatch_per_gpu=caps)
    assert schedule.at(0).minibatch == expected
    assert schedule.at(700_000).minibatch == minibatch - minibatch % num_gpus  # 8x8: no cap


def test_ticks_get_shorter_as_images_get_slower():
    nimgs = [
        0,
        700_000,
        1_900_000,
        3_100_000,
        4_300_000,
        5_500_000,
        6_700_000,
        7_900_000,
        9_700_000,
    ]
    ticks = [FULL.at(nimg).tick_kimg for nimg in nimgs]
    assert ticks == [160, 140, 120, 100, 80, 60, 40, 20, 10]
    assert Schedule(tick_kimg_base=3, tick_kimg_dict={}).at(0).tick_kimg == 3


def test_defaults_are_not_shared_between_schedules():
    Schedule().tick_kimg_dict[4] = 1
    assert Schedule().tick_kimg_dict[4] == 160


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("part", [0.31, 1.0, 1.7])
def test_the_table_of_stages_sums_to_the_total_and_says_what_each_image_gets(schedule, part):
    phase = schedule.lod_training_kimg + schedule.lod_transition_kimg or 1
    total_kimg = part * phase * (schedule.resolution_log2 - 1)
    begin, table = 0.0, schedule.stages(total_kimg)
    for end, state in table:
        assert end > begin
        middle = schedule.at(math.floor((begin + end) / 2 * 1000))
        assert (state.stage, state.minibatch) == (middle.stage, middle.minibatch)
        assert state.resolution == middle.resolution
        begin = end
    assert begin == pytest.approx(total_kimg)
    stages = [state.stage for _, state in table]
    assert len(set(stages)) == len(stages)  # one row a stage


def test_the_stages_of_the_papers_run_are_these():
    table = [(end, s.resolution, s.alpha < 1) for end, s in Schedule(resolution_log2=4).stages(9e3)]
    assert table == [
        (600, 4, False),
        (1200, 8, True),
        (1800, 8, False),
        (2400, 16, True),
        (9000, 16, False),
    ]


@pytest.mark.parametrize(
    ("options", "kimg"),
    [
        ({}, 9600),  # eight stable phases of 600 and eight fades of 600
        ({"resolution_log2": 2}, 0),
        ({"resolution_log2": 3}, 1200),
        ({"resolution_log2": 5, "lod_training_kimg": 4, "lod_transition_kimg": 4}, 24),
        ({"resolution_log2": 5, "lod_initial_resolution": 16, "lod_transition_kimg": 0}, 600),
        ({"lod_initial_resolution": None}, 0),
        ({"lod_training_kimg": 0, "lod_transition_kimg": 0}, math.inf),
    ],
)
def test_growth_ends_with_the_last_fade(options, kimg):
    schedule = Schedule(**options)
    assert schedule.growth_kimg == kimg
    if 0 < kimg < math.inf:
        assert schedule.lod(kimg * 1000) == 0
        assert schedule.lod(kimg * 1000 - 1) > 0


@pytest.mark.parametrize(
    ("options", "total_kimg", "phases"),
    [
        ({}, 12000, (600, 600)),  # as the v2 presets at 1024x1024 are
        ({}, 1000, (50, 50)),
        ({}, 24000, (1200, 1200)),
        ({"lod_transition_kimg": 300}, 900, (60, 30)),
        (
            {"resolution_log2": 5, "lod_training_kimg": 4, "lod_transition_kimg": 4},
            10,
            (1.333,) * 2,
        ),
        ({"lod_transition_kimg": 0, "lod_initial_resolution": 256}, 1000, (400, 0)),
        ({"resolution_log2": 4, "lod_training_kimg": 0}, 1000, (0, 400)),
    ],
)
def test_a_fitted_schedule_has_grown_after_four_fifths_of_training(options, total_kimg, phases):
    schedule = Schedule(**options, lrate_rampup_kimg=40)
    fitted = schedule.fitted(total_kimg)
    assert (fitted.lod_training_kimg, fitted.lod_transition_kimg) == phases
    assert fitted.growth_kimg == pytest.approx(0.8 * total_kimg, abs=0.0005 * 16)
    assert fitted.lrate_rampup_kimg == pytest.approx(
        40 * 0.8 * total_kimg / schedule.growth_kimg, abs=0.0005
    )
    kept = {name: getattr(schedule, name) for name in PHASES}
    assert dataclasses.replace(fitted, **kept) == schedule
    assert all(round(getattr(fitted, name) * 1000, 6).is_integer() for name in PHASES)
    assert [end for end, _ in fitted.stages(total_kimg)][-1] == total_kimg
    assert fitted.at(round(total_kimg * 1000)).lod == 0


def test_the_table_of_a_fitted_schedule_is_this():
    fitted = Schedule(resolution_log2=4).fitted(100)
    table = [(end, state.resolution, state.alpha < 1) for end, state in fitted.stages(100)]
    assert table == [
        (20, 4, False),
        (40, 8, True),
        (60, 8, False),
        (80, 16, True),
        (100, 16, False),
    ]


@pytest.mark.parametrize(
    ("options", "total_kimg", "message"),
    [
        ({"lod_initial_resolution": None}, 1000, "needs images that grow.*resolution=None of 1024"),
        ({"resolution_log2": 2}, 1000, "needs images that grow.*lod_initial_resolution=4 of 4"),
        ({"lod_training_kimg": 0, "lod_transition_kimg": 0}, 1000, "needs images that grow"),
        ({}, 0.005, "`total_kimg` must leave each phase .* at least one image.*total_kimg=0.005"),
    ],
)
def test_a_schedule_that_cannot_be_fitted_is_refused(options, total_kimg, message):
    with pytest.raises(ValueError, match=message):
        Schedule(**options).fitted(total_kimg)


@pytest.mark.parametrize(
    ("kimg", "factor"), [(0, 0.0067379), (20, 0.2865048), (39.9, 0.9999688), (40, 1), (5000, 1)]
)
def test_learning_rates_ramp_up_once_at_the_start_of_the_run(kimg, factor):
    options = {"G_lrate_base": 0.002, "D_lrate_dict": {4: 0.004}, "resolution_log2": 4}
    state = Schedule(**options, lrate_rampup_kimg=40).at(round(kimg * 1000))
    whole = Schedule(**options).at(round(kimg * 1000))
    assert state.G_lrate == pytest.approx(0.002 * factor, rel=1e-5)
    assert state.D_lrate == pytest.approx(whole.D_lrate * factor, rel=1e-5)


def test_the_table_of_stages_has_whole_learning_rates():
    (_, first), *_ = Schedule(resolution_log2=4, lrate_rampup_kimg=40).stages(9e3)
    assert first.G_lrate == first.D_lrate == 0.001


def test_without_an_initial_resolution_there_is_no_growing():
    schedule = Schedule(resolution_log2=5, lod_initial_resolution=None)
    assert schedule.initial_resolution == 32
    assert {schedule.at(nimg).lod for nimg in (0, 700_000, 10**8)} == {0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lrate_rampup_kimg": -1}, "`lrate_rampup_kimg` must be at least 0.*-1"),
        ({"lod_initial_resolution": 2}, "power of two in 4 ... 1024.*=2"),
        ({"lod_initial_resolution": 48}, "power of two in 4 ... 1024.*=48"),
        ({"lod_initial_resolution": 64, "resolution_log2": 5}, "power of two in 4 ... 32.*=64"),
        ({"lod_training_kimg": -1}, "`lod_training_kimg` must be at least 0.*-1"),
        ({"lod_transition_kimg": -0.5}, "`lod_transition_kimg` must be at least 0.*-0.5"),
        ({"num_gpus": 0}, "`num_gpus` must be at least 1. Received: .*0"),
    ],
)
def test_impossible_schedules_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Schedule(**options)
