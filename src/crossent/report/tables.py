"""Tables of text, from which the terminal's report, the page and the notebook are set alike."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from crossent.report.wording import caveats, interval, marked, p_value, value
from crossent.stats import Estimate
from crossent.wording import clean, counted

__all__ = ["ALL", "LABEL_WIDTH", "MOST_LINES", "Most", "Segment", "Table", "cut", "segment_tables"]

MOST_LINES = 40
LABEL_WIDTH = 24


class Table(NamedTuple):
    """Lines of cells, of which the first is the head, and remarks below.

    Attributes:
        name: which table this is, for those that show only some.
        rows: at least one; all of equal length; empty if there are only remarks.
        left: how many columns stand to the left.
        remarks: sentences.
    """

    name: str
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    remarks: tuple[str, ...] = ()


class Most(NamedTuple):
    """How many lines of a kind are shown, those with the most rows.

    Attributes:
        segments: of each column.
        classes: of each table of classes.
        worst: rows, or documents, with the largest losses; None for all that are kept.
    """

    segments: int = MOST_LINES
    classes: int = MOST_LINES
    worst: int | None = None


ALL = Most()


class Segment(NamedTuple):
    """A segment of a Score or of a Compare, as its table needs it."""

    column: str
    name: str
    n: int
    estimate: Estimate
    p: float | None
    p_adjusted: float | None


def cut(entries: Sequence[Any], most: int) -> list[Any]:
    """All entries, or those with the most rows, in their own order."""
    largest = sorted(range(len(entries)), key=lambda k: (-entries[k].n, k))[:most]
    return [entries[k] for k in sorted(largest)]


def segment_tables(segments: Iterable[Segment], *, what: str, null: str, most: int = MOST_LINES) -> list[Table]:
    """One table for each column, with its largest segments.

    Args:
        segments: the segments, column by column.
        what: heading of the estimates.
        null: what the p-values are of.
        most: lines of a table.
    """
    made = []
    for column, group in groupby(segments, key=lambda s: s.column):
        found = list(group)
        kept = cut(found, most)
        head = (clean(column, width=LABEL_WIDTH), "rows", what, "std error", "interval", "p", "adjusted p")
        rows = [
            (clean(s.name, width=LABEL_WIDTH), f"{s.n:,}", value(s.estimate), marked(s.estimate),
             interval(s.estimate) or "\N{EN DASH}", p_value(s.p), p_value(s.p_adjusted))
            for s in kept
        ]  # fmt: skip
        remarks = caveats(s.estimate for s in kept)
        if len(kept) < len(found):
            remarks.append(f"and {len(found) - len(kept):,} smaller segments")
        remarks.append(
            f"p: that the {what} {null}; adjusted by Benjamini and Hochberg over {counted(len(found), 'segment')}."
        )
        made.append(Table("segments", (head, *rows), remarks=tuple(remarks)))
    return made
