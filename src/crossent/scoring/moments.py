"""Sums over rows of what each row says about calibration: entropy gap, Spiegelhalter, Brier, nine temperatures.

Each number of a row is rounded to a multiple of 2^-48 (an error below 2e-15 nat) before it is added exactly, so that
any order and split gives the same bits, and a mean is right to 1e-12 or better. The rounding is what lets kernels add
doubles.
"""

from dataclasses import dataclass

import numpy as np

from crossent.core.accumulate import ExactSum, two_product
from crossent.scoring.outcome import Outcome
from crossent.stats import Float64, Int64
from crossent.stats.temperature import BETAS

__all__ = ["LARGEST_TERM", "MOMENTS", "Moments"]

# Of one row with probabilities p, target y, loss l, entropy H: l - H; V = sum p log^2 p - H^2; 2 sum p^2 - 2 p_y, which
# is Spiegelhalter's B - E; its variance 4 (sum p^3 - (sum p^2)^2); Brier score 1 - 2 p_y + sum p^2.
MOMENTS = ("gap", "gap_variance", "excess", "excess_variance", "brier")
_BY_SQUARE = (1, 3)  # variances count by w^2
LARGEST_TERM = 2.0**26  # rows with a larger number than this leave gap and temperature
_GRID = 2.0**48


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over rows; `+` adds them.

    Attributes:
        rows: [2] rows in gap and temperature, and rows left out of them (loss infinite, or a number beyond 2^26).
        weight: [2] groups: sum of w and of w^2 over the rows in gap and temperature.
        sums: [5] groups, one for each of MOMENTS; gap and gap_variance are over the rows kept.
        largest: [2] the largest w^2 V of one row, for gap and excess.
        temperature: [27] groups: w L, w L', w L'' at each of BETAS.
    """

    rows: Int64
    weight: ExactSum
    sums: ExactSum
    largest: Float64
    temperature: ExactSum

    @classmethod
    def of(cls, outcome: Outcome) -> "Moments":
        """The sums of one block."""
        p, log_p, w = outcome.probs, outcome.log_probs, outcome.weight
        moments, curves = _terms(outcome.targets, p, log_p)
        kept = np.isfinite(outcome.losses) & (np.abs(curves).max(axis=1, initial=0.0) < LARGEST_TERM)
        ones = np.ones(len(p)) if w is None else w
        square = two_product(ones, ones)
        parts = []
        for name, x in zip(MOMENTS, moments, strict=True):
            rows = kept if name.startswith("gap") else np.ones(len(p), np.bool_)
            parts.append(_weighted_sum(x[rows], ones[rows], squared=name.endswith("variance")))
        largest = [float((square[0] * moments[k] * (kept if k == 1 else 1)).max(initial=0.0)) for k in _BY_SQUARE]
        weights = [ExactSum.of(ones[kept]), ExactSum.of(*(part[kept] for part in square))]
        temperature = [_weighted_sum(curves[kept, k], ones[kept]) for k in range(curves.shape[1])]
        rows = np.array([int(kept.sum()), int((~kept).sum())])
        return cls(rows, _side_by_side(weights), _side_by_side(parts), np.array(largest), _side_by_side(temperature))

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.rows + other.rows,
            self.weight + other.weight,
            self.sums + other.sums,
            np.maximum(self.largest, other.largest),
            self.temperature + other.temperature,
        )


def _terms(targets: Int64, p: Float64, log_p: Float64) -> tuple[list[Float64], Float64]:
    """The numbers of every row: one [n] for each of MOMENTS, and [n, 27]."""
    rows = np.arange(len(p))
    z = np.where(p > 0, log_p, 0.0)
    entropy, second = -(p * z).sum(axis=1), (p * z * z).sum(axis=1)
    squares, cubes = (p**2).sum(axis=1), (p**3).sum(axis=1)
    p_y, z_y = p[rows, targets], z[rows, targets]
    moments = [
        -z_y - entropy,
        np.maximum(second - entropy**2, 0.0),
        2 * squares - 2 * p_y,
        np.maximum(4 * (cubes - squares**2), 0.0),
        1 - 2 * p_y + squares,
    ]
    curves = []
    for beta in BETAS:
        top = (beta * z).max(axis=1, keepdims=True)
        e = np.where(p > 0, np.exp(beta * z - top), 0.0)
        total = e.sum(axis=1)
        mean = (e * z).sum(axis=1) / total
        spread = (e * (z - mean[:, None]) ** 2).sum(axis=1) / total
        curves += [np.log(total) + top[:, 0] - beta * z_y, mean - z_y, spread]
    return [_rounded(x) for x in moments], _rounded(np.stack(curves, axis=1))


def _rounded(x: Float64) -> Float64:
    grid: Float64 = np.rint(x * _GRID) / _GRID
    return grid


def _weighted_sum(x: Float64, weight: Float64, *, squared: bool = False) -> ExactSum:
    """The sum of w x, or of w^2 x with w^2 as a pair."""
    total = ExactSum.of(*two_product(weight, x))
    if not squared:
        return total
    high, low = two_product(weight, weight)
    return ExactSum.of(*two_product(high, x), *two_product(low, x))


def _side_by_side(sums: list[ExactSum]) -> ExactSum:
    """Sums of one group each as one sum of several groups."""
    total = ExactSum.zeros(len(sums))
    for k, part in enumerate(sums):
        total = total + part.merged(np.array([k]), len(sums))
    return total
