"""From sums to the log loss: its infinities, its baseline, its histogram, and where the worst of it lies."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from crossent.scoring.parts import CLIPS, TINY, Parts
from crossent.scoring.score import Infinities, LossBin
from crossent.stats import LOSS_CELLS, TOO_FEW_EVENTS, Cells, Estimate, Flags, Int64, loss_edges
from crossent.wording import having

__all__ = [
    "FEW_ROWS",
    "baseline",
    "entropy",
    "few_rows",
    "group_loss",
    "histogram",
    "infinities",
    "with_infinities",
    "worst_share",
    "worth",
]

FEW_ROWS = 20
_CELLS_PER_BIN = 16  # 1/32-octave cells in a histogram bin of half an octave


def entropy(weights: list[Fraction]) -> float:
    """Entropy in nats of the shares of these weights.

    >>> round(entropy([Fraction(1), Fraction(1)]), 6)
    0.693147
    """
    total = sum(weights, Fraction(0))
    return math.fsum(-float(w / total) * math.log(w / total) for w in weights if w)


def baseline(weights: list[Fraction], prior: tuple[float, ...] | None) -> float:
    """The loss in nats of predicting the same shares for every row.

        -sum_k s_k log q_k, with s the shares of the rows' classes and q the prior, or s itself

    Args:
        weights: weight of each class.
        prior: q; None for s.
    Returns: inf if a class with rows has q = 0.
    """
    if prior is None:
        return entropy(weights)
    total = sum(weights, Fraction(0))
    pairs = [(float(w / total), q) for w, q in zip(weights, prior, strict=True) if w]
    return math.inf if any(q == 0 for _, q in pairs) else math.fsum(-share * math.log(q) for share, q in pairs)


def worth(value: float, beside: float) -> dict[str, Any]:
    """What a loss means beside the baseline."""
    gained = None if value == beside == math.inf else (beside - value) / math.log(2.0)
    return {
        "skill": 1.0 - value / beside if 0 < beside < math.inf else None,
        "bits_gained": gained,
        "effective_classes": math.exp(value) if value < 709 else math.inf,
    }


def with_infinities(finite: Estimate, zeros: int, n: int, effective_n: float) -> Estimate:
    """The same estimate, or inf without an interval where any row has p = 0 at its target."""
    if not zeros:
        return finite
    why = f"{having(zeros)} p = 0 at the true class: inf"
    return Estimate(math.inf, None, None, None, finite.confidence, n, effective_n, why=why)


def few_rows(rows: Int64) -> Flags:
    """Whether an interval rests on too few rows of some class: 1 to 19, and none too if there are at most two.

    Args:
        rows: [..., K] rows of each class; of many classes some may be for other data.
    Returns: [...] bool.

    >>> few_rows(np.array([[100, 0], [50, 50]])).tolist(), bool(few_rows(np.array([40, 0, 60])))
    ([True, False], False)
    """
    expected = rows > 0 if rows.shape[-1] > 2 else rows >= 0
    flags: Flags = np.any(expected & (rows < FEW_ROWS), axis=-1)
    return flags


def group_loss(finite: Estimate, zeros: int, n: int, effective_n: float) -> Estimate:
    """The loss of a group of rows, marked where they are few."""
    loss = with_infinities(finite, zeros, n, effective_n)
    return loss.marked(TOO_FEW_EVENTS) if n < FEW_ROWS else loss


def infinities(parts: Parts, finite: Estimate, total: Fraction) -> Infinities:
    """Rows with little or no probability at the target, and the loss without them."""
    zeros = int(parts.zeros[0])
    lost = parts.losses.rows.sums[0].total().fractions()[0]
    clipped = tuple(
        (habit, eps, float((lost + s) / total))
        for (habit, eps), s in zip(CLIPS, parts.clipped.fractions(), strict=True)
    )
    below = {f"{bound:.0e}": int(count) for bound, count in zip(TINY, parts.tiny, strict=True)}
    return Infinities(zeros, below, finite, clipped, _zero_note(zeros, parts.written.decimals))


def _zero_note(zeros: int, decimals: int | None) -> str | None:
    if not zeros:
        return None
    if decimals:
        return (
            f"{having(zeros)} p = {0:.{decimals}f} at the true class, so the loss is inf: "
            f"write more digits, or log-probs, or set the option clip to 5e-{decimals + 1}"
        )
    remedy = "write logits or log-probs, or find out why they are 0"
    return f"{having(zeros)} p = 0 at the true class, so the loss is inf: {remedy}"


def histogram(cells: Cells, total: Fraction) -> tuple[LossBin, ...]:
    """The finite losses in bins half an octave wide; empty ones are left out."""
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


def worst_share(cells: Cells) -> float | None:
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
