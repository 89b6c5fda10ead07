"""The loss of a row of classes in array operations over a namespace `xp` (NumPy, torch, jax.numpy): the definition.

    z'_k = c tanh(z_k / c) / T + b_k,  p = softmax(z'),  u = 1 - p,  L = -log p,  H = sum_k p_k L_k
    loss = sum_j q_j [f(L_j, u_j) + omega H + lambda lse^2]

Native code is tested against it, and it runs where native code does not: for probabilities under `clip`, `eps` or a
shape, and in other namespaces, for their devices and derivatives. Classes lie on the last axis; q are dense targets,
smoothed and weighted. Derivatives by q are right too, but 0 for a class that is ruled out and has no weight. Infinite
logits stay infinite through softcap, with slope 0 there. The maximum is gathered by its index: one that shares its
gradient between ties would differentiate wrongly at equal logits.
Forms that do not cancel, with m the first largest z', D_k = m - z'_k, r = sum of the other exp(-D_j), s = 1 + r:
L_k = D_k + log1p(r); u of the maximum r / s; L_k - H = D_k - sum_j p_j D_j.
Error: relative to the sum of the terms' absolute values (for the gradient's first part min(A p + A_k, A u + A - A_k),
for lse |m| + log1p(r)): (1 + g)(K + 20 + D + 4 |z'| + 4 |z / c|) u, where g is focal's exponent, else 1, D the row's
largest up to 1100, the last two its largest and only with T, c or b, which counts as given. Below the normal numbers
of the dtype, 8 of the smallest of them more. Plain cross-entropy: (K + 6) u of the loss and D u of each difference D,
which is rounded once; (K + 8 + D) u of Q p + q for the gradient.
"""

from typing import Any, NamedTuple

from crossent.core.shapes import Shape
from crossent.core.terms import Terms

__all__ = [
    "bootstrapped",
    "dense_targets",
    "one_hot",
    "row_gradient",
    "row_hessian",
    "row_label_loss",
    "row_log_prob_gradient",
    "row_log_prob_loss",
    "row_loss",
    "row_prob_gradient",
    "row_prob_loss",
    "row_upper",
    "transformed",
]

Array = Any


def _like(xp: Any, x: Any, other: Array) -> Array:
    """What options hold in NumPy, as an array of the namespace with the dtype of another."""
    return xp.asarray(x, dtype=other.dtype)


# ---------------------------------------------------------------- targets


def one_hot(xp: Any, labels: Array, K: int, dtype: Any) -> Array:
    """[..., K] with 1 at each label."""
    return xp.asarray(labels[..., None] == xp.arange(K), dtype=dtype)


def bootstrapped(xp: Any, q: Array, z: Array, hard: float) -> Array:
    """(1 - hard) q + hard onehot of the first largest logit, which softcap and temperature leave the largest."""
    top = xp.arange(z.shape[-1]) == xp.argmax(z, axis=-1)[..., None]
    kept = (1 - hard) * q
    return xp.where(top, kept + hard, kept)


def dense_targets(
    xp: Any, q: Array, terms: Terms, *, smoothing: float, class_weight: Any = None, z: Array | None = None
) -> Array:
    """cw_j alpha_j times (1 - a) q_j + a / K, which `bootstrapped` moves to the logits z where terms say so."""
    if smoothing:
        q = (1 - smoothing) * q + smoothing / q.shape[-1]
    if terms.hard:
        q = bootstrapped(xp, q, z, terms.hard)
    for weight in (class_weight, terms.alpha):
        q = q if weight is None else q * _like(xp, weight, q)
    return q


# ---------------------------------------------------------------- from logits


class _Row(NamedTuple):
    """The softmax of z': all [..., K] but m, r, s [..., 1]; D, e of the maximum are 0."""

    m: Array
    D: Array
    top: Array
    e: Array
    r: Array
    s: Array
    p: Array
    u: Array
    L: Array

    def lse(self, xp: Any) -> Array:
        """log sum_k exp(z'_k), [..., 1]."""
        return self.m + xp.log1p(self.r)

    def mean(self, xp: Any, x: Array) -> Array:
        """sum_k p_k x_k, [..., 1]; a class that is ruled out has any x."""
        return xp.sum(self.p * xp.where(self.p > 0, x, 0.0), axis=-1, keepdims=True)

    def targeted(self, xp: Any, q: Array) -> tuple[Array, Array, Array]:
        """L, u, p; of a ruled out class without weight those of a certain one, so that no derivative of it is NaN."""
        used = (q != 0) | (xp.abs(self.L) < float("inf"))
        return xp.where(used, self.L, 0.0), xp.where(used, self.u, 0.0), xp.where(used, self.p, 1.0)


def transformed(xp: Any, z: Array, terms: Terms) -> tuple[Array, Array, Array]:
    """z', its slope j in z, and the slope of j; the latter two are numbers without softcap."""
    T, c = terms.temperature, terms.softcap
    if c is None:
        moved, slope, bend = z if T == 1 else z / T, 1 / T, 0.0
    else:
        finite = xp.abs(z) < float("inf")
        x = xp.where(finite, z, 0.0) / c
        moved = xp.where(finite, c * xp.tanh(x) / T, z)
        e = xp.exp(-2 * xp.abs(x))
        slope = xp.where(finite, 4 * e / ((1 + e) * (1 + e)) / T, 0.0)
        bend = -2 / c * xp.tanh(x) * slope
    if terms.log_prior is not None:
        moved = moved + _like(xp, terms.log_prior, moved)
    return moved, slope, bend


def _softmax(xp: Any, z: Array) -> _Row:
    a = xp.argmax(z, axis=-1)[..., None]
    top = xp.arange(z.shape[-1]) == a
    m = xp.take_along_axis(z, a, -1)
    D = xp.where(top, 0.0, m - xp.where(top, 0.0, z))
    e = xp.where(top, 0.0, xp.exp(-D))
    r = xp.sum(e, axis=-1, keepdims=True)
    s = 1 + r
    p, u = xp.where(top, 1 / s, e / s), xp.where(top, r / s, (1 + (r - e)) / s)
    return _Row(m, D, top, e, r, s, p, u, D + xp.log1p(r))


def _used(xp: Any, q: Array, x: Array) -> Array:
    """q x, 0 where q is, also beside inf; the derivative by q is x there too."""
    return q * xp.where((q != 0) | (xp.abs(x) < float("inf")), x, 0.0)


def row_loss(xp: Any, z: Array, q: Array, terms: Terms) -> Array:
    """sum_j q_j f_j + Q (omega H + lambda lse^2), [...]."""
    row = _softmax(xp, transformed(xp, z, terms)[0])
    loss = xp.sum(_used(xp, q, terms.shape.value(xp, *row.targeted(xp, q))), axis=-1)
    return _with_extras(xp, row, loss, terms, xp.sum(q, axis=-1))


def row_label_loss(xp: Any, z: Array, t: Array, terms: Terms) -> Array:
    """f of the label t of each row, [...]: `row_loss` of one target a row, without targets as large as the logits.

    For terms without `hard`; weights, which are a factor here, are the caller's.
    """
    row = _softmax(xp, transformed(xp, z, terms)[0])
    L, u, p = (xp.take_along_axis(x, t[..., None], -1)[..., 0] for x in (row.L, row.u, row.p))
    loss = terms.shape.value(xp, L, u, p)
    return _with_extras(xp, row, loss, terms)


def _with_extras(xp: Any, row: _Row, loss: Array, terms: Terms, Q: Array | float = 1.0) -> Array:
    """The loss with Q (omega H + lambda lse^2)."""
    if terms.entropy_weight:
        loss = loss + terms.entropy_weight * Q * row.mean(xp, row.L)[..., 0]
    if terms.z_loss:
        lse = row.lse(xp)[..., 0]
        loss = loss + terms.z_loss * Q * (lse * lse)
    return loss


def _pull(xp: Any, row: _Row, q: Array, terms: Terms) -> Array:
    """d loss / d z'."""
    A_k = _used(xp, q, terms.shape.slope(xp, *row.targeted(xp, q)))
    A = xp.sum(A_k, axis=-1, keepdims=True)
    others = xp.sum(xp.where(row.top, 0.0, A_k), axis=-1, keepdims=True)
    at_top = xp.where(row.r < 1, others - A * (row.r / row.s), A / row.s - A_k)
    g = xp.where(row.top, at_top, A * row.p - A_k)
    Q = xp.sum(q, axis=-1, keepdims=True)
    if terms.entropy_weight:
        far = xp.where(row.p > 0, row.D, 0.0) - row.mean(xp, row.D)
        g = g + terms.entropy_weight * Q * (row.p * far)
    if terms.z_loss:
        g = g + 2 * terms.z_loss * Q * (row.p * xp.where(row.p > 0, row.lse(xp), 0.0))
    return g


def row_gradient(xp: Any, z: Array, q: Array, terms: Terms) -> Array:
    """j_k (A p_k - A_k + omega Q p_k (L_k - H) + 2 lambda Q lse p_k), A_j = q_j s_j, A = sum A_j; [..., K]."""
    moved, slope, _ = transformed(xp, z, terms)
    return _scaled(xp, slope, _pull(xp, _softmax(xp, moved), q, terms))


def row_hessian(xp: Any, z: Array, q: Array, terms: Terms) -> Array:
    """The diagonal of the matrix of second derivatives, [..., K].

    h'_k = A p u + C_k u^2 + p^2 sum_{j != k} C_j + omega Q p [(1 - 2p)(L - H) - u] + 2 lambda Q [p^2 + lse p u]
    h_k = j_k^2 h'_k + g'_k dj_k / dz_k,   C_j = q_j c_j,  p = p_k, ...
    """
    return _second(xp, z, q, terms, plus=False)


def row_upper(xp: Any, z: Array, q: Array, terms: Terms) -> Array:
    """A diagonal >= 0 that as a matrix is nowhere below the matrix of second derivatives, [..., K].

    h'_k = 2 [A p u + C+_k u^2 + p sum_{j != k} C+_j u_j]
           + |omega| Q p [|(1 - 2p)(L - H) - u| + u |1 - L + H| + 2 H] + 2 lambda Q [p + 2 max(lse, 0) p u]
    h_k = j_k^2 h'_k + max(0, g'_k dj_k / dz_k),   C+ = max(C, 0)
    """
    return _second(xp, z, q, terms, plus=True)


def _second(xp: Any, z: Array, q: Array, terms: Terms, *, plus: bool) -> Array:
    moved, slope, bend = transformed(xp, z, terms)
    row = _softmax(xp, moved)
    h = _curved(xp, row, q, terms.shape, plus=plus)
    if terms.entropy_weight or terms.z_loss:
        h = h + _curved_extras(xp, row, q, terms, plus=plus)
    h = _scaled(xp, slope, _scaled(xp, slope, h))
    if terms.softcap is None:
        return h
    bent = xp.where(bend != 0, bend * xp.where(bend != 0, _pull(xp, row, q, terms), 0.0), 0.0)
    return h + (xp.where(bent > 0, bent, 0.0) if plus else bent)


def _scaled(xp: Any, slope: Array, x: Array) -> Array:
    """slope x; 0 where the slope is, also beside inf."""
    if isinstance(slope, float):
        return x if slope == 1 else slope * x
    return xp.where(slope > 0, slope * xp.where(slope > 0, x, 0.0), 0.0)


def _curved(xp: Any, row: _Row, q: Array, shape: Shape, *, plus: bool) -> Array:
    """A p u and the terms with C; what others than the maximum see of its C comes as (C u^2) (p_k / u)^2 or (p_k / u).

    C of the maximum alone may overflow (focal, gamma < 1), and p_k / u = e_k / r there.
    """
    parts = L, u, p = row.targeted(xp, q)
    A = xp.sum(_used(xp, q, shape.slope(xp, *parts)), axis=-1, keepdims=True)
    own = _used(xp, q, shape.curvature_u2(xp, *parts))
    C = _used(xp, q, shape.curvature(xp, L, xp.where(row.top, 1.0, u), p))
    if plus:
        own, C = xp.where(own > 0, own, 0.0), xp.where(C > 0, C, 0.0) * row.u
    C = xp.where(row.top, 0.0, C)
    rest = xp.sum(C, axis=-1, keepdims=True) - C
    share = row.e / xp.where(row.r > 0, row.r, 1.0)  # 0 at the maximum
    at_top = xp.sum(xp.where(row.top, own, 0.0), axis=-1, keepdims=True)
    seen = row.p * rest + at_top * share if plus else row.p * (row.p * rest) + at_top * (share * share)
    h = A * (row.p * row.u) + own + seen
    return 2 * h if plus else h


def _curved_extras(xp: Any, row: _Row, q: Array, terms: Terms, *, plus: bool) -> Array:
    """What entropy and z_loss add to the second derivatives by z'."""
    p, u, omega = row.p, row.u, terms.entropy_weight
    Q = xp.sum(q, axis=-1, keepdims=True)
    h = 0.0 * p
    if omega:
        far = xp.where(p > 0, row.D, 0.0) - row.mean(xp, row.D)
        bend = (u - p) * far - u
        if plus:
            bend = xp.abs(bend) + u * xp.abs(1 - far) + 2 * row.mean(xp, row.L)
        h = (abs(omega) if plus else omega) * Q * (p * bend)
    if terms.z_loss:
        lse, pu = row.lse(xp), p * u
        if plus:
            lse = 2 * xp.where(lse > 0, lse, 0.0)
        h = h + 2 * terms.z_loss * Q * ((p if plus else p * p) + pu * xp.where(pu > 0, lse, 0.0))
    return h


# ---------------------------------------------------------------- from probabilities and their logarithms


def _of_probs(xp: Any, p: Array, q: Array) -> tuple[Array, Array, Array]:
    """L, u, p where q > 0, else those of a certain class."""
    p = xp.where(q > 0, p, 1.0) + 0.0  # -0 is 0
    return 0.0 - xp.log(p), xp.where(p < 1, 1 - p, 0.0), p


def _of_log_probs(xp: Any, log_p: Array, q: Array) -> tuple[Array, Array, Array]:
    log_p = xp.where(q > 0, log_p, 0.0)
    return 0.0 - log_p, 0.0 - xp.expm1(log_p), xp.exp(log_p)


def row_prob_loss(xp: Any, p: Array, q: Array, shape: Shape) -> Array:
    """sum_j q_j f(-log p_j, 1 - p_j), [...]; q_j = 0 is skipped."""
    return xp.sum(_used(xp, q, shape.value(xp, *_of_probs(xp, p, q))), axis=-1)


def row_prob_gradient(xp: Any, p: Array, q: Array, shape: Shape) -> Array:
    """-q_j s_j / p_j, not projected to the simplex."""
    return 0.0 - shape.slope_by_p(xp, q, *_of_probs(xp, p, q))


def row_log_prob_loss(xp: Any, log_p: Array, q: Array, shape: Shape) -> Array:
    """sum_j q_j f(-log_p_j, 1 - p_j), [...]; q_j = 0 is skipped."""
    return xp.sum(_used(xp, q, shape.value(xp, *_of_log_probs(xp, log_p, q))), axis=-1)


def row_log_prob_gradient(xp: Any, log_p: Array, q: Array, shape: Shape) -> Array:
    """-q_j s_j."""
    return 0.0 - _used(xp, q, shape.slope(xp, *_of_log_probs(xp, log_p, q)))
