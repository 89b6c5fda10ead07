"""The picture of a comparison: both losses and their difference on one scale, against zero and the margin."""

import math
from dataclasses import replace

from crossent.plots.forest import Row, draw_forest, forest_height
from crossent.plots.segments import as_row, say_left_out, segment_rows
from crossent.plots.style import FONT_SIZE, WARM, Axes, own_axes, written
from crossent.scoring.compare import Compare
from crossent.stats import Estimate
from crossent.wording import counted

__all__ = ["difference"]


def difference(compare: Compare, *, ax: Axes | None = None) -> Axes:
    """The mean difference loss_B - loss_A with its interval, and A and B with their own, all on one axis.

    The losses stand where they lie relative to A's, so the row of B and the row of the difference have the same middle;
    how much shorter the interval of the difference is shows what scoring the same rows brings. The dashed line at 0
    says equally good; a margin is drawn as a solid line; segments follow below. Infinite losses are left out of the
    picture and said.

    Args:
        compare: a Compare.
        ax: axes to draw on; None makes a figure.
    Returns: the axes.
    Raises: MissingExtraError without matplotlib.
    """
    segments, left_out = segment_rows(compare)
    rows = [*_losses(compare), as_row("difference", compare.finite, strong=True), *segments]
    ax = own_axes(ax, height=forest_height(len(rows)))
    draw_forest(rows, ax, x="loss of B \N{MINUS SIGN} loss of A [nat]", line=0.0)
    if compare.margin is not None:
        _draw_margin(compare.margin, ax)
    if left_out:
        say_left_out(left_out, ax)
    if sum(compare.infinite):
        _say_infinite(compare, ax)
    return ax


def _losses(compare: Compare) -> list[Row]:
    """A and B with their own intervals, moved so that A lies at 0; where one is infinite there is no such place."""
    origin = compare.losses[0].value
    known = all(loss.value is not None and math.isfinite(loss.value) for loss in compare.losses)
    rows = []
    for letter, name, loss in zip("AB", compare.names, compare.losses, strict=True):
        label = f"{letter}: {name}"
        place = as_row(label, _moved(loss, origin)) if known and origin is not None else Row(label, "", loss.value)
        rows.append(place._replace(n=written(loss.value)))
    return rows


def _moved(loss: Estimate, origin: float) -> Estimate:
    """The same estimate with everything less by `origin`."""
    value, lower, upper = (None if x is None else x - origin for x in (loss.value, loss.lower, loss.upper))
    return replace(loss, value=value, lower=lower, upper=upper)


def _draw_margin(margin: float, ax: Axes) -> None:
    low, high = ax.get_xlim()
    ax.set_xlim(low, max(high, margin + 0.05 * (high - low)))
    ax.axvline(margin, color=WARM, linewidth=1.3)
    ax.annotate(
        "margin",
        (margin, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(3, -2),
        textcoords="offset points",
        va="top",
        color=WARM,
        fontsize=FONT_SIZE - 1,
    )


def _say_infinite(compare: Compare, ax: Axes) -> None:
    only_a, only_b, both = compare.infinite
    rows = counted(only_a + only_b + both)
    text = f"{rows} with infinite losses left out: {only_a:,} of A, {only_b:,} of B, {both:,} of both"
    ax.text(1, 1.005, text, transform=ax.transAxes, ha="right", va="bottom", color=WARM, fontsize=FONT_SIZE - 1)
