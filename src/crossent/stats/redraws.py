"""Labels redrawn from the probabilities themselves: what a statistic of calibration is when every promise is kept.

A cell of n rows without weights gets Binomial(n, p) hits, p the mean of its probabilities, which are nearly equal. Rows
with weights count as k = (sum w)^2 / sum w^2 rows of their cell: Binomial(k, p) / k of its weight is hit. That has the
mean sum w p and the variance sum w^2 p (1 - p) of the rows' own labels, and stays between nothing and the whole cell,
which a normal redraw would not. k is seldom whole: each redraw takes the whole number below or above it by chance, in
the shares that make the mean of 1 / k, and with it the variance, right.

Statistics of one event must see the same redraws, so each draws with the same seed, or is given what was drawn.
"""

from typing import Any, NamedTuple

import numpy as np

from crossent.core.accumulate import Float64
from crossent.core.options import seed_number, whole_number
from crossent.stats.probability_cells import CELLS, CellColumns

__all__ = ["OccupiedCells", "null_of", "occupied", "redraw_number", "redrawn_hits"]

# Probabilities in between are never taken for 0 or 1: sums of very small ones may be rounded to 0, means near 1 to 1.
_SMALLEST, _LARGEST = 2.0**-119, 1.0 - 2.0**-53
_WHOLE = 1e-9  # relative: equal weights make a whole number of rows, but for rounding


class OccupiedCells(NamedTuple):
    """The cells that hold rows, in the order of p; each [m] float64.

    Attributes:
        n: rows.
        weight: sum of w.
        hits: sum of w over rows in which the event came true.
        square: sum of w^2.
        p: mean probability; 0 and 1 for rows of exactly these only.
    """

    n: Float64
    weight: Float64
    hits: Float64
    square: Float64
    p: Float64


class Null(NamedTuple):
    """What a statistic is under calibration, by redraws.

    Attributes:
        mean: its mean.
        upper: its 95 % quantile.
        p_value: share of redraws at least as large as the observed value, (1 + count) / (1 + redraws).
    """

    mean: float
    upper: float
    p_value: float


def occupied(cells: CellColumns) -> OccupiedCells | None:
    """The cells that hold rows; None if none does.

    >>> from crossent.stats.probability_cells import ProbabilityCells
    >>> tally = ProbabilityCells.of(np.array([[0.0], [0.25], [0.25]]), np.array([[False], [True], [False]]))
    >>> occupied(tally.columns(0)).p.tolist()
    [0.0, 0.25]
    """
    index = np.flatnonzero(cells.count > 0)
    if not len(index):
        return None
    count, weight, hits, promised, square = (column[index] for column in cells)
    p = np.clip(promised / weight, _SMALLEST, _LARGEST)
    p = np.where(index == 0, 0.0, np.where(index == CELLS - 1, 1.0, p))
    return OccupiedCells(count, weight, hits, square, p)


def redraw_number(redraws: Any) -> int:
    """How often labels are redrawn, as an int.

    Args:
        redraws: a whole number >= 1.
    Returns: the number.
    Raises: OptionError for anything else.

    >>> redraw_number(np.int64(200))
    200
    """
    return whole_number("redraws", redraws, low=1, text="a whole number >= 1, for example 200,")


def redrawn_hits(cells: CellColumns, redraws: int, seed: int) -> Float64:
    """Weighted hits of every occupied cell, redrawn as if each row came true with its own probability.

    Args:
        cells: [CELLS] columns of one event.
        redraws: how many times, >= 1.
        seed: of the generator PCG64, >= 0.
    Returns: [redraws, m] float64 for the m occupied cells, in the order of p.
    Raises: OptionError for another number of redraws, or seed.

    >>> from crossent.stats.probability_cells import ProbabilityCells
    >>> tally = ProbabilityCells.of(np.full((100, 1), 0.25), np.zeros((100, 1), np.bool_))
    >>> redrawn_hits(tally.columns(0), 1000, seed=0).mean().round()
    np.float64(25.0)
    """
    redraws, seed = redraw_number(redraws), seed_number(seed)
    rows = occupied(cells)
    if rows is None:
        return np.empty((redraws, 0))
    generator = np.random.Generator(np.random.PCG64(seed))
    shape = (len(rows.p), redraws)
    exact = rows.weight**2 / rows.square
    whole = np.abs(exact - np.rint(exact)) <= _WHOLE * exact
    below = np.where(whole, np.rint(exact), np.floor(np.maximum(exact, 1.0)))[:, None]
    p, weight = rows.p[:, None], rows.weight[:, None]
    # cell by cell, so that the generator keeps what it knows of (below, p)
    drawn = generator.binomial(below.astype(np.int64), p, shape).astype(np.float64)
    trials = below
    if not whole.all():
        share_below = np.where(whole[:, None], 1.0, below * ((below + 1) / exact[:, None] - 1))
        u = generator.random(shape) - share_below
        trials = below + (u >= 0)
        drawn += (u >= 0) & (u < (1 - share_below) * p)  # the hit of the trial more
    return np.ascontiguousarray(np.minimum(drawn * (weight / trials), weight).T)


def null_of(observed: float, redrawn: Float64) -> Null:
    """The null of a statistic from its [redraws] values; a tie up to rounding counts as at least as large.

    >>> null_of(2.0, np.array([1.0, 2.0, 3.0]))
    Null(mean=2.0, upper=2.9, p_value=0.75)
    """
    reached = int((redrawn >= observed * (1 - 1e-9) - 1e-14).sum())
    p_value = (1 + reached) / (1 + len(redrawn))
    return Null(float(redrawn.mean()), float(np.quantile(redrawn, 0.95)), p_value)
