"""The parts of a tally: each is made from one block, and each adds up. A new statistic is a new field."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from crossent.core.pool import run_tasks
from crossent.scoring.confusion import ConfusionSums
from crossent.scoring.keys import Keys
from crossent.scoring.layout import Layout
from crossent.scoring.moments import Moments
from crossent.scoring.outcome import Outcome
from crossent.scoring.segments import SegmentSums
from crossent.scoring.worst import Worst
from crossent.stats import (
    LOSS_CELLS,
    Cells,
    ExactSum,
    Flags,
    Float64,
    Int64,
    RatioSums,
    loss_cell,
    two_product,
)
from crossent.stats.bootstrap import GroupSums
from crossent.stats.clusters import ClusterSums
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
        losses: RatioSums of the finite losses, per true class.
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
        clusters: sums of the finite losses by cluster, where the interval is over clusters.
        groups: the same by hash group, where the interval is a bootstrap.
    """

    losses: RatioSums
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
    clusters: ClusterSums | None
    groups: GroupSums | None

    @classmethod
    def of(cls, outcome: Outcome, layout: Layout, keys: Keys) -> "Parts":
        """The parts of one block."""
        given = outcome.losses
        outcome = outcome if layout.clip is None else _clipped_outcome(outcome, layout.clip)
        w, k, losses = outcome.weight, len(layout.classes), outcome.losses
        changed = losses != given
        has_loss = np.isfinite(losses)
        finite = np.flatnonzero(has_loss)
        whole = len(finite) == len(losses)
        kept, kept_w = (losses, w) if whole else (losses[finite], None if w is None else w[finite])
        kept_targets = outcome.targets if whole else outcome.targets[finite]
        small = outcome.p_target[outcome.p_target < max(TINY)]

        def losses_of(rows: slice) -> RatioSums:
            weight = None if kept_w is None else kept_w[rows]
            return RatioSums.weighted(kept[rows], weight, groups=kept_targets[rows], group_count=k)

        def histogram_of(rows: slice) -> Cells:
            weight = None if kept_w is None else kept_w[rows]
            return Cells.of(loss_cell(kept[rows]), LOSS_CELLS, kept[rows], weight=weight)

        first, second = slice(len(kept) // 2), slice(len(kept) // 2, None)
        losses_a, losses_b, histogram_a, histogram_b, (truth, predicted, confusion), clipped = run_tasks(
            lambda: losses_of(first),
            lambda: losses_of(second),
            lambda: histogram_of(first),
            lambda: histogram_of(second),
            lambda: _by_class(outcome, k),
            lambda: _clipped(given, losses, w),
        )
        return cls(
            losses=losses_a + losses_b,
            truth=truth,
            predicted=predicted,
            zeros=np.array([len(losses) - len(finite)]),
            tiny=np.array([int((small < bound).sum()) for bound in TINY]),
            clipped=clipped,
            moved=np.array([int(changed.sum()), int((changed & np.isinf(given)).sum())]),
            reliability=outcome.sums.reliability,
            rest=outcome.sums.rest,
            moments=outcome.sums.moments,  # of the losses as given: a clipped row is no distribution any more
            confusion=confusion,
            histogram=histogram_a + histogram_b,
            worst=Worst.of(outcome, layout),
            written=Written(*outcome.sums.off, outcome.decimals, outcome.distributions),
            segments=tuple(
                SegmentSums.of(name, by, losses, w, has_loss) for name, by in zip(layout.by, keys.by, strict=True)
            ),
            **_spread(kept, kept_w, None if keys.identity is None else keys.identity[finite], layout),
        )

    def __add__(self, other: "Parts") -> "Parts":
        return Parts(**{f.name: _added(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)})


def _added(mine: Any, theirs: Any) -> Any:
    """The sum of two parts of the same kind, member by member where there are several; None for none."""
    if isinstance(mine, tuple):
        return tuple(_added(*pair) for pair in zip(mine, theirs, strict=True))
    return None if mine is None else mine + theirs


def _spread(losses: Float64, weight: Float64 | None, identity: Identity | None, layout: Layout) -> dict[str, Any]:
    """The sums that an interval over clusters or hash groups needs."""
    if identity is None:
        return {"clusters": None, "groups": None}
    w = np.ones(len(losses)) if weight is None else weight
    a, error = two_product(w, losses)
    if layout.ci == "bootstrap":
        return {"clusters": None, "groups": GroupSums.of(identity, a, w, a_error=error)}
    return {"clusters": ClusterSums.of(identity, a, w, a_error=error), "groups": None}


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
