"""The parts of a tally: each is made from one block, and each adds up. A new statistic is a new field."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from crossent.core.pool import run_tasks
from crossent.scoring.adding import halved, sum_of, sum_of_fields
from crossent.scoring.confusion import ConfusionSums
from crossent.scoring.keys import Keys
from crossent.scoring.layout import Layout
from crossent.scoring.moments import Moments
from crossent.scoring.outcome import Outcome
from crossent.scoring.segments import SegmentSums
from crossent.scoring.spread import Spread
from crossent.scoring.worst import Worst
from crossent.stats import (
    LOSS_CELLS,
    Cells,
    ExactSum,
    Flags,
    Float64,
    Int64,
    loss_cell,
)
from crossent.stats.identity import Identity
from crossent.stats.probability_cells import ProbabilityCells

__all__ = ["CLIPS", "LIKE_PROBABILITIES", "TINY", "Parts", "Written"]

LIKE_PROBABILITIES = "lie in 0..1 and sum to 1 in every row: if they are probabilities, pass them as probs"
TINY = (1e-15, 1e-12, 1e-7)  # how many rows lie below these probabilities
CLIPS = (("scikit-learn, float64", float(np.finfo(np.float64).eps)), ("Keras", 1e-7))


@dataclass(frozen=True)
class Written:
    """How the probabilities were written: row sums and decimals; `+` widens.

    Attributes:
        low: smallest row sum.
        high: largest row sum.
        off: rows whose sum is off 1 by more than 1e-5.
        decimals: fewest decimals that write all of them, None for more than 6.
        distributions: whether all came as logits and look like probabilities.
    """

    low: float = 1.0
    high: float = 1.0
    off: int = 0
    decimals: int | None = 0
    distributions: bool = True

    def __add__(self, other: "Written") -> "Written":
        pair = (self.decimals, other.decimals)
        decimals = None if None in pair else max(d for d in pair if d is not None)
        return Written(
            min(self.low, other.low),
            max(self.high, other.high),
            self.off + other.off,
            decimals,
            self.distributions and other.distributions,
        )


@dataclass(frozen=True, eq=False)
class Parts:
    """Everything a tally knows, as things that add up.

    Attributes:
        losses: Spread of the finite losses, its rows per true class.
        truth: cells by true class: w, w^2, w correct.
        predicted: cells by predicted class: w, w^2.
        zeros: [1] rows with p = 0 at the target.
        tiny: [3] rows with p below 1e-15, 1e-12, 1e-7 at the target.
        clipped: [2] what the sum of w times the finite loss lacks of that of the clipped loss, for each of CLIPS.
        moved: [2] rows whose loss the layout's clip changed, and those of them that had p = 0.
        reliability: cells by confidence: one event.
        rest: cells of each tracked class against all others; none for two classes.
        moments: sums for tests of calibration and the temperature.
        confusion: sums by true and predicted class; None above 200 classes.
        histogram: cells by finite loss: w, w loss.
        worst: the worst rows.
        written: row sums and decimals.
        segments: sums of the finite losses by value, for each of the layout's columns.
    """

    losses: Spread
    truth: Cells
    predicted: Cells
    zeros: Int64
    tiny: Int64
    clipped: ExactSum
    moved: Int64
    reliability: ProbabilityCells
    rest: ProbabilityCells
    moments: Moments
    confusion: ConfusionSums | None
    histogram: Cells
    worst: Worst
    written: Written
    segments: tuple[SegmentSums, ...]

    @classmethod
    def of(cls, outcome: Outcome, layout: Layout, keys: Keys) -> "Parts":
        """The parts of one block."""
        given = outcome.losses
        outcome = outcome if layout.clip is None else _clipped_outcome(outcome, layout.clip)
        w, k, losses = outcome.weight, len(layout.classes), outcome.losses
        changed = losses != given
        has_loss = np.isfinite(losses)
        finite = _Finite.of(outcome, keys.identity, has_loss)
        small = outcome.p_target[outcome.p_target < max(TINY)]
        first, second, (truth, predicted, confusion), clipped = run_tasks(
            *halved(lambda rows: finite.sums(rows, layout), len(finite.losses)),
            lambda: _by_class(outcome, k),
            lambda: _clipped(given, losses, w),
        )
        spread, cells = sum_of(first, second)
        return cls(
            losses=spread,
            truth=truth,
            predicted=predicted,
            zeros=np.array([len(losses) - len(finite.losses)]),
            tiny=np.array([int((small < bound).sum()) for bound in TINY]),
            clipped=clipped,
            moved=np.array([int(changed.sum()), int((changed & np.isinf(given)).sum())]),
            reliability=outcome.sums.reliability,
            rest=outcome.sums.rest,
            moments=outcome.sums.moments,  # of the losses as given: a clipped row is no distribution any more
            confusion=confusion,
            histogram=cells,
            worst=Worst.of(outcome, layout),
            written=Written(*outcome.sums.off, outcome.decimals, outcome.distributions),
            segments=tuple(
                SegmentSums.of(name, by, losses, w, has_loss, targets=outcome.targets, class_count=k)
                for name, by in zip(layout.by, keys.by, strict=True)
            ),
        )

    def __add__(self, other: "Parts") -> "Parts":
        return sum_of_fields(self, other)


class _Finite(NamedTuple):
    """The rows with a finite loss; `identity` as in Keys."""

    losses: Float64
    weight: Float64 | None
    targets: Int64
    identity: Identity | None

    @classmethod
    def of(cls, outcome: Outcome, identity: Identity | None, has_loss: Flags) -> "_Finite":
        every = cls(outcome.losses, outcome.weight, outcome.targets, identity)
        return every if has_loss.all() else every.taken(np.flatnonzero(has_loss))

    def taken(self, rows: slice | Int64) -> "_Finite":
        """Some of the rows."""
        return _Finite(*(None if column is None else column[rows] for column in self))  # type: ignore[arg-type]

    def sums(self, rows: slice, layout: Layout) -> tuple[Spread, Cells]:
        """The spread of some of the rows, and their histogram."""
        losses, weight, targets, identity = self.taken(rows)
        k = len(layout.classes)
        spread = Spread.of(losses, weight, layout, identity=identity, places=targets, place_count=k)
        return spread, Cells.of(loss_cell(losses), LOSS_CELLS, losses, weight=weight)


def _by_class(outcome: Outcome, class_count: int) -> tuple[Cells, Cells, ConfusionSums | None]:
    """Cells by true class, by predicted class, and by both."""
    confusion = ConfusionSums.of(outcome, class_count)
    if outcome.weight is None and confusion is not None:
        both = confusion.counts
        truth, predicted = both.sum(axis=1), both.sum(axis=0)
        return Cells.of_counts(truth, truth, both.diagonal()), Cells.of_counts(predicted, predicted), confusion
    again, correct = _again(outcome), outcome.predicted == outcome.targets
    truth_cells = Cells.of(outcome.targets, class_count, again, correct, weight=outcome.weight)
    return truth_cells, Cells.of(outcome.predicted, class_count, again, weight=outcome.weight), confusion


def _again(outcome: Outcome) -> Float64 | Flags:
    """The weight once more: times the weight it gives w^2."""
    return np.ones(len(outcome.rows), np.bool_) if outcome.weight is None else outcome.weight


def _clip(losses: Float64, eps: float) -> Float64:
    """The losses of probabilities moved into [eps, 1 - eps]."""
    clipped: Float64 = np.clip(losses, -np.log1p(-eps), -np.log(eps))
    return clipped


def _clipped_outcome(outcome: Outcome, clip: float) -> Outcome:
    """The outcome with the probability at the target moved into [clip, 1 - clip]."""
    losses, p_target = _clip(outcome.losses, clip), np.clip(outcome.p_target, clip, 1.0 - clip)
    return replace(outcome, losses=losses, p_target=p_target)


def _clipped(given: Float64, losses: Float64, weight: Float64 | None) -> ExactSum:
    """For each of CLIPS what the sum of w times the loss lacks of that which a library clipping p would have formed."""
    total = ExactSum.zeros(len(CLIPS))
    for k, (_, eps) in enumerate(CLIPS):
        clipped = _clip(given, eps)
        rows = np.flatnonzero(clipped != losses)
        if len(rows):
            steps = np.concatenate([clipped[rows], np.where(np.isfinite(losses[rows]), -losses[rows], 0.0)])
            w = np.ones(2 * len(rows)) if weight is None else np.tile(weight[rows], 2)
            total = total + ExactSum.of_products(w, steps).merged(np.array([k]), len(CLIPS))
    return total
