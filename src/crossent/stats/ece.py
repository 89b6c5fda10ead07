"""Expected calibration error over bins of equal mass: the debiased square, and the naive value beside its null."""

from dataclasses import dataclass

import numpy as np

from crossent.core.accumulate import Float64
from crossent.core.options import whole_number
from crossent.stats.cells import mass_bins
from crossent.stats.probability_cells import CellColumns
from crossent.stats.redraws import null_of, occupied, redrawn_hits

__all__ = ["CalibrationError", "calibration_error"]


@dataclass(frozen=True)
class CalibrationError:
    """Binned calibration error of one event.

    Attributes:
        bins: number of bins that were formed.
        debiased_square: sum n_b / n [(y_b - p_b)^2 - y_b (1 - y_b) / (n_b - 1)], over bins of two rows or more and with
            n their rows; may be negative.
        naive: sum n_b / n |y_b - p_b|, which is positive under calibration too.
        naive_null: mean of naive over labels redrawn from the probabilities.
        naive_null_upper: 95 % quantile of the same.
        p_value: share of redraws with a naive value at least as large.
    """

    bins: int
    debiased_square: float
    naive: float
    naive_null: float
    naive_null_upper: float
    p_value: float


def calibration_error(
    cells: CellColumns, *, bins: int = 15, redraws: int = 200, seed: int = 0, hits: Float64 | None = None
) -> CalibrationError | None:
    """The expected calibration error of one event over bins of about as many rows each, made of whole cells.

    With weights n_b is (sum w)^2 / sum w^2 of the bin, n_b / n its share of the weight. Bins of fewer than two rows
    have no variance to take off and are left out of the debiased square, which is of the rows of the others alone.

    Args:
        cells: [CELLS] columns of the event.
        bins: number of bins, >= 1; fewer are formed where cells are heavy.
        redraws: number of redraws of the labels, >= 1.
        seed: of the redraws.
        hits: the redraws, if they were drawn before.
    Returns: a CalibrationError; None if no bin has two rows.
    Raises: OptionError for another number of bins or redraws.
    Source: Kumar, Liang & Ma, NeurIPS 2019, Verified uncertainty calibration.

    >>> from crossent.stats.probability_cells import ProbabilityCells
    >>> p, hit = np.repeat([[0.2], [0.7]], 50, axis=0), np.repeat([[True], [False], [True]], [20, 40, 40], axis=0)
    >>> e = calibration_error(ProbabilityCells.of(p, hit).columns(0))
    >>> e.bins, round(e.naive, 6), round(e.debiased_square, 6)
    (2, 0.15, 0.020918)
    """
    bins = whole_number("bins", bins, low=1, text="a whole number >= 1, for example 15,")
    rows = occupied(cells)
    if rows is None:
        return None
    drawn = redrawn_hits(cells, redraws, seed) if hits is None else hits
    starts = np.flatnonzero(np.diff(mass_bins(rows.n.astype(np.int64), bins), prepend=-1))
    weight, square = np.add.reduceat(rows.weight, starts), np.add.reduceat(rows.square, starts)
    p = np.add.reduceat(rows.weight * rows.p, starts) / weight
    every = np.concatenate([rows.hits[None], drawn])
    y = np.minimum(np.add.reduceat(every, starts, axis=1) / weight, 1.0)
    n = weight**2 / square
    kept = n >= 2
    if not kept.any():
        return None
    debiased = (y[0] - p)[kept] ** 2 - (y[0] * (1 - y[0]))[kept] / (n[kept] - 1)
    naive = (np.abs(y - p) * weight).sum(axis=1) / weight.sum()
    null = null_of(float(naive[0]), naive[1:])
    return CalibrationError(
        bins=len(starts),
        debiased_square=float((debiased * weight[kept]).sum() / weight[kept].sum()),
        naive=float(naive[0]),
        naive_null=null.mean,
        naive_null_upper=null.upper,
        p_value=null.p_value,
    )
