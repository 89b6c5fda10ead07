"""The exact shapes f(log p) of the family at one probability, and the loss of one independent label made of them.

    ("log", a)  a L     ("focal", a, gamma)  a u^gamma L     ("poly", a, b)  a L + b u     ("power", q)  (1 - p^q) / q

with L = -log p, u = 1 - p. An independent label, p = sigmoid(z), with A on the positive and B on the negative side:

    loss = A f(p) + B f(1 - p),  A = alpha w_1 pos_weight ((1 - a) y + a / 2),
                                 B = (1 - alpha) w_0 ((1 - a)(1 - y) + a / 2)

(without alpha both factors are 1); the mean divides by sum sw (w_1 y + w_0 (1 - y)). Nothing here is shared with
crossent; test_oracle_family.py holds the closed forms against numeric differentiation.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import mpmath
import numpy as np

from oracle import objects
from wide import Wide

__all__ = ["BITS", "BinaryAnswers", "Shaped", "binary_answers", "shaped", "slope_by_p"]

mp = mpmath.mp
mpf = mpmath.mpf
INF = mpf("inf")
BITS = 300


class Shaped(NamedTuple):
    """f, s = -df/dl, c = d2f/dl2 at l = log p, and c's sum of absolute terms."""

    f: Any
    s: Any
    c: Any
    c_scale: Any


def shaped(shape: Sequence[Any], L: Any, u: Any, p: Any) -> Shaped:
    """The shape at one probability, from L = -log p, u = 1 - p and p with about BITS correct bits each."""
    kind, a = shape[0], mpf(float(shape[1]))
    if kind == "log":
        return Shaped(a * L if a else mpf(0), a, mpf(0), mpf(0))
    if kind == "power":
        q = a
        slope = mp.exp(-q * L) if L != INF else mpf(0)
        return Shaped(-mp.expm1(-q * L) / q if L != INF else 1 / q, slope, -q * slope, q * slope)
    b = mpf(float(shape[2]))
    if kind == "poly":
        slope = a + b * p if b >= 0 else (a + b) - b * u
        return Shaped(_poly(a, b, L, u), slope, -b * p, abs(b) * p)
    gamma = b
    pL = p * L if p else mpf(0)
    if u == 0:
        return Shaped(mpf(0), mpf(0) if gamma else a, mpf(0), mpf(0))
    power = a * u**gamma
    terms = [2 * p, -pL, (gamma - 1) * pL * p / u]
    factor = power * gamma / u
    return Shaped(
        power * L if power else mpf(0),
        power * (1 + gamma * pL / u),
        factor * mp.fsum(terms),
        factor * mp.fsum(abs(t) for t in terms),
    )


def _poly(a: Any, b: Any, L: Any, u: Any) -> Any:
    """a L + b u, which is about u^2 for b = -a and small u."""
    if b >= 0 or u > 0.25:
        return (a * L if a else mpf(0)) + b * u
    if u < mpf(2) ** -BITS:
        return (a + b) * u + a * u**2 / 2
    with mp.workprec(3 * BITS):
        return -a * mp.log(1 - u) + b * u


def slope_by_p(shape: Sequence[Any], s: Any, p: Any) -> Any:
    """s / p, and its limit at p = 0."""
    if p:
        return s / p
    if shape[0] == "power":
        return INF if float(shape[1]) < 1 else mpf(1)
    a = mpf(float(shape[1]))
    return INF if a else mpf(float(shape[2])) if shape[0] == "poly" else mpf(0)


class BinaryAnswers(NamedTuple):
    """Elements with reduction="none", times sample weights; `mass` is the mean's divisor."""

    loss: Wide
    grad: Wide
    grad_scale: Wide
    hess: Wide
    hess_scale: Wide
    upper: Wide
    mass: Any


def _sides(kind: str, x: Any) -> tuple[Any, Any, Any, Any]:
    """p, 1 - p and the negative logarithms of both."""
    if kind == "logits":
        if abs(x) == INF:
            return (mpf(1), mpf(0), mpf(0), INF) if x > 0 else (mpf(0), mpf(1), INF, mpf(0))
        e = mp.exp(-abs(x))
        near, far = (1 / (1 + e), mp.log1p(e)), (e / (1 + e), abs(x) + mp.log1p(e))
        (p, L), (n, M) = (near, far) if x > 0 else (far, near)
        return p, n, L, M
    if kind == "probs":
        with mp.workprec(1400):  # 1 - p of the smallest p
            p, n = x, 1 - x
        return p, n, -mp.log(p) if p else INF, -mp.log(n) if n else INF
    p, n = (mp.exp(x), -mp.expm1(x)) if x != -INF else (mpf(0), mpf(1))
    return p, n, -x, (-mp.log1p(-p) if n > 0.5 else -mp.log(n)) if n else INF


def _element(kind: str, x: Any, A: Any, B: Any, shape: Sequence[Any]) -> list[Any]:
    """Loss, gradient, its scale, Hessian, its scale, upper."""
    p, n, L, M = _sides(kind, x)
    yes, no = shaped(shape, L, n, p), shaped(shape, M, p, n)
    loss = (A * yes.f if A else mpf(0)) + (B * no.f if B else mpf(0))
    if kind == "logits":
        pull = A * yes.s * n, B * no.s * p
        common = A * yes.s * p * n + B * no.s * p * n
        exact, size = (A * c * n**2 + B * d * p**2 for c, d in ((yes.c, no.c), (yes.c_scale, no.c_scale)))
        upper = A * max(yes.c, 0) * n**2 + B * max(no.c, 0) * p**2
        return [loss, pull[1] - pull[0], sum(pull), common + exact, common + size, common + upper]
    down = A * (slope_by_p(shape, yes.s, p) if kind == "probs" else yes.s) if A else mpf(0)
    up = B * (slope_by_p(shape, no.s, n) if kind == "probs" or p else mpf(0)) if B else mpf(0)
    up *= p if kind == "log_probs" and up else 1
    return [loss, up - down, up + down, *[mpf(0)] * 3]


def binary_answers(
    targets: Any,
    *,
    logits: Any = None,
    probs: Any = None,
    log_probs: Any = None,
    shape: Sequence[Any] = ("log", 1.0),
    alpha: float | None = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    pos_weight: Any = None,
    label_smoothing: float = 0.0,
) -> BinaryAnswers:
    """Answers for elements of any shape; weights are broadcast to it."""
    given = {"logits": logits, "probs": probs, "log_probs": log_probs}
    kind, x = next((k, np.asarray(v)) for k, v in given.items() if v is not None)
    y, sw, pw = (
        np.broadcast_to(1.0 if v is None else v, x.shape).astype(np.float64).ravel().tolist()
        for v in (targets, sample_weight, pos_weight)
    )
    w0, w1 = (mpf(1), mpf(1)) if class_weight is None else (mpf(float(w)) for w in class_weight)
    a = mpf(float(label_smoothing))
    positive, negative = (mpf(1), mpf(1)) if alpha is None else (mpf(float(alpha)), 1 - mpf(float(alpha)))
    mass, found = mpf(0), []
    with mp.workprec(BITS):
        for label, value, weight, more in zip(map(mpf, y), x.astype(np.float64).ravel().tolist(), sw, pw, strict=True):
            D = w1 * label + w0 * (1 - label)
            if weight == 0 or D == 0:
                found.append([mpf(0)] * 6)
                continue
            mass += weight * D
            A = positive * w1 * more * ((1 - a) * label + a / 2)
            B = negative * w0 * ((1 - a) * (1 - label) + a / 2)
            found.append([weight * v if v else mpf(0) for v in _element(kind, mpf(value), A, B, shape)])
        columns = zip(*found, strict=True) if found else [[]] * 6
        return BinaryAnswers(*(Wide.of(objects(list(c), x.shape)) for c in columns), mass)
