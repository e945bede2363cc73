"""What to measure, as text: swd:16k,fid:10k@every=10."""

import dataclasses
import difflib
import re

# Images of each set when none are asked for, and the fewest a metric is defined for.
DEFAULT_IMAGES = {
    "swd": 16384,  # paper, Section 5
    "msssim": 20000,  # 10,000 pairs: paper, Section 5
    "fid": 50000,  # Heusel et al. 2017
    "is": 50000,  # Salimans et al. 2016
    "kid": 10000,
    "pr": 50000,  # Kynkaanniemi et al. 2019
    "modes": 25600,  # paper, App. D
}
MIN_IMAGES = {"swd": 1, "msssim": 2, "fid": 2, "is": 10, "kid": 2, "pr": 4, "modes": 1}
_ITEM = re.compile(r"(?P<name>[^:@]+)(?::(?P<number>\d+)(?P<kilo>k?))?")
_EVERY = re.compile(r"every=([1-9]\d*)")


@dataclasses.dataclass(frozen=True)
class Request:
    """One metric that was asked for."""

    name: str
    num_images: int | None = None  # None = DEFAULT_IMAGES, or all there are if that is less

    def fitted(self, *available):
        """A copy with a definite number, given the sizes of both sets (None = any number).

        Raises:
            ValueError: a set is smaller than what was asked for or than the metric needs.
        """
        most = min([number for number in available if number is not None], default=None)
        number = self.num_images or DEFAULT_IMAGES[self.name]
        if self.num_images is None and most is not None:
            number = min(number, most)
        if most is not None and number > most:
            raise ValueError(
                f"`{self.name}` was asked for {number} images, and there are only {most}. "
                f"Ask for less: {self.name}:{most}."
            )
        if number < MIN_IMAGES[self.name]:
            raise ValueError(
                f"`{self.name}` needs {MIN_IMAGES[self.name]} images or more. Received: {number}."
            )
        return dataclasses.replace(self, num_images=number)


@dataclasses.dataclass(frozen=True)
class Plan:
    """Metrics to compute together, and how often during training."""

    requests: tuple[Request, ...]
    every: int = 1  # snapshots


def parse_plan(text, num_images=None):
    """Reads NAME[:NUMBER[k]],...[@every=N].

    A k is 1000 images, for SWD 1024: its 16k are the paper's 16,384.

    Args:
        text: "swd:16k,fid:10k@every=10".
        num_images: for metrics without a number of their own; None = their defaults.

    Raises:
        ValueError: names the part that is wrong.
    """
    items, at, options = text.partition("@")
    every = _EVERY.fullmatch(options) if at else None
    if at and every is None:
        raise ValueError(
            f"`metrics` must end in @every=N, N snapshots from 1. Received: @{options}."
        )
    requests = tuple(_parse_item(item.strip(), num_images) for item in items.split(","))
    names = [request.name for request in requests]
    if len(set(names)) < len(names):
        raise ValueError(f"`metrics` must name each metric once. Received: {text}.")
    return Plan(requests, int(every[1]) if every else 1)


def _parse_item(item, num_images):
    match = _ITEM.fullmatch(item)
    if match is None:
        raise ValueError(f"`metrics` must be like swd:16k,fid:10k. Received: {item!r}.")
    name = match["name"]
    if name not in DEFAULT_IMAGES:
        near = difflib.get_close_matches(name, DEFAULT_IMAGES, n=1, cutoff=0)[0]
        raise ValueError(
            f"no metric `{name}`. Did you mean `{near}`? Known: {', '.join(DEFAULT_IMAGES)}."
        )
    if match["number"] is None:
        return Request(name, num_images)
    unit = 1 if not match["kilo"] else 1024 if name == "swd" else 1000
    if int(match["number"]) == 0:
        raise ValueError(f"`metrics` must ask for one image or more. Received: {item}.")
    return Request(name, int(match["number"]) * unit)
