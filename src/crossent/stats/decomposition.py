"""CORP: the log loss of an event as miscalibration - discrimination + uncertainty, by isotonic regression on cells.

    loss = mcb - dsc + unc;  mcb = loss(p) - loss(PAV);  dsc = loss(r) - loss(PAV);  unc = loss(r), r the base rate

Isotonic regression (PAV) sees cells, so the promise that it is held against is the cell's mean p: then mcb is never
negative, and redraws of the labels, which exist in cells only, say what it is under calibration. PAV of single rows
overfits more, so its mcb and the null of that are larger; their difference is the same. The exact loss of the rows,
where it is known, differs from the loss of the means by what probabilities tell apart within a cell (at most 0.042 wide
in logit(p): 1e-5 nat if they keep their promise, and noise of 0.005 / sqrt n; only below p = 2^-64 is it more). That is
discrimination, which cells cannot see, so it is counted there, and the three parts add up to the exact loss. What the
exact loss has beyond all that cells can lose (hits far below 2^-64) is a promise broken, and counts as miscalibration.

A hit where p = 0, or a miss where p = 1, makes loss and mcb infinite; unc, dsc and the curve need finite numbers only
and stay. PAV is never applied to rows that it was not fitted to.
"""

import math
from dataclasses import dataclass

import numpy as np

from crossent.core.accumulate import Float64
from crossent.core.isotonic import isotonic_curves
from crossent.core.options import coverage
from crossent.stats.probability_cells import CellColumns
from crossent.stats.redraws import OccupiedCells, null_of, occupied, redrawn_hits

__all__ = ["CurvePoint", "Decomposition", "decompose"]

_WIDTH = 0.045  # of a cell in logit(p), and 7 % for what the slope changes within it
_ROUNDING = 1e-12  # nat
_SAME = 1e-12  # relative: steps of the curve below it are rounding of the weights
_PIECES = 20  # along p and along the rows: where the curve is cut at least, so that its band shows its shape


@dataclass(frozen=True)
class CurvePoint:
    """A cell, or a run of neighbouring cells that isotonic regression puts together (long runs in several pieces).

    Attributes:
        promised: mean probability of its rows.
        recalibrated: the isotonic probability, between 0 and 1.
        lower: lower end of the consistency band: where the curve lies if promises are kept, point by point.
        upper: its upper end.
        n: rows.
    """

    promised: float
    recalibrated: float
    lower: float
    upper: float
    n: int


@dataclass(frozen=True)
class Decomposition:
    """loss = mcb - dsc + unc for one event, in nats.

    Attributes:
        loss: log loss of the event's probabilities (inf is a value; then mcb is inf too).
        mcb: miscalibration: what isotonic recalibration of these rows would gain; biased upward.
        dsc: discrimination: what the recalibrated probabilities know beyond the base rate.
        unc: uncertainty: entropy of the base rate.
        mcb_null: mean of mcb over labels redrawn from the probabilities, thus under calibration.
        mcb_null_upper: 95 % quantile of the same.
        mcb_debiased: mcb - mcb_null; may be negative.
        p_value: share of redraws with an mcb at least as large, (1 + count) / (1 + redraws).
        curve: the calibration curve with its consistency band, in order of p.
        confidence: of the band.
    """

    loss: float
    mcb: float
    dsc: float
    unc: float
    mcb_null: float
    mcb_null_upper: float
    mcb_debiased: float
    p_value: float
    curve: tuple[CurvePoint, ...]
    confidence: float


def decompose(
    cells: CellColumns,
    *,
    loss: float | None = None,
    redraws: int = 200,
    seed: int = 0,
    confidence: float = 0.95,
    hits: Float64 | None = None,
) -> Decomposition | None:
    """The CORP decomposition of one event's log loss.

    Args:
        cells: [CELLS] columns of the event.
        loss: its exact log loss in nats, where that is known; None takes the loss of the cells' mean probabilities.
        redraws: number of redraws of the labels, >= 1.
        seed: of the redraws.
        confidence: of the consistency band, in (0, 1).
        hits: the redraws, if they were drawn before.
    Returns: a Decomposition; None without rows.
    Raises: OptionError for another confidence or number of redraws.
    Source: Dimitriadis, Gneiting & Jordan, PNAS 118 (2021), e2016191118.

    >>> from crossent.stats.probability_cells import ProbabilityCells
    >>> p, hit = np.repeat([[0.2], [0.7]], 50, axis=0), np.repeat([[True], [False], [True]], [20, 40, 40], axis=0)
    >>> d = decompose(ProbabilityCells.of(p, hit).columns(0))
    >>> round(d.loss, 6), round(d.mcb, 6), round(d.dsc, 6), round(d.unc, 6)
    (0.651898, 0.065191, 0.086305, 0.673012)
    """
    coverage(confidence)
    rows = occupied(cells)
    if rows is None:
        return None
    drawn = redrawn_hits(cells, redraws, seed) if hits is None else hits
    every = np.concatenate([rows.hits[None], drawn])
    curves = isotonic_curves(every, rows.weight)
    promised, recalibrated = _loss_of_means(rows, every), _loss_of_curves(rows, curves)
    unc = float(_entropy(rows.hits.sum(keepdims=True) / rows.weight.sum())[0])
    of_means, best = float(promised[0]), float(recalibrated[0])
    exact = of_means if loss is None else loss
    by_cells = math.isfinite(of_means) and exact - of_means <= _lost_in_cells(cells)
    mcb = max((of_means if by_cells else exact) - best, 0.0)
    null = null_of(mcb, promised[1:] - recalibrated[1:])
    return Decomposition(
        loss=exact,
        mcb=mcb,
        dsc=unc - best + (of_means - exact if by_cells else 0.0),
        unc=unc,
        mcb_null=null.mean,
        mcb_null_upper=null.upper,
        mcb_debiased=mcb - null.mean,
        p_value=null.p_value,
        curve=_curve(rows, curves, confidence),
        confidence=confidence,
    )


def _loss_of_means(rows: OccupiedCells, hits: Float64) -> Float64:
    """The log loss of the cells' mean probabilities, [redraws] for hits [redraws, m]."""
    inside = (rows.p > 0) & (rows.p < 1)
    p = np.where(inside, rows.p, 0.5)
    hit, miss = np.where(inside, -np.log(p), 0.0), np.where(inside, -np.log1p(-p), 0.0)
    loss = (hits * hit).sum(axis=1) + ((rows.weight - hits) * miss).sum(axis=1)
    wrong = np.where(rows.p == 0, hits[0], np.where(rows.p == 1, rows.weight - hits[0], 0.0))
    loss[0] = np.inf if wrong.any() else loss[0]  # redraws keep these promises
    mean: Float64 = loss / rows.weight.sum()
    return mean


def _lost_in_cells(cells: CellColumns) -> float:
    """The most by which the mean loss of rows exceeds that of their cells' means: width times slope in logit(p).

    The outermost cells have no lower or upper edge: nothing is allowed for them.
    """
    count, weight, hits, promised, _ = (column[2:-2] for column in cells)
    p = promised / np.where(count > 0, weight, 1.0)
    slope = np.sum(hits * np.maximum(1.0 - p, 0.0) + np.maximum(weight - hits, 0.0) * p)
    return float(_WIDTH * slope / cells.weight.sum()) + _ROUNDING


def _loss_of_curves(rows: OccupiedCells, curves: Float64) -> Float64:
    """The log loss of isotonic curves on the labels that they were fitted to: the entropy of their runs."""
    count, m = curves.shape
    changes = np.ones(curves.shape, np.bool_)
    np.not_equal(curves[:, 1:], curves[:, :-1], out=changes[:, 1:])
    starts = np.flatnonzero(changes)
    curve, first = np.divmod(starts, m)
    last = np.append(starts[1:], curves.size) - curve * m
    below = np.concatenate([[0.0], np.cumsum(rows.weight)])
    entropy = (below[last] - below[first]) * _entropy(curves.reshape(-1)[starts])
    loss: Float64 = np.bincount(curve, entropy, count) / rows.weight.sum()
    return loss


def _entropy(p: Float64) -> Float64:
    """-p log p - (1 - p) log(1 - p), which is 0 at both ends."""
    inside = (p > 0) & (p < 1)
    q = np.where(inside, p, 0.5)
    entropy: Float64 = np.where(inside, -q * np.log(q) - (1 - q) * np.log1p(-q), 0.0)
    return entropy


def _curve(rows: OccupiedCells, curves: Float64, confidence: float) -> tuple[CurvePoint, ...]:
    """The observed curve, in pieces that are neither long in p nor in rows, with quantiles of the redrawn curves."""
    w = rows.weight
    share = (np.cumsum(w) - w / 2) / w.sum()
    piece = np.floor(np.round((share + rows.p) * _PIECES, 9))  # rounding of the weights must not move a cut
    steps = np.diff(curves[0]) > _SAME * curves[0][1:]
    starts = np.flatnonzero(np.concatenate([[True], steps | (np.diff(piece) != 0)]))
    weight = np.add.reduceat(w, starts)
    bands = np.add.reduceat(curves[1:] * w, starts, axis=1) / weight
    lower, upper = np.quantile(np.minimum(bands, 1.0), [0.5 - confidence / 2, 0.5 + confidence / 2], axis=0)
    promised = np.minimum(np.add.reduceat(w * rows.p, starts) / weight, 1.0)
    n = np.add.reduceat(rows.n, starts)
    points = np.stack([promised, curves[0][starts], lower, upper, n], axis=1).tolist()
    return tuple(CurvePoint(p, f, low, high, int(n)) for p, f, low, high, n in points)
