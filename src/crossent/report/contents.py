"""What a report holds, whatever the result: its verdict and its tables. A new kind of result is a new line here."""

from collections.abc import Callable
from typing import Any, TypeAlias

from crossent.report.compare import compare_tables
from crossent.report.language import language_tables, language_verdict
from crossent.report.score import score_tables
from crossent.report.tables import ALL, Most, Table
from crossent.report.verdicts import compare_verdict, score_verdict
from crossent.scoring import Score
from crossent.scoring.compare import Compare
from crossent.scoring.language_score import LanguageScore

__all__ = ["Result", "tables", "verdict"]

Result: TypeAlias = Score | Compare | LanguageScore
_VERDICTS: dict[type, Callable[[Any], str]] = {
    Score: score_verdict,
    Compare: compare_verdict,
    LanguageScore: language_verdict,
}
_TABLES: dict[type, Callable[[Any, Most], list[Table]]] = {
    Score: score_tables,
    Compare: compare_tables,
    LanguageScore: language_tables,
}


def verdict(result: Result) -> str:
    """What a reader should take away, in a few sentences that claim no more than the rows show.

    Args:
        result: a Score, a Compare or a LanguageScore.
    Returns: plain text in one line.

    >>> from crossent.scoring import Tally
    >>> tally = Tally(["cat", "dog"])
    >>> tally.update([0, 1], [[0.0, 1.0], [0.5, 0.5]])
    >>> verdict(tally.result())
    'Log loss inf: 1 of 2 rows has probability 0 at the true class. The other 1 row has 0.6931 nat.'
    """
    return _VERDICTS[type(result)](result)


def tables(result: Result, most: Most = ALL) -> list[Table]:
    """The tables of a result in the order of reading, with at most so many lines of a kind."""
    return _TABLES[type(result)](result, most)
