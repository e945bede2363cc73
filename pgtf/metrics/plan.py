"""Metrics to compute, as text: swd:16k,fid:10k@every=10, or by their usual names: fid50k_full."""

from __future__ import annotations

import dataclasses
import difflib
import re
from typing import Literal

from pgtf.metrics.interface import Counts
from pgtf.metrics.measures import MEASURES

NumReals = int | Literal["all", "same"]

# A name with a number, without a colon, asks for as many reals, as the original release and later
# programs use it: fid-10k, fid50k, pr50k3. With _full all reals are used.
FIELD_NAMES = (
    *("swd16k", "msssim10k", "fid10k", "fid50k", "fid50k_full", "is50k"),
    *("kid50k", "kid50k_full", "pr50k3", "pr50k3_full", "modes10x25600"),
)
_ITEM = re.compile(
    r"(?P<name>[a-z]+(?:[-_][a-z]+)*?)"
    r"(?:(?:(?P<colon>:)|[-_])?(?:(?P<evaluations>\d+)x)?(?P<number>\d+)(?P<kilo>k?)(?P<suffix>\d*))?"
    r"(?P<full>[-_]?full)?"
)
_EVERY = re.compile(r"every=([1-9]\d*)")


@dataclasses.dataclass(frozen=True)
class Request:
    """One metric that was asked for."""

    name: str
    num_images: int | None = None  # fakes; None = the metric's default, or fewer if all are fewer
    num_reals: NumReals | None = None  # "same" = as many as fakes; None = the metric's default
    evaluations: int = 1

    def counts(self, num_reals: int | None, num_fakes: int | None) -> Counts:
        """Returns the numbers of images to use of sets of these sizes (None = any number).

        "same" means fewer reals than fakes if there are fewer.

        Raises:
            ValueError: a set is smaller than what was asked for or than the metric needs.
        """
        measure = MEASURES[self.name]
        images = self.num_images or measure.default_images
        if self.num_images is None:
            limits: list[NumReals | None] = [num_fakes]
            if measure.uses_reals and measure.default_reals == "same":
                limits += [num_reals, self.num_reals]
            images = min([images, *(limit for limit in limits if isinstance(limit, int))])
        if num_fakes is not None and images * self.evaluations > num_fakes:
            raise ValueError(
                f"`{self.name}` was asked for {images * self.evaluations} images, and there are "
                f"only {num_fakes}. Ask for less: {self.name}:{num_fakes}."
            )
        if images < measure.min_images:
            raise ValueError(
                f"`{self.name}` needs {measure.min_images} images or more. Received: {images}."
            )
        reals = self._reals(images, num_reals) if measure.uses_reals else 0
        return Counts(images, reals, self.evaluations)

    def _reals(self, images: int, available: int | None) -> int:
        measure = MEASURES[self.name]
        wanted = measure.default_reals if self.num_reals is None else self.num_reals
        if wanted == "all":
            most = [number for number in (available, measure.max_reals) if number is not None]
            number = min(most, default=images)
        elif wanted == "same":
            number = images if available is None else min(images, available)
        else:
            number = wanted
        if available is not None and number > available:
            raise ValueError(
                f"`num_reals` must be at most {available}, the number of reals there are, or all. "
                f"Received: num_reals={number}."
            )
        if number < measure.min_images:
            raise ValueError(
                f"`{self.name}` needs {measure.min_images} reals or more. Received: {number}."
            )
        return number


@dataclasses.dataclass(frozen=True)
class Plan:
    """Metrics to compute together, and how often during training."""

    requests: tuple[Request, ...]
    every: int = 1  # snapshots


def parse_plan(
    text: str, num_images: int | None = None, num_reals: int | Literal["all"] | None = None
) -> Plan:
    """Reads NAME[:[Rx]NUMBER[k]],...[@every=N]; capital letters do not matter.

    NUMBER counts fakes. A k is 1000 images, for SWD 1024: its 16k are the paper's 16,384.
    FIELD_NAMES are names without a colon that say how many reals are used as well.

    Args:
        text: "swd:16k,fid:10k@every=10".
        num_images: fakes for metrics without a number of their own; None = their defaults.
        num_reals: reals for all metrics that use them; None = their defaults.

    Raises:
        ValueError: names the part that is wrong.
    """
    items, at, options = text.partition("@")
    every = _EVERY.fullmatch(options)
    if at and every is None:
        raise ValueError(
            f"`metrics` must end in @every=N, N snapshots from 1. Received: @{options}."
        )
    requests = tuple(_parse_item(item.strip(), num_images, num_reals) for item in items.split(","))
    names = [request.name for request in requests]
    if len(set(names)) < len(names):
        raise ValueError(f"`metrics` must name each metric once. Received: {text}.")
    if num_reals is not None and not any(MEASURES[name].uses_reals for name in names):
        raise ValueError(f"{items} uses no reals. Received: num_reals={num_reals}. Drop it.")
    return Plan(requests, int(every[1]) if every else 1)


def _parse_item(item: str, num_images: int | None, num_reals: NumReals | None) -> Request:
    match = _ITEM.fullmatch(item.lower())
    known = [*MEASURES, *FIELD_NAMES]
    if match is None:
        near = difflib.get_close_matches(item.lower(), known, n=1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        raise ValueError(
            f"`metrics` must be like swd:16k,fid:10k or fid50k_full.{hint} Received: {item!r}. "
            f"Known: {', '.join(known)}."
        )
    name = _letters(match["name"])
    if name not in MEASURES:
        rest = item.lower()[match.end("name") :]
        raise ValueError(
            f"no metric `{item}`. Did you mean `{_nearest(name)}{rest}`? Known: {', '.join(known)}."
        )
    _check_item(item, name, match)
    if match["full"]:
        reals: NumReals | None = "all"
    elif match["number"] and not match["colon"]:
        reals = "same"
    else:
        reals = None
    if num_reals is not None and MEASURES[name].uses_reals:
        if match["full"] and num_reals != "all":
            raise ValueError(f"{item} uses all reals. Received: num_reals={num_reals}. Drop one.")
        reals = num_reals
    if match["number"] is None:
        return Request(name, num_images, reals)
    unit = MEASURES[name].images_per_k if match["kilo"] else 1
    return Request(name, int(match["number"]) * unit, reals, int(match["evaluations"] or 1))


def _letters(text: str) -> str:
    return re.sub("[^a-z]", "", text.lower())


def _nearest(name: str) -> str:
    """Finds the metric whose name or title is most like this one."""
    spelled = {_letters(measure.title): key for key, measure in MEASURES.items()}
    spelled |= {key: key for key in MEASURES}
    return spelled[difflib.get_close_matches(name, spelled, n=1, cutoff=0)[0]]


def _check_item(item: str, name: str, match: re.Match[str]) -> None:
    """Raises ValueError if the parts of an item do not fit its metric."""
    measure = MEASURES[name]
    if match["number"] is not None and 0 in (int(match["number"]), int(match["evaluations"] or 1)):
        raise ValueError(f"`metrics` must ask for one image or more. Received: {item}.")
    if match["suffix"] and match["suffix"] not in measure.name_suffixes:
        allowed = " or ".join(("nothing", *measure.name_suffixes))
        raise ValueError(
            f"{item}: after the k there may be {allowed}. Received: {match['suffix']}."
        )
    if match["evaluations"] and not measure.takes_evaluations:
        several = ", ".join(n for n, m in MEASURES.items() if m.takes_evaluations)
        raise ValueError(f"{item}: only {several} can be evaluated several times. Drop the x.")
    if match["full"] and not measure.uses_reals:
        raise ValueError(f"{item}: `{name}` uses no reals. Drop _full.")
