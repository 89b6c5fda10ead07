"""One pass over the rows of a block: what each row says, and the sums that need all of its probabilities.

Rows without weights are summed by native code. Weighted rows, and the few whose terms are too large for its integers,
leave their terms, which are weighed and added exactly here: some thousand rows at a time, for terms take more room than
rows.
"""

from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import NamedTuple

import numpy as np

from crossent.core.accumulate import ExactSum
from crossent.core.score_rows import MOST_ROWS, RowScores, score_rows
from crossent.core.types import NDArray
from crossent.scoring.adding import sum_of
from crossent.scoring.moments import Moments, exact_units, rounded
from crossent.stats import Float64, Int64
from crossent.stats.probability_cells import ProbabilityCells

__all__ = ["LARGEST_OFF", "SILENT_OFF", "PassSums", "RowPass", "pass_rows"]

SILENT_OFF = 1e-5  # a row sum this far from 1 is rounding
LARGEST_OFF = 1e-2  # and beyond this it is not a distribution
_MOST_SQUARES = 200  # classes up to which sums by true and predicted class are kept
_SURPRISE_BITS = 39
_MOST_SURPRISE = 2.0**200  # its product with any weight is finite
_TERM_ELEMENTS = 1 << 22


@dataclass(frozen=True, eq=False)
class PassSums:
    """Sums over rows; `+` adds them.

    Attributes:
        off: smallest and largest row sum among those that are off 1, and how many these are.
        moments: sums for tests of calibration and the temperature.
        surprise: [K * K] groups: sum of w (-log p_j) by true class where p_j > 0; None above 200 classes.
        zeros: [K, K] rows with p_j = 0 by true class; None likewise.
        reliability: cells by confidence.
        rest: cells of each tracked class.
    """

    off: tuple[float, float, int]
    moments: Moments
    surprise: ExactSum | None
    zeros: Int64 | None
    reliability: ProbabilityCells
    rest: ProbabilityCells

    def __add__(self, other: "PassSums") -> "PassSums":
        (low, high, off), (other_low, other_high, other_off) = self.off, other.off
        return PassSums(
            off=(min(low, other_low), max(high, other_high), off + other_off),
            moments=self.moments + other.moments,
            surprise=sum_of(self.surprise, other.surprise),
            zeros=sum_of(self.zeros, other.zeros),
            reliability=self.reliability + other.reliability,
            rest=self.rest + other.rest,
        )


class RowPass(NamedTuple):
    """What a pass finds: of every row [n] as in RowScores, and sums over all of them."""

    losses: Float64
    target: Float64
    confidence: Float64
    predicted: Int64
    sums: PassSums


@dataclass(frozen=True)
class _Rows:
    """The rows of a pass."""

    values: NDArray
    labels: Int64
    kind: str
    losses: Float64 | None
    weight: Float64 | None
    slots: Int64

    @property
    def squares(self) -> bool:
        """Whether sums by true and predicted class are kept."""
        classes: int = self.values.shape[1]
        return classes <= _MOST_SQUARES

    @property
    def term_rows(self) -> int:
        """Rows whose terms are held at a time."""
        classes: int = self.values.shape[1]
        return max(1, _TERM_ELEMENTS // (classes + 32))

    def part(self, rows: slice | Int64) -> "_Rows":
        """Some of the rows."""
        losses, weight = (None if x is None else x[rows] for x in (self.losses, self.weight))
        return _Rows(self.values[rows], self.labels[rows], self.kind, losses, weight, self.slots)

    def scores(self, *, terms: bool) -> RowScores:
        """What native code says of them."""
        return score_rows(
            self.values,
            self.labels,
            kind=self.kind,
            losses=self.losses,
            slots=self.slots,
            surprise=self.squares,
            terms=terms,
            silent=SILENT_OFF,
            refused=LARGEST_OFF,
        )


def pass_rows(
    values: NDArray,
    labels: Int64,
    *,
    kind: str,
    losses: Float64 | None,
    weight: Float64 | None,
    tracked: tuple[int, ...],
) -> RowPass | tuple[int, int]:
    """One pass over all rows.

    Args:
        values: [n, K] float32 or float64, C-contiguous.
        labels: [n] int64.
        kind: "probs", "logits" or "log_probs".
        losses: [n] the losses; None computes those of probabilities.
        weight: [n] weights > 0; None is all ones.
        tracked: classes with cells of their own.
    Returns: the pass, or the lowest bad row and what is wrong with it (RowError of native/kernels.hpp).
    """
    slots = np.full(values.shape[1], -1, np.int64)
    slots[list(tracked)] = np.arange(1, len(tracked) + 1)
    rows = _Rows(values, labels, kind, losses, weight, slots)
    parts: list[RowPass] = []
    step = MOST_ROWS if weight is None else rows.term_rows
    for first in range(0, max(len(labels), 1), step):
        part = rows.part(slice(first, first + step))
        scores = part.scores(terms=weight is not None)
        if scores.bad is not None:
            return first + scores.bad[0], scores.bad[1]
        sums = _summed(part, scores) if weight is None else _weighed(part, scores, tracked)
        parts.append(RowPass(scores.losses, scores.target, scores.confidence, scores.predicted, sums))
    if len(parts) == 1:
        return parts[0]
    return RowPass(
        np.concatenate([part.losses for part in parts]),
        np.concatenate([part.target for part in parts]),
        np.concatenate([part.confidence for part in parts]),
        np.concatenate([part.predicted for part in parts]),
        reduce(add, [part.sums for part in parts]),
    )


def _summed(rows: _Rows, scores: RowScores) -> PassSums:
    """The sums that native code formed, and those of rows that were too large for them."""
    tables, surprise = scores.tables, None
    if tables.surprise is not None:
        surprise = exact_units(tables.surprise.reshape(-1, 2), np.full(tables.surprise.size // 2, _SURPRISE_BITS))
    cells = ProbabilityCells.of_table(tables.cells)
    sums = PassSums(
        off=_off(scores),
        moments=Moments.of_scores(scores),
        surprise=surprise,
        zeros=tables.zeros,
        reliability=cells.part(slice(1)),
        rest=cells.part(slice(1, None)),
    )
    for first in range(0, len(scores.large), rows.term_rows):
        large = replace(rows, losses=scores.losses).part(scores.large[first : first + rows.term_rows])
        more = _weighed(large, large.scores(terms=True), ())
        sums = replace(
            sums,  # the cells have these rows already
            moments=sums.moments + more.moments,
            surprise=sum_of(sums.surprise, more.surprise),
            zeros=sum_of(sums.zeros, more.zeros),
        )
    return sums


def _weighed(rows: _Rows, scores: RowScores, tracked: tuple[int, ...]) -> PassSums:
    """The sums of some thousand rows."""
    assert scores.terms is not None
    assert scores.logs is not None
    p = np.asarray(rows.values, np.float64) if rows.kind == "probs" else np.minimum(np.exp(scores.logs), 1.0)
    event = np.ones_like(rows.labels) if p.shape[1] == 2 else scores.predicted
    surprise, zeros = _surprise(scores.logs, rows.labels, rows.weight) if rows.squares else (None, None)
    chosen = np.array(tracked, np.int64)
    hit = (rows.labels == event)[:, None]
    return PassSums(
        off=_off(scores),
        moments=Moments.of_terms(scores.terms, scores.losses, rows.weight),
        surprise=surprise,
        zeros=zeros,
        reliability=ProbabilityCells.of(scores.confidence[:, None], hit, rows.weight),
        rest=ProbabilityCells.of(p[:, chosen], rows.labels[:, None] == chosen, rows.weight),
    )


def _surprise(logs: Float64, labels: Int64, weight: Float64 | None) -> tuple[ExactSum, Int64]:
    """Sum of w (-log p_j) by true class, and rows with p_j = 0; beyond 2^200 nats it counts as that."""
    k = logs.shape[1]
    zero = np.isneginf(logs)
    zeros = np.zeros((k, k), np.int64)
    some = np.flatnonzero(zero.any(axis=1))
    np.add.at(zeros, labels[some], zero[some])
    lost = rounded(np.minimum(np.where(zero, 0.0, -logs), _MOST_SURPRISE), _SURPRISE_BITS).reshape(-1)
    place = (labels[:, None] * k + np.arange(k)).reshape(-1)
    if weight is None:
        return ExactSum.of(lost, groups=place, group_count=k * k), zeros
    return ExactSum.of_products(np.repeat(weight, k), lost, groups=place, group_count=k * k), zeros


def _off(scores: RowScores) -> tuple[float, float, int]:
    off = int(scores.tables.counts[3])
    return (*(scores.sums if off else (1.0, 1.0)), off)
