"""The exact answers for independent labels: binary cross-entropy, sigmoid, log_sigmoid by definition.

    l = -[pw y log s(z) + (1 - y) log(1 - s(z))],  with cw_1 on the first term and cw_0 on the second

Smoothing y -> (1 - alpha) y + alpha / 2 comes before the weights; the mean divides by sum sw D with
D = cw_1 y + cw_0 (1 - y) of the unsmoothed label (`pos_weight` does not enter D).
"""

from typing import Any

import mpmath
import numpy as np

from oracle import objects, reduce_losses

__all__ = [
    "binary_cross_entropy",
    "binary_gradient",
    "binary_gradient_scale",
    "binary_hessian",
    "log_sigmoid",
    "sigmoid",
]

mp = mpmath.mp
mpf = mpmath.mpf
INF = mpf("inf")


def _sides(z: Any) -> tuple[Any, Any]:
    """sigmoid(z) and sigmoid(-z)."""
    if z in (INF, -INF):
        return mpf(int(z > 0)), mpf(int(z < 0))
    with mp.workprec(190):
        small = mp.exp(-abs(z))
        one = 1 + small
        return (1 / one, small / one) if z > 0 else (small / one, 1 / one)


def _minus_log_side(z: Any) -> Any:
    """-log sigmoid(z) = log(1 + exp(-z))."""
    if z in (INF, -INF):
        return mpf(0) if z > 0 else INF
    with mp.workprec(190):
        return mp.log1p(mp.exp(-z)) if z > 0 else -z + mp.log1p(mp.exp(z))


def sigmoid(z: Any) -> Any:
    """1 / (1 + exp(-z))."""
    return objects([_sides(mpf(float(x)))[0] for x in np.ravel(z)], np.shape(z))


def log_sigmoid(z: Any) -> Any:
    """-log(1 + exp(-z))."""
    return objects([-_minus_log_side(mpf(float(x))) for x in np.ravel(z)], np.shape(z))


def _times(weight: Any, value: Any) -> Any:
    return mpf(0) if weight == 0 else weight * value


def _element(kind: str, x: Any, a: Any, b: Any, eps: Any) -> tuple[Any, Any, Any, Any]:
    """Loss, gradient, Hessian and gradient scale with weight a on the positive and b on the negative term."""
    if kind == "logits":
        p, n = _sides(x)
        loss = _times(a, _minus_log_side(x)) + _times(b, _minus_log_side(-x))
        Q = a + b
        with mp.workprec(4000):
            return loss, b * p - a * n, Q * p * n, min(Q * p + a, Q * n + b)
    if kind == "probs":
        with mp.workprec(1400):  # 1 - p of the smallest p
            positive, negative = x + eps, 1 - x + eps
            loss = _times(a, -mp.log(positive) if positive else INF) + _times(b, -mp.log(negative) if negative else INF)
            grad = _times(-a, 1 / positive if positive else INF) + _times(b, 1 / negative if negative else INF)
            return loss, grad, mpf(0), _times(a, 1 / abs(positive)) + _times(b, 1 / abs(negative))
    with mp.workprec(1400):  # log_probs: log of the positive probability
        p = mp.exp(x)
        rest = 1 - p
        loss = _times(a, -x) + _times(b, -mp.log(rest) if rest else INF)
        odds = p / rest if rest else INF
        return loss, -a + _times(b, odds), mpf(0), a + _times(b, odds)


def _elements(
    targets: Any,
    *,
    logits: Any = None,
    probs: Any = None,
    log_probs: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    pos_weight: Any = None,
    label_smoothing: float = 0.0,
    eps: float = 0.0,
) -> tuple[list[Any], list[Any], tuple[int, ...]]:
    """Per element (loss, D, gradient, Hessian, scale), None where it has left; sample weights; shape."""
    given = {"logits": logits, "probs": probs, "log_probs": log_probs}
    kind, x = next((k, np.asarray(v)) for k, v in given.items() if v is not None)
    y = np.broadcast_to(np.asarray(targets), x.shape)
    sw = [mpf(float(w)) for w in np.ravel(np.broadcast_to(1.0 if sample_weight is None else sample_weight, x.shape))]
    pw = [mpf(float(w)) for w in np.ravel(np.broadcast_to(1.0 if pos_weight is None else pos_weight, x.shape))]
    cw0, cw1 = (mpf(1), mpf(1)) if class_weight is None else (mpf(float(w)) for w in class_weight)
    alpha = mpf(float(label_smoothing))
    out: list[Any] = []
    for label, value, weight, positive in zip(np.ravel(y), np.ravel(x), sw, pw, strict=True):
        label = mpf(float(label))
        denominator = cw1 * label + cw0 * (1 - label)
        if weight == 0 or denominator == 0:
            out.append(None)
            continue
        smooth = (1 - alpha) * label + alpha / 2
        a, b = cw1 * positive * smooth, cw0 * (1 - smooth)
        loss, grad, hess, scale = _element(kind, mpf(float(value)), a, b, mpf(float(eps)))
        out.append((loss, denominator, grad, hess, scale))
    return out, sw, x.shape


def binary_cross_entropy(targets: Any, *, reduction: str = "mean", unit: str = "nat", **options: Any) -> Any:
    """The loss: an mpmath number, or an object array for reduction="none"."""
    elements, sw, shape = _elements(targets, **options)
    return reduce_losses(elements, sw, shape, reduction, unit)


def _per_element(part: int, targets: Any, reduction: str, unit: str, options: dict[str, Any]) -> Any:
    elements, sw, shape = _elements(targets, **options)
    factor = 1 / mp.log(2) if unit == "bit" else mpf(1)
    if reduction == "mean":
        factor /= mp.fsum(w * e[1] for e, w in zip(elements, sw, strict=True) if e is not None)
    values = [mpf(0) if e is None else e[part] * w * factor for e, w in zip(elements, sw, strict=True)]
    return objects(values, shape)


def binary_gradient(targets: Any, *, reduction: str = "mean", unit: str = "nat", **options: Any) -> Any:
    """The gradient of the reduced loss with respect to the prediction that is named."""
    return _per_element(2, targets, reduction, unit, options)


def binary_gradient_scale(targets: Any, *, reduction: str = "mean", unit: str = "nat", **options: Any) -> Any:
    """min(Q p + a, Q (1 - p) + b): whose ulp bounds the error of each element of the gradient."""
    return _per_element(4, targets, reduction, unit, options)


def binary_hessian(targets: Any, *, unit: str = "nat", **options: Any) -> Any:
    """(a + b) p (1 - p), sum-scaled."""
    return _per_element(3, targets, "sum", unit, options)
