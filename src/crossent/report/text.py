"""A result as text for a terminal: the verdict, the tables, the notes."""

from crossent.report.contents import Result, tables, verdict
from crossent.report.tables import Table
from crossent.wording import aligned, clean

__all__ = ["to_text"]


def to_text(result: Result) -> str:
    """The report for a terminal: verdict, numbers, calibration, segments, classes, worst rows, notes.

    Args:
        result: a Score, a Compare or a LanguageScore.
    Returns: lines of text without colour or control characters, ending in a newline.

    >>> from crossent.scoring import Tally
    >>> tally = Tally(["cat", "dog"])
    >>> tally.update([0, 1, 1], [[0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    >>> to_text(tally.result()).splitlines()[6].split("  ")[0]
    'class shares alone'
    """
    blocks = [verdict(result), *map(_block, tables(result))]
    blocks += ["\n".join(f"Note: {clean(note, width=400)}" for note in result.notes)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _block(table: Table) -> str:
    lines = [aligned(table.rows, left=table.left)] if table.rows else []
    return "\n".join([*lines, *table.remarks])
