"""What one block of predictions says row by row: loss, probability at the target, prediction, confidence, and its sums.

Everything here depends on the row alone. Values are checked once for a tally: by the kernels, which refuse bad logits,
labels and distributions, and name the row; the message is made here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossent.activations import logsumexp
from crossent.core.types import ArrayLike, NDArray
from crossent.errors import CrossentError, LabelError, NonFiniteError, ProbabilityError, ShapeError, WeightError
from crossent.losses import binary_cross_entropy, cross_entropy
from crossent.scoring.layout import Kind
from crossent.scoring.row_pass import LARGEST_OFF, SILENT_OFF, PassSums, RowPass, pass_rows
from crossent.scoring.shape_words import refuse_generator, shape_advice
from crossent.stats import Flags, Float64, Int64

__all__ = ["Outcome", "binary_outcome", "class_outcome", "with_rows"]

# The range of weights: the interval needs cubes of w l, which are then normal float64 for losses from 1e-40 to 1e39,
# so that no result depends on the unit of the weights. Beyond LARGEST_LOSS w l itself would overflow.
LIGHTEST, HEAVIEST = 1e-60, 1e60
LARGEST_LOSS = 1e230
_LOOKED_AT = 1000


@dataclass(frozen=True)
class Outcome:
    """The rows of one block with weight > 0.

    Attributes:
        targets: [n] class of every row.
        losses: [n] float64 losses in nats, inf where p = 0 at the target.
        p_target: [n] probability given to the target.
        predicted: [n] class with the largest probability, the first of ties.
        confidence: [n] probability of the positive class (two classes) or of the predicted one.
        weight: [n] weights, or None for all ones.
        rows: [n] row in the source.
        source: name of the file or table.
        decimals: fewest decimals that write all probabilities, or None for more than 6.
        sums: what the pass over the probabilities summed.
        distributions: whether these came as logits and look like probabilities, see `_distributions`.
    """

    targets: Int64
    losses: Float64
    p_target: Float64
    predicted: Int64
    confidence: Float64
    weight: Float64 | None
    rows: Int64
    source: str
    decimals: int | None
    sums: PassSums
    distributions: bool = False


@dataclass(frozen=True)
class _Block:
    targets: NDArray
    prediction: NDArray
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
    tracked: tuple[int, ...] = (),
    rows: Flags | None = None,
) -> Outcome:
    """The outcome of [n, K] predictions for [n] targets, or of those with a flag in `rows`."""
    block = _block(targets, prediction, kind, sample_weight, source, first_row, rows, columns=len(classes))
    z = block.prediction
    if kind == "log_probs":
        _check_sums(block, np.exp(np.asarray(logsumexp(z))), classes)
    named: dict[str, Any] = {kind: z}
    losses = None
    if kind != "probs" or block.targets.dtype.kind not in "iu":
        losses = _losses(block, cross_entropy, named)
    found = _passed(block, z, kind, losses, classes, tracked, named)
    outcome = _outcome(block, found, kind, _decimals(z) if kind == "probs" else None)
    return replace(outcome, distributions=kind == "logits" and _distributions(z))


def binary_outcome(
    targets: ArrayLike,
    prediction: ArrayLike,
    *,
    kind: Kind,
    classes: tuple[str, ...],
    sample_weight: ArrayLike | None,
    source: str,
    first_row: int,
    rows: Flags | None = None,
) -> Outcome:
    """The outcome of one column of predictions for the positive class; p is used as it is given."""
    block = _block(targets, prediction, kind, sample_weight, source, first_row, rows, columns=None)
    p = np.asarray(block.prediction, np.float64)
    if kind == "probs":
        _check_range(block, p[:, None], classes[1:])
    named: dict[str, Any] = {kind: p}
    losses = _losses(block, binary_cross_entropy, named)
    both = np.stack([_other_side(p, kind), p], axis=1)
    found = _passed(block, both, kind, losses, classes, (), named)
    return _outcome(block, found, kind, _decimals(p) if kind == "probs" else None)


def _other_side(p: Float64, kind: Kind) -> Float64:
    """The same kind of number for the other class."""
    if kind == "probs":
        return 1.0 - p
    if kind == "logits":
        return np.zeros_like(p)
    with np.errstate(divide="ignore"):
        rest: Float64 = np.log(-np.expm1(p))
    return rest


def _passed(
    block: _Block,
    z: NDArray,
    kind: Kind,
    losses: Float64 | None,
    classes: tuple[str, ...],
    tracked: tuple[int, ...],
    named: dict[str, Any],
) -> RowPass:
    """The pass over the rows, or the error of its lowest bad row."""
    labels = block.targets.astype(np.int64, copy=False)
    found = pass_rows(z, labels, kind=kind, losses=losses, weight=block.weight, tracked=tracked)
    if isinstance(found, RowPass):
        _refuse_overflow(block, found.losses)
        return found
    p = z if kind == "probs" else np.exp(z)
    _check_range(block, p, classes)
    _check_sums(block, p.sum(axis=1, dtype=np.float64), classes)
    _losses(block, cross_entropy, named)
    raise AssertionError(f"row {found[0]} was refused ({found[1]}), and nothing is wrong with it")


def _outcome(block: _Block, found: RowPass, kind: Kind, decimals: int | None) -> Outcome:
    return Outcome(
        targets=block.targets.astype(np.int64, copy=False),
        losses=found.losses,
        p_target=found.target if kind == "probs" else np.exp(-found.losses),
        predicted=found.predicted,
        confidence=found.confidence,
        weight=block.weight,
        rows=block.rows,
        source=block.source,
        decimals=decimals,
        sums=found.sums,
    )


def _block(
    targets: ArrayLike,
    prediction: ArrayLike,
    kind: Kind,
    sample_weight: ArrayLike | None,
    source: str,
    first_row: int,
    chosen: Flags | None,
    *,
    columns: int | None,
) -> _Block:
    """The arrays in one shape, without the rows of weight 0 and those that are not chosen."""
    refuse_generator(targets, "targets")
    refuse_generator(prediction, kind)
    t, z = np.asarray(targets), np.asarray(prediction)
    narrow = kind == "probs" and z.dtype == np.float32  # the losses of float32 logits would be rounded
    z = np.ascontiguousarray(z, dtype=np.float32 if narrow else np.float64)
    wanted = t.shape if columns is None else (*t.shape, columns)
    if t.ndim != 1 or z.shape != wanted:
        shape = "[n]" if columns is None else f"[n, {columns}]"
        raise ShapeError(
            f"targets have shape {t.shape} and predictions {z.shape}; a tally takes targets [n] and predictions "
            f"{shape}.{shape_advice(t.shape, z.shape)}"
        )
    kept = np.ones(len(t), np.bool_) if chosen is None else chosen
    w = None if sample_weight is None else _weights(sample_weight, t, kept, source, first_row)
    if w is not None:
        kept = kept & (w > 0)
    rows = first_row + np.arange(len(t), dtype=np.int64)
    if not kept.all():
        t, z, rows = t[kept], np.ascontiguousarray(z[kept]), rows[kept]
        w = None if w is None else w[kept]
    return _Block(t, z, w, rows, source)


def _weights(given: ArrayLike, targets: NDArray, looked_at: Flags, source: str, first_row: int) -> Float64:
    w = np.ascontiguousarray(given, dtype=np.float64)
    if w.shape != targets.shape:
        raise ShapeError(f"targets have shape {targets.shape} and sample_weight {w.shape}; they must be the same")
    bad = looked_at & ~((w == 0) | ((w >= LIGHTEST) & (w <= HEAVIEST)))
    if bad.any():
        i = int(np.argmax(bad))
        advice = "Only ratios matter: rescale them." if 0 < w[i] < np.inf else "Correct it, or leave the row out."
        raise WeightError(
            f"{_place(source, first_row + i)}: sample weight {w[i]:g}; weights from 1e-60 to 1e60, or 0, are "
            f"allowed. {advice}"
        )
    return w


def _place(source: str, row: int) -> str:
    """Where a row is, as a person counts: from 1, as in all messages about files."""
    return f"{source} row {row + 1}" if source else f"row {row + 1}"


def _losses(block: _Block, loss: Callable[..., Any], named: dict[str, Any]) -> Float64:
    """Row losses; an error of the kernel, which counts rows from this block, is told where the block lies."""
    try:
        return np.ascontiguousarray(loss(block.targets, **named, reduction="none"), dtype=np.float64)
    except CrossentError as error:
        if isinstance(error, LabelError) and block.targets.dtype.kind in "iu":
            _check_labels(block)
        raise type(error)(with_rows(str(error), ("targets", *named), block.rows, block.source)) from error


def with_rows(text: str, names: tuple[str, ...], rows: Int64, source: str) -> str:
    """A message of an array of some rows, with the rows of the whole.

    Args:
        text: message that has name[i] or name[i, j], i a place among these rows.
        names: of arrays of these rows.
        rows: [n] row of each place in the source.
        source: file or table; its row is then told first.

    >>> with_rows("logits[1, 0] is nan", ("logits",), np.array([40, 70]), "")
    'logits[70, 0] is nan'
    >>> with_rows("logits[1, 0] is nan", ("logits",), np.array([40, 70]), "test.csv")
    'test.csv row 71: logits[70, 0] is nan'
    """
    index = re.compile(rf"\b({'|'.join(names)})\[(\d+)")
    first = index.search(text)
    if first is None:
        return text
    told = index.sub(lambda m: f"{m[1]}[{rows[int(m[2])]}", text)
    return f"{_place(source, int(rows[int(first[2])]))}: {told}" if source else told


def _check_labels(block: _Block) -> None:
    """Class numbers must be those of columns; there is no number here that stands for "leave out"."""
    t = block.targets
    k = block.prediction.shape[1] if block.prediction.ndim == 2 else 2
    bad = (t < 0) | (t >= k)
    if not bad.any():
        return
    i = int(np.argmax(bad))
    advice = "Correct it, or give the row sample_weight 0 to leave it out."
    if t.min() >= 1 and t.max() == k:
        advice = "The labels look 1-based: pass targets - 1."
    where = f"{block.place(i)}: the target" if block.source else f"targets[{block.rows[i]}]"
    raise LabelError(f"{where} is {t[i]}; there are {k} classes, so 0..{k - 1} are allowed. {advice}")


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


def _check_range(block: _Block, p: NDArray, classes: tuple[str, ...]) -> None:
    inside = (p >= 0) & (p <= 1)
    if inside.all():
        return
    i, j = (int(k) for k in np.unravel_index(int(np.argmin(inside)), p.shape))
    raise ProbabilityError(
        f"{block.place(i)}: the probability of class {classes[j]!r} is {p[i, j]}; it must lie in 0..1. "
        "If these are scores before softmax, pass them as logits; if logarithms, as log_probs."
    )


def _check_sums(block: _Block, sums: Float64, classes: tuple[str, ...]) -> None:
    wrong = ~(np.abs(sums - 1.0) <= LARGEST_OFF)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ProbabilityError(
            f"{block.place(i)}: the probabilities of {classes[0]!r}..{classes[-1]!r} sum to {sums[i]:.6g} "
            f"({int(wrong.sum())} of {len(sums)} rows in this block are off 1). "
            "They must sum to 1 within 0.01. If these are scores before softmax, pass them as logits."
        )


def _distributions(z: NDArray) -> bool:
    """Whether the first rows lie in 0..1 and sum to 1, as no logits do by chance."""
    first = z[:_LOOKED_AT]
    if not len(first) or z.shape[1] < 2 or not ((first >= 0) & (first <= 1)).all():
        return False
    return bool((np.abs(first.sum(axis=1) - 1.0) <= SILENT_OFF).all())


def _decimals(p: NDArray) -> int | None:
    """The fewest decimals (up to 6) that write every probability; full doubles are told by the first rows."""
    flat = p.reshape(-1)
    for decimals in range(1, 7):
        if all(_written(part, decimals) for part in (flat[:64], flat)):
            return decimals
    return None


def _written(p: NDArray, decimals: int) -> bool:
    scaled = np.asarray(p, np.float64) * 10.0**decimals
    return bool(np.all(np.abs(scaled - np.rint(scaled)) < 1e-9))
