"""Cells of a probability, 32 an octave of p or of 1 - p: all that calibration statistics need to know of the rows.

A cell is the exponent and the first five bits of the mantissa of p below 1/2, and of 1 - p above, so that it is found
without a logarithm or a division, its edges are exact (within 2^-48 of 1 they are rounded), and it is at most 0.042
wide in logit(p); p = 0, 1/2 and 1 have cells of their own. Rows without weights leave whole numbers only: their count,
their hits, and their sum of p in units of the 42nd bit of the cell's largest p (an error below 2^-42 of p), in two
limbs. Weighted rows leave exact sums of the same rounded p.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crossent.core.accumulate import ExactSum, Float64, Int64
from crossent.core.score_rows import CELLS
from crossent.stats.cells import Flags

__all__ = ["CELLS", "CellColumns", "ProbabilityCells", "cell_edges", "find_cells"]

_OCTAVES = 64  # of p below 1/2 and of 1 - p above; smaller ones go into the last cell
_HALF = (_OCTAVES - 1) * 32
_FIRST = (1023 - _OCTAVES) << 5
_LIMB, _LOW = 32, 0xFFFFFFFF
_HALF_BITS, _HALF_UNITS = 21, (1 << 21) - 1


class CellColumns(NamedTuple):
    """The cells of one event as plain numbers, each [CELLS] float64, in the order of p.

    Attributes:
        count: rows.
        weight: sum of w.
        hits: sum of w over rows in which the event came true.
        promised: sum of w p.
        square: sum of w^2.
    """

    count: Float64  # type: ignore[assignment]  # the column takes the place of a tuple's method
    weight: Float64
    hits: Float64
    promised: Float64
    square: Float64

    def filled(self) -> "CellColumns":
        """Only the cells that hold rows."""
        kept = self.count > 0
        return CellColumns(*(column[kept] for column in self))


def find_cells(p: Float64) -> Int64:
    """The cell of every probability, [n] in 0..CELLS - 1; 0 is p = 0, the last is p = 1.

    >>> find_cells(np.array([0.0, 0.49, 0.5, 0.51, 1.0])).tolist()
    [0, 2015, 2017, 2019, 4034]
    """
    lower = p < 0.5
    step = np.maximum((np.where(lower, p, 1.0 - p).view(np.int64) >> 47) - _FIRST, 0)
    cell = np.where(lower, step + 1, 2 * _HALF + 1 - step)
    return np.where(p == 0, 0, np.where(p >= 1, CELLS - 1, cell))


def cell_edges() -> Float64:
    """Edges in p of the cells, [CELLS + 1]; below 1/2 a cell is [lower, upper), above (lower, upper].

    >>> edges = cell_edges()
    >>> edges[[0, 1, 2017, 2018, -2, -1]].tolist() == [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]
    True
    """
    below = (np.arange(1, _HALF, dtype=np.int64) + _FIRST << 47).view(np.float64)
    lower = np.concatenate([[0.0, 0.0], below, [0.5]])
    return np.concatenate([lower, 1.0 - lower[::-1]])


def _scales() -> Float64:
    """What p is multiplied by in each cell to be a number of units: powers of two."""
    largest = np.nextafter(cell_edges()[1 : _HALF + 2], 0.0)
    largest[0] = 2.0**-_OCTAVES
    upper = np.full(CELLS - _HALF - 2, 0.5)
    scales: Float64 = np.ldexp(1.0, 42 - np.frexp(np.concatenate([largest, upper, [1.0]]))[1])
    return scales


_SCALES = _scales()


@dataclass(frozen=True, eq=False)
class ProbabilityCells:
    """Rows in cells for each of several events; `+` adds them.

    Attributes:
        table: [4, events, CELLS] int64: rows, hits, and the sum of p in units of its cell, low and high limb.
        weighted: None where no row has a weight, else exact sums of w, w hit, w p, w^2 per event and cell.

    >>> p = np.array([[0.25], [0.25], [0.5]])
    >>> cells = ProbabilityCells.of(p, np.array([[True], [False], [True]]))
    >>> [column.tolist() for column in cells.columns(0).filled()]
    [[2.0, 1.0], [2.0, 1.0], [1.0, 1.0], [0.5, 0.5], [2.0, 1.0]]
    """

    table: Int64
    weighted: tuple[ExactSum, ...] | None = None

    @classmethod
    def of(cls, p: Float64, hit: Flags, weight: Float64 | None = None) -> "ProbabilityCells":
        """Rows into cells.

        Args:
            p: [n, events] probabilities, n <= 2^21: their units, below 2^42 each, fit into 63 bits.
            hit: [n, events] whether the event came true.
            weight: [n] weights; None is all ones.
        """
        n, events = p.shape
        flat, hits = np.ascontiguousarray(p).reshape(-1), np.ascontiguousarray(hit).reshape(-1)
        cell = find_cells(flat)
        place = cell + np.tile(np.arange(events, dtype=np.int64) * CELLS, n)
        size = events * CELLS
        units = _units(flat, cell)
        table = np.zeros((4, size), np.int64)
        table[0] = np.bincount(place, minlength=size)
        table[1] = np.bincount(place[hits], minlength=size)
        for shift, mask in ((0, _HALF_UNITS), (_HALF_BITS, -1)):  # bincount's sums of doubles are exact below 2^53
            half = np.bincount(place, (units >> shift) & mask, minlength=size).astype(np.int64)
            table[2] += (half << shift) & _LOW
            table[3] += (half << shift) >> _LIMB
        cells = cls(_carried(table.reshape(4, events, CELLS)))
        if weight is None:
            return cells
        w = np.repeat(weight, events)
        weights = ExactSum.of(w, groups=place, group_count=size)
        weight_of_hits = ExactSum.of(w[hits], groups=place[hits], group_count=size)
        promised = ExactSum.of_products(w, units / _SCALES[cell], groups=place, group_count=size)
        squares = ExactSum.of_products(w, w, groups=place, group_count=size)
        return cls(cells.table, (weights, weight_of_hits, promised, squares))

    @classmethod
    def of_table(cls, table: Int64) -> "ProbabilityCells":
        """Rows without weights that native code put into cells: `Tables.cells` of crossent.core.score_rows."""
        units, counted = table[..., 0], table[..., 1]
        return cls(np.stack([counted & _LOW, counted >> _LIMB, units & _LOW, units >> _LIMB]))

    def part(self, events: slice) -> "ProbabilityCells":
        """Some of the events of rows without weights."""
        return ProbabilityCells(self.table[:, events])

    def __add__(self, other: "ProbabilityCells") -> "ProbabilityCells":
        table = _carried(self.table + other.table)
        if self.weighted is None and other.weighted is None:
            return ProbabilityCells(table)
        pairs = zip(self._exact(), other._exact(), strict=True)
        return ProbabilityCells(table, tuple(a + b for a, b in pairs))

    def columns(self, event: int) -> CellColumns:
        """The cells of one event, rounded once."""
        count, hits, low, high = self.table[:, event]
        if self.weighted is not None:
            rows = slice(event * CELLS, (event + 1) * CELLS)
            parts = (s.taken(rows).floats() for s in self.weighted)
            return CellColumns(count.astype(np.float64), *parts)
        weight = count.astype(np.float64)
        promised = (np.ldexp(high.astype(np.float64), _LIMB) + low) / _SCALES
        return CellColumns(weight, weight, hits.astype(np.float64), promised, weight)

    def _exact(self) -> tuple[ExactSum, ...]:
        """The sums of w, w hit, w p, w^2, where rows without a weight have weight 1."""
        if self.weighted is not None:
            return self.weighted
        rows, hits, low, high = self.table.reshape(4, -1)
        count, size = ExactSum.of_counts(rows), len(rows)
        scale = np.tile(_SCALES, size // CELLS)
        limbs = (low / scale, np.ldexp(high.astype(np.float64), _LIMB) / scale)  # exact
        promised = ExactSum.of(*limbs, groups=np.arange(size), group_count=size)
        return count, ExactSum.of_counts(hits), promised, count


def _units(p: Float64, cell: Int64) -> Int64:
    """p in units of its cell, rounded as the kernel rounds: halves up, below the first cell to even."""
    scaled = p * _SCALES[cell]
    return np.where(p < 2.0**-_OCTAVES, np.rint(scaled), np.floor(scaled + 0.5)).astype(np.int64)


def _carried(table: Int64) -> Int64:
    """The same numbers with the low limb below 2^32."""
    table[3] += table[2] >> _LIMB
    table[2] &= _LOW
    return table
