"""From the sums of a tally to a Score: every mean, ratio, variance and interval is formed here, once."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from crossent.scoring.layout import Layout
from crossent.scoring.parts import CLIPS, TINY, Parts
from crossent.scoring.score import ClassScore, Infinities, LossBin, ReliabilityBin, Score
from crossent.stats import (
    LOSS_CELLS,
    TOO_FEW_EVENTS,
    Cells,
    Estimate,
    ExactSum,
    loss_edges,
    mass_bins,
    wilson_estimate,
)
from crossent.wording import counted

__all__ = ["summarise"]

_FEW_ROWS = 20
_CELLS_PER_BIN = 16  # 1/32-octave cells in a histogram bin of half an octave


def summarise(parts: Parts, layout: Layout, *, confidence: float) -> Score:
    """The Score of at least one row.

    Args:
        parts: the sums, of this layout.
        layout: the tally's options.
        confidence: coverage of all intervals, in (0, 1).
    Returns: the Score.
    Raises: OptionError for another confidence.
    """
    classes = layout.classes
    weight, square, correct = (s.total() for s in parts.truth.sums)
    total, n = _first(weight), int(parts.truth.counts.sum())
    effective_n = float(total**2 / _first(square))
    finite = parts.losses.total().estimate(confidence=confidence, floor=0.0)
    if np.any((parts.truth.counts > 0) & (parts.truth.counts < _FEW_ROWS)):
        finite = finite.marked(TOO_FEW_EVENTS)
    zeros = int(parts.zeros[0])
    loss = _with_infinities(finite, zeros, n, effective_n)
    baseline = _entropy([w / total for w in parts.truth.sums[0].fractions()])
    accuracy = wilson_estimate(float(_first(correct) / total), n=n, effective_n=effective_n, confidence=confidence)
    return Score(
        kind=layout.kind,
        classes=classes,
        n=n,
        effective_n=effective_n,
        log_loss=loss,
        infinities=_infinities(parts, finite, total),
        baseline=baseline,
        **_worth(math.nan if loss.value is None else loss.value, baseline),
        accuracy=accuracy,
        per_class=_per_class(parts, classes, zeros, confidence),
        reliability=_reliability(parts.reliability, layout, confidence),
        reliability_of=_event(classes),
        histogram=_histogram(parts.histogram, total),
        worst_share=_worst_share(parts.histogram),
        worst=parts.worst.rows,
        notes=_notes(parts, n, layout.clip),
    )


def _event(classes: tuple[str, ...]) -> str:
    return f"the true class is {classes[1]}" if len(classes) == 2 else "the predicted class is true"


def _worth(value: float, baseline: float) -> dict[str, Any]:
    """What the loss means beside the baseline."""
    return {
        "skill": 1.0 - value / baseline if baseline > 0 else None,
        "bits_gained": (baseline - value) / math.log(2.0),
        "effective_classes": math.exp(value) if value < 709 else math.inf,
    }


def _first(total: ExactSum) -> Fraction:
    return total.fractions()[0]


def _entropy(shares: list[Fraction]) -> float:
    return math.fsum(-float(p) * math.log(p) for p in shares if p)


def _with_infinities(finite: Estimate, zeros: int, n: int, effective_n: float) -> Estimate:
    """The same estimate, or inf without an interval where any row has p = 0 at its target."""
    if not zeros:
        return finite
    why = f"{_have(zeros)} p = 0 at the true class: inf"
    return Estimate(math.inf, None, None, None, finite.confidence, n, effective_n, why=why)


def _have(zeros: int) -> str:
    return f"{counted(zeros)} {'has' if zeros == 1 else 'have'}"


def _infinities(parts: Parts, finite: Estimate, total: Fraction) -> Infinities:
    zeros = int(parts.zeros[0])
    clipped = tuple(
        (habit, eps, float(s / total)) for (habit, eps), s in zip(CLIPS, parts.clipped.fractions(), strict=True)
    )
    below = {f"{bound:.0e}": int(count) for bound, count in zip(TINY, parts.tiny, strict=True)}
    return Infinities(zeros, below, finite, clipped, _zero_note(zeros, parts.written.decimals))


def _zero_note(zeros: int, decimals: int | None) -> str | None:
    if not zeros:
        return None
    if decimals:
        return (
            f"{_have(zeros)} p = {0:.{decimals}f} at the true class, so the loss is inf: "
            f"write more digits, or log-probs, or --clip 5e-{decimals + 1}"
        )
    remedy = "write logits or log-probs, or find out why they are 0"
    return f"{_have(zeros)} p = 0 at the true class, so the loss is inf: {remedy}"


def _per_class(parts: Parts, classes: tuple[str, ...], zeros: int, confidence: float) -> tuple[ClassScore, ...]:
    weights, squares, corrects = (s.fractions() for s in parts.truth.sums)
    predicted = parts.predicted.sums[0].fractions()
    finite = parts.losses.estimates(confidence=confidence, floor=0.0)
    lost = parts.losses.sums[0].fractions()
    all_lost, total = sum(lost), sum(weights)
    scores = []
    for k, label in enumerate(classes):
        n, w = int(parts.truth.counts[k]), weights[k]
        infinite = n - int(parts.losses.units[k])
        effective_n = float(w * w / squares[k]) if n else 0.0
        loss = _with_infinities(finite[k], infinite, n, effective_n)
        if n < _FEW_ROWS:
            loss = loss.marked(TOO_FEW_EVENTS)
        recall = None
        if n:
            recall = wilson_estimate(float(corrects[k] / w), n=n, effective_n=effective_n, confidence=confidence)
        scores.append(
            ClassScore(
                label=label,
                n=n,
                prior=float(w / total),
                log_loss=loss,
                recall=recall,
                precision=float(corrects[k] / predicted[k]) if predicted[k] else None,
                loss_share=float(lost[k] / all_lost) if all_lost and not zeros else None,
            )
        )
    return tuple(scores)


def _reliability(cells: Cells, layout: Layout, confidence: float) -> tuple[ReliabilityBin, ...]:
    edges = layout.edges
    if layout.binning == "mass":
        bins = mass_bins(cells.counts, layout.bins)
        cells = cells.merged(bins, layout.bins)
        edges = edges[np.searchsorted(bins, np.arange(layout.bins + 1), side="left")]
    rows = zip(cells.counts.tolist(), *(s.fractions() for s in cells.sums), strict=True)
    found = []
    for k, (n, w, hit, promised, square) in enumerate(rows):
        if n:
            observed = wilson_estimate(float(hit / w), n=n, effective_n=float(w * w / square), confidence=confidence)
            found.append(ReliabilityBin(float(edges[k]), float(edges[k + 1]), n, float(promised / w), observed))
    return tuple(found)


def _histogram(cells: Cells, total: Fraction) -> tuple[LossBin, ...]:
    place = np.arange(LOSS_CELLS)
    inner = (place[1:-1] - 1) // _CELLS_PER_BIN + 1
    bins = np.concatenate([[0], inner, [inner[-1] + 1]])
    merged = cells.merged(bins, int(bins[-1]) + 1)
    edges = np.concatenate([loss_edges()[np.searchsorted(bins, np.arange(bins[-1] + 1))], [np.inf]])
    weights, lost = (s.fractions() for s in merged.sums)
    all_lost = sum(lost)
    return tuple(
        LossBin(
            float(edges[k]),
            float(edges[k + 1]),
            n,
            float(weights[k] / total),
            float(lost[k] / all_lost) if all_lost else 0.0,
        )
        for k, n in enumerate(merged.counts.tolist())
        if n
    )


def _worst_share(cells: Cells) -> float | None:
    """Share of the finite loss in the worst 1 % of the weight; the cell on the border counts in part."""
    weights, lost = (s.fractions() for s in cells.sums)
    total, all_lost = sum(weights, Fraction(0)), sum(lost, Fraction(0))
    if not all_lost:
        return None
    wanted, gathered = total / 100, Fraction(0)
    for w, loss in zip(reversed(weights), reversed(lost), strict=True):
        if w >= wanted:
            if w:
                gathered += loss * wanted / w
            break
        wanted -= w
        gathered += loss
    return float(gathered / all_lost)


def _notes(parts: Parts, n: int, clip: float | None) -> tuple[str, ...]:
    written, found = parts.written, []
    if written.off:
        decimals = "" if written.decimals is None else f"; {written.decimals} decimals?"
        found.append(
            f"probabilities of {written.off} of {n} rows are off 1 by more than 1e-5 and used as given "
            f"(sums {written.low:.6g}..{written.high:.6g}{decimals})"
        )
    if clip is not None:
        moved, zeros = (int(count) for count in parts.moved)
        unclipped = f", {zeros} of them from 0: without it the loss is inf" if zeros else ""
        found.append(f"clip {clip:g} moved the probability at the true class in {moved} of {n} rows{unclipped}")
    return tuple(found)
