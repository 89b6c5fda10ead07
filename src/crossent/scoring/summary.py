"""From the sums of a tally to a Score: every mean, ratio, variance and interval is formed here, once."""

from fractions import Fraction
from typing import Any

import numpy as np

from crossent.scoring.calibration_summary import Drawn, calibration
from crossent.scoring.class_summary import class_scores, confusion, macro
from crossent.scoring.layout import Layout
from crossent.scoring.loss_summary import FEW_ROWS, baseline, histogram, infinities, with_infinities, worst_share, worth
from crossent.scoring.parts import LIKE_PROBABILITIES, Parts
from crossent.scoring.score import Score
from crossent.scoring.segment_summary import segment_scores
from crossent.stats import TOO_FEW_EVENTS, Estimate, wilson_estimate

__all__ = ["summarise"]


def summarise(parts: Parts, layout: Layout, *, drawn: Drawn) -> Score:
    """The Score of at least one row.

    Args:
        parts: the sums, of this layout.
        layout: the tally's options.
        drawn: number and seed of redraws, and coverage of all intervals, in (0, 1).
    Returns: the Score.
    Raises: OptionError for another confidence.
    """
    weights = parts.truth.sums[0].fractions()
    square, correct = (s.total().fractions()[0] for s in parts.truth.sums[1:])
    total, n = sum(weights, Fraction(0)), int(parts.truth.counts.sum())
    effective_n = float(total**2 / square)
    finite = _finite_loss(parts, drawn)
    loss = with_infinities(finite, int(parts.zeros[0]), n, effective_n)
    beside = baseline(weights, layout.prior)
    classes = class_scores(parts, layout, drawn)
    return Score(
        kind=layout.kind,
        classes=layout.classes,
        n=n,
        effective_n=effective_n,
        log_loss=loss,
        infinities=infinities(parts, finite, total),
        baseline=beside,
        baseline_of="these rows" if layout.prior is None else "the given prior",
        method=layout.method,
        clustered=layout.cluster,
        accuracy=wilson_estimate(float(correct / total), n=n, effective_n=effective_n, confidence=drawn.confidence),
        macro=macro(classes),
        confusion=confusion(parts.confusion, layout),
        segments=segment_scores(parts.segments, overall=finite.value, confidence=drawn.confidence),
        per_class=classes,
        histogram=histogram(parts.histogram, total),
        worst_share=worst_share(parts.histogram),
        worst=parts.worst.rows,
        notes=_notes(parts, n, layout),
        **worth(float(loss.value or 0.0), beside),
        **calibration(parts, layout, loss, drawn),
    )


def _finite_loss(parts: Parts, drawn: Drawn) -> Estimate:
    """The log loss of the rows where it is finite, with the interval that was asked for."""
    coverage: dict[str, Any] = {"confidence": drawn.confidence, "floor": 0.0}
    if parts.groups is not None:
        finite = parts.groups.estimate(**coverage, seed=drawn.seed)
    elif parts.clusters is not None:
        finite = parts.clusters.estimate(**coverage)
    else:
        finite = parts.losses.total().estimate(**coverage)
    rows = parts.truth.counts
    expected = rows > 0 if len(rows) > 2 else rows >= 0  # of many columns some may be for classes of other data
    if np.any(expected & (rows < FEW_ROWS)):
        finite = finite.marked(TOO_FEW_EVENTS)
    return finite


def _notes(parts: Parts, n: int, layout: Layout) -> tuple[str, ...]:
    written, clip, found = parts.written, layout.clip, []
    if written.off:
        decimals = "" if written.decimals is None else f"; {written.decimals} decimals?"
        found.append(
            f"probabilities of {written.off} of {n} rows are off 1 by more than 1e-5 and used as given "
            f"(sums {written.low:.6g}..{written.high:.6g}{decimals})"
        )
    if written.distributions:
        found.append(f"the logits {LIKE_PROBABILITIES}")
    if clip is not None:
        moved, zeros = (int(count) for count in parts.moved)
        unclipped = f", {zeros} of them from 0: without it the loss is inf" if zeros else ""
        found.append(f"clip {clip:g} moved the probability at the true class in {moved} of {n} rows{unclipped}")
    if layout.cluster:
        found.append("the interval of the log loss is over clusters; all other intervals are over rows")
    return tuple(found)
