"""The stages of a run as text: what is trained when, and what it costs."""


def stage_rows(config):
    """Titles, then a row of text a stage of the schedule."""
    titles = ("kimg", "resolution", "phase", "minibatch", "G_lrate", "D_lrate", "tick kimg")
    rows, begin = [titles], 0.0
    for end, state in config.schedule.stages(config.training.total_kimg):
        numbers = (state.minibatch, state.G_lrate, state.D_lrate, state.tick_kimg)
        names = _names(begin, end, state.resolution, state.alpha < 1)
        rows.append((*names, *(f"{x:g}" for x in numbers)))
        begin = end
    return rows


def stage_table(config):
    """`stage_rows` as lines."""
    return _aligned(stage_rows(config))


def cost_table(costs):
    """One line a probe.StageCost, under titles, and the sum of the hours."""
    titles = ("kimg", "resolution", "phase", "minibatch", "sec/kimg", "peak GiB", "hours")
    rows = [titles]
    for cost in costs:
        names = _names(cost.begin_kimg, cost.end_kimg, cost.resolution, cost.fading)
        fits = cost.sec_per_kimg is not None
        numbers = (f"{cost.sec_per_kimg:.3g}", f"{cost.hours:.3g}") if fits else ("too large", "?")
        rows.append((*names, str(cost.minibatch), numbers[0], f"{cost.peak_gib:.2f}", numbers[1]))
    total = sum(cost.hours for cost in costs)
    return f"{_aligned(rows)}\nProjected total: {total:.3g} hours without pictures and checkpoints."


def _names(begin_kimg, end_kimg, resolution, fading):
    phase = "fade in" if fading else "stabilise"
    return f"{begin_kimg:g} - {end_kimg:g}", f"{resolution}x{resolution}", phase


def _aligned(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
