"""Optax' cross-entropies and divergences with their names, signatures and shapes, in forms that do not cancel."""

from typing import Any

import jax
import jax.numpy as jnp

from crossent.core.shapes import Shape
from crossent.core.terms import Terms
from crossent.jax.inputs import Array, Rows, floats, integers, working_dtype
from crossent.jax.rows import PLAIN, element_loss, label_loss, row_loss

__all__ = [
    "convex_kl_divergence",
    "generalized_kl_divergence",
    "kl_divergence",
    "kl_divergence_with_log_targets",
    "poly_loss_cross_entropy",
    "safe_softmax_cross_entropy",
    "sigmoid_binary_cross_entropy",
    "sigmoid_focal_loss",
    "smooth_labels",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
]

Axis = int | tuple[int, ...] | None
_ONE_MINUS_P = Shape("poly", 0.0, 1.0)


# ---------------------------------------------------------------- classes


def _softmax_losses(logits: Any, labels: Any, axis: Axis, where: Any, *terms: Terms) -> list[Array]:
    """Row losses of each of the terms, in the dtype of logits and labels together."""
    z, q = floats(logits, "logits"), jnp.asarray(labels)
    dtype = jnp.result_type(z, q)
    rows = Rows(jnp.broadcast_shapes(z.shape, q.shape), axis, where)
    work = working_dtype(dtype)
    z, q = rows.logits(z.astype(work)), rows.targets(q.astype(work))
    return [row_loss(z, q, each).astype(dtype) for each in terms]


def softmax_cross_entropy(logits: Any, labels: Any, axis: Axis = -1, where: Any = None) -> Array:
    """Cross-entropy of softmax(logits) against distributions, as `optax.softmax_cross_entropy`.

        loss = -sum_k y_k log p_k,  p = softmax(logits)      [nat]

    A class with y = 0 and p = 0 counts 0. Differentiable by both arguments; where logits are -inf and y is 0, the
    derivative by y is taken as 0.

    Args:
        logits: [..., K] scores; -inf rules a class out.
        labels: [..., K] distributions y; broadcast with the logits.
        axis: the class axis, several that together are the classes, or None for all.
        where: bool, [...] rows or [..., K] classes to include; a row without any has loss 0.
    Returns: [...] losses, in the dtype of logits and labels together; half precision is computed in float32.
    Raises: DtypeError, ShapeError.
    Source: optax.losses, 0.2.8; the forms as in `crossent.CrossEntropy`.

    >>> round(softmax_cross_entropy(jnp.array([1.2, -0.8, -0.5]), jnp.array([1.0, 0.0, 0.0])).item(), 4)
    0.2761
    """
    return _softmax_losses(logits, labels, axis, where, PLAIN)[0]


def safe_softmax_cross_entropy(logits: Any, labels: Any) -> Array:
    """`softmax_cross_entropy`, which is safe as it is; the name for those who come from optax.

        loss = -sum_k y_k log p_k,  0 log 0 = 0      [nat]

    Args:
        logits: [..., K] scores; -inf rules a class out.
        labels: [..., K] distributions.
    Returns: [...] losses.
    Raises: DtypeError, ShapeError.
    Source: optax.losses, 0.2.8.

    >>> safe_softmax_cross_entropy(jnp.array([0.0, -jnp.inf]), jnp.array([1.0, 0.0])).item()
    0.0
    """
    return softmax_cross_entropy(logits, labels)


def softmax_cross_entropy_with_integer_labels(
    logits: Any, labels: Any, axis: int | tuple[int, ...] = -1, where: Any = None
) -> Array:
    """Cross-entropy of softmax(logits) against class indices, as optax' function of this name.

        loss = -log p_y,  p = softmax(logits)      [nat]

    A label outside 0..K-1 gives NaN with gradient 0 (optax takes -1 for the last class, and has a gradient that knows
    no target); rows that `where` leaves out may have any label.

    Args:
        logits: [..., K] scores; -inf rules a class out.
        labels: [...] integers in 0..K-1; with several axes, flat positions in their product.
        axis: the class axis, or several that together are the classes.
        where: bool, [...] rows or [..., K] classes to include; a row without any has loss 0.
    Returns: [...] losses, in the logits' dtype; half precision is computed in float32.
    Raises: DtypeError, ShapeError.
    Source: optax.losses, 0.2.8; the forms as in `crossent.CrossEntropy`.

    >>> logits = jnp.array([[1.2, -0.8, -0.5], [0.9, -1.2, 1.1]])
    >>> [round(x, 4) for x in softmax_cross_entropy_with_integer_labels(logits, jnp.array([0, 3])).tolist()]
    [0.2761, nan]
    """
    z, y = floats(logits, "logits"), integers(labels, "labels")
    rows = Rows(z.shape, axis, where)
    z_rows = rows.logits(z.astype(working_dtype(z)))
    lead = jnp.broadcast_shapes(rows.lead, y.shape)
    z_rows, y = jnp.broadcast_to(z_rows, (*lead, rows.K)), jnp.broadcast_to(y, lead)
    if rows.kept is None:
        return label_loss(z_rows, y).astype(z.dtype)
    kept = rows.kept.any(axis=-1)
    return jnp.where(kept, label_loss(z_rows, jnp.where(kept, y, 0)), 0.0).astype(z.dtype)


def poly_loss_cross_entropy(
    logits: Any, labels: Any, *, epsilon: Any = 2.0, axis: Axis = -1, where: Any = None
) -> Array:
    """PolyLoss: cross-entropy whose leading term (1 - p) has another coefficient, as optax' function of this name.

        loss = sum_k y_k (-log p_k + epsilon (1 - p_k)),  p = softmax(logits)      [nat]

    Args:
        logits: [..., K] scores.
        labels: [..., K] distributions y, floats.
        epsilon: a number, also a traced one. A Python number from -1 to 0 does not cancel; a traced one may.
        axis, where: as in `softmax_cross_entropy`.
    Returns: [...] losses.
    Raises: DtypeError, ShapeError.
    Source: Leng, Tan, Liu, Cubuk, Shi, Cheng & Anguelov, ICLR 2022; optax.losses, 0.2.8.

    >>> round(poly_loss_cross_entropy(jnp.array([0.0, 0.0]), jnp.array([1.0, 0.0]), epsilon=1.0).item(), 6)
    1.193147
    """
    labels = floats(labels, "labels")
    if isinstance(epsilon, (int, float)):
        return _softmax_losses(logits, labels, axis, where, Terms(Shape("poly", 1.0, float(epsilon))))[0]
    plain, rest = _softmax_losses(logits, labels, axis, where, PLAIN, Terms(_ONE_MINUS_P))
    return plain + epsilon * rest


def smooth_labels(labels: Any, alpha: Any, *, axis: Axis = -1, where: Any = None) -> Array:
    """Label smoothing, as `optax.smooth_labels`.

        (1 - alpha) y + alpha / K

    Args:
        labels: [..., K] one-hot labels or distributions y, floats.
        alpha: the part that is spread over all classes, in [0, 1].
        axis: the class axis, several, or None for all.
        where: bool, [..., K] classes to include; K is their number.
    Returns: [..., K] distributions.
    Raises: DtypeError.
    Source: Szegedy, Vanhoucke, Ioffe, Shlens & Wojna, CVPR 2016; optax.losses, 0.2.8.

    >>> smooth_labels(jnp.array([1.0, 0.0]), 0.5).tolist()
    [0.75, 0.25]
    """
    y = floats(labels, "labels")
    K = Rows(y.shape, axis).K if where is None else jnp.sum(where, axis, keepdims=True)
    return (1.0 - alpha) * y + alpha / K


# ---------------------------------------------------------------- independent labels


def _elements(logits: Any, labels: Any) -> tuple[Array, Array, Any]:
    """Logits and labels of one shape in the working dtype, and the dtype of the result."""
    z = floats(logits, "logits")
    work = working_dtype(z)
    given, y = jnp.broadcast_arrays(z.astype(work), jnp.asarray(labels).astype(work))
    return given, y, z.dtype


def sigmoid_binary_cross_entropy(logits: Any, labels: Any) -> Array:
    """Cross-entropy of sigmoid(logits) against independent labels, as optax' function of this name.

        loss = -y log p - (1 - y) log(1 - p),  p = sigmoid(logits)      [nat]

    Args:
        logits: [...] scores.
        labels: [...] labels y, 0 and 1 or probabilities; broadcast with the logits.
    Returns: [...] losses in the logits' dtype; half precision is computed in float32.
    Raises: DtypeError.
    Source: optax.losses, 0.2.8; the forms as in `crossent.BinaryCrossEntropy`.

    >>> [f"{x:.4g}" for x in sigmoid_binary_cross_entropy(jnp.array([0.0, -80.0]), jnp.array([1, 0])).tolist()]
    ['0.6931', '1.805e-35']
    """
    z, y, dtype = _elements(logits, labels)
    return element_loss(z, y, 1 - y).astype(dtype)


def sigmoid_focal_loss(logits: Any, labels: Any, *, alpha: Any = None, gamma: Any = 2.0) -> Array:
    """Focal loss of independent labels, as `optax.sigmoid_focal_loss`.

        loss = a u^gamma (-y log p - (1 - y) log(1 - p)),  p = sigmoid(logits),
        u = y (1 - p) + (1 - y) p,  a = alpha y + (1 - alpha)(1 - y) or 1      [nat]

    For labels 0 and 1 it is `crossent.BinaryFocal`, which takes the power of each of the two terms by itself.

    Args:
        logits: [...] scores.
        labels: [...] labels y, 0 and 1 or probabilities.
        alpha: weight of the positives; 1 - alpha is that of the negatives. No weights if not given.
        gamma: exponent >= 0, also a traced one.
    Returns: [...] losses in the logits' dtype; half precision is computed in float32.
    Raises: DtypeError.
    Source: Lin, Goyal, Girshick, He & Dollar, ICCV 2017, 2980-2988; optax.losses, 0.2.8.

    >>> [f"{x:.4g}" for x in sigmoid_focal_loss(jnp.array([2.0, -20.0]), jnp.array([1.0, 0.0])).tolist()]
    ['0.001804', '8.757e-27']
    """
    z, y, dtype = _elements(logits, labels)
    u = element_loss(z, y, 1 - y, _ONE_MINUS_P)
    power = jnp.where(u > 0, jnp.where(u > 0, u, 1.0) ** gamma, jnp.where(jnp.asarray(gamma) == 0, 1.0, 0.0))
    loss = element_loss(z, y, 1 - y) * power
    if alpha is not None:
        loss = (alpha * y + (1 - alpha) * (1 - y)) * loss
    return loss.astype(dtype)


# ---------------------------------------------------------------- divergences


def _divergence(log_q: Any, target: Any, axis: Axis, where: Any, names: tuple[str, str], term: Any) -> Array:
    """The sum of term(log q, target) over the axis."""
    a, b = floats(log_q, names[0]), floats(target, names[1])
    dtype = jnp.result_type(a, b)
    work = working_dtype(dtype)
    a, b = a.astype(work), b.astype(work)
    if where is not None:
        a, b = jnp.where(where, a, 0.0), jnp.where(where, b, 0.0)
    return jnp.sum(term(a, b), axis=axis, where=where).astype(dtype)


def _log(t: Array) -> Array:
    """log t, 0 where t is: it is multiplied by it."""
    return jnp.where(t == 0, 0.0, jnp.log(jnp.where(t == 0, 1.0, t)))


def _times(weight: Array, x: Array) -> Array:
    """weight x, 0 where the weight is, also beside inf."""
    return weight * jnp.where((weight != 0) | jnp.isfinite(x), x, 0.0)


def kl_divergence(log_predictions: Any, targets: Any, axis: Axis = -1, where: Any = None) -> Array:
    """Kullback-Leibler divergence of predictions q from targets t, as `optax.kl_divergence`.

        sum_k t_k (log t_k - log q_k)      [nat]

    Argument order: the prediction's logarithm comes first here, unlike in `crossent.kl_divergence(p, q)`. A class with
    t = 0 counts 0, also where log q is -inf.

    Args:
        log_predictions: [..., K] log q, floats.
        targets: [..., K] probabilities t, floats.
        axis: the axis or axes to sum over, None for all.
        where: bool, elements to include.
    Returns: [...] divergences in the dtype of both together; half precision is computed in float32.
    Raises: DtypeError.
    Source: Kullback & Leibler, Annals of Mathematical Statistics 22 (1951), 79-86; optax.losses, 0.2.8.

    >>> round(kl_divergence(jnp.log(jnp.array([0.25, 0.75])), jnp.array([1.0, 0.0])).item(), 6)
    1.386294
    """
    names = ("log_predictions", "targets")
    return _divergence(log_predictions, targets, axis, where, names, lambda a, t: _times(t, _log(t) - a))


def kl_divergence_with_log_targets(log_predictions: Any, log_targets: Any, axis: Axis = -1, where: Any = None) -> Array:
    """`kl_divergence` with targets given by their logarithms, as optax' function of this name.

        sum_k t_k (log t_k - log q_k)      [nat]

    Args:
        log_predictions: [..., K] log q, floats.
        log_targets: [..., K] log t, floats; -inf counts 0.
        axis, where: as in `kl_divergence`.
    Returns: [...] divergences.
    Raises: DtypeError.
    Source: as `kl_divergence`.

    >>> kl_divergence_with_log_targets(jnp.array([-1.0, -2.0]), jnp.array([-1.0, -jnp.inf])).item()
    0.0
    """

    def term(a: Array, b: Array) -> Array:
        there = b > -jnp.inf
        b = jnp.where(there, b, 0.0)
        return jnp.where(there, jnp.exp(b) * (b - jnp.where(there, a, 0.0)), 0.0)

    return _divergence(log_predictions, log_targets, axis, where, ("log_predictions", "log_targets"), term)


def generalized_kl_divergence(log_predictions: Any, targets: Any, axis: Axis = -1, where: Any = None) -> Array:
    """Kullback-Leibler divergence of rows that need not sum to 1, as optax' function of this name.

        sum_k (t_k log(t_k / q_k) - t_k + q_k) = sum_k t_k (e^y - 1 - y),  y = log q_k - log t_k      [nat]

    Every term is >= 0 and keeps its digits as q nears t.

    Args:
        log_predictions: [..., K] log q, floats.
        targets: [..., K] numbers t >= 0, floats.
        axis, where: as in `kl_divergence`.
    Returns: [...] divergences.
    Raises: DtypeError.
    Source: Boyd & Vandenberghe, Convex Optimization (2004), 90; optax.losses, 0.2.8.

    >>> generalized_kl_divergence(jnp.array([0.0, -jnp.inf]), jnp.array([1.0, 0.0])).item()
    0.0
    """

    def term(a: Array, t: Array) -> Array:
        there = t != 0
        y = jnp.where(there, a - _log(t), 0.0)
        return jnp.where(there, t * _beyond_linear(y), jnp.exp(jnp.where(there, 0.0, a)))

    return _divergence(log_predictions, targets, axis, where, ("log_predictions", "targets"), term)


convex_kl_divergence = generalized_kl_divergence


def _excess(y: Array) -> Array:
    """e^y - 1 - y, by its series where that would cancel: 2^-60 is reached for |y| < 1/2."""
    near = jnp.abs(y) < 0.5
    x = jnp.where(near, y, 0.0)
    tail = jnp.ones_like(x)
    for n in range(17, 2, -1):
        tail = 1 + x / n * tail
    return jnp.where(near, 0.5 * x * x * tail, jnp.expm1(y) - y)


def _excess_rule(primals: Any, tangents: Any) -> Any:
    return _beyond_linear(*primals), jnp.expm1(primals[0]) * tangents[0]


_beyond_linear = jax.custom_jvp(_excess)
_beyond_linear.defjvp(_excess_rule)
