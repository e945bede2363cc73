"""One self-contained HTML page about a training run: it loads nothing and needs no server."""

import base64
import html
import io
import string
from pathlib import Path

import PIL.Image

from pgtf import images
from pgtf.export.charts import line_chart

TEMPLATE = Path(__file__).with_name("report.html")
MAX_GRIDS = 30  # in the page, spread over the run
MAX_SIZE = (640, 384)  # pixels of a grid; its upper left part is shown, enlarged to the page
LOSSES = {"G_loss": "G loss", "D_loss": "D loss"}
SCORES = {"real_scores": "D(real)", "fake_scores": "D(fake)", "mixed_norms": "gradient norm"}


def write_report(path, title, subtitle, *, moments, stats, metrics, stages, neighbours, config):
    """Writes the page, whole or not at all.

    Args:
        path: file to write.
        title: name of the run.
        subtitle: a sentence below it.
        moments: of `timelapse.moments`.
        stats: lines of stats.jsonl as dicts.
        metrics: {metric: {label: {kimg: value}}}.
        stages: rows of the stage table, the first one the titles; numbers and text.
        neighbours: uint8 [H, W, C], fakes above the training images closest to them, or a
            sentence that says why there is none.
        config: {group: {field: value}}.
    """
    sections = [
        _summary(stats, metrics),
        _section("Images over time", _player(moments)),
        _section("Training", _training_charts(stats)),
        _section("Metrics", _metric_charts(metrics)),
        _section("Nearest neighbours in the training set", _neighbours(neighbours)),
        _section("Stages", _table(stages[0], stages[1:])),
        _section("Configuration", _configuration(config)),
    ]
    page = string.Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=html.escape(title), subtitle=html.escape(subtitle), sections="\n".join(sections)
    )
    images.write_atomically(path, page.encode())


def _section(title, content):
    return f"<section><h2>{html.escape(title)}</h2>{content}</section>"


def _summary(stats, metrics):
    last = stats[-1]
    facts = {
        "images shown": f"{last['kimg']:,.0f} kimg",
        "resolution": f"{last['resolution']}x{last['resolution']}",
        "training time": f"{last['train_hours']:.1f} h",
        "speed at the end": f"{last['sec_per_kimg']:.2f} s/kimg",
        "memory": f"{last['peak_gib']:.1f} GiB",
    }
    for metric, curves in metrics.items():
        points = next(iter(curves.values()))
        facts[metric] = f"{points[max(points)]:.4g}"
    rows = (
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
        for name, value in facts.items()
    )
    return f"<section><dl>{''.join(rows)}</dl></section>"


def _player(moments):
    """A slider through the image grids, and the latest one without JavaScript."""
    chosen = [
        moments[round(i * (len(moments) - 1) / max(MAX_GRIDS - 1, 1))] for i in range(MAX_GRIDS)
    ]
    chosen = list(dict.fromkeys(chosen))
    last = len(chosen) - 1
    shots = "".join(
        f'<img class="moment wide" src="{_data_url(_shrunk(moment.path))}" '
        f'alt="{html.escape(moment.caption)}"{"" if i == last else " hidden"}>'
        for i, moment in enumerate(chosen)
    )
    return (
        '<p id="caption"></p><div class="player"><button id="play">Play</button>'
        f'<input id="moment" type="range" min="0" max="{last}" value="{last}" '
        f'aria-label="moment of the training"></div>{shots}'
    )


def _training_charts(stats):
    charts = [
        line_chart(
            {
                label: [(line["kimg"], line[name]) for line in stats]
                for name, label in names.items()
            },
            "thousands of images shown",
            _bands(stats),
        )
        for names in (LOSSES, SCORES)
    ]
    return "".join(charts)


def _bands(stats):
    """Where the resolution was what: -> [(first kimg, last kimg, "8x8")].

    A line of statistics tells the resolution at its end, so the first line of another one is where
    it begins.
    """
    bands, begin = [], 0.0
    for line, following in zip(stats, [*stats[1:], None], strict=True):
        if following is None or following["resolution"] != line["resolution"]:
            end = (following or line)["kimg"]
            bands.append((begin, end, f"{line['resolution']}x{line['resolution']}"))
            begin = end
    return bands


def _metric_charts(metrics):
    if not metrics:
        return '<p class="note">None was measured. python -m metrics measures a run.</p>'
    charts = []
    for metric, curves in metrics.items():
        series = {label: list(points.items()) for label, points in curves.items()}
        chart = line_chart(series, "thousands of images shown")
        charts.append(f"<h3>{html.escape(metric)}</h3>{chart}")
    return "".join(charts)


def _neighbours(neighbours):
    if isinstance(neighbours, str):
        return f'<p class="note">{html.escape(neighbours)}</p>'
    note = "First row: generated. Below each: the training images at the smallest pixel difference."
    alt = "generated images and their nearest neighbours"
    url = _data_url(images.to_pil(neighbours))
    return f'<p class="note">{note}</p><img class="wide" alt="{alt}" src="{url}">'


def _configuration(config):
    rows = [
        (f"{group}.{field}", value)
        for group, fields in config.items()
        for field, value in fields.items()
    ]
    table = _table(("field", "value"), rows, "left")
    return f"<details><summary>{len(rows)} fields</summary>{table}</details>"


def _table(titles, rows, kind=""):
    head = "".join(f"<th>{html.escape(str(title))}</th>" for title in titles)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    return f'<div class="scroll"><table class="{kind}"><tr>{head}</tr>{body}</table></div>'


def _shrunk(path):
    with PIL.Image.open(path) as file:
        width, height = map(min, file.size, MAX_SIZE)
        return file.crop((0, 0, width, height)).convert("RGB")


def _data_url(image):
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=85)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
