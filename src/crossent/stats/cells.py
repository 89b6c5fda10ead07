"""Cells: rows sorted into fixed cells, each with a count and exact sums; histograms are made of them.

A cell depends on the row's own value only, so cells of two blocks add up; coarser bins are formed at the end.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from crossent.core.accumulate import ExactSum, Float64, Int64, octave_cells

__all__ = ["LOSS_CELLS", "Cells", "loss_cell", "loss_edges", "mass_bins"]

Flags: TypeAlias = npt.NDArray[np.bool_]

_OCTAVE = 32  # cells per doubling of the loss
_FIRST, _LAST = -60, 16  # losses from 2^-60 to 2^16 have a cell of their own
LOSS_CELLS = (_LAST - _FIRST) * _OCTAVE + 2  # and one for smaller, one for larger finite losses


@dataclass(frozen=True, eq=False)
class Cells:
    """Counts and exact sums of w, w v1, w v2, ... per cell; `+` adds them.

    >>> cells = Cells.of(np.array([0, 1, 1]), 2, np.array([0.5, 0.25, 0.5]))
    >>> (cells + cells).counts.tolist(), cells.sums[1].floats().tolist()
    ([2, 4], [0.5, 0.75])
    """

    counts: Int64
    sums: tuple[ExactSum, ...]

    @classmethod
    def of(cls, cell: Int64, cell_count: int, *values: Float64 | Flags, weight: Float64 | None = None) -> "Cells":
        """Rows into cells.

        Args:
            cell: [n] cell of every row.
            cell_count: number of cells.
            values: [n] finite float64 each, or bool, which is counted and so costs less.
            weight: [n] weights; None is all ones.
        """
        cell = np.ascontiguousarray(cell, np.int64)
        counts = np.bincount(cell, minlength=cell_count).astype(np.int64)

        if weight is None:
            weights = ExactSum.of_counts(counts)
        else:
            weights = ExactSum.of(weight, groups=cell, group_count=cell_count)

        def added(value: Float64 | Flags) -> ExactSum:
            if value.dtype == np.bool_:
                if value.all():
                    return weights
                if weight is None:
                    return ExactSum.of_counts(np.bincount(cell[value], minlength=cell_count))
                return ExactSum.of(weight[value], groups=cell[value], group_count=cell_count)
            exact = np.asarray(value, np.float64)
            if weight is None:
                return ExactSum.of(exact, groups=cell, group_count=cell_count)
            return ExactSum.of_products(weight, exact, groups=cell, group_count=cell_count)

        return cls(counts, (weights, *(added(v) for v in values)))

    @classmethod
    def of_counts(cls, counts: Int64, *columns: Int64) -> "Cells":
        """Cells of rows without weights whose sums are counts as well.

        >>> Cells.of_counts(np.array([3, 1]), np.array([2, 0])).sums[1].floats().tolist()
        [2.0, 0.0]
        """
        return cls(counts, (ExactSum.of_counts(counts), *(ExactSum.of_counts(column) for column in columns)))

    def __add__(self, other: "Cells") -> "Cells":
        sums = tuple(x + y for x, y in zip(self.sums, other.sums, strict=True))
        return Cells(self.counts + other.counts, sums)

    def check(self) -> None:
        """Whether cells from elsewhere can be used.

        Raises: ValueError for negative counts, or sums of another number of cells.
        """
        if self.counts.ndim != 1 or any(s.group_count != len(self.counts) for s in self.sums):
            raise ValueError("cells have counts and sums of different numbers of cells")
        if np.any(self.counts < 0):
            raise ValueError("cells have negative counts")

    def merged(self, bins: Int64, bin_count: int) -> "Cells":
        """Coarser cells: cell c goes into bins[c]."""
        counts = np.zeros(bin_count, np.int64)
        np.add.at(counts, bins, self.counts)
        return Cells(counts, tuple(s.merged(bins, bin_count) for s in self.sums))


def mass_bins(counts: Int64, bin_count: int) -> Int64:
    """The bin of every cell so that bins of neighbouring cells hold about the same number of rows.

    >>> mass_bins(np.array([4, 0, 2, 2]), 2).tolist()
    [0, 1, 1, 1]
    """
    total = int(counts.sum())
    twice_middle = 2 * np.cumsum(counts) - counts  # rank of the cell's middle row: a heavy cell is not cut
    bins: Int64 = np.minimum(twice_middle * bin_count // max(2 * total, 1), bin_count - 1).astype(np.int64)
    return bins


def loss_cell(losses: Float64) -> Int64:
    """The 1/32-octave cell of every finite loss >= 0, [n] in 0..LOSS_CELLS - 1."""
    return octave_cells(losses, _LOSS_EDGES, _OCTAVE)


def loss_edges() -> Float64:
    """Edges of the loss cells, [LOSS_CELLS + 1], from 0 to inf.

    >>> loss_edges()[[0, 1, -2, -1]].tolist() == [0.0, 2.0**-60, 2.0**16, float("inf")]
    True
    """
    octave = 2.0 ** (np.arange(_OCTAVE) / _OCTAVE)
    inner = np.ldexp(octave, np.arange(_FIRST, _LAST)[:, None]).reshape(-1)
    return np.concatenate([[0.0], inner, [2.0**_LAST, np.inf]])


_LOSS_EDGES = loss_edges()
