"""The exact answers for one long row (K up to 262 144): the oracle's definition in 106-bit arithmetic.

Terms are rounded to double-double with their own exponents, sums are exact (math.fsum), the row's scalars are
mpmath numbers. test_oracle.py holds this file against the plain definition at small K.
"""

import math
from typing import Any

import mpmath
import numpy as np

from wide import MIN_EXPONENT, Wide, add, exp, multiply, two_sum

__all__ = ["long_row"]

mpf = mpmath.mpf


def _exact_sum(hi: Any, lo: Any) -> Any:
    """The sum of pairs: fsum is exact before its one rounding, so a second one gives the remainder."""
    terms = [*np.ravel(hi).tolist(), *np.ravel(lo).tolist()]
    high = math.fsum(terms)
    return mpf(high) + math.fsum([*terms, -high])


def _sum_exponentials(e: Wide) -> Any:
    """sum of e_j, relative to its largest term so that nothing underflows."""
    if e.hi.size == 0 or not e.hi.any():
        return mpf(0)
    top = int(e.exp.max())
    shift = np.clip(e.exp - top, -3000, 0).astype(np.int32)
    return mpmath.ldexp(_exact_sum(np.ldexp(e.hi, shift), np.ldexp(e.lo, shift)), top)


def _pair(x: Any) -> tuple[Any, Any]:
    high = float(x)
    return np.float64(high), np.float64(float(x - mpf(high)))


def _coefficients(target: Any, K: int, cw: Any, smoothing: float, normalize: bool) -> tuple[Any, Any, Any, Any]:
    """a_j as pairs, their sum Q, and D."""
    q: Any
    if np.ndim(target) == 0:
        q = (np.zeros(K), np.zeros(K))
        q[0][int(target)] = 1.0
    else:
        q = (np.asarray(target, np.float64), np.zeros(K))
        if normalize:
            q = multiply(q, _pair(1 / _exact_sum(*q)))
    weights = np.ones(K) if cw is None else np.array([float(w) for w in cw])
    denominator = _exact_sum(*multiply(q, (weights, np.zeros(K))))
    if smoothing:
        alpha = mpf(float(smoothing))
        q = add(multiply(q, _pair(1 - alpha)), _pair(alpha / K))
    a = multiply(q, (weights, np.zeros(K)))
    return a[0], a[1], _exact_sum(*a), denominator


def long_row(values: Any, target: Any, cw: Any, smoothing: float, normalize: bool) -> tuple[Any, Any, Any, Any, Any]:
    """Loss, gradient, Hessian diagonal, gradient scale and D of one row of finite or -inf logits."""
    z = np.asarray(values).astype(np.float64)
    K = z.size
    top = int(np.argmax(z))
    if not np.isfinite(z[top]):
        raise ValueError("long rows with +inf or without a finite logit belong to the plain definition")
    a_hi, a_lo, Q, denominator = _coefficients(target, K, cw, smoothing, normalize)
    ruled_out = np.isneginf(z)
    d = two_sum(np.where(ruled_out, 0.0, z), -z[top])
    e = exp(np.where(ruled_out, -1e6, d[0]), np.where(ruled_out, 0.0, d[1]))
    others = np.arange(K) != top
    r = _sum_exponentials(e[others])
    with mpmath.workprec(300):
        log_s = mpmath.log1p(r)
        needed = a_hi != 0
        loss = Q * log_s + _exact_sum(*multiply((a_hi[needed], a_lo[needed]), (-d[0][needed], -d[1][needed])))
        if np.any(needed & ruled_out):
            loss = mpf("inf")
        p = e.scaled(1 / (1 + r))
        grad, hess, scale = _per_class(p, top, r, a_hi, a_lo, Q)
    return loss, grad, hess, scale, denominator


def _per_class(p: Wide, top: int, r: Any, a_hi: Any, a_lo: Any, Q: Any) -> tuple[Wide, Wide, Wide]:
    """Gradient, Hessian and scale: arrays, but mpmath for the maximum, whose 1 - p is r / (1 + r)."""
    q_pair = _pair(Q)
    shift = np.clip(p.exp, -1070, 10).astype(np.int32)
    flat = (np.ldexp(p.hi, shift), np.ldexp(p.lo, shift))
    scaled_p = multiply((p.hi, p.lo), q_pair)
    qp = multiply(flat, q_pair)
    only_p = Wide.normalised(*scaled_p, p.exp)
    zero = a_hi == 0
    difference = Wide.normalised(*add(qp, (-a_hi, -a_lo)))
    sum_pair = add(qp, (a_hi, a_lo))
    one_minus = add((np.ones_like(a_hi), np.zeros_like(a_hi)), (-flat[0], -flat[1]))
    curved = multiply(scaled_p, one_minus)
    far_side = add(multiply(one_minus, q_pair), add((q_pair[0] - 0 * a_hi, q_pair[1] - 0 * a_hi), (-a_hi, -a_lo)))
    near = _choose(zero, only_p, Wide.normalised(*sum_pair))
    smaller = add(far_side, (-sum_pair[0], -sum_pair[1]))[0] < 0
    grad = _choose(zero, only_p, difference)
    hess = Wide.normalised(*curved, p.exp)
    scale = _choose(smaller, Wide.normalised(*far_side), near)
    a = mpf(float(a_hi[top])) + float(a_lo[top])
    p_top, rest = 1 / (1 + r), r / (1 + r)
    _put(grad, top, (Q - a) - Q * rest if a != Q else -Q * rest)
    _put(hess, top, Q * p_top * rest)
    _put(scale, top, min(Q * p_top + a, Q * rest + (Q - a)))
    return grad, hess, scale


def _choose(where: Any, yes: Wide, no: Wide) -> Wide:
    return Wide(*(np.where(where, getattr(yes, part), getattr(no, part)) for part in ("hi", "lo", "exp")))


def _put(array: Wide, index: int, value: Any) -> None:
    one = Wide.of(np.array(value, dtype=object))
    array.hi[index], array.lo[index] = one.hi, one.lo
    array.exp[index] = max(int(one.exp), MIN_EXPONENT)
