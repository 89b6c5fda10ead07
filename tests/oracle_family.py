"""The exact answers for the family: losses f(log p_t) with softcap, temperature, priors, z_loss, entropy, bootstrap.

    z'_k = c tanh(z_k / c) / T + b_k,  p = softmax(z'),  u = 1 - p,  L = -log p,  H = sum_k p_k L_k
    loss = sum_j q_j [f(L_j, u_j) + omega H + lambda lse^2]

with q_j = cw_j alpha_j ((1 - a) q_j + a / K) and the shapes f of oracle_shapes.py.

Beside each result stands its scale: the same sum with every term's absolute value, to which error bounds relate. For
the gradient's first part that is min(A p_k + A_k, A u_k + (A - A_k)), as in oracle.py; for lse = m + log1p(r), whose
parts may cancel, |m| + log1p(r). Classes of a row with equal logit, prior and target are computed once, so that rows
of 262 144 classes with few different values are quick. Nothing here is shared with crossent; test_oracle_family.py
holds the closed forms against numeric differentiation of the loss as written above.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import mpmath
import numpy as np

from oracle import objects
from oracle_shapes import BITS, Shaped, shaped, slope_by_p
from wide import Wide

__all__ = ["Answers", "family_answers", "family_loss", "log_prior"]

mp = mpmath.mp
mpf = mpmath.mpf
INF = mpf("inf")


def log_prior(priors: Any, tau: float = 1.0) -> list[Any]:
    """tau log pi_k of counts or probabilities, normalised."""
    with mp.workprec(BITS):
        counts = [mpf(float(x)) for x in priors]
        return [mpf(float(tau)) * mp.log(x / mp.fsum(counts)) for x in counts]


# ---------------------------------------------------------------- one row of logits


@dataclass(frozen=True)
class Family:
    """What the family adds to the options of the loss."""

    shape: Sequence[Any] = ("log", 1.0)
    temperature: float = 1.0
    softcap: float | None = None
    log_prior: Sequence[Any] | None = None
    z_loss: float = 0.0
    entropy_weight: float = 0.0
    bootstrap: tuple[float, bool] | None = None  # (beta, hard)

    def transform(self, z: Any, b: Any) -> tuple[Any, Any, Any]:
        """z', its slope j in z, and the slope of j."""
        T = mpf(float(self.temperature))
        if self.softcap is None:
            return z / T + b, 1 / T, mpf(0)
        if abs(z) == INF:
            return z, mpf(0), mpf(0)
        c = mpf(float(self.softcap))
        slope = mp.sech(z / c) ** 2 / T
        return c * mp.tanh(z / c) / T + b, slope, -2 / c * mp.tanh(z / c) * slope


class Parts(NamedTuple):
    """All about the softmax of one class, which `count` classes of the row share."""

    count: int
    p: Any
    u: Any
    L: Any
    slope: Any  # of z' in z
    bend: Any  # of that slope


def _softmax(family: Family, keys: list[Any], counts: list[int]) -> tuple[list[Parts], Any, Any]:
    """Parts of each distinct (z, q, b), m + log1p(r), and |m| + log1p(r)."""
    moved = [family.transform(z, b) for z, _, b in keys]
    m = max(x[0] for x in moved)
    if m == -INF:
        raise ValueError("a row of -inf only")
    if m == INF and sum(n for x, n in zip(moved, counts, strict=True) if x[0] == INF) > 1:
        raise ValueError("several +inf in one row")
    exponentials = [
        mpf(1) if x == m else mp.exp(x - m) if x != -INF and m != INF else mpf(0) for x in (x[0] for x in moved)
    ]
    # Without one class of the largest logit: 1 - p of that class is the sum of the others, and loses nothing.
    r = mp.fsum(n * e for n, e in zip(counts, exponentials, strict=True) if e != 1)
    r += sum(n for n, e in zip(counts, exponentials, strict=True) if e == 1) - 1
    total = 1 + r
    parts = []
    for (x, slope, bend), n, e in zip(moved, counts, exponentials, strict=True):
        L = mp.log1p(r) if x == m else INF if e == 0 and (x == -INF or m == INF) else mp.log1p(r) + (m - x)
        parts.append(Parts(n, e / total, (r if e == 1 else total - e) / total, L, slope, bend))
    return parts, m + mp.log1p(r), abs(m) + mp.log1p(r)


class RowAnswers(NamedTuple):
    """Loss and its scale; per class gradient, Hessian diagonal exact and upper, and the scale of each."""

    loss: Any
    loss_scale: Any
    grad: Any
    grad_scale: Any
    hess: Any
    hess_scale: Any
    upper: Any
    upper_scale: Any


def _without(values: list[Any], counts: list[int]) -> tuple[Any, list[Any]]:
    """The sum of all, and for each class the sum of the others, which nothing is subtracted for."""
    all_of = [n * v for n, v in zip(counts, values, strict=True)]
    before = list(accumulate(all_of, initial=mpf(0)))
    after = list(accumulate(reversed(all_of), initial=mpf(0)))[::-1]
    pairs = enumerate(zip(values, counts, strict=True))
    return before[-1], [before[k] + (n - 1) * v + after[k + 1] for k, (v, n) in pairs]


class _Row:
    """One row of logits in the letters of the head; lists are per distinct class."""

    def __init__(self, family: Family, keys: list[Any], counts: list[int]) -> None:
        shape, omega = family.shape, mpf(float(family.entropy_weight))
        if family.bootstrap is not None and not family.bootstrap[1]:
            beta = mpf(float(family.bootstrap[0]))
            shape, omega = ("log", beta), omega + 1 - beta
        self.omega, self.lam = omega, mpf(float(family.z_loss))
        self.counts, self.q = counts, [q for _, q, _ in keys]
        self.parts, self.lse, self.M = _softmax(family, keys, counts)
        unused = Shaped(*[mpf(0)] * 4)
        self.f = [shaped(shape, x.L, x.u, x.p) if q else unused for x, q in zip(self.parts, self.q, strict=True)]
        self.Q = mp.fsum(n * q for n, q in zip(counts, self.q, strict=True))
        self.H = mp.fsum(x.count * x.p * x.L for x in self.parts if x.p)
        self.A_k = [q * f.s for q, f in zip(self.q, self.f, strict=True)]
        self.A, self.A_rest = _without(self.A_k, counts)

    def answers(self) -> RowAnswers:
        """Everything, per distinct class."""
        grads = [self.gradient(k) for k in range(len(self.parts))]
        exact, upper = self.curved(plus=False), self.curved(plus=True)
        j = [(x.slope, x.bend) for x in self.parts]
        rows = zip(j, grads, exact, upper, strict=True)
        chained = [
            (_times(s, g), s * g_scale if s else mpf(0), *_chain(s, t, g, g_scale, h, up))
            for (s, t), (g, g_scale), h, up in rows
        ]
        return RowAnswers(*self.loss(), *(list(column) for column in zip(*chained, strict=True)))

    def loss(self) -> tuple[Any, Any]:
        terms = [n * q * f.f for n, q, f in zip(self.counts, self.q, self.f, strict=True) if q]
        more = [self.Q * _times(self.omega, self.H), self.Q * _times(self.lam, self.lse**2)]
        scale = [*terms, abs(more[0]), self.Q * _times(self.lam, self.M**2)]
        return mp.fsum([*terms, *more]), mp.fsum(scale)

    def gradient(self, k: int) -> tuple[Any, Any]:
        """d loss / d z'_k = p_k sum_{j != k} A_j - u_k A_k + ..., and its scale."""
        x = self.parts[k]
        g = x.p * self.A_rest[k] - x.u * self.A_k[k]
        scale = min(self.A * x.p + self.A_k[k], self.A * x.u + self.A_rest[k])
        if x.p:
            g += self.omega * self.Q * x.p * (x.L - self.H) + 2 * self.Q * _times(self.lam, self.lse) * x.p
            scale += abs(self.omega) * self.Q * x.p * (x.L + self.H) + 2 * self.Q * _times(self.lam, self.M) * x.p
        return g, scale

    def curved(self, *, plus: bool) -> list[tuple[Any, Any]]:
        """d2 loss / d z'_k^2 and its scale; `plus`: what is nowhere below the matrix of second derivatives."""
        C = [q * (max(f.c, 0) if plus else f.c) for q, f in zip(self.q, self.f, strict=True)]
        size = [q * f.c_scale for q, f in zip(self.q, self.f, strict=True)]
        u = [x.u if plus else mpf(1) for x in self.parts]
        _, C_rest = _without([c * v for c, v in zip(C, u, strict=True)], self.counts)
        _, size_rest = _without([c * v for c, v in zip(size, u, strict=True)], self.counts)
        out = []
        for k, x in enumerate(self.parts):
            common, weight, more = self.A * x.p * x.u, x.p if plus else x.p**2, self.extras(x, plus)
            twice = 2 if plus else 1
            h = twice * (common + C[k] * x.u**2 + weight * C_rest[k]) + more[0]
            out.append((h, twice * (common + size[k] * x.u**2 + weight * size_rest[k]) + more[1]))
        return out

    def extras(self, x: Parts, plus: bool) -> tuple[Any, Any]:
        """What entropy and z_loss add, and the scale of it."""
        p, u, omega = x.p, x.u, self.omega
        if p == 0 or not (omega or self.lam):
            return mpf(0), mpf(0)
        far = x.L - self.H
        bend, size = (1 - 2 * p) * far - u, x.L + self.H + u
        if plus:
            omega = abs(omega)
            bend = abs(bend) + u * abs(1 - far) + 2 * self.H
            size += u * (1 + x.L + self.H) + 2 * self.H
            z, z_size = (self.lam * p + 2 * _times(self.lam, v) * p * u for v in (max(self.lse, 0), self.M))
        else:
            z, z_size = (self.lam * p**2 + _times(self.lam, v) * p * u for v in (self.lse, self.M))
        return self.Q * (omega * p * bend + 2 * z), self.Q * (abs(omega) * p * size + 2 * z_size)


def _times(weight: Any, value: Any) -> Any:
    """0 inf = 0."""
    return weight * value if weight and value else mpf(0)


def _chain(s: Any, t: Any, g: Any, g_scale: Any, h: Any, up: Any) -> tuple[Any, Any, Any, Any]:
    """Second derivatives by z from those by z': exact, its scale, upper, its scale."""
    square = s**2
    bent, bent_size = _times(t, g), _times(abs(t), g_scale)
    return (
        _times(square, h[0]) + bent,
        _times(square, h[1]) + bent_size,
        _times(square, up[0]) + max(bent, 0),
        _times(square, up[1]) + bent_size,
    )


# ---------------------------------------------------------------- rows


class Answers(NamedTuple):
    """Rows with reduction="none", times sample weights: losses [N], the rest [N, K]; `mass` is sum sw_i D_i."""

    loss: Wide
    loss_scale: Wide
    grad: Wide
    grad_scale: Wide
    hess: Wide
    hess_scale: Wide
    upper: Wide
    upper_scale: Wide
    mass: Any


def _distribution(target: Any, K: int, normalize: bool) -> list[Any]:
    if np.ndim(target) == 0:
        q = [mpf(0)] * K
        q[int(target)] = mpf(1)
        return q
    q = [mpf(x) for x in np.asarray(target, np.float64).tolist()]
    total = mp.fsum(q) if normalize else 1
    return [x / total for x in q] if normalize and total else q


def _weighted(q: list[Any], z: Any, options: dict[str, Any], family: Family) -> tuple[list[Any], Any]:
    """cw_j alpha_j q_j of smoothed and bootstrapped q, and D = sum_j cw_j q_j of the given q."""
    K = len(q)
    cw = [mpf(1)] * K if options["class_weight"] is None else [mpf(float(w)) for w in options["class_weight"]]
    D = mp.fsum(w * x for w, x in zip(cw, q, strict=True) if x)
    a = mpf(float(options["label_smoothing"]))
    if a:
        q = [(1 - a) * x + a / K for x in q]
    if family.bootstrap is not None and family.bootstrap[1]:
        beta = mpf(float(family.bootstrap[0]))
        q = [beta * x for x in q]
        q[int(np.argmax(z))] += 1 - beta  # the transform keeps the order of the logits
    alpha = options["alpha"]
    size = [mpf(float(alpha))] * K if np.ndim(alpha) == 0 else [mpf(float(x)) for x in alpha]
    return [w * s * x for w, s, x in zip(cw, size, q, strict=True)], D


def _logit_answers(family: Family, z: list[Any], q: list[Any]) -> tuple[RowAnswers, Any]:
    """Answers per distinct class, and each class's number among those."""
    prior = family.log_prior if family.log_prior is not None else [mpf(0)] * len(z)
    number: dict[Any, int] = {}
    inverse = np.array([number.setdefault(key, len(number)) for key in zip(z, q, prior, strict=True)])
    return _Row(family, list(number), np.bincount(inverse).tolist()).answers(), inverse


def _probability_answers(family: Family, kind: str, x: list[Any], q: list[Any]) -> tuple[RowAnswers, Any]:
    """From probabilities or their logarithms: the derivative by the one that is named; no second derivatives."""
    loss, grad = mpf(0), []
    for value, weight in zip(x, q, strict=True):
        if weight == 0:
            grad.append(mpf(0))
            continue
        if kind == "probs":
            with mp.workprec(1400):  # 1 - p of the smallest p
                p, u = value, 1 - value
            L = INF if p == 0 else -mp.log(p)
        else:
            L, p = -value, mp.exp(value) if value != -INF else mpf(0)
            u = -mp.expm1(value) if value != -INF else mpf(1)
        here = shaped(family.shape, L, u, p)
        loss += weight * here.f
        grad.append(-weight * (here.s if kind == "log_probs" else slope_by_p(family.shape, here.s, p)))
    sizes = [abs(g) for g in grad]
    none = [mpf(0)] * len(q)
    return RowAnswers(loss, loss, grad, sizes, none, none, none, none), np.arange(len(q))


def family_answers(
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
    alpha: Any = 1.0,
    **family: Any,
) -> Answers:
    """Answers for targets [N] or [N, K]; `family` are the fields of `Family`, `alpha` Focal's weight of classes."""
    given = {"logits": logits, "probs": probs, "log_probs": log_probs}
    kind, x = next((k, np.asarray(v)) for k, v in given.items() if v is not None)
    assert x.ndim == 2, "the oracle takes rows"
    N, K = x.shape
    sw = [mpf(float(w)) for w in (np.ones(N) if sample_weight is None else sample_weight)]
    how, options = Family(**family), {"class_weight": class_weight, "label_smoothing": label_smoothing, "alpha": alpha}
    blank = RowAnswers(mpf(0), mpf(0), *([mpf(0)] for _ in range(6)))
    found, mass = [], mpf(0)
    with mp.workprec(BITS):
        for i, (target, weight) in enumerate(zip(np.asarray(targets), sw, strict=True)):
            answer, inverse = blank, np.zeros(K, np.intp)
            ignored = ignore_index is not None and np.ndim(target) == 0 and int(target) == ignore_index
            if weight and not ignored:
                row = x[i].astype(np.float64).tolist()
                q, D = _weighted(_distribution(target, K, normalize_targets), x[i], options, how)
                mass += weight * D
                if D:
                    values = [mpf(v) for v in row]
                    one = _logit_answers(how, values, q) if kind == "logits" else None
                    answer, inverse = one or _probability_answers(how, kind, values, q)
            found.append(_scaled(answer, inverse, weight))
    columns = [list(column) for column in zip(*found, strict=True)] if N else [[]] * 8
    wide = [Wide.of(objects(column, (N,))) for column in columns[:2]]
    empty = Wide.of(np.zeros((0, K)))
    return Answers(*wide, *(Wide.stack(c) if N else empty for c in columns[2:]), mass)


def _scaled(answer: RowAnswers, inverse: Any, weight: Any) -> list[Any]:
    """Times the row's weight, and per class what is per distinct class."""
    out = [_times(weight, answer.loss), _times(weight, answer.loss_scale)]
    return out + [Wide.of(objects([_times(weight, v) for v in part], (len(part),)))[inverse] for part in answer[2:]]


def family_loss(targets: Any, *, reduction: str = "mean", unit: str = "nat", **options: Any) -> Any:
    """The loss: an mpmath number, or an object array for reduction="none"."""
    answers = family_answers(targets, **options)
    with mp.workprec(BITS):
        losses = answers.loss.to_mpf() / (mp.log(2) if unit == "bit" else 1)
        if reduction == "none":
            return losses
        total = mp.fsum(losses)
        return total if reduction == "sum" else total / answers.mass
