"""Cells over the odds of a probability, 32 an octave: all that calibration statistics need to know of the rows.

A cell is the exponent and the first five bits of the mantissa of p / (1 - p), so that it is found without a logarithm
and is at most 0.031 wide in logit(p); p = 0 and p = 1 have cells of their own. Rows without weights leave whole numbers
only: their count, their hits, and their sum of p in units of the cell's smallest bit, in two limbs. Sums are exact for
p >= 2^-64; smaller ones are rounded to multiples of 2^-118 first.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crossent.core.accumulate import ExactSum, Float64, Int64, two_product
from crossent.stats.cells import Flags

__all__ = ["CELLS", "CellColumns", "ProbabilityCells", "odds_cell", "odds_edges"]

_OCTAVES = 64  # below and above even odds
CELLS = 2 * _OCTAVES * 32 + 2
_FIRST = (1023 - _OCTAVES) << 5
_LIMB = 32


class CellColumns(NamedTuple):
    """The cells of one event as plain numbers, each [CELLS] float64, in the order of p.

    Attributes:
        count: rows.
        weight: sum of w.
        hits: sum of w over rows in which the event came true.
        promised: sum of w p.
        square: sum of w^2.
    """

    count: Float64
    weight: Float64
    hits: Float64
    promised: Float64
    square: Float64

    def filled(self) -> "CellColumns":
        """Only the cells that hold rows."""
        kept = self.count > 0
        return CellColumns(*(column[kept] for column in self))


def odds_cell(p: Float64) -> Int64:
    """The cell of every probability, [n] in 0..CELLS - 1; 0 is p = 0, the last is p = 1.

    >>> odds_cell(np.array([0.0, 0.5, 0.51, 1.0])).tolist()
    [0, 2049, 2050, 4097]
    """
    with np.errstate(divide="ignore"):
        odds = np.ascontiguousarray(p / (1.0 - p))
    cell = np.clip((odds.view(np.int64) >> 47) - _FIRST, 0, CELLS - 3) + 1
    return np.where(p == 0, 0, np.where(p == 1, CELLS - 1, cell))


def odds_edges() -> Float64:
    """Edges in p of the cells, [CELLS + 1]; cell c is [edges[c], edges[c + 1]), the last is [1, 1].

    >>> edges = odds_edges()
    >>> edges[[0, 1, 2049, -2, -1]].tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    True
    """
    odds = (np.arange(1, CELLS - 2, dtype=np.int64) + _FIRST << 47).view(np.float64)
    return np.concatenate([[0.0, 0.0], odds / (1.0 + odds), [1.0, 1.0]])


def _scales() -> Float64:
    """What p is multiplied by in each cell to be a whole number: powers of two, one bit to spare."""
    low = np.maximum(odds_edges()[:-1], 2.0**-65)
    exponent = np.frexp(low)[1] - 1
    return np.ldexp(1.0, 53 - exponent)


SCALES = _scales()


@dataclass(frozen=True, eq=False)
class ProbabilityCells:
    """Rows in cells for each of several events; `+` adds them.

    Attributes:
        table: [events, CELLS, 4] int64: rows, hits, and the sum of p in units of 1 / SCALES, low and high limb.
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
            p: [n, events] probabilities.
            hit: [n, events] whether the event came true.
            weight: [n] weights; None is all ones.
        """
        n, events = p.shape
        flat, hits = np.ascontiguousarray(p).reshape(-1), np.ascontiguousarray(hit).reshape(-1)
        cell = odds_cell(flat)
        place = cell + np.tile(np.arange(events, dtype=np.int64) * CELLS, n)
        size = events * CELLS
        units = np.rint(flat * SCALES[cell]).astype(np.int64)
        table = np.zeros((size, 4), np.int64)
        table[:, 0] = np.bincount(place, minlength=size)
        table[:, 1] = np.bincount(place[hits], minlength=size)
        np.add.at(table[:, 2], place, units & 0xFFFFFFFF)
        np.add.at(table[:, 3], place, units >> _LIMB)
        cells = cls(_carried(table.reshape(events, CELLS, 4)))
        if weight is None:
            return cells
        w = np.repeat(weight, events)
        vectors = ((w,), (w[hits],), two_product(w, flat), two_product(w, w))
        groups = (place, place[hits], place, place)
        sums = (ExactSum.of(*v, groups=g, group_count=size) for v, g in zip(vectors, groups, strict=True))
        return cls(cells.table, tuple(sums))

    def __add__(self, other: "ProbabilityCells") -> "ProbabilityCells":
        table = _carried(self.table + other.table)
        if self.weighted is None and other.weighted is None:
            return ProbabilityCells(table)
        pairs = zip(self._exact(), other._exact(), strict=True)
        return ProbabilityCells(table, tuple(a + b for a, b in pairs))

    def columns(self, event: int) -> CellColumns:
        """The cells of one event, rounded once."""
        count, hits, low, high = self.table[event].T
        if self.weighted is not None:
            rows = slice(event * CELLS, (event + 1) * CELLS)
            parts = (ExactSum(s.low, s.limbs[rows]).floats() for s in self.weighted)
            return CellColumns(count.astype(np.float64), *parts)
        weight = count.astype(np.float64)
        promised = (np.ldexp(high.astype(np.float64), _LIMB) + low) / SCALES
        return CellColumns(weight, weight, hits.astype(np.float64), promised, weight)

    def _exact(self) -> tuple[ExactSum, ...]:
        """The sums of w, w hit, w p, w^2, where rows without a weight have weight 1."""
        if self.weighted is not None:
            return self.weighted
        flat = self.table.reshape(-1, 4)
        size = len(flat)
        count = ExactSum.of_counts(flat[:, 0])
        scale = np.tile(SCALES, size // CELLS)
        limbs = (flat[:, 2] / scale, np.ldexp(flat[:, 3].astype(np.float64), _LIMB) / scale)  # exact: below 2^53 units
        promised = ExactSum.of(*limbs, groups=np.arange(size), group_count=size)
        return count, ExactSum.of_counts(flat[:, 1]), promised, count


def _carried(table: Int64) -> Int64:
    """The same numbers with the low limb below 2^32."""
    table[..., 3] += table[..., 2] >> _LIMB
    table[..., 2] &= 0xFFFFFFFF
    return table
