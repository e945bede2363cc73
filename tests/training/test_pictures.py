"""The pictures of a run: which ticks leave them, and how many bytes they can take."""

import functools
import math
import types

import numpy as np
import PIL.Image
import pytest

from pgtf import images
from pgtf.config import PRESETS
from pgtf.interop import hdf5, save_snapshot
from pgtf.training import callbacks, pictures
from pgtf.training.state import TrainingState

MB = 10**6


def made(preset, num_channels=3):
    """A preset for its own resolution and RGB images."""
    config = PRESETS[preset]
    schedule = config.schedule
    return config.for_dataset(schedule.resolution_log2, num_channels, 0, schedule.num_gpus)


def ticks_of(config):
    """Ends of the ticks, (number, resolution, True for the last one), as short as they can be."""
    nimg, number, total = 0, 0, math.ceil(config.training.total_kimg * 1000)
    while nimg < total:
        nimg += round(config.schedule.at(nimg).tick_kimg * 1000)
        yield number, config.schedule.at(min(nimg, total) - 1).resolution, nimg >= total
        number += 1


def distinct_presets():
    """One preset of each schedule and length: 30 of LSUN differ in nothing else."""
    found = {}
    for name, config in PRESETS.items():
        key = (repr(config.schedule), config.training.total_kimg)
        found.setdefault(key, name)
    return sorted(found.values())


@functools.cache
def noise_bytes(zoom):
    """Bytes per value of the PNG file of a grid of noise, the most that a picture can hold."""
    zoom = min(zoom, 32)  # From there on it hardly falls.
    noise = np.random.default_rng(0).integers(0, 256, (6, 256 // zoom, 256 // zoom, 3), np.uint8)
    grid = images.image_grid(noise.repeat(zoom, 1).repeat(zoom, 2), (3, 2))
    return len(images.png_bytes(grid)) / grid.size


@pytest.mark.parametrize("preset", distinct_presets())
def test_all_pictures_and_events_of_every_preset_stay_within_its_budget(preset):
    config = made(preset)
    plan, full = pictures.plan(config), 2**config.schedule.resolution_log2
    columns, rows = images.snapshot_grid_size(config.training.image_grid, full)
    height, width, factor = pictures.preview_size((rows * full, columns * full, 3), full)
    num_values = columns * rows * full**2 * 3
    num_bytes, shown = num_values * noise_bytes(1), []  # reals.png
    ticks = list(ticks_of(config))
    # The start has pictures as well, but no number.
    for tick, resolution, is_end in [(1, config.schedule.initial_resolution, True), *ticks]:
        zoom = full // resolution
        if is_end or plan.has_grid(tick, resolution):
            num_bytes += num_values * noise_bytes(zoom)
            shown.append(resolution)
        if is_end or plan.has_preview(tick, resolution):
            num_bytes += height * width * 3 / factor**2 * noise_bytes(max(zoom // factor, 1))
        num_bytes += 1395  # 20 scalars
    assert (
        0.7 * plan.num_bytes < num_bytes < plan.num_bytes < config.training.picture_budget_mb * MB
    )
    assert set(shown) == {resolution for _, resolution, _ in ticks}
    assert shown.count(full) >= 12
    assert max(shown.count(resolution) for resolution in shown) <= 2 * shown.count(full)


def test_a_full_run_keeps_every_fifth_of_its_finest_pictures_and_every_other_one():
    plan = pictures.plan(made("v2-8gpus"))
    assert plan.grids == {2**i: 1 for i in range(2, 10)} | {1024: 5}
    assert plan.previews == {2**i: 1 for i in range(2, 11)}
    assert plan.num_bytes == pytest.approx(1850.96 * MB, rel=1e-3)
    gray = pictures.plan(made("v2-8gpus", num_channels=1))
    assert gray.grids == {2**i: 1 for i in range(2, 10)} | {1024: 2}


def test_intervals_are_multiples_of_image_snapshot_ticks_and_end_with_one_picture_each():
    config = made("v2-8gpus").replace({"training.image_snapshot_ticks": 3})
    assert pictures.plan(config).grids[1024] == 6
    budgets = [pictures.plan(config.replace({"training.picture_budget_mb": x})) for x in (1, 300)]
    assert all(every % 3 == 0 for plan in budgets for every in plan.grids.values())
    nums = pictures._num_ticks(config)
    assert all(every > nums[resolution] for resolution, every in budgets[0].grids.items())
    assert budgets[1].grids[1024] < 302 < budgets[0].grids[1024]


@pytest.mark.parametrize("num_channels", [1, 3])
@pytest.mark.parametrize(("columns", "rows", "resolution"), [(3, 2, 256), (8, 4, 32), (4, 4, 4)])
def test_no_file_of_noise_is_larger_than_its_limit(rng, num_channels, columns, rows, resolution):
    zoom = 1
    while resolution // zoom >= 4:
        shape = (columns * rows, resolution // zoom, resolution // zoom, num_channels)
        noise = rng.integers(0, 256, shape, np.uint8)
        grid = images.image_grid(noise.repeat(zoom, 1).repeat(zoom, 2), (columns, rows))
        limit = pictures.largest_png(grid.shape, zoom)
        assert len(images.png_bytes(grid)) < limit
        assert limit - 1000 <= 1.01 * grid.size
        zoom *= 2


@pytest.mark.parametrize(
    ("resolution", "shape", "factor"),
    [
        (8, (64, 64), 1),  # eight by eight images
        (64, (512, 512), 1),
        (128, (512, 512), 1),  # four by four
        (256, (512, 512), 2),
        (1024, (256, 384), 8),  # two by three, which are all
    ],
)
def test_a_preview_shows_the_upper_left_images_in_at_most_512_pixels(
    rng, resolution, shape, factor
):
    columns, rows = images.snapshot_grid_size("1080p", resolution)
    grid = rng.uniform(-1, 1, (rows * resolution, columns * resolution, 1)).astype(np.float32)
    found = pictures.preview(grid, (resolution, resolution))
    assert found.shape == (*shape, 1)
    assert found.dtype == np.float32
    height, width = (side * factor for side in shape)
    part = PIL.Image.fromarray(grid[:height, :width, 0])
    expected = np.asarray(part.resize(shape[::-1], PIL.Image.Resampling.BOX))
    np.testing.assert_allclose(found[..., 0], expected, rtol=0, atol=1e-5)


def test_the_demo_run_stays_below_20_mb(strategy, tmp_path):
    config = made("demo")
    ticks = list(ticks_of(config))
    state = TrainingState(config, strategy)
    hdf5.write_hdf5(tmp_path / "checkpoint.h5", *state.pack())
    save_snapshot(tmp_path / "snapshot.h5", state.G, state.D, state.Gs)
    checkpoint, snapshot = (
        (tmp_path / f"{x}.h5").stat().st_size for x in ("checkpoint", "snapshot")
    )
    num_snapshots = sum(final or tick % 100 == 0 for tick, _, final in ticks)
    assert (config.training.network_snapshot_ticks, num_snapshots) == (100, 2)
    largest = pictures.plan(config).num_bytes
    assert 2 * checkpoint + num_snapshots * snapshot + largest < 20 * MB
    grids = sum(pictures.plan(config).has_grid(tick, resolution) for tick, resolution, _ in ticks)
    assert grids >= 20  # frames of the film


@pytest.fixture
def grid(config, dataset, strategy, tmp_path):
    """A function: options of training -> (ImageGrid, state, images shown at each preview)."""

    def make(**training):
        changed = config.replace({f"training.{name}": value for name, value in training.items()})
        state, seen = TrainingState(changed, strategy), []
        tensorboard = types.SimpleNamespace(picture=lambda picture, nimg: seen.append(nimg))
        state.Gs.lod = 0.0
        action = callbacks.ImageGrid(tmp_path, dataset, state, changed, tensorboard)
        action.begin()
        return action, state, seen

    return make


def test_a_run_writes_the_pictures_that_are_planned_and_those_of_its_last_tick(grid, tmp_path):
    action, state, previews = grid(picture_budget_mb=1.0, total_kimg=3.0)
    plan = action._plan
    assert (plan.grids, plan.previews) == ({4: 1, 8: 7}, {4: 1, 8: 5})
    for tick in range(31):
        state.progress.cur_nimg = 1000 * (tick + 1)
        action(types.SimpleNamespace(tick=tick, resolution=8), state, final=tick == 30)
    written = sorted(int(path.stem[5:]) for path in tmp_path.glob("fakes*.png"))
    assert written == [0, *range(1, 31, 7), 31]  # kimg
    assert previews == [0, *range(1000, 31000, 5000), 31000]


def test_a_grid_has_the_pixels_that_the_original_release_gives_it(grid, tmp_path):
    action, state, _ = grid(image_grid="1080p")
    fakes = state.Gs.run(action._latents, action._labels)
    assert len(fakes) == 40  # one cell per image of the dataset, in a grid of 32 x 32
    with PIL.Image.open(tmp_path / "fakes000000.png") as file:
        found = np.asarray(file)
    assert found.shape == (256, 256, 3)
    expected = images.to_uint8(images.image_grid(fakes, (32, 32)))
    np.testing.assert_array_equal(found, expected)


def test_fewer_pictures_than_asked_for_are_announced(grid, caplog):
    with caplog.at_level("INFO", logger="absl"):
        grid(picture_budget_mb=1.0, total_kimg=3.0)
        assert "Image grids every 7 ticks at 8x8, because of training.picture_budget_mb=1" in (
            caplog.text
        )
        caplog.clear()
        grid(picture_budget_mb=2000)
    assert "Image grids" not in caplog.text
