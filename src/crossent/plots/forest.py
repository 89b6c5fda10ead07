"""Rows of a value with its interval, one below the other; the body of `segments` and `difference`."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from crossent.plots.style import ACCENT, FONT_SIZE, INK, MUTED, PAPER, PLAIN, RULE, WARM, Axes, bare, written
from crossent.wording import shortened

__all__ = ["MOST_ROWS", "Row", "draw_forest", "forest_height"]

MOST_ROWS = 40
_LABEL_WIDTH = 26


class Row(NamedTuple):
    """A line of the forest.

    Attributes:
        label: text from data.
        n: what stands at the right edge, for instance how many rows; "" for nothing; None for a heading, which has no
            value.
        value: the value; inf, -inf and None are written at the edge.
        lower, upper: its interval; None if there is none.
        doubtful: draws the dot hollow: the interval may be too short.
        strong: draws the dot as a diamond: a total.
    """

    label: str
    n: str | None = None
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    doubtful: bool = False
    strong: bool = False


def forest_height(rows: int) -> float:
    """Inches that so many lines need."""
    return max(1.6, 0.9 + 0.2 * rows)


def draw_forest(rows: Sequence[Row], ax: Axes, *, x: str, line: float | None) -> None:
    """Draws the lines from top to bottom.

    Args:
        rows: the lines.
        ax: axes to draw on.
        x: title of the axis.
        line: where a dashed line stands; None for none.
    """
    bare(ax, x=x, y="")
    ax.grid(visible=False)
    ax.grid(visible=True, axis="x", color=RULE, linewidth=0.8)
    if line is not None:
        ax.axvline(line, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for k, row in enumerate(rows):
        if row.lower is not None and row.upper is not None:
            ax.plot([row.lower, row.upper], [k, k], color=INK if row.strong else ACCENT, linewidth=1.6)
        if row.value is not None and math.isfinite(row.value):
            ax.plot(row.value, k, **_dot(row))
    _set_reach(rows, line, ax)
    for k, row in enumerate(rows):
        if row.n is not None and (row.value is None or not math.isfinite(row.value)):
            _write_at_edge(row, k, ax)
    _set_labels(rows, ax)


def _write_at_edge(row: Row, k: int, ax: Axes) -> None:
    """A value that has no place on the axis."""
    at_left = row.value is not None and row.value < 0
    ax.annotate(
        written(row.value),
        (0.01 if at_left else 0.99, k),
        xycoords=("axes fraction", "data"),
        ha="left" if at_left else "right",
        va="center",
        color=WARM,
        fontsize=FONT_SIZE,
    )


def _set_labels(rows: Sequence[Row], ax: Axes) -> None:
    """The label of every line at the left and its count at the right, where no number that is a label runs into it."""
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_yticks(range(len(rows)), [shortened(row.label, width=_LABEL_WIDTH) for row in rows], **PLAIN)
    size = FONT_SIZE - 1 if len(rows) <= 20 else FONT_SIZE - 2
    for k, row in enumerate(rows):
        if row.n:
            ax.annotate(row.n, (1.0, k), xycoords=("axes fraction", "data"), xytext=(5, 0), textcoords="offset points",
                        ha="left", va="center", color=MUTED, fontsize=size - 0.5)  # fmt: skip
    for row, text in zip(rows, ax.get_yticklabels(), strict=True):
        text.set(color=MUTED if row.n is None else INK, fontsize=size, style="italic" if row.n is None else "normal")


def _dot(row: Row) -> dict[str, object]:
    colour = INK if row.strong else ACCENT
    return {
        "color": colour,
        "linestyle": "none",
        "marker": "D" if row.strong else "o",
        "markersize": 5 if row.strong else 4.5,
        "markerfacecolor": PAPER if row.doubtful else colour,
    }


def _set_reach(rows: Sequence[Row], line: float | None, ax: Axes) -> None:
    """From the smallest to the largest number, with a margin; one number alone gets an axis too."""
    numbers = [x for row in rows for x in (row.value, row.lower, row.upper) if x is not None and math.isfinite(x)]
    numbers += [] if line is None or not math.isfinite(line) else [line]
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    margin = 0.07 * (high - low) or 0.1 * abs(high) or 1.0
    ax.set_xlim(low - margin, high + margin)
    ax.locator_params(axis="x", nbins=5)
