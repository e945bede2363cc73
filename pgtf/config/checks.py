"""Checks of one part of a configuration against another."""

from __future__ import annotations

from pgtf.training.config import RunConfig


def check(config: RunConfig) -> None:
    """Raises ValueError unless the parts fit each other, the replicas and D's groups.

    Args:
        config: made for a dataset and a number of replicas: `Config.for_dataset`.
    """
    if config.training.update_order == "simultaneous" and config.training.D_repeats > 1:
        raise ValueError(
            "`D_repeats` must be 1 where `update_order` is simultaneous. "
            f"Received: D_repeats={config.training.D_repeats}."
        )
    _check_networks(config)
    resolution = config.schedule.initial_resolution
    while resolution <= 2**config.schedule.resolution_log2:
        _check_minibatch(config, resolution)
        resolution *= 2


def _check_networks(config: RunConfig) -> None:
    """Raises the errors of building the networks before a run folder is created."""
    resolution = config.schedule.initial_resolution
    for name, network in (("G", config.G), ("D", config.D)):
        if not network.progressive and resolution < network.resolution:
            raise ValueError(
                "`lod_initial_resolution` must be none for networks that are not `progressive`. "
                f"Received: lod_initial_resolution={resolution}."
            )
        if network.fewest_fmaps < 1:
            raise ValueError(
                f"`{name}.fmap_base` must leave feature maps at "
                f"{network.base.size_text(network.resolution)}. "
                f"Received: fmap_base={network.fmap_base}."
            )
    config.D.check_splits()


def _check_minibatch(config: RunConfig, resolution: int) -> None:
    """Raises ValueError unless the minibatch can be divided by replicas, parts and groups."""
    schedule, parts = config.schedule, config.schedule.grad_accumulation
    size = config.G.base.size_text(resolution)
    asked = schedule.minibatch_dict.get(resolution, schedule.minibatch_base)
    # Deviation: the original rounds down silently, and then trains with another minibatch.
    if asked % schedule.num_gpus or asked < 1:
        raise ValueError(
            "`minibatch` must be a multiple of the replica count. Received: "
            f"minibatch={asked} at {size}, replicas={schedule.num_gpus}."
        )
    per_replica = schedule.minibatch(resolution) // schedule.num_gpus
    if per_replica % parts:
        raise ValueError(
            "`minibatch` of a replica must be a multiple of `grad_accumulation`. "
            f"Received: {per_replica} at {size}, grad_accumulation={parts}."
        )
    group = config.D.group_of(per_replica // parts)
    if per_replica // parts % group:
        raise ValueError(
            "`minibatch` of a replica, divided by `grad_accumulation`, must be a multiple of "
            f"`mbstd_group_size`, or smaller. Received: {per_replica // parts} at "
            f"{size}, mbstd_group_size={group}."
        )
