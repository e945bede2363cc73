"""Curves, such as a run's metrics, as a PNG picture; needs matplotlib."""

import io

from pgtf import images
from pgtf.metrics import records
from pgtf.metrics.plan import DEFAULT_IMAGES


def plot(folder, out):
    """Draws every metric recorded in a run folder against thousands of images shown.

    Each number of images, set of reals, seed and mode is a curve of its own, because their values
    cannot be compared. A snapshot that was measured again counts with its last value.

    Args:
        folder: run folder with metric-*.jsonl.
        out: PNG file to write.

    Returns:
        Names of the metrics that were drawn.

    Raises:
        ValueError: nothing is recorded there, or matplotlib is missing.
    """
    series = {name: found for name in DEFAULT_IMAGES if (found := curves(folder, name))}
    if not series:
        raise ValueError(
            f"{folder}: no metric-*.jsonl of snapshots to draw. Measure the run first with "
            f"python -m metrics --run={folder}."
        )
    draw(series, "thousands of images shown", out)
    return list(series)


def draw(panels, xlabel, out):
    """Draws curves in panels one below another.

    Args:
        panels: {title: {label of a curve: {x: y}}}.
        xlabel: what x is.
        out: PNG file to write.

    Raises:
        ValueError: matplotlib is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ValueError("plots need the package matplotlib: pip install matplotlib.") from None
    figure = Figure(figsize=(7, 3 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(panels), 1, squeeze=False)
    for axes, (title, lines) in zip(grid[:, 0], panels.items(), strict=True):
        for label, points in lines.items():
            x, y = zip(*sorted(points.items()), strict=True)
            axes.plot(x, y, marker="o", markersize=3, label=label)
        axes.set(title=title, xlabel=xlabel)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    images.write_atomically(out, buffer.getvalue())


def curves(folder, metric):
    """{label: {kimg: value}} of one metric; SWD has a curve a level besides the average."""
    found, needed = {}, {"kimg", "num_images", "reals", "seed", "values"}
    for record in records.load(folder, metric):
        if not needed <= record.keys() or record["kimg"] is None:
            continue  # of no snapshot, or written by somebody else
        settings = f"{record['num_images']} images of {record['reals']}, seed {record['seed']}"
        settings += f", {record['mode']}" if "mode" in record else ""
        for name, value in record["values"].items():
            if not name.startswith("kl_"):
                found.setdefault(f"{name} ({settings})", {})[record["kimg"]] = value
    return found
