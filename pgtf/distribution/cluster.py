"""The machines of a job, as the environment variable TF_CONFIG lists them."""

from __future__ import annotations

import os
import re
from typing import TypedDict

from pgtf.foreign.json_files import SMALL_BYTES, parse_json
from pgtf.foreign.messages import shown
from pgtf.foreign.schema import read_as

ALL_REDUCE = ("auto", "nccl", "hierarchical", "one-device", "ring")  # values of --all_reduce


class _Task(TypedDict, total=False):
    type: str
    index: int | str  # Some launchers write "0".


class _TfConfig(TypedDict, total=False):
    """The fields of TF_CONFIG that are used here; there may be more."""

    cluster: dict[str, list[str]]
    task: _Task


def num_workers() -> int:
    """Returns the number of workers in TF_CONFIG; 0 without TF_CONFIG or a cluster in it.

    Raises:
        ValueError: if this process cannot be a worker of the cluster; names the reason.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        parsed = parse_json(text or "{}", "`TF_CONFIG`", max_bytes=SMALL_BYTES)
        found: _TfConfig = read_as(_TfConfig, parsed, "`TF_CONFIG`")
        cluster, task = found.get("cluster", {}), found.get("task", {})
        sizes = {role: _num_addresses(addresses) for role, addresses in cluster.items()}
        role, index = task.get("type"), int(task.get("index", -1))
    except ValueError:
        raise ValueError(
            '`TF_CONFIG` must be JSON such as {"cluster": {"worker": ["host:port", ...]}, '
            f'"task": {{"type": "worker", "index": 0}}}}. Received: {shown(text)}.'
        ) from None
    if not cluster:
        return 0
    if not sizes.keys() <= {"chief", "worker"}:
        raise ValueError(
            "`TF_CONFIG` must list tasks of the types chief and worker only. "
            f"Received: {', '.join(sizes)}."
        )
    if not 0 <= index < sizes.get(role or "", 0):
        raise ValueError(
            "`TF_CONFIG` must name a task of its cluster. "
            f"Received: type={role!r}, index={index}, cluster of {sizes}."
        )
    return sum(sizes.values())


def _num_addresses(addresses: list[str]) -> int:
    """Returns the length of a list of "host:port". Raises ValueError for anything else."""
    if not all(re.search(r".:\d+$", address) for address in addresses):
        raise ValueError
    return len(addresses)


def num_replicas(num_gpus: int | None, cpu_replicas: int) -> int:
    """Returns the number of replicas `make_strategy` would join, without touching a device."""
    return max(num_gpus or 0, cpu_replicas, 1) * max(num_workers(), 1)
