"""One self-contained HTML page about a training run: it loads nothing and needs no server."""

from __future__ import annotations

import base64
import html
import io
import os
import string
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from pgtf import files, images
from pgtf.export.charts import line_chart
from pgtf.export.timelapse import Moment, upper_left
from pgtf.foreign.terminal import several_lines
from pgtf.grids import SQUARE_GRID, Grid
from pgtf.installation import spelled
from pgtf.wording import counted, duration

TEMPLATE = Path(__file__).with_name("report.html")
MAX_GRIDS = 30  # grids in the page, spread over the run
MAX_SIZE = (640, 384)  # pixels of the upper left part of a grid that the page shows
LOSSES = {"G_loss": "G loss", "D_loss": "D loss"}
# Curves of runs on small datasets.
SIGNALS = {
    "aug_signal": "overfitting",
    "aug_signal_mean": "overfitting, mean of an interval",
    "aug_p": "probability of augmentations",
    "fakes_ms_ssim": "MS-SSIM between fakes",
}
HELD_OUT = {"held_out_swd": "SWD x 10^3 to held-out images"}
SCORES = {"real_scores": "D(real)", "fake_scores": "D(fake)", "mixed_norms": "gradient norm"}

Stats = Sequence[Mapping[str, Any]]  # lines of stats.jsonl
Metrics = Mapping[str, Mapping[str, Mapping[float, float]]]  # {metric: {label: {kimg: value}}}


def write_report(
    path: str | os.PathLike[str],
    title: str,
    subtitle: str,
    *,
    moments: Sequence[Moment],
    stats: Stats,
    metrics: Metrics,
    stages: Sequence[Sequence[Any]],
    neighbours: np.ndarray | str,
    config: Mapping[str, Mapping[str, Any]],
    grid: Grid = SQUARE_GRID,
) -> None:
    """Writes the page, whole or not at all.

    Args:
        path: file to write.
        title: name of the run.
        subtitle: a sentence below it.
        moments: result of `timelapse.moments`.
        stats: lines of stats.jsonl, at least one.
        metrics: values by metric, curve and kimg.
        stages: rows of the stage table, numbers and text; the first row holds the titles.
        neighbours: uint8 [H, W, C], fakes above the training images closest to them, or a
            sentence that says why there is none.
        config: {group: {field: value}}.
        grid: size of the smallest images.
    """
    sections = [
        _summary(stats, metrics, grid),
        _section("Images over time", _player(moments)),
        _section("Training", _training_charts(stats)),
        *_small_data(stats),
        _section("Metrics", _metric_charts(metrics)),
        _section("Nearest neighbours in the training set", _neighbours(neighbours)),
        _section("Stages", _table("Stages", stages[0], stages[1:])),
        _section("Configuration", _configuration(config)),
    ]
    page = string.Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=html.escape(title), subtitle=html.escape(subtitle), sections="\n".join(sections)
    )
    # Names of others commands no terminal in which somebody looks at the page's source.
    files.write_atomically(path, several_lines(page).encode())


def _section(title: str, content: str) -> str:
    return f"<section><h2>{html.escape(title)}</h2>{content}</section>"


def _summary(stats: Stats, metrics: Metrics, grid: Grid) -> str:
    last = stats[-1]
    facts = {
        "images shown": f"{last['kimg']:,.0f} kimg",
        "resolution": grid.size_text(last["resolution"]),
        "training time": duration(3600 * last["train_hours"]),
    }
    if "sec_per_kimg" in last:
        facts["speed at the end"] = f"{last['sec_per_kimg']:.2f} s/kimg"
    if "peak_gib" in last:
        facts["memory"] = f"{last['peak_gib']:.1f} GiB"
    for metric, curves in metrics.items():
        points = next(iter(curves.values()))
        facts[f"{metric} at {max(points):g} kimg"] = f"{points[max(points)]:.4g}"
    rows = (
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
        for name, value in facts.items()
    )
    return f'<section aria-label="Summary"><dl>{"".join(rows)}</dl></section>'


def _player(moments: Sequence[Moment]) -> str:
    """Makes a slider through the image grids; without JavaScript the latest grid is shown."""
    chosen = [
        moments[round(i * (len(moments) - 1) / max(MAX_GRIDS - 1, 1))] for i in range(MAX_GRIDS)
    ]
    chosen = list(dict.fromkeys(chosen))
    last = len(chosen) - 1
    shots = "".join(
        f'<img class="moment wide" src="{_data_url(upper_left(moment.path, MAX_SIZE))}" '
        f'alt="{html.escape(moment.caption)}"{"" if i == last else " hidden"}>'
        for i, moment in enumerate(chosen)
    )
    return (
        '<p id="caption"></p><div class="player"><button id="play">Play</button>'
        f'<input id="moment" type="range" min="0" max="{last}" value="{last}" '
        f'aria-label="moment of the training"></div>{shots}'
    )


def _training_charts(stats: Stats) -> str:
    return "".join(_chart(stats, names) for names in (LOSSES, SCORES))


def _small_data(stats: Stats) -> list[str]:
    """Makes the section about overfitting, with a mark of the best snapshot; [] without values."""
    charts = [
        _chart(stats, names)
        for names in (SIGNALS, HELD_OUT)
        if any(name in line for line in stats for name in names)
    ]
    if best := best_by_held_out(stats):
        note = (
            f"Closest to the held-out images at {best['kimg']:g} kimg, SWD "
            f"{best['held_out_swd']:.3f} x 10^-3: best-held-out.h5."
        )
        charts.append(f'<p class="note">{note}</p>')
    return [_section("Overfitting", "".join(charts))] if charts else []


def best_by_held_out(stats: Stats) -> Mapping[str, Any] | None:
    """Returns the line at full resolution whose fakes are closest to held-out images, or None."""
    lines = [x for x in stats if x.get("lod") == 0 and "held_out_swd" in x]
    return min(lines, key=lambda line: line["held_out_swd"], default=None)


def _chart(stats: Stats, names: Mapping[str, str]) -> str:
    series = {
        label: [(line["kimg"], line[name]) for line in stats if name in line]
        for name, label in names.items()
        if any(name in line for line in stats)  # Not every run has every statistic.
    }
    return line_chart(series, "thousands of images shown", _bands(stats))


def _bands(stats: Stats) -> list[tuple[float, float, str]]:
    """Lists the spans of the resolutions: [(first kimg, last kimg, "8x8"), ...].

    A line of statistics holds the resolution at its end, so a resolution begins with the first line
    that names it.
    """
    bands, begin = [], 0.0
    for line, following in zip(stats, [*stats[1:], None], strict=True):
        if following is None or following["resolution"] != line["resolution"]:
            end = (following or line)["kimg"]
            bands.append((begin, end, f"{line['resolution']}x{line['resolution']}"))
            begin = end
    return bands


def _metric_charts(metrics: Metrics) -> str:
    if not metrics:
        measures = spelled("python -m metrics measures a run.")
        return f'<p class="note">None was measured. {measures}</p>'
    charts = []
    for metric, curves in metrics.items():
        series = {label: list(points.items()) for label, points in curves.items()}
        chart = line_chart(series, "thousands of images shown")
        charts.append(f"<h3>{html.escape(metric)}</h3>{chart}")
    return "".join(charts)


def _neighbours(neighbours: np.ndarray | str) -> str:
    if isinstance(neighbours, str):
        return f'<p class="note">{html.escape(neighbours)}</p>'
    note = "First row: generated. Below each: the training images at the smallest pixel difference."
    alt = "generated images and their nearest neighbours"
    url = _data_url(images.to_pil(neighbours))
    return f'<p class="note">{note}</p><img class="wide" alt="{alt}" src="{url}">'


def _configuration(config: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (f"{group}.{field}", value)
        for group, fields in config.items()
        for field, value in fields.items()
    ]
    table = _table("Configuration", ("field", "value"), rows, "left")
    return f"<details><summary>{counted(len(rows), 'field')}</summary>{table}</details>"


def _table(name: str, titles: Iterable[Any], rows: Iterable[Sequence[Any]], kind: str = "") -> str:
    """Makes a table that scrolls sideways where it is wider than the screen, also by keyboard."""
    head = "".join(f'<th scope="col">{html.escape(str(title))}</th>' for title in titles)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    table = f'<table class="{kind}"><tr>{head}</tr>{body}</table>'
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{name}">{table}</div>'


def _data_url(image: PIL.Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=85)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
