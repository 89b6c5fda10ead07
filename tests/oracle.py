"""The exact answers: losses, gradients, Hessian diagonals by definition in mpmath, 50 digits and more.

Inputs are floating-point arrays taken as exact numbers; results are object arrays of mpmath numbers
(gradients of rows with more than LONG classes are `Wide`, from oracle_long.py, which this file's own
definition judges in test_oracle.py). Nothing here is shared with crossent. The working precision grows with
the spread of a row, so that 1 - p needs no trick.

Weights (all functions): l_i = sum_j a_ij (logsumexp(z_i) - z_ij) with a_ij = cw_j q_ij, q smoothed before it
is weighted; the mean divides sum sw_i l_i by sum sw_i D_i, D_i = sum_j cw_j q_ij before smoothing. A row with
sw_i = 0, D_i = 0 or the ignored label has left: loss, gradient and weight are exactly 0.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import mpmath
import numpy as np

from oracle_long import long_row
from wide import Wide

__all__ = [
    "LONG",
    "cross_entropy",
    "gradient",
    "gradient_scale",
    "hessian",
    "log_softmax",
    "logsumexp",
    "row_answers",
    "row_losses",
    "softmax",
]

mp = mpmath.mp
mp.dps = 50
mpf = mpmath.mpf
INF = mpf("inf")
LONG = 2000  # rows with more classes take the double-double path


@dataclass(frozen=True)
class Row:
    """A row's loss and, per class, gradient, Hessian diagonal and the size that bounds a gradient's error."""

    loss: Any
    grad: Any
    hess: Any
    scale: Any
    denominator: Any


# ---------------------------------------------------------------- softmax of one row


def _exact(values: Any) -> list[Any]:
    return [mpf(float(v)) for v in np.ravel(np.asarray(values))]


def softmax_row(z: list[Any]) -> tuple[list[Any], list[Any], Any]:
    """p, 1 - p and log sum exp of one row, at a precision that resolves the spread of its finite logits."""
    return _softmax_row(tuple(z))


@lru_cache(maxsize=2000)  # a row is asked about with several kinds of targets
def _softmax_row(z: tuple[Any, ...]) -> tuple[list[Any], list[Any], Any]:
    K = len(z)
    top = max(z)
    if top == INF:
        winners = [i for i in range(K) if z[i] == INF]
        if len(winners) > 1:
            raise ValueError("several +inf in one row")
        p = [mpf(int(i == winners[0])) for i in range(K)]
        return p, [1 - x for x in p], INF
    if top == -INF:
        raise ValueError("a row of -inf only")
    spread = min(2200, max([float(top - x) for x in z if x != -INF]))
    with mp.workprec(190 + int(1.45 * spread) + K.bit_length()):
        seen: dict[Any, Any] = {}
        for x in z:
            if x not in seen:
                seen[x] = mp.exp(x - top) if x != -INF else mpf(0)
        e = [seen[x] for x in z]
        total = mp.fsum(e)
        p = {x: v / total for x, v in seen.items()}
        q = {x: 1 - v for x, v in p.items()}
        return [p[x] for x in z], [q[x] for x in z], top + mp.log(total)


def _loss_from_logits(z: list[Any], a: list[Any], lse: Any) -> Any:
    """sum a_j (lse - z_j) over a_j != 0."""
    if lse == INF:
        return INF if any(w != 0 and x != INF for w, x in zip(a, z, strict=True)) else mpf(0)
    with mp.workprec(4000):
        return mp.fsum(w * (lse - x) for w, x in zip(a, z, strict=True) if w != 0)


def _logit_row(z: list[Any], a: list[Any], denominator: Any) -> Row:
    p, others, lse = softmax_row(z)
    with mp.workprec(4000):
        Q = mp.fsum(a)
        grad = [Q * x - w for x, w in zip(p, a, strict=True)]
        hess = [Q * x * y for x, y in zip(p, others, strict=True)]
        scale = [min(Q * x + w, Q * y + (Q - w)) for x, y, w in zip(p, others, a, strict=True)]
    return Row(_loss_from_logits(z, a, lse), grad, hess, scale, denominator)


def _probability_row(p: list[Any], a: list[Any], denominator: Any, *, logs: bool, eps: Any) -> Row:
    loss, grad = mpf(0), []
    for x, w in zip(p, a, strict=True):
        if w == 0:
            grad.append(mpf(0))
        elif logs:
            loss, grad = loss - w * x, [*grad, -w]
        elif x + eps == 0:
            loss, grad = INF, [*grad, -INF]
        else:
            loss, grad = loss - w * mp.log(x + eps), [*grad, -w / (x + eps)]
    return Row(loss, grad, [mpf(0)] * len(a), [abs(g) for g in grad], denominator)


# ---------------------------------------------------------------- targets to coefficients


def _distribution(target: Any, K: int, normalize: bool) -> list[Any]:
    """q of one row: onehot of an index, or the given soft target."""
    if np.ndim(target) == 0:
        return [mpf(int(j == int(target))) for j in range(K)]
    q = _exact(target)
    return [x / mp.fsum(q) for x in q] if normalize else q


def _coefficients(
    target: Any, K: int, cw: list[Any] | None, smoothing: float, normalize: bool
) -> tuple[list[Any], Any]:
    """a_j = cw_j ((1 - alpha) q_j + alpha / K), and D = sum cw_j q_j."""
    q = _distribution(target, K, normalize)
    weights = cw if cw is not None else [mpf(1)] * K
    denominator = mp.fsum(w * x for w, x in zip(weights, q, strict=True))
    alpha = mpf(float(smoothing))
    if alpha:
        q = [(1 - alpha) * x + alpha / K for x in q]
    return [w * x for w, x in zip(weights, q, strict=True)], denominator


def _rows(
    targets: Any,
    *,
    logits: Any = None,
    probs: Any = None,
    log_probs: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    normalize_targets: bool = False,
    eps: float = 0.0,
    long: int = LONG,
) -> tuple[list[Row | None], list[Any], tuple[int, ...]]:
    """The rows (None where one has left), their sample weights, and the leading shape."""
    x = np.asarray(next(v for v in (logits, probs, log_probs) if v is not None))
    y = np.asarray(targets)
    shape, K = x.shape[:-1], x.shape[-1]
    y = y.reshape(-1) if y.ndim == len(shape) else y.reshape(-1, K)
    x = x.reshape(-1, K) if K else x
    sw = _exact(np.ones(shape) if sample_weight is None else np.broadcast_to(sample_weight, shape))
    cw = None if class_weight is None else _exact(class_weight)
    rows: list[Row | None] = []
    for target, values, weight in zip(y, x, sw, strict=True):
        if weight == 0 or (ignore_index is not None and np.ndim(target) == 0 and int(target) == ignore_index):
            rows.append(None)
        elif logits is not None and long < K and np.isfinite(np.max(values)):
            answer = long_row(values, target, cw, label_smoothing, normalize_targets)
            rows.append(Row(*answer) if answer[-1] else None)
        else:
            a, denominator = _coefficients(target, K, cw, label_smoothing, normalize_targets)
            if denominator == 0:
                rows.append(None)
            elif logits is not None:
                rows.append(_logit_row(_exact(values), a, denominator))
            else:
                logs = log_probs is not None
                rows.append(_probability_row(_exact(values), a, denominator, logs=logs, eps=mpf(float(eps))))
    return rows, sw, shape


# ---------------------------------------------------------------- the answers


class RowAnswers(NamedTuple):
    """All about rows [N, K] with reduction="none": loss [N]; gradient, its scale and Hessian diagonal [N, K]."""

    loss: Wide
    grad: Wide
    scale: Wide
    hess: Wide


def row_answers(targets: Any, *, long: int = LONG, **options: Any) -> RowAnswers:
    """All answers in one go; rows with more than `long` classes take the double-double path."""
    rows, sw, shape = _rows(targets, long=long, **options)
    K = np.shape(next(options[k] for k in ("logits", "probs", "log_probs") if options.get(k) is not None))[-1]
    assert len(shape) == 1
    none = Row(mpf(0), *([mpf(0)] * K for _ in range(3)), mpf(0))
    parts: dict[str, list[Wide]] = {"grad": [], "scale": [], "hess": []}
    for row, weight in zip(rows, sw, strict=True):
        for part, found in parts.items():
            values = getattr(row or none, part)
            plain = isinstance(values, list)
            found.append(Wide.of([v * weight for v in values]) if plain else values.scaled(weight))
    losses = [mpf(0) if row is None else weight * row.loss for row, weight in zip(rows, sw, strict=True)]
    return RowAnswers(Wide.of(objects(losses, shape)), **{part: Wide.stack(found) for part, found in parts.items()})


def row_losses(targets: Any, **options: Any) -> Any:
    """sw_i l_i for every row (reduction="none")."""
    return cross_entropy(targets, reduction="none", **options)


def cross_entropy(targets: Any, *, reduction: str = "mean", unit: str = "nat", **options: Any) -> Any:
    """The loss: an mpmath number, or an object array for reduction="none"."""
    rows, sw, shape = _rows(targets, **options)
    return reduce_losses([None if r is None else (r.loss, r.denominator) for r in rows], sw, shape, reduction, unit)


def reduce_losses(rows: Any, sw: list[Any], shape: tuple[int, ...], reduction: str, unit: str) -> Any:
    """Row (loss, denominator) pairs, None where a row has left, as the reduction says."""
    per_unit = 1 / mp.log(2) if unit == "bit" else mpf(1)
    losses = [mpf(0) if r is None else w * r[0] * per_unit for r, w in zip(rows, sw, strict=True)]
    if reduction == "none":
        return objects(losses, shape)
    total = mp.fsum(losses)
    return total if reduction == "sum" else total / _total_weight(rows, sw)


def _total_weight(rows: Any, sw: list[Any]) -> Any:
    return mp.fsum(w * r[1] for r, w in zip(rows, sw, strict=True) if r is not None)


def gradient(targets: Any, *, reduction: str = "mean", unit: str = "nat", **options: Any) -> Any:
    """The gradient of the reduced loss with respect to the prediction that is named."""
    return _per_class("grad", targets, reduction, unit, options)


def gradient_scale(targets: Any, *, reduction: str = "mean", unit: str = "nat", **options: Any) -> Any:
    """min(Q p + a, Q (1 - p) + (Q - a)), scaled like the gradient, whose error its ulp bounds."""
    return _per_class("scale", targets, reduction, unit, options)


def hessian(targets: Any, *, unit: str = "nat", **options: Any) -> Any:
    """Q p_j (1 - p_j), sum-scaled: sample weights enter, the mean's denominator does not."""
    return _per_class("hess", targets, "sum", unit, options)


def _per_class(part: str, targets: Any, reduction: str, unit: str, options: dict[str, Any]) -> Any:
    rows, sw, shape = _rows(targets, **options)
    K = np.shape(next(options[k] for k in ("logits", "probs", "log_probs") if options.get(k) is not None))[-1]
    per_unit = 1 / mp.log(2) if unit == "bit" else mpf(1)
    pairs = [None if r is None else (r.loss, r.denominator) for r in rows]
    factor = per_unit / (_total_weight(pairs, sw) if reduction == "mean" else 1) if any(pairs) else mpf(0)
    if K > LONG and options.get("logits") is not None:
        blank = Wide.of(np.zeros(K))
        scaled = [blank if r is None else getattr(r, part).scaled(w * factor) for r, w in zip(rows, sw, strict=True)]
        stacked = Wide.stack(scaled)
        return Wide(*(np.reshape(getattr(stacked, name), (*shape, K)) for name in ("hi", "lo", "exp")))
    values: list[Any] = []
    for row, weight in zip(rows, sw, strict=True):
        values += [mpf(0)] * K if row is None else [g * weight * factor for g in getattr(row, part)]
    return objects(values, (*shape, K))


def objects(values: list[Any], shape: tuple[int, ...]) -> Any:
    """A list as an object array of this shape."""
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out.reshape(shape)


# ---------------------------------------------------------------- activations


def _by_row(z: Any, axis: int, function: Any) -> Any:
    array = np.moveaxis(np.asarray(z), axis, -1)
    rows = array.reshape(-1, array.shape[-1])
    values = [v for row in rows for v in function(_exact(row))]
    return np.moveaxis(objects(values, array.shape), -1, axis)


def softmax(z: Any, axis: int = -1) -> Any:
    """exp(z_j) / sum_k exp(z_k)."""
    return _by_row(z, axis, lambda row: softmax_row(row)[0])


def log_softmax(z: Any, axis: int = -1) -> Any:
    """z_j - log sum_k exp(z_k)."""

    def one(row: list[Any]) -> list[Any]:
        return [-_loss_from_logits(row, [mpf(int(i == j)) for i in range(len(row))], lse) for j in range(len(row))]

    def with_lse(row: list[Any]) -> list[Any]:
        nonlocal lse
        lse = softmax_row(row)[2]
        return one(row)

    lse: Any = None
    return _by_row(z, axis, with_lse)


def logsumexp(z: Any, axis: int = -1) -> Any:
    """log sum_k exp(z_k)."""
    array = np.moveaxis(np.asarray(z), axis, -1)
    rows = array.reshape(-1, array.shape[-1])
    return objects([softmax_row(_exact(row))[2] for row in rows], array.shape[:-1])
