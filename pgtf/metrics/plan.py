"""Metrics to compute, as text: swd:16k,fid:10k@every=10."""

from __future__ import annotations

import dataclasses
import difflib
import re

from pgtf.metrics.measures import MEASURES

_ITEM = re.compile(r"(?P<name>[^:@]+)(?::(?P<number>\d+)(?P<kilo>k?))?")
_EVERY = re.compile(r"every=([1-9]\d*)")


@dataclasses.dataclass(frozen=True)
class Request:
    """One metric that was asked for."""

    name: str
    num_images: int | None = None  # None = the metric's default, or fewer if there are only fewer

    def images_for(self, *sizes: int | None) -> int:
        """Returns the number of images to use of sets of these sizes (None = any number).

        Raises:
            ValueError: a set is smaller than what was asked for or than the metric needs.
        """
        measure = MEASURES[self.name]
        most = min([size for size in sizes if size is not None], default=None)
        number = self.num_images or measure.default_images
        if self.num_images is None and most is not None:
            number = min(number, most)
        if most is not None and number > most:
            raise ValueError(
                f"`{self.name}` was asked for {number} images, and there are only {most}. "
                f"Ask for less: {self.name}:{most}."
            )
        if number < measure.min_images:
            raise ValueError(
                f"`{self.name}` needs {measure.min_images} images or more. Received: {number}."
            )
        return number


@dataclasses.dataclass(frozen=True)
class Plan:
    """Metrics to compute together, and how often during training."""

    requests: tuple[Request, ...]
    every: int = 1  # snapshots


def parse_plan(text: str, num_images: int | None = None) -> Plan:
    """Reads NAME[:NUMBER[k]],...[@every=N].

    A k is 1000 images, for SWD 1024: its 16k are the paper's 16,384.

    Args:
        text: "swd:16k,fid:10k@every=10".
        num_images: number for metrics without one of their own; None = their defaults.

    Raises:
        ValueError: names the part that is wrong.
    """
    items, at, options = text.partition("@")
    every = _EVERY.fullmatch(options)
    if at and every is None:
        raise ValueError(
            f"`metrics` must end in @every=N, N snapshots from 1. Received: @{options}."
        )
    requests = tuple(_parse_item(item.strip(), num_images) for item in items.split(","))
    names = [request.name for request in requests]
    if len(set(names)) < len(names):
        raise ValueError(f"`metrics` must name each metric once. Received: {text}.")
    return Plan(requests, int(every[1]) if every else 1)


def _parse_item(item: str, num_images: int | None) -> Request:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise ValueError(f"`metrics` must be like swd:16k,fid:10k. Received: {item!r}.")
    name = match["name"]
    if name not in MEASURES:
        near = difflib.get_close_matches(name, MEASURES, n=1, cutoff=0)[0]
        raise ValueError(
            f"no metric `{name}`. Did you mean `{near}`? Known: {', '.join(MEASURES)}."
        )
    if match["number"] is None:
        return Request(name, num_images)
    if int(match["number"]) == 0:
        raise ValueError(f"`metrics` must ask for one image or more. Received: {item}.")
    unit = MEASURES[name].images_per_k if match["kilo"] else 1
    return Request(name, int(match["number"]) * unit)
