"""Curves, such as a run's metrics, as a PNG picture; needs matplotlib."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping

from pgtf import files
from pgtf.installation import command
from pgtf.metrics import records
from pgtf.metrics.measures import MEASURES

# Dark enough for lines on white, at a contrast of 3 or more, and told apart by the colour-blind.
COLOURS = ("#0072b2", "#d55e00", "#00805a", "#a3447f", "#4d4d4d", "#7a5c00")
MARKERS = ("o", "s", "^", "D", "v", "P")

Curves = dict[str, dict[float, float]]  # {label: {x: y}}


def plot(folder: str | os.PathLike[str], out: str | os.PathLike[str]) -> list[str]:
    """Draws every metric recorded in a run folder against thousands of images shown.

    Values that cannot be compared, because they differ in the numbers of images, the reals, their
    order, the seed or the mode, are separate curves. Of repeated measurements of a snapshot the
    last counts.

    Args:
        folder: run folder with metric-*.jsonl.
        out: PNG file to write.

    Returns:
        names of the metrics that were drawn.

    Raises:
        ValueError: nothing is recorded there, or matplotlib is missing.
    """
    recorded = all_curves(folder)
    if not recorded:
        raise ValueError(
            f"{folder}: no metric-*.jsonl of snapshots to draw. Measure the run first with "
            f"{command('metrics')} --run={folder}."
        )
    panels = {_title(name): found for name, found in recorded.items()}
    draw(panels, "thousands of images shown", out)
    return list(recorded)


def draw(
    panels: Mapping[str, Mapping[str, Mapping[float, float]]],
    xlabel: str,
    out: str | os.PathLike[str],
) -> None:
    """Draws curves in panels one below another.

    Args:
        panels: {title: {label of a curve: {x: y}}}.
        xlabel: label of the x axis.
        out: PNG file to write.

    Raises:
        ValueError: matplotlib is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ValueError("plots need the package matplotlib: pip install matplotlib.") from None
    figure = Figure(figsize=(8, 4.2 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(panels), 1, squeeze=False)
    for axes, (title, lines) in zip(grid[:, 0], panels.items(), strict=True):
        names, settings = _legend(list(lines))
        for i, (name, points) in enumerate(zip(names, lines.values(), strict=True)):
            x, y = zip(*sorted(points.items()), strict=True)
            style = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
            axes.plot(x, y, label=name, linewidth=2, markersize=6, **style)
        axes.set_title(title, fontsize=14)
        axes.set_xlabel(xlabel, fontsize=13)
        axes.set_ylabel(title.partition(" (")[0], fontsize=13)
        axes.tick_params(labelsize=12)
        axes.grid(alpha=0.4)
        axes.legend(fontsize=12, title=settings, title_fontsize=11)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    files.write_atomically(out, buffer.getvalue())


def _legend(labels: list[str]) -> tuple[list[str], str | None]:
    """Splits off the settings that all curves share: ["a (x)", "b (x)"] -> ["a", "b"], "x"."""
    parts = [label.partition(" (") for label in labels]
    rests = {rest for _, _, rest in parts}
    if len(rests) > 1 or rests == {""}:
        return labels, None
    return [name for name, _, _ in parts], rests.pop().removesuffix(")")


def all_curves(folder: str | os.PathLike[str]) -> dict[str, Curves]:
    """Reads all metrics recorded in a run folder: {metric: {label: {kimg: value}}}."""
    return {name: found for name in MEASURES if (found := curves(folder, name))}


def curves(folder: str | os.PathLike[str], metric: str) -> Curves:
    """Reads one metric: {label: {kimg: value}}. SWD has one curve per level and the average."""
    found: Curves = {}
    needed = {"kimg", "num_images", "reals", "seed", "values"}
    for record in records.load(folder, metric):
        if not needed <= record.keys() or record["kimg"] is None:
            continue  # The fakes were no snapshot, or the record is not ours.
        settings = f"{records.numbers(record)} of {record['reals']}, seed {record['seed']}"
        settings += f", {record['order']} order" if "order" in record else ""
        settings += f", {record['mode']}" if "mode" in record else ""
        for name, value in record["values"].items():
            if MEASURES[metric].is_plotted(name):
                found.setdefault(f"{name} ({settings})", {})[record["kimg"]] = value
    return found


def _title(metric: str) -> str:
    measure = MEASURES[metric]
    direction = f", {measure.better} is better" if measure.better else ""
    return f"{measure.title} ({metric}{direction})"
