"""Counts: a row of count c stands for c equal rows, in everything that adds up.

The bits of the counts split the rows into planes: plane b holds the rows whose count has bit b. Horner's scheme over
the planes needs `+` only, S = (S_top + S_top + S_next) + (...) ..., so whatever adds up to the bit counts repetitions
to the bit, and a count of 1000 costs ten planes and not 1000 rows.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np

from crossent.core.types import ArrayLike
from crossent.errors import ShapeError, WeightError
from crossent.stats import Flags, Int64

__all__ = ["repeated", "whole_counts"]

_MOST_REPEATED = 2**32


class _AddsUp(Protocol):
    def __add__(self: "_T", other: "_T", /) -> "_T": ...


_T = TypeVar("_T", bound=_AddsUp)


def repeated(count: Int64 | None, of: Callable[[Flags | None], _T]) -> _T:
    """What `of` makes of the rows, each counted as often as its count says.

    Args:
        count: [n] whole numbers >= 0, one of them > 0, or None for 1 everywhere; rows of count 0 are left out.
        of: makes a sum of the rows that are true in [n] flags, of all rows for None; its sums add up with `+`.
    Returns: the sum over sum(count) rows.

    >>> values = np.array([5, 7])
    >>> repeated(np.array([3, 4]), lambda rows: int(values[rows].sum()))
    43
    """
    if count is None or bool((count == 1).all()):
        return of(None)
    total = of((count >> (int(count.max()).bit_length() - 1)) > 0)
    for bit in range(int(count.max()).bit_length() - 2, -1, -1):
        rows = ((count >> bit) & 1).astype(np.bool_)
        total = total + total
        if rows.any():
            total = total + of(rows)
    return total


def whole_counts(count: ArrayLike, *, rows: int, source: str, first_row: int) -> Int64:
    """Counts as they were given, checked.

    Args:
        count: [n] whole numbers from 0 to 2^32; floats are taken if they are whole. 0 is no row.
        rows: n.
        source: file or table, for messages.
        first_row: number of the first row there.
    Returns: [n] int64.
    Raises: ShapeError for another shape; WeightError for the first number that is no count, with its row.

    >>> whole_counts([2.0, 0], rows=2, source="", first_row=0).tolist()
    [2, 0]
    """
    given = np.asarray(count)
    if given.shape != (rows,):
        raise ShapeError(f"count has shape {given.shape}; one whole number for each of the {rows} targets is needed")
    values = given.astype(np.float64)
    bad = ~((values >= 0) & (values <= _MOST_REPEATED) & (values == np.floor(values)))
    if bad.any():
        i = int(np.argmax(bad))
        place = f"{source} row {first_row + i + 1}" if source else f"row {first_row + i + 1}"
        raise WeightError(
            f"{place}: count {values[i]:g}; whole numbers from 0 to 2^32 are allowed, for c equal rows each. "
            "Pass weights that are no counts as sample_weight."
        )
    whole: Int64 = values.astype(np.int64)
    return whole
