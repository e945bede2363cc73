"""The training loop: plan, step, tick, until all images are shown. Paper, App. A.1."""

import dataclasses
import math
import time

from absl import logging

from pgtf.networks import check_splits
from pgtf.training import actions, memory, plan, run_folder
from pgtf.training.checkpoints import Checkpoints
from pgtf.training.identity import Source
from pgtf.training.initialization import initialize_discrimination
from pgtf.training.interrupt import Interrupt
from pgtf.training.profiler import profiled
from pgtf.training.state import TrainingState
from pgtf.training.stepper import STATISTICS, Stepper
from pgtf.training.workers import Workers

MAX_ROLLBACKS = 3  # to one checkpoint
ROLLBACK_SEEDS = 1_000_003  # distance of the seeds before and after; no likely seed of another run


class Diverged(RuntimeError):
    """Too many updates in a row were skipped because a gradient was not finite."""


def run(
    config,
    dataset,
    strategy,
    folder,
    *,
    start=None,
    more_actions=(),
    checkpoint_sec=600.0,
    allow_config_change=False,
    on_divergence="stop",
    profile_steps=0,
):
    """Trains until `total_kimg`, continuing from the newest checkpoint in the run folder.

    With several workers each of them calls it; only the chief touches the run folder.

    Args:
        config: the whole configuration, fitted to dataset and replicas, and checked.
        dataset: pgtf.dataset.Dataset.
        strategy: tf.distribute strategy.
        folder: run folder.
        start: (G, D, Gs, nimg) to begin a new run with, or None.
        more_actions: called as action(tick, state, final) at the end of each tick, by the chief.
        checkpoint_sec: seconds between checkpoints: the most work that a crash can cost.
        allow_config_change: whether to continue from a checkpoint of another configuration.
        on_divergence: "stop", or "rollback" to the newest checkpoint and go on with other draws.
        profile_steps: iterations to record as a TensorBoard trace in the run folder.

    Returns:
        None when all images have been shown, or the number of the signal (SIGINT, SIGTERM) that
        ended the run early; a checkpoint has been written then.

    Raises:
        Diverged: after `max_skipped` iterations in a row without a finite gradient, unless a
            rollback helps.
        MemoryError: when a stage does not fit into the memory of the device.
        OSError: when a file cannot be written; all written before are whole.
        ValueError: when there are checkpoints, but none can be used.
    """
    workers = Workers(strategy)
    with Interrupt(workers) as interrupt:
        state = TrainingState(config, strategy)
        source = Source.of(dataset)
        checkpoints = Checkpoints(
            folder / run_folder.CHECKPOINT_FOLDER, config, source, workers, allow_config_change
        )
        if not checkpoints.restore(state):
            if start is not None:
                state.adopt(*start)
            else:
                initialize_discrimination(state.D, config, dataset)
            checkpoints.save(state)  # at once, so that a disk too small for it shows now
        if workers.is_chief:
            run_folder.accept(folder, config, source)
        logging.info("Training to %g kimg in %s", config.training.total_kimg, folder)
        while True:
            _set_lod(state, config.schedule.at(state.progress.cur_nimg))
            stepper = _make_stepper(state, config, dataset, strategy)
            on_tick = []
            if workers.is_chief:
                on_tick = [*_standard_actions(folder, dataset, state, config), *more_actions]
            try:
                with profiled(stepper, folder, profile_steps if workers.is_chief else 0) as steps:
                    _train(state, steps, config, on_tick, checkpoints, interrupt, checkpoint_sec)
                break
            except Diverged as error:
                if on_divergence != "rollback":
                    remedy = "continue with other draws: --on_divergence=rollback."
                    raise Diverged(f"{error} Or {remedy}") from None
                _roll_back(error, state, checkpoints)
        workers.total([0])  # waits for the chief: what starts workers may end all with the first
    if state.progress.cur_nimg < _total_nimg(config):
        return interrupt.signum
    if workers.is_chief:
        run_folder.mark_finished(folder)
    logging.info("Finished %s", folder)
    return None


def check(config):
    """Raises ValueError unless the parts fit each other, and each minibatch replicas and groups."""
    schedule, parts = config.schedule, config.schedule.grad_accumulation
    resolution = schedule.initial_resolution
    if config.training.update_order == "simultaneous" and config.training.D_repeats > 1:
        raise ValueError(
            "`D_repeats` must be 1 where `update_order` is simultaneous. "
            f"Received: D_repeats={config.training.D_repeats}."
        )
    _check_networks(config)
    while resolution <= 2**schedule.resolution_log2:
        asked = schedule.minibatch_dict.get(resolution, schedule.minibatch_base)
        # Deviation: the original rounds down silently, and then trains with another minibatch.
        if asked % schedule.num_gpus or asked < 1:
            raise ValueError(
                "`minibatch` must be a multiple of the replica count. Received: "
                f"minibatch={asked} at {resolution}x{resolution}, replicas={schedule.num_gpus}."
            )
        per_replica = schedule.minibatch(resolution) // schedule.num_gpus
        if per_replica % parts:
            raise ValueError(
                "`minibatch` of a replica must be a multiple of `grad_accumulation`. "
                f"Received: {per_replica} at {resolution}x{resolution}, grad_accumulation={parts}."
            )
        group = config.D.group_of(per_replica // parts)
        if per_replica // parts % group:
            raise ValueError(
                "`minibatch` of a replica, divided by `grad_accumulation`, must be a multiple of "
                f"`mbstd_group_size`, or smaller. Received: {per_replica // parts} at "
                f"{resolution}x{resolution}, mbstd_group_size={group}."
            )
        resolution *= 2


def _check_networks(config):
    """Raises what making the networks would, before there is a run folder."""
    resolution = config.schedule.initial_resolution
    for name, network in (("G", config.G), ("D", config.D)):
        if not network.progressive and resolution < network.resolution:
            raise ValueError(
                "`lod_initial_resolution` must be none for networks that are not `progressive`. "
                f"Received: lod_initial_resolution={resolution}."
            )
        if network.fewest_fmaps < 1:
            raise ValueError(
                f"`{name}.fmap_base` must leave feature maps at {network.resolution}x"
                f"{network.resolution}. Received: fmap_base={network.fmap_base}."
            )
    if config.D.mbstat_avg == "group":
        check_splits(config.D.nf(1), config.D.mbstat_num_splits)


def _train(state, stepper, config, on_tick, checkpoints, interrupt, checkpoint_sec):
    """Runs calls, ticks and checkpoints until the last image or a signal."""
    saved, ticked = time.monotonic(), time.monotonic()
    while state.progress.cur_nimg < _total_nimg(config) and interrupt.signum is None:
        now = _step(state, stepper, config)
        interrupt.agree()
        final = state.progress.cur_nimg >= _total_nimg(config)
        if final or _tick_is_over(state.progress, now):
            tick = _finish_tick(state.progress, now, time.monotonic() - ticked, config)
            for action in on_tick:
                action(tick, state, final)
            ticked = time.monotonic()
        growing = config.schedule.at(state.progress.cur_nimg).resolution != now.resolution
        late = time.monotonic() - saved > checkpoint_sec
        if final or interrupt.signum or growing or late and not state.progress.skipped_in_row:
            checkpoints.save(state)
            saved = time.monotonic()


def _total_nimg(config):
    return math.ceil(config.training.total_kimg * 1000)


def _make_stepper(state, config, dataset, strategy):
    """A Stepper that draws anew after every rollback: the same draws would end the same way."""
    seed = config.training.seed + ROLLBACK_SEEDS * state.progress.num_rollbacks
    return Stepper(state, config.replace({"training.seed": seed}), dataset, strategy)


def _roll_back(error, state, checkpoints):
    """Goes back to the newest healthy checkpoint; raises Diverged if there is none to be tried."""
    num_rollbacks = state.progress.num_rollbacks + 1
    if not checkpoints.restore(state, healthy=True):
        raise Diverged(f"{error} There is no healthy checkpoint to go back to.") from None
    if num_rollbacks > state.progress.num_rollbacks + MAX_ROLLBACKS:
        raise Diverged(f"{error} {MAX_ROLLBACKS} rollbacks did not help.") from None
    state.progress.num_rollbacks = num_rollbacks
    logging.warning("Diverged: %s Rollback %d, with other draws.", error, num_rollbacks)


def _standard_actions(folder, dataset, state, config):
    tensorboard = actions.TensorBoard(folder)
    return [
        actions.StatusLine(),
        actions.StatsFile(folder, state.progress.cur_nimg),
        tensorboard,
        actions.ImageGrid(folder, dataset, state, config, tensorboard),
        actions.Snapshot(folder, dataset, config),
    ]


def _step(state, stepper, config):
    """Runs the next call: -> the ScheduleState of its last iteration."""
    progress, started = state.progress, time.monotonic()
    call = plan.next_call(
        config.schedule, config.training, progress.cur_nimg, progress.tick_start_nimg
    )
    _enter(state, config.schedule.at(progress.cur_nimg), config.training)
    rows = stepper.run(call)
    _count(progress, rows, call)
    progress.train_sec += time.monotonic() - started
    _set_lod(state, call.now)
    if progress.skipped_in_row >= config.training.max_skipped:
        last = ", ".join(f"{k} {v:g}" for k, v in zip(STATISTICS[:-1], rows[-1], strict=False))
        raise Diverged(
            f"no finite gradient in {progress.skipped_in_row} iterations in a row, up to "
            f"{progress.cur_nimg / 1000:g} kimg at {call.now.resolution}x{call.now.resolution} "
            f"(lod {call.now.lod:g}); the last iteration had {last}. Lower the learning rate."
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


def _tick_is_over(progress, now):
    return progress.cur_nimg >= progress.tick_start_nimg + now.tick_kimg * 1000


def _finish_tick(progress, now, sec_per_tick, config):
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
        eta_hours=max(_total_nimg(config) - progress.cur_nimg, 0) / 1000 * sec_per_kimg / 3600,
        peak_gib=memory.peak_gib(),
    )
    progress.tick += 1
    progress.tick_start_nimg = progress.cur_nimg
    progress.sums, progress.num_rows = {}, 0
    return tick
