"""Tables of the stages of a run: schedule and cost."""

from __future__ import annotations

from collections.abc import Sequence

from pgtf.training.config import RunConfig
from pgtf.training.probe import StageCost


def stage_rows(config: RunConfig) -> list[tuple[str, ...]]:
    """Returns the titles, then one row of text per stage of the schedule."""
    titles = ("kimg", "resolution", "phase", "minibatch", "G_lrate", "D_lrate", "tick kimg")
    rows: list[tuple[str, ...]] = [titles]
    begin = 0.0
    for end, state in config.schedule.stages(config.training.total_kimg):
        numbers = (state.minibatch, state.G_lrate, state.D_lrate, state.tick_kimg)
        size = config.G.base.size_text(state.resolution)
        names = _names(begin, end, size, state.alpha < 1)
        rows.append((*names, *(f"{x:g}" for x in numbers)))
        begin = end
    return rows


def stage_table(config: RunConfig) -> str:
    """Formats `stage_rows` as lines."""
    return _aligned(stage_rows(config))


def cost_table(costs: Sequence[StageCost]) -> str:
    """Formats one line per stage under titles, then the sum of the hours."""
    titles = ("kimg", "resolution", "phase", "minibatch", "sec/kimg", "peak GiB", "hours")
    rows: list[tuple[str, ...]] = [titles]
    for cost in costs:
        names = _names(cost.begin_kimg, cost.end_kimg, cost.size, cost.fading)
        fits = cost.sec_per_kimg is not None
        numbers = (f"{cost.sec_per_kimg:.3g}", f"{cost.hours:.3g}") if fits else ("too large", "?")
        rows.append((*names, str(cost.minibatch), numbers[0], f"{cost.peak_gib:.2f}", numbers[1]))
    total = sum(cost.hours for cost in costs)
    return f"{_aligned(rows)}\nProjected total: {total:.3g} hours without pictures and checkpoints."


def _names(begin_kimg: float, end_kimg: float, size: str, fading: bool) -> tuple[str, str, str]:
    phase = "fade in" if fading else "stabilise"
    return f"{begin_kimg:g} - {end_kimg:g}", size, phase


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
