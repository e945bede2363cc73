"""The training loop: plan, step, tick, until all images are shown. Paper, App. A.1."""

import dataclasses
import math
import time

import tensorflow as tf
from absl import logging

from pgtf.training import actions, plan
from pgtf.training.interrupt import Interrupt
from pgtf.training.run_folder import CHECKPOINT_FOLDER, FINISHED_FILE
from pgtf.training.state import TrainingState, checkpoints
from pgtf.training.stepper import STATISTICS, Stepper


class Diverged(RuntimeError):
    """Too many updates in a row were skipped because a gradient was not finite."""


def run(config, dataset, strategy, folder, *, start=None, more_actions=(), checkpoint_sec=600.0):
    """Trains until `total_kimg`, continuing from the newest checkpoint in the run folder.

    Args:
        config: the whole configuration, fitted to dataset and replicas, and checked.
        dataset: pgtf.dataset.Dataset.
        strategy: tf.distribute strategy.
        folder: run folder.
        start: (G, D, Gs, nimg) to begin a new run with, or None.
        more_actions: called as action(tick, state, final) at the end of each tick.
        checkpoint_sec: seconds between checkpoints: the most work that a crash can cost.

    Returns:
        None when all images have been shown, or the number of the signal (SIGINT, SIGTERM) that
        ended the run early; a checkpoint has been written then.

    Raises:
        Diverged: after `max_skipped` iterations in a row without a finite gradient.
        MemoryError: when a stage does not fit into the memory of the device.
    """
    state = TrainingState(config, strategy)
    if not _restore(state, folder) and start is not None:
        state.adopt(*start)
    progress, total_nimg = state.progress, math.ceil(config.training.total_kimg * 1000)
    _set_lod(state, config.schedule.at(progress.cur_nimg))
    stepper = Stepper(state, config, dataset, strategy)
    on_tick = [*_standard_actions(folder, dataset, state, config), *more_actions]
    saved = ticked = time.monotonic()
    logging.info("Training to %g kimg in %s", config.training.total_kimg, folder)
    with Interrupt() as interrupt:
        while progress.cur_nimg < total_nimg and interrupt.signum is None:
            now = _step(state, stepper, config)
            final = progress.cur_nimg >= total_nimg
            if final or progress.cur_nimg >= progress.tick_start_nimg + now.tick_kimg * 1000:
                tick = _finish_tick(progress, now, time.monotonic() - ticked, total_nimg)
                for action in on_tick:
                    action(tick, state, final)
                ticked = time.monotonic()
            if final or interrupt.signum or time.monotonic() - saved > checkpoint_sec:
                state.save(folder / CHECKPOINT_FOLDER, config.to_json())
                saved = time.monotonic()
    if progress.cur_nimg < total_nimg:
        return interrupt.signum
    (folder / FINISHED_FILE).touch()
    logging.info("Finished %s", folder)
    return None


def check(config):
    """Raises ValueError unless every stage's minibatch fits the replicas and D's groups."""
    schedule, group = config.schedule, config.D.mbstd_group_size
    resolution = schedule.lod_initial_resolution
    while resolution <= 2**schedule.resolution_log2:
        asked = schedule.minibatch_dict.get(resolution, schedule.minibatch_base)
        # Deviation: the original rounds down silently, and then trains with another minibatch.
        if asked % schedule.num_gpus or asked < 1:
            raise ValueError(
                "`minibatch` must be a multiple of the replica count. Received: "
                f"minibatch={asked} at {resolution}x{resolution}, replicas={schedule.num_gpus}."
            )
        per_replica = schedule.minibatch(resolution) // schedule.num_gpus
        if group > 1 and per_replica > group and per_replica % group:
            raise ValueError(
                "`minibatch` of a replica must be a multiple of `mbstd_group_size`, or smaller. "
                f"Received: {per_replica} at {resolution}x{resolution}, mbstd_group_size={group}."
            )
        resolution *= 2


def _restore(state, folder):
    """Restores the newest intact checkpoint; False if there is none."""
    for path in checkpoints(folder / CHECKPOINT_FOLDER):
        try:
            state.restore(path)
        except ValueError as error:
            logging.warning("%s Trying the checkpoint before.", error)
            continue
        logging.info("Resuming from %s", path)
        return True
    return False


def _standard_actions(folder, dataset, state, config):
    tensorboard = actions.TensorBoard(folder)
    return [
        actions.StatusLine(),
        actions.StatsFile(folder, state.progress.cur_nimg),
        tensorboard,
        actions.ImageGrid(folder, dataset, state, config, tensorboard),
        actions.Snapshot(folder, config),
    ]


def _step(state, stepper, config):
    """Runs the next call: -> the ScheduleState of its last iteration."""
    progress, started = state.progress, time.monotonic()
    call = plan.next_call(
        config.schedule, config.training, progress.cur_nimg, progress.tick_start_nimg
    )
    _enter(state, config.schedule.at(progress.cur_nimg), config.training)
    try:
        rows = stepper.run(call)
    except tf.errors.ResourceExhaustedError as error:
        size, minibatch = call.now.resolution, call.now.minibatch // config.schedule.num_gpus
        raise MemoryError(
            f"out of memory at {size}x{size} with a minibatch of {minibatch} per device. "
            f"Lower it with --config.schedule.max_minibatch_per_gpu={size}:{minibatch // 2} "
            "(--allow_config_change continues this run)."
        ) from error
    _count(progress, rows, call)
    progress.train_sec += time.monotonic() - started
    _set_lod(state, call.now)
    if progress.skipped_in_row >= config.training.max_skipped:
        raise Diverged(
            f"no finite gradient in {progress.skipped_in_row} iterations in a row, up to "
            f"{progress.cur_nimg / 1000:g} kimg at {call.now.resolution}x{call.now.resolution} "
            f"(lod {call.now.lod:g}). Lower the learning rate, or look for damaged images."
        )
    return call.now


def _enter(state, now, training):
    """Resets Adam when a fade begins or ends."""
    if state.progress.stage != now.stage and training.reset_opt_for_new_lod:
        state.G_opt.reset()
        state.D_opt.reset()
    state.progress.stage = now.stage


def _set_lod(state, now):
    for network in state.networks().values():
        network.lod = now.lod


def _count(progress, rows, call):
    """Adds the statistics of a call, iteration by iteration, so that calls may be cut anywhere."""
    for row in rows:
        statistics = dict(zip(STATISTICS, map(float, row), strict=True))
        skipped = round(statistics.pop("skipped"))
        progress.num_skipped += skipped
        progress.skipped_in_row = progress.skipped_in_row + 1 if skipped else 0
        if all(map(math.isfinite, statistics.values())):
            progress.num_rows += 1
            for name, value in statistics.items():
                progress.sums[name] = progress.sums.get(name, 0.0) + value
    progress.cur_nimg = call.end_nimg


def _finish_tick(progress, now, sec_per_tick, total_nimg):
    """Closes the tick in `progress`: -> actions.Tick."""
    num_nimg = progress.cur_nimg - progress.tick_start_nimg
    sec_per_kimg = sec_per_tick / num_nimg * 1000
    means = {k: progress.sums.get(k, math.nan) / max(progress.num_rows, 1) for k in STATISTICS[:-1]}
    fields = {f.name for f in dataclasses.fields(now)} & {
        f.name for f in dataclasses.fields(actions.Tick)
    }
    tick = actions.Tick(
        tick=progress.tick,
        kimg=progress.cur_nimg / 1000,
        alpha=now.alpha,
        **{name: getattr(now, name) for name in fields},
        **means,
        skipped_updates=progress.num_skipped,
        sec_per_kimg=sec_per_kimg,
        sec_per_tick=sec_per_tick,
        train_hours=progress.train_sec / 3600,
        eta_hours=max(total_nimg - progress.cur_nimg, 0) / 1000 * sec_per_kimg / 3600,
        peak_gib=actions.peak_gib(),
    )
    progress.tick += 1
    progress.tick_start_nimg = progress.cur_nimg
    progress.sums, progress.num_rows = {}, 0
    return tick
