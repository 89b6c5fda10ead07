"""The forest plot: the loss, or the difference of two, with its interval in every segment or class."""

from collections.abc import Sequence
from itertools import groupby

from crossent.plots.forest import MOST_ROWS, Row, draw_forest, forest_height
from crossent.plots.style import FONT_SIZE, MUTED, Axes, own_axes, short_count
from crossent.plots.wanted import check_drawn
from crossent.scoring.compare import Compare, SegmentDifference
from crossent.scoring.score import ClassScore, Score
from crossent.scoring.segments import SegmentScore
from crossent.stats import Estimate
from crossent.wording import counted

__all__ = ["as_row", "say_left_out", "segment_rows", "segments"]


def segments(result: Score | Compare, *, ax: Axes | None = None) -> Axes:
    """Value and interval of every segment, or of every class of a Score without segments; the dashed line is the whole.

    Hollow dots have too few events for their interval. At most 40 lines are drawn, those with the most rows; how many
    are left out is said.

    Args:
        result: a Score (log losses), or a Compare (differences; the line at 0 says equally good).
        ax: axes to draw on; None makes a figure.
    Returns: the axes.
    Raises: UnsupportedError for another object; MissingExtraError without matplotlib.
    """
    check_drawn(result, "segments", Score, Compare)
    rows, left_out = segment_rows(result)
    ax = own_axes(ax, height=forest_height(len(rows)))
    if isinstance(result, Compare):
        draw_forest(rows, ax, x="loss of B \N{MINUS SIGN} loss of A [nat]", line=0.0)
    else:
        draw_forest(rows, ax, x="log loss [nat]", line=result.infinities.finite.value)
    if left_out:
        say_left_out(left_out, ax)
    return ax


def segment_rows(result: Score | Compare) -> tuple[list[Row], int]:
    """The lines of the forest, the largest ones, in order, and how many are left out."""
    entries: Sequence[SegmentScore | SegmentDifference | ClassScore] = result.segments
    if not entries and isinstance(result, Score):
        entries = result.per_class
    heads = len({e.column for e in entries if not isinstance(e, ClassScore)})
    largest = sorted(range(len(entries)), key=lambda k: (-entries[k].n, k))[: max(1, MOST_ROWS - heads)]
    kept = [entries[k] for k in sorted(largest)]
    rows: list[Row] = []
    for column, group in groupby(kept, key=_column):
        rows += [] if column is None else [Row(column)]
        rows += [as_row(_name(e), _estimate(e), n=e.n) for e in group]
    return rows, len(entries) - len(kept)


def as_row(name: str, estimate: Estimate, *, n: int | None = None, strong: bool = False) -> Row:
    """The line of an estimate."""
    count = "" if n is None else f"n = {short_count(n)}"
    return Row(name, count, estimate.value, estimate.lower, estimate.upper, estimate.mark is not None, strong)


def say_left_out(count: int, ax: Axes, *, line: int = 0) -> None:
    """Writes above the axes, so many lines up, how many lines are not drawn."""
    text = f"{counted(count, 'smaller one')} left out"
    ax.annotate(text, (0, 1.005), xycoords="axes fraction", xytext=(0, line * (FONT_SIZE + 2)),
                textcoords="offset points", ha="left", va="bottom", color=MUTED, fontsize=FONT_SIZE - 1)  # fmt: skip


def _column(entry: SegmentScore | SegmentDifference | ClassScore) -> str | None:
    return None if isinstance(entry, ClassScore) else entry.column


def _name(entry: SegmentScore | SegmentDifference | ClassScore) -> str:
    return entry.label if isinstance(entry, ClassScore) else entry.value


def _estimate(entry: SegmentScore | SegmentDifference | ClassScore) -> Estimate:
    return entry.difference if isinstance(entry, SegmentDifference) else entry.log_loss
