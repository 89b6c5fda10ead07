"""From sums by class to the classes of a Score: loss, recall, precision, F1, and each class against all others."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from crossent.scoring.calibration_summary import Drawn, resolved
from crossent.scoring.confusion import Confusion, ConfusionSums, Macro
from crossent.scoring.layout import Layout
from crossent.scoring.loss_summary import group_loss
from crossent.scoring.parts import Parts
from crossent.scoring.score import ClassScore
from crossent.stats import Cells, Estimate, wilson_estimate
from crossent.stats.decomposition import decompose
from crossent.stats.ranking import auc, auc_bound

__all__ = ["class_scores", "confusion", "macro"]


def class_scores(parts: Parts, layout: Layout, drawn: Drawn) -> tuple[ClassScore, ...]:
    """One entry a class, in column order."""
    weights, _, corrects = (s.fractions() for s in parts.truth.sums)
    predicted = parts.predicted.sums[0].fractions()
    finite = parts.losses.rows.estimates(confidence=drawn.confidence, floor=0.0)
    lost = parts.losses.rows.sums[0].fractions()
    all_lost = 0 if parts.zeros[0] else sum(lost)
    recalls = _shares(corrects, parts.truth, drawn.confidence)
    precisions = _shares(corrects, parts.predicted, drawn.confidence)
    total, counts = sum(weights), parts.truth.counts.tolist()
    scores = []
    for k, label in enumerate(layout.classes):
        infinite = counts[k] - int(parts.losses.rows.units[k])
        recall, both = recalls[k], weights[k] + predicted[k]
        effective_n = 0.0 if recall is None else recall.effective_n
        scores.append(
            ClassScore(
                label=label,
                n=counts[k],
                prior=float(weights[k] / total),
                log_loss=group_loss(finite[k], infinite, counts[k], effective_n),
                recall=recall,
                precision=precisions[k],
                f1=float(2 * corrects[k] / both) if both else None,
                loss_share=float(lost[k] / all_lost) if all_lost else None,
                **_against_rest(parts, layout, k, drawn),
            )
        )
    return tuple(scores)


def _shares(corrects: list[Fraction], cells: Cells, confidence: float) -> list[Estimate | None]:
    """Share of each cell's weight that is correct, with Wilson's interval; None for a cell without rows."""
    weights, squares = (s.fractions() for s in cells.sums[:2])
    return [
        wilson_estimate(float(right / w), n=n, effective_n=float(w * w / square), confidence=confidence) if n else None
        for right, w, square, n in zip(corrects, weights, squares, cells.counts.tolist(), strict=True)
    ]


def _against_rest(parts: Parts, layout: Layout, k: int, drawn: Drawn) -> dict[str, Any]:
    """Decomposition and AUC of "the true class is k", for a class with cells of its own."""
    if k not in layout.tracked:
        return {"rest": None, "auc": None, "auc_bound": None}
    cells = parts.rest.columns(layout.tracked.index(k))
    rest = None
    if resolved(parts, cells):
        rest = decompose(cells, redraws=drawn.redraws, seed=drawn.seed, confidence=drawn.confidence)
    return {"rest": rest, "auc": auc(cells), "auc_bound": auc_bound(cells)}


def macro(classes: tuple[ClassScore, ...]) -> Macro:
    """Means over the classes that occur or are predicted; a share without rows counts as 0."""
    kept = [c for c in classes if c.f1 is not None]

    def mean(values: list[float]) -> float:
        return math.fsum(values) / len(kept)

    return Macro(
        precision=mean([_value(c.precision) for c in kept]),
        recall=mean([_value(c.recall) for c in kept]),
        f1=mean([c.f1 or 0.0 for c in kept]),
    )


def _value(share: Estimate | None) -> float:
    return 0.0 if share is None or share.value is None else share.value


def confusion(sums: ConfusionSums | None, layout: Layout) -> Confusion | None:
    """Who is taken for whom; None above 200 classes."""
    if sums is None:
        return None
    k = len(layout.classes)
    weights = sums.weights().floats().reshape(k, k)
    lost = sums.surprise.floats().reshape(k, k)
    lost[sums.zeros > 0] = np.inf
    rows = weights.sum(axis=1)
    shares = [tuple((weights[t] / rows[t]).tolist()) if rows[t] else None for t in range(k)]
    bits = [tuple((lost[t] / rows[t] / math.log(2.0)).tolist()) if rows[t] else None for t in range(k)]
    counts = tuple(tuple(row) for row in sums.counts.tolist())
    return Confusion(counts, tuple(shares), tuple(bits), layout.threshold if k == 2 else None)
