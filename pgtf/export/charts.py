"""Line charts as HTML and SVG text, for pages that load nothing.

The curves are an <svg> that is stretched to the width of the page. The text lies around it as HTML,
so that it has the size of the page's other text on every screen.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence

WIDTH, HEIGHT = 1000, 1000  # units of the stretched drawing
MAX_POINTS = 400  # limit for one curve
MAX_DOTS = 20  # Curves of so few points show them; others show the one below the pointer.
NUM_TICKS = 5
NUM_COLOURS = 6  # classes .c0 ... of the page's style
DASHES = ("none", "9 4", "2 4")  # so that curves differ by more than their colour
OUTLIERS = 0.01  # share of values at either end that the scale may cut off

Point = tuple[float, float]


def line_chart(
    curves: Mapping[str, Iterable[Point]],
    x_label: str,
    bands: Sequence[tuple[float, float, str]] = (),
) -> str:
    """Draws curves as a <figure> with a legend; style: the page's.

    Args:
        curves: {label: [(x, y), ...]}; points that are not finite are left out.
        x_label: name and unit of x.
        bands: [(begin, end, label)] along x, shaded in turn and named above the curves.
    """
    series = {label: _thinned(points) for label, points in curves.items()}
    xs = [x for points in series.values() for x, _ in points]
    name = html.escape(", ".join(series))
    if not xs:
        return f'<p class="note">{name}: no finite value.</p>'
    ys = sorted(y for points in series.values() for _, y in points)
    cut = int(len(ys) * OUTLIERS)
    x_axis = _Axis(min(xs), max(xs), 0, WIDTH)
    y_axis = _Axis(ys[cut], ys[-1 - cut], HEIGHT, 0)
    shapes = [_shade(x_axis, *band[:2]) for band in bands[1::2]]
    shapes += [_grid_line(y_axis(value)) for value in y_axis.ticks]
    shapes += [
        _curve(points, x_axis, y_axis, i, label) for i, (label, points) in enumerate(series.items())
    ]
    texts = [_y_text(y_axis, value) for value in y_axis.ticks]
    texts += [_x_text(x_axis, value) for value in x_axis.ticks]
    texts += [_band_text(x_axis, *band) for band in bands]
    keys = (
        f'<span><svg class="key" aria-hidden="true">{_line(i, "M0 6H24")}</svg>'
        f"{html.escape(label)}</span>"
        for i, label in enumerate(series)
    )
    return (
        f'<figure><div class="plot{" named" if bands else ""}">'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{name}">{"".join(shapes)}</svg>{"".join(texts)}</div>'
        f'<figcaption><span class="unit">{html.escape(x_label)}</span>{"".join(keys)}'
        "</figcaption></figure>"
    )


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


def _curve(points: Sequence[Point], x_axis: _Axis, y_axis: _Axis, number: int, label: str) -> str:
    places = [(x_axis(x), y_axis(y)) for x, y in points]
    parts = [_line(number, "M" + "L".join(f"{x:g} {y:g}" for x, y in places))]
    kind = "dot" if len(points) > MAX_DOTS else "dot shown"
    for (x, y), (value, height) in zip(places, points, strict=True):
        tip = html.escape(f"{label}: {height:.4g} at {value:g}")
        # A line without length has a round end of its width, which no stretching makes an ellipse.
        parts.append(f'<path class="{kind}" d="M{x:g} {y:g}h0"><title>{tip}</title></path>')
    return f'<g class="c{number % NUM_COLOURS}">{"".join(parts)}</g>'


def _line(number: int, path: str) -> str:
    dash = DASHES[number % len(DASHES)]
    return f'<path class="curve c{number % NUM_COLOURS}" stroke-dasharray="{dash}" d="{path}"/>'


def _shade(x_axis: _Axis, begin: float, end: float) -> str:
    x = x_axis(begin)
    return f'<rect class="shade" x="{x}" y="0" width="{x_axis(end) - x:g}" height="{HEIGHT}"/>'


def _grid_line(y: float) -> str:
    return f'<path class="tick" d="M0 {y:g}H{WIDTH}"/>'


def _band_text(x_axis: _Axis, begin: float, end: float, label: str) -> str:
    """Names a band above it. A name that is too long for its band is left out by the style."""
    left, right = _percent(x_axis(begin) / WIDTH), _percent(1 - x_axis(end) / WIDTH)
    text = html.escape(label)
    return (
        f'<span class="band" style="left:{left};right:{right}" title="{text}"><b>{text}</b></span>'
    )


def _y_text(axis: _Axis, value: float) -> str:
    return f'<span class="y" style="top:{_percent(axis(value) / HEIGHT)}">{value:g}</span>'


def _x_text(axis: _Axis, value: float) -> str:
    return f'<span class="x" style="left:{_percent(axis(value) / WIDTH)}">{value:g}</span>'


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"
