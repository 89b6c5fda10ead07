"""What one block of predictions says row by row: loss, probability at the target, prediction, confidence.

Everything here depends on the row alone. Values are checked here once for a tally: the losses come from the
kernels, which refuse bad logits and labels; distributions (rows of probabilities) are checked for range and
sum.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossent.activations import log_softmax, logsumexp
from crossent.core.types import ArrayLike
from crossent.errors import CrossentError, NonFiniteError, ProbabilityError, ShapeError, WeightError
from crossent.losses import binary_cross_entropy, cross_entropy
from crossent.scoring.layout import Kind
from crossent.stats import Flags, Float64, Int64

__all__ = ["LARGEST_OFF", "Outcome", "binary_outcome", "class_outcome"]

SILENT_OFF = 1e-5  # a row sum this far from 1 is rounding
LARGEST_OFF = 1e-2  # and beyond this it is not a distribution
# The range of weights: the interval needs cubes of w l, which are then normal float64 for losses from 1e-40 to 1e39,
# so that no result depends on the unit of the weights. Beyond LARGEST_LOSS w l itself would overflow.
LIGHTEST, HEAVIEST = 1e-60, 1e60
LARGEST_LOSS = 1e230


@dataclass(frozen=True)
class Outcome:
    """The rows of one block with weight > 0.

    Attributes:
        targets: [n] class of every row.
        losses: [n] float64 losses in nats, inf where p = 0 at the target.
        p_target: [n] probability given to the target.
        predicted: [n] class with the largest probability, the first of ties.
        confidence: [n] probability of the positive class (two classes) or of the predicted one.
        hit: [n] whether the event that `confidence` speaks of came true.
        weight: [n] weights, or None for all ones.
        rows: [n] row in the source.
        source: name of the file or table.
        sums: smallest and largest row sum, and how many are off 1 by more than 1e-5.
        decimals: fewest decimals that write all probabilities, or None for more than 6.
        probs: [n, K] probabilities of all classes; as given, of logits by softmax.
        log_probs: [n, K] their logarithms, -inf for 0.
    """

    targets: Int64
    losses: Float64
    p_target: Float64
    predicted: Int64
    confidence: Float64
    hit: Flags
    weight: Float64 | None
    rows: Int64
    source: str
    sums: tuple[float, float, int]
    decimals: int | None
    probs: Float64
    log_probs: Float64


@dataclass(frozen=True)
class _Block:
    targets: Int64
    prediction: Float64
    weight: Float64 | None
    rows: Int64
    source: str

    def place(self, i: int) -> str:
        return _place(self.source, int(self.rows[i]))


def class_outcome(
    targets: ArrayLike,
    prediction: ArrayLike,
    *,
    kind: Kind,
    classes: tuple[str, ...],
    sample_weight: ArrayLike | None,
    source: str,
    first_row: int,
) -> Outcome:
    """The outcome of [n, K] predictions for [n] targets."""
    block = _block(targets, prediction, sample_weight, source, first_row, columns=len(classes))
    z = block.prediction
    if not len(z):
        return _empty(block)
    named: dict[str, Any] = {kind: z}

    def losses_at(t: Int64) -> Any:
        return cross_entropy(t, **named, reduction="none")

    sums, decimals = (1.0, 1.0, 0), None
    if kind == "probs":
        sums, decimals = _check_distributions(block, classes), _decimals(z)
    elif kind == "log_probs":
        sums = _check_sums(block, np.exp(np.asarray(logsumexp(z))), classes)
    losses = _losses(block, losses_at)
    _refuse_overflow(block, losses)
    truth = block.targets.astype(np.int64)
    predicted = z.argmax(axis=1).astype(np.int64)
    event = np.ones_like(predicted) if len(classes) == 2 else predicted
    if kind == "probs":
        rows = np.arange(len(z))
        p_target, confidence = z[rows, truth], z[rows, event]
    else:
        p_target = np.exp(-losses)
        confidence = np.exp(-_losses(replace(block, targets=event), losses_at))
    hit = truth == event
    written = (sums, decimals, *_distributions(z, kind))
    return Outcome(truth, losses, p_target, predicted, confidence, hit, block.weight, block.rows, source, *written)


def binary_outcome(
    targets: ArrayLike,
    prediction: ArrayLike,
    *,
    kind: Kind,
    sample_weight: ArrayLike | None,
    source: str,
    first_row: int,
) -> Outcome:
    """The outcome of one column of predictions for the positive class; p is used as it is given."""
    block = _block(targets, prediction, sample_weight, source, first_row, columns=None)
    p = block.prediction
    if not len(p):
        return _empty(block)
    named: dict[str, Any] = {kind: p}

    def losses_at(t: Int64) -> Any:
        return binary_cross_entropy(t, **named, reduction="none")

    if kind == "probs":
        _check_range(block, p[:, None], ("positive",))
    losses = _losses(block, losses_at)
    _refuse_overflow(block, losses)
    truth = block.targets.astype(np.int64)
    hit = truth == 1
    if kind == "probs":
        p_target, confidence = np.where(hit, p, 1.0 - p), p
    else:
        p_target = np.exp(-losses)
        confidence = np.exp(-_losses(replace(block, targets=np.ones_like(truth)), losses_at))
    predicted = (p > {"probs": 0.5, "logits": 0.0, "log_probs": -np.log(2.0)}[kind]).astype(np.int64)
    both = {
        "probs": lambda: np.stack([1.0 - p, p], axis=1),
        "logits": lambda: np.stack([np.zeros_like(p), p], axis=1),
        "log_probs": lambda: np.stack([np.log(-np.expm1(p)), p], axis=1),
    }
    with np.errstate(divide="ignore"):
        written = ((1.0, 1.0, 0), _decimals(p) if kind == "probs" else None, *_distributions(both[kind](), kind))
    return Outcome(truth, losses, p_target, predicted, confidence, hit, block.weight, block.rows, source, *written)


def _block(
    targets: ArrayLike,
    prediction: ArrayLike,
    sample_weight: ArrayLike | None,
    source: str,
    first_row: int,
    *,
    columns: int | None,
) -> _Block:
    """The arrays in one shape, without the rows of weight 0."""
    t = np.asarray(targets)
    z = np.ascontiguousarray(prediction, dtype=np.float64)
    wanted = t.shape if columns is None else (*t.shape, columns)
    if t.ndim != 1 or z.shape != wanted:
        shape = "[n]" if columns is None else f"[n, {columns}]"
        raise ShapeError(
            f"targets have shape {t.shape} and predictions {z.shape}; a tally takes targets [n] and predictions {shape}"
        )
    rows = first_row + np.arange(len(t), dtype=np.int64)
    if sample_weight is None:
        return _Block(t, z, None, rows, source)
    w = np.ascontiguousarray(sample_weight, dtype=np.float64)
    if w.shape != t.shape:
        raise ShapeError(f"targets have shape {t.shape} and sample_weight {w.shape}; they must be the same")
    bad = ~((w == 0) | ((w >= LIGHTEST) & (w <= HEAVIEST)))
    if bad.any():
        i = int(np.argmax(bad))
        advice = "Only ratios matter: rescale them." if 0 < w[i] < np.inf else "Correct it, or leave the row out."
        raise WeightError(
            f"{_place(source, int(rows[i]))}: sample weight {w[i]:g}; weights from 1e-60 to 1e60, or 0, are "
            f"allowed. {advice}"
        )
    kept = w > 0
    if not kept.all():
        t, z, w, rows = t[kept], np.ascontiguousarray(z[kept]), w[kept], rows[kept]
    return _Block(t, z, w, rows, source)


def _place(source: str, row: int) -> str:
    """Where a row is, as a person counts: from 1, as in all messages about files."""
    return f"{source} row {row + 1}" if source else f"row {row + 1}"


def _losses(block: _Block, losses_at: Callable[[Int64], Any]) -> Float64:
    """Row losses; an error of the kernel, which counts rows from this block, is told where the block lies."""
    try:
        return np.ascontiguousarray(losses_at(block.targets), dtype=np.float64)
    except CrossentError as error:
        if len(block.rows) and (block.source or block.rows[0]):
            where = f"{block.source} rows" if block.source else "rows"
            first, last = int(block.rows[0]) + 1, int(block.rows[-1]) + 1
            raise type(error)(f"{where} {first}..{last} (index 0 below is row {first}): {error}") from error
        raise


def _refuse_overflow(block: _Block, losses: Float64) -> None:
    """Weighted losses must stay finite."""
    if block.weight is None:
        return
    large = (losses > LARGEST_LOSS) & (losses < np.inf)
    if large.any():
        i = int(np.argmax(large))
        raise NonFiniteError(
            f"{block.place(i)}: the loss is {losses[i]:g} nat; with weights, losses up to {LARGEST_LOSS:g} or inf are "
            "allowed. Correct the prediction, or leave the row out."
        )


def _check_distributions(block: _Block, classes: tuple[str, ...]) -> tuple[float, float, int]:
    _check_range(block, block.prediction, classes)
    return _check_sums(block, block.prediction.sum(axis=1), classes)


def _check_range(block: _Block, p: Float64, classes: tuple[str, ...]) -> None:
    if p.min() >= 0 and p.max() <= 1:
        return
    inside = (p >= 0) & (p <= 1)
    i, j = (int(k) for k in np.unravel_index(int(np.argmin(inside)), p.shape))
    raise ProbabilityError(
        f"{block.place(i)}: the probability of class {classes[j]!r} is {p[i, j]}; it must lie in 0..1. "
        "If these are scores before softmax, pass them as logits; if logarithms, as log_probs."
    )


def _check_sums(block: _Block, sums: Float64, classes: tuple[str, ...]) -> tuple[float, float, int]:
    off = np.abs(sums - 1.0)
    wrong = ~(off <= LARGEST_OFF)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ProbabilityError(
            f"{block.place(i)}: the probabilities of {classes[0]!r}..{classes[-1]!r} sum to {sums[i]:.6g} "
            f"({int(wrong.sum())} of {len(sums)} rows in this block are off 1). "
            "They must sum to 1 within 0.01. If these are scores before softmax, pass them as logits."
        )
    return float(sums.min()), float(sums.max()), int((off > SILENT_OFF).sum())


def _decimals(p: Float64) -> int | None:
    """The fewest decimals (up to 6) that write every probability; full doubles are told by the first rows."""
    flat = p.reshape(-1)
    for decimals in range(1, 7):
        if all(_written(part, decimals) for part in (flat[:64], flat)):
            return decimals
    return None


def _written(p: Float64, decimals: int) -> bool:
    scaled = p * 10.0**decimals
    return bool(np.all(np.abs(scaled - np.rint(scaled)) < 1e-9))


def _distributions(z: Float64, kind: Kind) -> tuple[Float64, Float64]:
    """Probabilities and their logarithms, [n, K] each."""
    if kind == "probs":
        with np.errstate(divide="ignore"):
            return z, np.log(z)
    log_p = z if kind == "log_probs" else np.asarray(log_softmax(z))
    return np.exp(log_p), log_p


def _empty(block: _Block) -> Outcome:
    none, no_rows = np.empty(0), np.empty(0, np.int64)
    return Outcome(
        no_rows,
        none,
        none,
        no_rows,
        none,
        none.astype(bool),
        block.weight,
        block.rows,
        block.source,
        (1.0, 1.0, 0),
        0,
        none[:, None],
        none[:, None],
    )
