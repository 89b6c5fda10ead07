"""Where a block without first_row begins: after the rows of its source that this tally has seen.

Numbers of rows make the identities by which the bootstrap puts rows into groups, and tell where the worst rows are;
blocks that all began at 0 would share both. A saved tally does not keep them: it goes on after as many rows as it has.
"""

__all__ = ["RowNumbers"]


class RowNumbers:
    """How far each source has been seen.

    >>> numbers = RowNumbers()
    >>> numbers.saw("", 0, 3)
    >>> numbers.start("", None), numbers.start("", 7), numbers.start("b.csv", None)
    (3, 7, 0)
    """

    def __init__(self, ends: dict[str, int] | None = None) -> None:
        self._ends = dict(ends or {})

    def start(self, source: str, first_row: int | None) -> int:
        """The number of a block's first row."""
        return self._ends.get(source, 0) if first_row is None else first_row

    def saw(self, source: str, start: int, size: int) -> None:
        """A block has been added."""
        self._ends[source] = max(self._ends.get(source, 0), start + size)

    def __add__(self, other: "RowNumbers") -> "RowNumbers":
        both = RowNumbers(self._ends)
        for source, end in other._ends.items():
            both.saw(source, end, 0)
        return both
