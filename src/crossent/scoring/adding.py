"""Adding: what the sums of a tally share, whatever they are sums of."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from crossent.errors import OptionError, WeightError

__all__ = ["MOST_ROWS", "halved", "merged", "require_same", "sum_of", "sum_of_fields"]

MOST_ROWS = 2**40  # whole numbers in cells then stay below 2^63

_T = TypeVar("_T")


def sum_of(mine: Any, theirs: Any) -> Any:
    """The sum of two parts of one kind, member by member where there are several; None plus None is None.

    >>> sum_of((1, None), (2, None))
    (3, None)
    """
    if isinstance(mine, tuple):
        return tuple(sum_of(*pair) for pair in zip(mine, theirs, strict=True))
    return None if mine is None else mine + theirs


def sum_of_fields(mine: _T, theirs: _T) -> _T:
    """The dataclass whose fields are the sums of those of two others.

    >>> import numpy as np
    >>> from crossent.stats import Cells
    >>> cells = Cells.of_counts(np.array([1, 2]))
    >>> sum_of_fields(cells, cells).counts.tolist()
    [2, 4]
    """
    names = [f.name for f in fields(mine)]  # type: ignore[arg-type]  # any dataclass
    return type(mine)(**{name: sum_of(getattr(mine, name), getattr(theirs, name)) for name in names})


def halved(of: Callable[[slice], _T], n: int) -> list[Callable[[], _T]]:
    """Two tasks for `run_tasks` whose results add up to `of(slice(0, n))`.

    >>> from crossent.core.pool import run_tasks
    >>> sum(run_tasks(*halved(lambda rows: sum(range(10)[rows]), 10)))
    45
    """
    return [lambda: of(slice(0, n // 2)), lambda: of(slice(n // 2, n))]


def merged(mine: _T | None, theirs: _T | None, rows_of: Callable[[_T], int]) -> _T | None:
    """The sum of what is there of two states.

    Args:
        mine, theirs: sums, or None for no rows.
        rows_of: the rows of a sum.
    Raises: WeightError for more than 2^40 rows.

    >>> merged(3, None, int)
    3
    """
    there = [part for part in (mine, theirs) if part is not None]
    rows = sum(map(rows_of, there))
    if rows > MOST_ROWS:
        raise WeightError(f"the tally would hold {rows:,} rows; counts of up to 2^40 rows in all are allowed")
    if len(there) < 2:
        return there[0] if there else None
    return sum_of(*there)  # type: ignore[no-any-return]


def require_same(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Raises OptionError unless two tallies that shall be added have the same options."""
    for name, here in mine.items():
        if here != theirs[name]:
            raise OptionError(
                f"these tallies do not add up: {name} is {here!r} and {theirs[name]!r}. Give both the same options."
            )
