"""One pass over the rows of a block: what each row says, and the sums that need all of its probabilities.

Rows without weights are summed by native code. Weighted rows, and the few whose terms are too large for its integers, leave
their terms, which are weighed and added exactly here: some thousand rows at a time, for terms take more room than rows.
"""

from dataclasses import dataclass

import numpy as np

from crossent.core.accumulate import ExactSum, two_product
from crossent.core.score_rows import RowScores, score_rows
from crossent.core.types import NDArray
from crossent.scoring.moments import Moments, exact_units
from crossent.stats import Float64, Int64
from crossent.stats.probability_cells import ProbabilityCells

__all__ = ["LARGEST_OFF", "MOST_SQUARES", "RowPass", "pass_rows"]

SILENT_OFF = 1e-5  # a row sum this far from 1 is rounding
LARGEST_OFF = 1e-2  # and beyond this it is not a distribution
MOST_SQUARES = 200  # classes up to which sums by true and predicted class are kept
_SURPRISE_BITS = 39
_TERM_ELEMENTS = 1 << 20


@dataclass(frozen=True, eq=False)
class RowPass:
    """What a pass finds.

    Attributes:
        losses, target, confidence, predicted: [n] as in RowScores.
        off: smallest and largest row sum among those that are off 1, and how many these are.
        moments: sums for tests of calibration and the temperature.
        surprise: [K * K] groups: sum of w (-log p_j) by true class where p_j > 0; None above 200 classes.
        zeros: [K, K] rows with p_j = 0 by true class; None likewise.
        reliability: cells by confidence.
        rest: cells of each tracked class.
    """

    losses: Float64
    target: Float64
    confidence: Float64
    predicted: Int64
    off: tuple[float, float, int]
    moments: Moments
    surprise: ExactSum | None
    zeros: Int64 | None
    reliability: ProbabilityCells
    rest: ProbabilityCells


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
        return self.values.shape[1] <= MOST_SQUARES

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
    if weight is not None:
        return _by_terms(rows, tracked)
    scores = rows.scores(terms=False)
    if scores.bad is not None:
        return scores.bad
    tables = scores.tables
    moments, surprise, zeros = Moments.of_scores(scores), None, tables.zeros
    if tables.surprise is not None:
        surprise = exact_units(tables.surprise.reshape(-1, 2), np.full(tables.surprise.size // 2, _SURPRISE_BITS))
    if len(scores.large):
        large = _by_terms(_Rows(values, labels, kind, scores.losses, None, slots).part(scores.large), ())
        assert isinstance(large, RowPass)
        moments = moments + large.moments
        if surprise is not None and large.surprise is not None and zeros is not None:
            surprise, zeros = surprise + large.surprise, zeros + large.zeros
    return RowPass(
        *_columns(scores),
        off=_off(scores),
        moments=moments,
        surprise=surprise,
        zeros=zeros,
        reliability=ProbabilityCells.of_table(tables.cells[:1]),
        rest=ProbabilityCells.of_table(tables.cells[1:]),
    )


def _by_terms(rows: _Rows, tracked: tuple[int, ...]) -> RowPass | tuple[int, int]:
    """The same from the terms of each row, with weights or without."""
    n, k = rows.values.shape
    step = max(1, _TERM_ELEMENTS // (k + 32))
    found: list[RowPass] = []
    for first in range(0, max(n, 1), step):
        part = rows.part(slice(first, first + step))
        scores = part.scores(terms=True)
        if scores.bad is not None:
            return first + scores.bad[0], scores.bad[1]
        found.append(_weighed(part, scores, tracked))
    return _joined(found)


def _weighed(rows: _Rows, scores: RowScores, tracked: tuple[int, ...]) -> RowPass:
    """The sums of some thousand rows."""
    assert scores.terms is not None
    assert scores.logs is not None
    p = np.asarray(rows.values, np.float64) if rows.kind == "probs" else np.exp(scores.logs)
    event = np.ones_like(rows.labels) if p.shape[1] == 2 else scores.predicted
    surprise, zeros = _surprise(scores.logs, rows.labels, rows.weight) if rows.squares else (None, None)
    chosen = np.array(tracked, np.int64)
    hit = (rows.labels == event)[:, None]
    return RowPass(
        *_columns(scores),
        off=_off(scores),
        moments=Moments.of_terms(scores.terms, scores.losses, rows.weight),
        surprise=surprise,
        zeros=zeros,
        reliability=ProbabilityCells.of(scores.confidence[:, None], hit, rows.weight),
        rest=ProbabilityCells.of(p[:, chosen], rows.labels[:, None] == chosen, rows.weight),
    )


def _surprise(logs: Float64, labels: Int64, weight: Float64 | None) -> tuple[ExactSum, Int64]:
    """Sum of w (-log p_j) by true class, and rows with p_j = 0."""
    k = logs.shape[1]
    zero = np.isneginf(logs)
    zeros = np.zeros((k, k), np.int64)
    np.add.at(zeros, labels, zero)
    lost = np.ldexp(np.rint(np.ldexp(np.where(zero, 0.0, -logs), _SURPRISE_BITS)), -_SURPRISE_BITS).reshape(-1)
    place = (labels[:, None] * k + np.arange(k)).reshape(-1)
    terms = (lost,) if weight is None else two_product(np.repeat(weight, k), lost)
    return ExactSum.of(*terms, groups=place, group_count=k * k), zeros


def _joined(parts: list[RowPass]) -> RowPass:
    """Rows one after the other, and the sum of their sums."""
    total = parts[0]
    for part in parts[1:]:
        low, high, off = total.off
        total = RowPass(
            *(np.concatenate([a, b]) for a, b in zip(_columns(total), _columns(part), strict=True)),
            off=(min(low, part.off[0]), max(high, part.off[1]), off + part.off[2]),
            moments=total.moments + part.moments,
            surprise=None if total.surprise is None or part.surprise is None else total.surprise + part.surprise,
            zeros=None if total.zeros is None or part.zeros is None else total.zeros + part.zeros,
            reliability=total.reliability + part.reliability,
            rest=total.rest + part.rest,
        )
    return total


def _columns(found: RowScores | RowPass) -> tuple[Float64, Float64, Float64, Int64]:
    return found.losses, found.target, found.confidence, found.predicted


def _off(scores: RowScores) -> tuple[float, float, int]:
    off = int(scores.tables.counts[3])
    return (*(scores.sums if off else (1.0, 1.0)), off)
