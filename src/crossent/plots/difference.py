"""The picture of a comparison: both losses and their difference on one scale, against zero and the margin."""

import math
from dataclasses import replace

from crossent.plots.forest import Row, draw_forest, forest_height
from crossent.plots.segments import as_row, say_left_out, segment_rows
from crossent.plots.style import FONT_SIZE, WARM, Axes, own_axes, written
from crossent.plots.wanted import check_drawn
from crossent.scoring.compare import Compare, at_last_look
from crossent.stats import Estimate
from crossent.wording import counted

__all__ = ["difference"]


def difference(compare: Compare, *, ax: Axes | None = None) -> Axes:
    """The mean difference loss_B - loss_A with its interval, and A and B with their own, all on one axis.

    The losses stand where they lie relative to A's (to B's where A's is infinite), so the row of B and the row of the
    difference have the same middle; how much shorter the interval of the difference is shows what scoring the same rows
    brings. The dashed line at 0 says equally good; a margin is drawn as a solid line; segments follow below. Of a
    comparison with looks the interval is that of the last look. An infinite difference is written at the edge, with the
    finite rows on a line of their own; rows with infinite losses are counted above.

    Args:
        compare: a Compare.
        ax: axes to draw on; None makes a figure.
    Returns: the axes.
    Raises: UnsupportedError for another object; MissingExtraError without matplotlib.
    """
    check_drawn(compare, "difference", Compare)
    segments, left_out = segment_rows(compare)
    rows = [*_losses(compare), *_differences(compare), *segments]
    ax = own_axes(ax, height=forest_height(len(rows)))
    draw_forest(rows, ax, x="loss of B \N{MINUS SIGN} loss of A [nat]", line=0.0)
    if compare.margin is not None:
        _draw_margin(compare.margin, ax)
    if sum(compare.infinite):
        _say_infinite(compare, ax)
    if left_out:
        say_left_out(left_out, ax, line=1 if sum(compare.infinite) else 0)
    return ax


def _losses(compare: Compare) -> list[Row]:
    """A and B with their own intervals, moved so that A lies at 0, or B where A is infinite."""
    known = [loss.value for loss in compare.losses if loss.value is not None and math.isfinite(loss.value)]
    rows = []
    for letter, name, loss in zip("AB", compare.names, compare.losses, strict=True):
        place = as_row(f"{letter}: {name}", _moved(loss, known[0] if known else 0.0))
        rows.append(place._replace(n=f"{written(loss.value)} nat"))
    return rows


def _differences(compare: Compare) -> list[Row]:
    """The difference over all rows, and where it is not a finite number that of the finite rows below it."""
    finite, value = at_last_look(compare.finite, compare.sequence), compare.difference.value
    looked = ", at any look" if compare.sequence else ""
    if value is not None and math.isfinite(value):
        return [as_row(f"difference{looked}", finite, strong=True)]
    return [Row("difference", "", value), as_row(f"finite rows{looked}", finite, strong=True)]


def _moved(loss: Estimate, origin: float) -> Estimate:
    """The same estimate with everything less by `origin`."""
    value, lower, upper = (None if x is None else x - origin for x in (loss.value, loss.lower, loss.upper))
    return replace(loss, value=value, lower=lower, upper=upper)


def _draw_margin(margin: float, ax: Axes) -> None:
    """A line, with its name above all intervals, at the side that has room."""
    low, high = ax.get_xlim()
    high = max(high, margin + 0.12 * (high - low))
    ax.set_xlim(low, high)
    ax.set_ylim(ax.get_ylim()[0], -1.4)
    ax.axvline(margin, color=WARM, linewidth=1.3)
    at_right = margin < (low + high) / 2
    ax.annotate(
        "margin",
        (margin, -1.4),
        xytext=(3 if at_right else -3, -3),
        textcoords="offset points",
        ha="left" if at_right else "right",
        va="top",
        color=WARM,
        fontsize=FONT_SIZE - 1,
    )


def _say_infinite(compare: Compare, ax: Axes) -> None:
    only_a, only_b, both = compare.infinite
    rows = counted(only_a + only_b + both)
    text = f"{rows} with infinite losses left out: {only_a:,} of A, {only_b:,} of B, {both:,} of both"
    ax.text(1, 1.005, text, transform=ax.transAxes, ha="right", va="bottom", color=WARM, fontsize=FONT_SIZE - 1)
