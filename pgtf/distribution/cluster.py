"""The machines of a job, as the environment variable TF_CONFIG lists them."""

from __future__ import annotations

import json
import os
import re
from typing import Any

ALL_REDUCE = ("auto", "nccl", "hierarchical", "one-device", "ring")  # values of --all_reduce


def num_workers() -> int:
    """Returns the number of workers in TF_CONFIG; 0 without TF_CONFIG or a cluster in it.

    Raises:
        ValueError: if this process cannot be a worker of the cluster; names the reason.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        parsed = json.loads(text or "{}")
        cluster, task = parsed.get("cluster", {}), parsed.get("task", {})
        sizes = {role: _num_addresses(addresses) for role, addresses in cluster.items()}
        role, index = task.get("type"), int(task.get("index", -1))
    except (AttributeError, TypeError, ValueError):
        raise ValueError(
            '`TF_CONFIG` must be JSON such as {"cluster": {"worker": ["host:port", ...]}, '
            f'"task": {{"type": "worker", "index": 0}}}}. Received: {text!r}.'
        ) from None
    if not cluster:
        return 0
    if not sizes.keys() <= {"chief", "worker"}:
        raise ValueError(
            "`TF_CONFIG` must list tasks of the types chief and worker only. "
            f"Received: {', '.join(sizes)}."
        )
    if not 0 <= index < sizes.get(role, 0):
        raise ValueError(
            "`TF_CONFIG` must name a task of its cluster. "
            f"Received: type={role!r}, index={index}, cluster of {sizes}."
        )
    return sum(sizes.values())


def _num_addresses(addresses: Any) -> int:
    """Returns the length of a list of "host:port". Raises ValueError for anything else."""
    if not isinstance(addresses, list) or not all(re.search(r".:\d+$", a) for a in addresses):
        raise ValueError
    return len(addresses)


def num_replicas(num_gpus: int | None, cpu_replicas: int) -> int:
    """Returns the number of replicas `make_strategy` would join, without touching a device."""
    return max(num_gpus or 0, cpu_replicas, 1) * max(num_workers(), 1)
