"""Line charts as SVG text, for pages that load nothing."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 34  # margins, pixels
MAX_POINTS = 400  # limit for one curve
NUM_TICKS = 5
COLOURS = ("#4f46e5", "#dc2626", "#059669", "#d97706", "#0891b2", "#9333ea")
OUTLIERS = 0.01  # share of values at either end that the scale may cut off

Point = tuple[float, float]


def line_chart(
    curves: Mapping[str, Iterable[Point]],
    x_label: str,
    bands: Sequence[tuple[float, float, str]] = (),
) -> str:
    """Draws curves as an <svg> element with a legend.

    Args:
        curves: {label: [(x, y), ...]}; points that are not finite are left out.
        x_label: name and unit of x.
        bands: [(begin, end, label)] along x, shaded in turn.
    """
    series = {label: _thinned(points) for label, points in curves.items()}
    xs = [x for points in series.values() for x, _ in points]
    if not xs:
        names = html.escape(", ".join(series))
        return f'<p class="note">{names}: no finite value.</p>'
    ys = sorted(y for points in series.values() for _, y in points)
    cut = int(len(ys) * OUTLIERS)
    x_axis = _Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    y_axis = _Axis(ys[cut], ys[-1 - cut], HEIGHT - BOTTOM, TOP)
    parts = [_band(x_axis, i, *band) for i, band in enumerate(bands)]
    parts += [_y_tick(y_axis, value) for value in y_axis.ticks]
    parts += [_x_tick(x_axis, value) for value in x_axis.ticks]
    for (label, points), colour in zip(series.items(), _colours(len(series)), strict=True):
        parts.append(_curve(points, x_axis, y_axis, colour, label))
    text = html.escape(x_label)
    parts.append(f'<text class="axis" x="{WIDTH - RIGHT}" y="{HEIGHT - 2}">{text}</text>')
    name = html.escape(", ".join(series))
    svg = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">{"".join(parts)}</svg>'
    )
    keys = (
        f'<span><i style="background:{colour}"></i>{html.escape(label)}</span>'
        for label, colour in zip(series, _colours(len(series)), strict=True)
    )
    return f'<figure>{svg}<figcaption class="legend">{"".join(keys)}</figcaption></figure>'


class _Axis:
    """Maps values onto pixels and chooses round ticks."""

    def __init__(self, low: float, high: float, begin: float, end: float) -> None:
        if high <= low:
            margin = max(0.5, 1e-9 * abs(low))  # 0.5 less is no other number beyond 2**53.
            low, high = low - margin, high + margin
        step = 10 ** math.floor(math.log10((high - low) / NUM_TICKS))
        step *= next(f for f in (1, 2, 5, 10) if (high - low) / (f * step) <= NUM_TICKS)
        first = math.ceil(low / step - 1e-9)
        self.ticks = [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]
        self._low, self._high, self._begin, self._end = low, high, begin, end

    def __call__(self, value: float) -> float:
        share = min(max((value - self._low) / (self._high - self._low), 0), 1)
        return round(self._begin + share * (self._end - self._begin), 1)


def _thinned(points: Iterable[Point]) -> list[Point]:
    """Sorts finite points by x; replaces neighbours by their means to leave at most MAX_POINTS."""
    finite = sorted((x, y) for x, y in points if math.isfinite(y))
    size = -(-len(finite) // MAX_POINTS)
    groups = (finite[i : i + size] for i in range(0, len(finite), size or 1))
    return [
        (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group))
        for group in groups
    ]


def _colours(num: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(num)]


def _curve(points: Sequence[Point], x_axis: _Axis, y_axis: _Axis, colour: str, label: str) -> str:
    places = [(x_axis(x), y_axis(y)) for x, y in points]
    line = " ".join(f"{x},{y}" for x, y in places)
    parts = [f'<polyline class="curve" stroke="{colour}" points="{line}"/>']
    for (x, y), (value, height) in zip(places, points, strict=True):
        tip = html.escape(f"{label}: {height:.4g} at {value:g}")
        parts.append(
            f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"><title>{tip}</title></circle>'
        )
    return "".join(parts)


def _band(x_axis: _Axis, index: int, begin: float, end: float, label: str) -> str:
    x, right = x_axis(begin), x_axis(end)
    width = round(right - x, 1)
    kind = "band odd" if index % 2 else "band"
    shape = (
        f'<rect class="{kind}" x="{x}" y="{TOP}" width="{width}" height="{HEIGHT - TOP - BOTTOM}"/>'
    )
    text = html.escape(label) if width > 6 * len(label) else ""
    return f'{shape}<text class="band" x="{round(x + width / 2, 1)}" y="{TOP + 12}">{text}</text>'


def _y_tick(axis: _Axis, value: float) -> str:
    y = axis(value)
    line = f'<line class="tick" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
    return f'{line}<text class="axis" x="{LEFT - 6}" y="{y + 4}">{value:g}</text>'


def _x_tick(axis: _Axis, value: float) -> str:
    return f'<text class="below" x="{axis(value)}" y="{HEIGHT - BOTTOM + 16}">{value:g}</text>'
