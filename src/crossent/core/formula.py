"""Each loss once, in array operations over a namespace `xp` (NumPy, torch, jax.numpy): the definition.

Native code is tested against these, and they run where native code does not: under `clip` and `eps`, for the logarithms
of independent labels' probabilities, and in other namespaces, for their devices and derivatives. Classes lie on the
last axis; q are dense targets, class-weighted and smoothed. The maximum is gathered by its index: a maximum that shares
its gradient between ties would differentiate wrongly at equal logits.
Error: relative to the row loss, (K + 6) u plus |d| u for the differences d = z - m, which are rounded once.
"""

from typing import Any

__all__ = [
    "binary_log_prob_gradient",
    "binary_log_prob_loss",
    "binary_logit_gradient",
    "binary_logit_loss",
    "binary_prob_gradient",
    "binary_prob_loss",
    "binary_weights",
    "dense_targets",
    "log_prob_loss",
    "logit_gradient",
    "logit_loss",
    "one_hot",
    "prob_gradient",
    "prob_loss",
    "softmax_parts",
]

Array = Any


def one_hot(xp: Any, labels: Array, K: int, dtype: Any) -> Array:
    """[..., K] with 1 at each label."""
    return xp.asarray(labels[..., None] == xp.arange(K), dtype=dtype)


def dense_targets(xp: Any, q: Array, *, class_weight: Array | None, smoothing: float) -> Array:
    """Smooths first, then weights: cw_j ((1 - a) q_j + a / K)."""
    if smoothing:
        q = (1 - smoothing) * q + smoothing / q.shape[-1]
    return q if class_weight is None else q * class_weight


def softmax_parts(xp: Any, z: Array) -> tuple[Array, Array, Array, Array]:
    """(m, d = z - m, exp(d) with 0 at the maximum, whether j is the maximum)."""
    a = xp.argmax(z, axis=-1)[..., None]
    top = xp.arange(z.shape[-1]) == a
    m = xp.take_along_axis(z, a, -1)
    d = xp.where(top, 0.0, z - m)
    return m, d, xp.where(top, 0.0, xp.exp(d)), top


def logit_loss(xp: Any, z: Array, q: Array) -> Array:
    """sum_j q_j (m - z_j) + Q log1p(r), two terms >= 0; q_j = 0 is skipped."""
    _, d, e, _ = softmax_parts(xp, z)
    linear = xp.sum(xp.where(q > 0, -q * xp.where(q > 0, d, 0.0), 0.0), axis=-1)
    return linear + xp.sum(q, axis=-1) * xp.log1p(xp.sum(e, axis=-1))


def logit_gradient(xp: Any, z: Array, q: Array) -> Array:
    """Q p_j - q_j where p_j <= 1/2, else (Q - q_j) - Q (1 - p_j), with 1 - p_j = r / s at the maximum."""
    _, _, e, top = softmax_parts(xp, z)
    r = xp.sum(e, axis=-1, keepdims=True)
    s = 1 + r
    Q = xp.sum(q, axis=-1, keepdims=True)
    others = xp.sum(xp.where(top, 0.0, q), axis=-1, keepdims=True)
    at_top = xp.where(r < 1, others - Q * (r / s), Q / s - q)
    return xp.where(top, at_top, Q * (e / s) - q)


def prob_loss(xp: Any, p: Array, q: Array) -> Array:
    """-sum_j q_j log p_j; q_j = 0 is skipped, p_j = 0 < q_j gives inf."""
    used = q > 0
    return xp.sum(xp.where(used, -q * xp.log(xp.where(used, p, 1.0)), 0.0), axis=-1)


def prob_gradient(xp: Any, p: Array, q: Array) -> Array:
    """-q_j / p_j, not projected to the simplex."""
    used = q > 0
    return xp.where(used, -q / xp.where(used, p, 1.0), 0.0)


def log_prob_loss(xp: Any, log_p: Array, q: Array) -> Array:
    """-sum_j q_j log_p_j; q_j = 0 is skipped."""
    used = q > 0
    return xp.sum(xp.where(used, -q * xp.where(used, log_p, 0.0), 0.0), axis=-1)


def binary_weights(
    y: Array, *, smoothing: float, pos_weight: Any, negative: float, positive: float
) -> tuple[Array, Array]:
    """(A, B): what multiplies -log p and -log(1 - p)."""
    A = positive * pos_weight * ((1 - smoothing) * y + smoothing / 2)
    B = negative * ((1 - smoothing) * (1 - y) + smoothing / 2)
    return A, B


def binary_logit_loss(xp: Any, z: Array, A: Array, B: Array) -> Array:
    """(A + B) log1p(exp(-|z|)) + (z > 0 ? B z : -A z)."""
    slope = xp.where(z > 0, B, A)
    linear = xp.where(slope > 0, slope * xp.abs(xp.where(slope > 0, z, 0.0)), 0.0)
    return (A + B) * xp.log1p(xp.exp(-xp.abs(z))) + linear


def binary_logit_gradient(xp: Any, z: Array, A: Array, B: Array) -> Array:
    """(z > 0 ? B - A e : B e - A) / (1 + e) with e = exp(-|z|)."""
    e = xp.exp(-xp.abs(z))
    return xp.where(z > 0, B - A * e, B * e - A) / (1 + e)


def binary_prob_loss(xp: Any, p: Array, A: Array, B: Array, *, eps: float = 0.0) -> Array:
    """-A log(p + eps) - B log(1 - p + eps); a zero weight is skipped, 1 - p is exact where it is small."""
    yes, no = A > 0, B > 0
    safe = xp.where(no, p, 0.0)
    near = safe > 0.5
    rest = xp.where(near, xp.log(xp.where(near, 1 - safe, 1.0) + eps), xp.log1p(eps - xp.where(near, 0.0, safe)))
    return xp.where(yes, -A * xp.log(xp.where(yes, p, 1.0) + eps), 0.0) + xp.where(no, -B * rest, 0.0)


def binary_prob_gradient(xp: Any, p: Array, A: Array, B: Array, *, eps: float = 0.0) -> Array:
    """B / (1 - p + eps) - A / (p + eps); a zero weight is skipped."""
    yes, no = A > 0, B > 0
    up = xp.where(no, B / (1 - xp.where(no, p, 0.0) + eps), 0.0)
    return up - xp.where(yes, A / (xp.where(yes, p, 1.0) + eps), 0.0)


def _log1m_exp(xp: Any, log_p: Array) -> Array:
    """log(1 - exp(log_p)) for log_p <= 0, in the form that does not cancel on either side of log 2."""
    near = log_p > -0.6931471805599453
    return xp.where(near, xp.log(-xp.expm1(log_p)), xp.log1p(-xp.exp(log_p)))


def binary_log_prob_loss(xp: Any, log_p: Array, A: Array, B: Array) -> Array:
    """-A log_p - B log(1 - exp(log_p)); a zero weight is skipped."""
    yes, no = A > 0, B > 0
    rest = _log1m_exp(xp, xp.where(no, log_p, -1.0))
    return xp.where(yes, -A * xp.where(yes, log_p, 0.0), 0.0) + xp.where(no, -B * rest, 0.0)


def binary_log_prob_gradient(xp: Any, log_p: Array, A: Array, B: Array) -> Array:
    """-A + B p / (1 - p); a zero weight is skipped."""
    no = B > 0
    safe = xp.where(no, log_p, -1.0)
    return xp.where(no, B * xp.exp(safe) / (0.0 - xp.expm1(safe)), 0.0) - A
