"""Sums over rows of what each row says about calibration: entropy gap, Spiegelhalter, Brier, nine temperatures.

Each term of a row is rounded to a multiple of 2^-39 nat (second derivatives: 2^-32) before it is added exactly, so that
any order and split gives the same bits, and a mean is within 1e-12 of that of the terms. The rounding is what lets a
kernel add integers.
"""

from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from crossent.core.accumulate import ExactSum, two_product
from crossent.core.score_rows import TERM_BITS, RowScores
from crossent.stats import Float64, Int64

__all__ = ["Moments", "exact_units", "rounded"]

# Of one row with probabilities p, target y, loss l, entropy H: l - H; V = sum p log^2 p - H^2; 2 sum p^2 - 2 p_y, which
# is Spiegelhalter's B - E; its variance 4 (sum p^3 - (sum p^2)^2); Brier score 1 - 2 p_y + sum p^2. All but the last
# are of p / sum p: sums that are a little off 1 in every row would add up to a certain verdict.
_MOMENTS = ("gap", "gap_variance", "excess", "excess_variance", "brier")
_GAPS, _SQUARED = (0, 1), (1, 3)  # those over rows with a finite loss, those that count by w^2
_LARGEST_TERM = 2.0**26  # rows with a larger number than this leave gap and temperature


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over rows; `+` adds them.

    Attributes:
        rows: [2] rows in gap and temperature, and rows left out of them (loss infinite, or a number beyond 2^26).
        weight: [2] groups: sum of w and of w^2 over the rows in gap and temperature.
        sums: [5] groups, one for each of _MOMENTS; gap and gap_variance are over the rows kept.
        largest: [2] the largest w^2 V of one row, for gap and excess.
        temperature: [27] groups: w L, w L', w L'' at each of BETAS.
    """

    rows: Int64
    weight: ExactSum
    sums: ExactSum
    largest: Float64
    temperature: ExactSum

    @classmethod
    def of_scores(cls, scores: RowScores) -> "Moments":
        """The sums that native code formed over rows without weights."""
        counts = scores.tables.counts
        total = exact_units(scores.tables.sums, TERM_BITS)
        split = len(_MOMENTS)
        return cls(
            rows=counts[:2].copy(),
            weight=ExactSum.of_counts(counts[[0, 0]]),
            sums=total.taken(slice(split)),
            largest=scores.largest,
            temperature=total.taken(slice(split, None)),
        )

    @classmethod
    def of_terms(cls, terms: Float64, losses: Float64, weight: Float64 | None) -> "Moments":
        """The sums over rows whose terms are given, [n, 32] in the order of TERM_BITS."""
        split = len(_MOMENTS)
        curves = terms[:, split:]
        kept = np.isfinite(losses) & (np.abs(curves).max(axis=1, initial=0.0) < _LARGEST_TERM)
        w = np.ones(len(terms)) if weight is None else weight
        square, error = two_product(w, w)
        columns = []
        for k, bits in enumerate(TERM_BITS):
            rows = kept if k in _GAPS or k >= split else slice(None)
            x = rounded(terms[rows, k], bits)
            factors = (square, error) if k in _SQUARED else (w,)
            columns.append(reduce(add, [ExactSum.of_products(factor[rows], x) for factor in factors]))
        variances = (rounded(terms[:, 1], TERM_BITS[1]) * kept, rounded(terms[:, 3], TERM_BITS[3]))
        return cls(
            rows=np.array([kept.sum(), (~kept).sum()]),
            weight=_side_by_side([ExactSum.of(w[kept]), ExactSum.of(square[kept], error[kept])]),
            sums=_side_by_side(columns[:split]),
            largest=np.array([(square * v).max(initial=0.0) for v in variances]),
            temperature=_side_by_side(columns[split:]),
        )

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.rows + other.rows,
            self.weight + other.weight,
            self.sums + other.sums,
            np.maximum(self.largest, other.largest),
            self.temperature + other.temperature,
        )


def rounded(x: Float64, bits: int) -> Float64:
    """Multiples of 2^-bits; numbers beyond 2^26 as they are."""
    if x.min(initial=0.0) > -(2.0 ** (51 - bits)) and x.max(initial=0.0) < 2.0 ** (51 - bits):
        magic = 1.5 * 2.0 ** (52 - bits)  # of 52 bits the low ones lie behind the point
        near: Float64 = (x + magic) - magic
        return near
    small = np.abs(x) < _LARGEST_TERM
    return np.where(small, np.ldexp(np.rint(np.ldexp(np.where(small, x, 0.0), bits)), -bits), x)


def exact_units(limbs: Int64, bits: Int64) -> ExactSum:
    """Whole numbers of units as exact sums.

    Args:
        limbs: [groups, 2] low 32 bits and rest of each number.
        bits: [groups] a unit is 2^-bits.
    """
    low, high = limbs[:, 0], limbs[:, 1]
    parts = [low, high & 0xFFFFFFFF, high >> 32]
    place = np.arange(len(limbs))
    vectors = [np.ldexp(part.astype(np.float64), 32 * k - bits) for k, part in enumerate(parts)]
    return ExactSum.of(*vectors, groups=place, group_count=len(limbs))


def _side_by_side(sums: list[ExactSum]) -> ExactSum:
    """Sums of one group each as one sum of several groups."""
    total = ExactSum.zeros(len(sums))
    for k, part in enumerate(sums):
        total = total + part.merged(np.array([k]), len(sums))
    return total
