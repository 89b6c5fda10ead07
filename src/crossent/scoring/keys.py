"""Keys: what rows are grouped by besides their class: values of columns (segments), and clusters or row identity."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crossent.core.text import distinct_texts
from crossent.core.types import NDArray
from crossent.stats import Int64
from crossent.stats.identity import Identity

__all__ = ["MISSING", "ByValue", "Keys", "by_value"]

MISSING = "(missing)"  # the text of a cell without a value


class ByValue(NamedTuple):
    """Rows by the value of a column: the canonical texts that occur, sorted, and the place of every row's, [n]."""

    texts: tuple[str, ...]
    place: Int64


def by_value(values: NDArray) -> ByValue:
    """Rows by the canonical text of their value; a missing one is "(missing)".

    >>> by_value(np.array([2.0, np.nan, 10.0, 2.0]))
    ByValue(texts=('(missing)', '10', '2'), place=array([2, 0, 1, 2]))
    """
    found, place = distinct_texts(values)
    texts = [MISSING if text is None else text for text in found]
    ordered = tuple(sorted(set(texts)))
    number = {text: k for k, text in enumerate(ordered)}
    return ByValue(ordered, np.array([number[text] for text in texts], np.int64)[place])


@dataclass(frozen=True)
class Keys:
    """The keys of the rows of one outcome.

    Attributes:
        by: one entry for each of the layout's columns.
        identity: [n] what bootstrap or clusters group the rows by; None for an interval over rows.
    """

    by: tuple[ByValue, ...] = ()
    identity: Identity | None = None
