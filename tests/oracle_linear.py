"""The exact answers behind a linear layer, by definition in mpmath, and how far rounding of its products may lead away.

hidden, weight, bias are floats taken as exact numbers; logits, losses and gradients follow in 50 digits and more.
`Bounds` is forward error analysis in float64: logits are off by (D + 2) u (|h| |w| + |b|), sums over n terms by n u of
the sum of their sizes. Nothing here is shared with crossent.
"""

from typing import Any, NamedTuple

import mpmath
import numpy as np

__all__ = ["Answers", "Bounds", "binary_answers", "bounds", "softmax_answers"]

mp = mpmath.mp
mpf = mpmath.mpf
_PREC = 600  # bits: 1 - p of every row here is resolved


class Answers(NamedTuple):
    """Row losses [N], the masses of the rows' targets [N], and the gradients of sum_i upstream_i factor loss_i."""

    losses: Any
    mass: Any
    hidden: Any
    weight: Any
    bias: Any
    lse: Any


class Bounds(NamedTuple):
    """What rounding may do to each of them."""

    losses: Any
    hidden: Any
    weight: Any
    bias: Any
    lse: Any


def _exact(array: Any) -> Any:
    a = np.asarray(array)
    out = np.empty(a.shape, object)
    out[...] = np.array([mpf(float(x)) for x in a.reshape(-1)], object).reshape(a.shape) if a.size else out
    return out


def _logits(hidden: Any, weight: Any, bias: Any) -> Any:
    h, w = _exact(hidden), _exact(weight)
    b = _exact(np.zeros(len(w)) if bias is None else bias)
    return np.array([[mp.fsum([x * y for x, y in zip(row, col, strict=True)] + [c])
                      for col, c in zip(w, b, strict=True)] for row in h], object)  # fmt: skip


def _gradients(g: Any, hidden: Any, weight: Any) -> tuple[Any, Any, Any]:
    h, w = _exact(hidden), _exact(weight)
    by_row = [[mp.fsum([a * b for a, b in zip(row, w[:, d], strict=True)]) for d in range(w.shape[1])] for row in g]
    by_class = [[mp.fsum([a * b for a, b in zip(g[:, k], h[:, d], strict=True)]) for d in range(w.shape[1])]
                for k in range(len(w))]  # fmt: skip
    return np.array(by_row, object), np.array(by_class, object), np.array([mp.fsum(g[:, k]) for k in range(len(w))])


def softmax_answers(
    q: Any, hidden: Any, weight: Any, bias: Any = None, *, sample_weight: Any = None, class_weight: Any = None,
    label_smoothing: float = 0.0, factor: Any = 1, upstream: Any = None,
) -> Answers:  # fmt: skip
    """q [N, K]: targets of every row, 0 everywhere for a row that is ignored. factor: 1 / mass for a mean."""
    with mp.workprec(_PREC):
        N, K = np.shape(q)
        sw, cw, up = (_exact(np.ones(n) if x is None else x) for n, x in
                      ((N, sample_weight), (K, class_weight), (N, upstream)))  # fmt: skip
        z, a, losses, mass, lse = _logits(hidden, weight, bias), mpf(float(label_smoothing)), [], [], []
        g = np.full((N, K), mpf(0), object)
        for i, (row, target) in enumerate(zip(z, _exact(q), strict=True)):
            p = [mp.exp(x - max(row)) for x in row]
            total = mp.fsum(p)
            lse.append(max(row) + mp.log(total))
            D = mp.fsum(c * x for c, x in zip(cw, target, strict=True))
            weighted = [c * ((1 - a) * x + a / K) if D else mpf(0) for c, x in zip(cw, target, strict=True)]
            losses.append(sw[i] * factor * mp.fsum(w * (lse[-1] - x) for w, x in zip(weighted, row, strict=True) if w))
            mass.append(sw[i] * D)
            Q = mp.fsum(weighted)
            g[i] = [up[i] * sw[i] * factor * (Q * e / total - w) for e, w in zip(p, weighted, strict=True)]
        return Answers(np.array(losses, object), mp.fsum(mass), *_gradients(g, hidden, weight), np.array(lse, object))


def binary_answers(
    y: Any, hidden: Any, weight: Any, bias: Any = None, *, sample_weight: Any = None, class_weight: Any = (1, 1),
    pos_weight: Any = None, label_smoothing: float = 0.0, factor: Any = 1, upstream: Any = None,
) -> Answers:  # fmt: skip
    """Losses of rows: sums over the labels."""
    with mp.workprec(_PREC):
        N, K = np.shape(y)
        sw, pw, up = (_exact(np.ones(n) if x is None else np.broadcast_to(x, n)) for n, x in
                      ((N, sample_weight), (K, pos_weight), (N, upstream)))  # fmt: skip
        w0, w1 = _exact(class_weight)
        z, a = _logits(hidden, weight, bias), mpf(float(label_smoothing))
        g, losses, mass = np.full((N, K), mpf(0), object), [], []
        for i, (row, target) in enumerate(zip(z, _exact(y), strict=True)):
            parts = []
            for j, (x, t) in enumerate(zip(row, target, strict=True)):
                A, B = w1 * pw[j] * ((1 - a) * t + a / 2), w0 * ((1 - a) * (1 - t) + a / 2)
                parts.append(A * mp.log1p(mp.exp(-x)) + B * mp.log1p(mp.exp(x)))
                g[i, j] = up[i] * sw[i] * factor * (B / (1 + mp.exp(-x)) - A / (1 + mp.exp(x)))
                mass.append(sw[i] * (w1 * t + w0 * (1 - t)))
            losses.append(sw[i] * factor * mp.fsum(parts))
        return Answers(np.array(losses, object), mp.fsum(mass), *_gradients(g, hidden, weight), None)


def bounds(scale: Any, hidden: Any, weight: Any, bias: Any, dtype: Any, *, losses: Any, upstream: Any = None) -> Bounds:
    """scale [N, K] >= 0: how much a row's loss changes at most when that logit does (its weights, 1 / mass and all).

    A gradient element changes by no more than that for logits off by E, and twice the largest E of its row otherwise.
    """
    u = float(np.finfo(dtype).eps) / 2
    h, w = np.abs(np.asarray(hidden, np.float64)), np.abs(np.asarray(weight, np.float64))
    b = np.zeros(len(w)) if bias is None else np.abs(np.where(np.isfinite(bias), bias, 0).astype(np.float64))
    N, K = np.shape(scale)
    E = (h.shape[1] + 2) * u * (h @ w.T + b)
    worst = E.max(axis=1, keepdims=True)
    up = np.ones(N) if upstream is None else np.abs(np.asarray(upstream, np.float64))
    g = up[:, None] * scale
    dg = 1.1 * g * (2 * worst + 20 * u)
    value = 1.1 * 2 * (scale.sum(axis=1) * worst[:, 0]) + 8 * u * np.abs(np.asarray(losses, np.float64))
    return Bounds(
        value,
        dg @ w + (K + 4) * u * (g @ w),
        dg.T @ h + (N + 4) * u * (g.T @ h),
        dg.sum(axis=0) + (N + 4) * u * g.sum(axis=0),
        1.1 * worst[:, 0] + 8 * u * (h @ w.T + b).max(axis=1) + 8 * u * np.log(K + 1.0),
    )
