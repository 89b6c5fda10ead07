"""From the sums of a tally to a Score: every mean, ratio, variance and interval is formed here, once."""

from fractions import Fraction

from crossent.scoring.calibration_summary import Drawn, calibration, resolved
from crossent.scoring.class_summary import class_scores, confusion, macro
from crossent.scoring.layout import Layout
from crossent.scoring.loss_summary import baseline, few_rows, histogram, infinities, with_infinities, worst_share, worth
from crossent.scoring.parts import LIKE_PROBABILITIES, Parts
from crossent.scoring.score import Score
from crossent.scoring.segment_summary import segment_scores
from crossent.stats import TOO_FEW_EVENTS, Estimate, wilson_estimate
from crossent.wording import listed

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
    finite = _finite_loss(parts, layout, drawn)
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
        notes=_notes(parts, n, layout) + _unresolved(parts, layout),
        **worth(float(loss.value or 0.0), beside),
        **calibration(parts, layout, loss, drawn),
    )


def _finite_loss(parts: Parts, layout: Layout, drawn: Drawn) -> Estimate:
    """The log loss of the rows where it is finite, with the interval that was asked for."""
    finite = parts.losses.estimate(layout, confidence=drawn.confidence, seed=drawn.seed, floor=0.0)
    return finite.marked(TOO_FEW_EVENTS) if few_rows(parts.truth.counts) else finite


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
        if moved:
            found.append("decompositions and all of calibration are of the probabilities as given, not clipped")
    if layout.cluster:
        found.append("the interval of the log loss is over clusters; all other intervals are over rows")
    return tuple(found)


def _unresolved(parts: Parts, layout: Layout) -> tuple[str, ...]:
    """Which events have no decomposition, because p is 0 or 1 in double precision where the loss is finite."""
    names = [] if len(layout.classes) == 2 or resolved(parts, parts.reliability.columns(0)) else ["the predicted class"]
    names += [
        layout.classes[k] for place, k in enumerate(layout.tracked) if not resolved(parts, parts.rest.columns(place))
    ]
    if not names:
        return ()
    said = f"p is 0 or 1 in double precision where the loss is finite: no decomposition of {listed(names)}"
    return (f"{said} against the rest",)
