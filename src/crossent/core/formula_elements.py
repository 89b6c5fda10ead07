"""The loss of an independent label in array operations over a namespace `xp`: the definition.

    loss = A f(p) + B f(1 - p),  p = sigmoid(z),  A, B as `element_weights` gives them

p, 1 - p and their logarithms come from exp(-|z|), without cancellation. Elements are independent, so the Hessian is
diagonal. From probabilities, `eps` is added to p and to 1 - p. Error: (1 + g)(12 + |z|) u of the sum of both terms,
with focal's exponent g (1 for other shapes); |z| up to 1100 and only from logits. Plain cross-entropy: 12 u.
"""

from typing import Any

from crossent.core.shapes import Shape
from crossent.core.terms import BinaryTerms

__all__ = [
    "element_gradient",
    "element_hessian",
    "element_log_prob_gradient",
    "element_log_prob_loss",
    "element_loss",
    "element_prob_gradient",
    "element_prob_loss",
    "element_upper",
    "element_weights",
]

Array = Any
Side = tuple[Array, Array, Array]  # L = -log p, u = 1 - p, p


def element_weights(
    y: Array, terms: BinaryTerms, *, smoothing: float, pos_weight: Any, negative: float, positive: float
) -> tuple[Array, Array]:
    """(A, B): what multiplies f(p) and f(1 - p), from labels y and the weights of both classes."""
    A = positive * pos_weight * ((1 - smoothing) * y + smoothing / 2)
    B = negative * ((1 - smoothing) * (1 - y) + smoothing / 2)
    return terms.positive * A, terms.negative * B


def _sides(xp: Any, z: Array) -> tuple[Side, Side]:
    """The positive's and the negative's L, u, p."""
    up = z > 0
    size = xp.where(up, z, 0.0 - z)  # abs would have the slope 0 at 0, where most training starts
    e = xp.exp(-size)
    near, far = 1 / (1 + e), e / (1 + e)
    short = xp.log1p(e)
    long = size + short
    p, n = xp.where(up, near, far), xp.where(up, far, near)
    return (xp.where(up, short, long), n, p), (xp.where(up, long, short), p, n)


def _used(xp: Any, weight: Array, x: Array) -> Array:
    """weight x, 0 where the weight is, also beside inf; the derivative by the weight is x there too."""
    return weight * xp.where((weight != 0) | (xp.abs(x) < float("inf")), x, 0.0)


def element_loss(xp: Any, z: Array, A: Array, B: Array, shape: Shape) -> Array:
    """A f(p) + B f(1 - p)."""
    yes, no = _sides(xp, z)
    return _used(xp, A, shape.value(xp, *yes)) + _used(xp, B, shape.value(xp, *no))


def element_gradient(xp: Any, z: Array, A: Array, B: Array, shape: Shape) -> Array:
    """-A s(p) (1 - p) + B s(1 - p) p."""
    yes, no = _sides(xp, z)
    return B * (shape.slope(xp, *no) * yes[2]) - A * (shape.slope(xp, *yes) * no[2])


def element_hessian(xp: Any, z: Array, A: Array, B: Array, shape: Shape) -> Array:
    """A [c(p) (1-p)^2 + s(p) p (1-p)] + B [c(1-p) p^2 + s(1-p) p (1-p)]."""
    return _curved(xp, z, A, B, shape, plus=False)


def element_upper(xp: Any, z: Array, A: Array, B: Array, shape: Shape) -> Array:
    """`element_hessian` with max(c, 0) for c: >= 0, and nowhere below it."""
    return _curved(xp, z, A, B, shape, plus=True)


def _curved(xp: Any, z: Array, A: Array, B: Array, shape: Shape, *, plus: bool) -> Array:
    yes, no = _sides(xp, z)
    both = yes[2] * no[2]

    def side(given: Side) -> Array:
        bend = shape.curvature_u2(xp, *given)
        return shape.slope(xp, *given) * both + (xp.where(bend > 0, bend, 0.0) if plus else bend)

    return A * side(yes) + B * side(no)


# ---------------------------------------------------------------- from probabilities and their logarithms


def _rest(xp: Any, p: Array) -> Array:
    """1 - p, not below 0."""
    return xp.where(p < 1, 1 - p, 0.0)


def _of_probs(xp: Any, p: Array, A: Array, B: Array, eps: float) -> tuple[Side, Side]:
    """Both sides of probabilities; a side without weight sees an even chance."""
    yes, no = xp.where(A > 0, p, 0.5), xp.where(B > 0, p, 0.5)
    far = no > 0.5
    log_rest = xp.where(far, xp.log(xp.where(far, _rest(xp, no), 1.0) + eps), xp.log1p(eps - xp.where(far, 0.0, no)))
    yes, rest = yes + eps, _rest(xp, no) + eps
    return (0.0 - xp.log(yes), _rest(xp, yes), yes), (0.0 - log_rest, _rest(xp, rest) if eps else no, rest)


def _of_log_probs(xp: Any, log_p: Array, A: Array, B: Array) -> tuple[Side, Side]:
    yes, no = xp.where(A > 0, log_p, -1.0), xp.where(B > 0, log_p, -1.0)
    p, n = xp.exp(no), 0.0 - xp.expm1(no)
    far = no > -0.6931471805599453
    log_rest = xp.where(far, xp.log(xp.where(far, n, 1.0)), xp.log1p(-xp.where(far, 0.0, p)))
    return (0.0 - yes, 0.0 - xp.expm1(yes), xp.exp(yes)), (0.0 - log_rest, p, n)


def element_prob_loss(xp: Any, p: Array, A: Array, B: Array, shape: Shape, *, eps: float = 0.0) -> Array:
    """A f(p) + B f(1 - p); a zero weight is skipped."""
    yes, no = _of_probs(xp, p, A, B, eps)
    return _used(xp, A, shape.value(xp, *yes)) + _used(xp, B, shape.value(xp, *no))


def element_prob_gradient(xp: Any, p: Array, A: Array, B: Array, shape: Shape, *, eps: float = 0.0) -> Array:
    """-A s(p) / p + B s(1 - p) / (1 - p); a zero weight is skipped."""
    yes, no = _of_probs(xp, p, A, B, eps)
    return shape.slope_by_p(xp, B, *no) - shape.slope_by_p(xp, A, *yes)


def element_log_prob_loss(xp: Any, log_p: Array, A: Array, B: Array, shape: Shape) -> Array:
    """A f(p) + B f(1 - p); a zero weight is skipped."""
    yes, no = _of_log_probs(xp, log_p, A, B)
    return _used(xp, A, shape.value(xp, *yes)) + _used(xp, B, shape.value(xp, *no))


def element_log_prob_gradient(xp: Any, log_p: Array, A: Array, B: Array, shape: Shape) -> Array:
    """-A s(p) + B s(1 - p) p / (1 - p); a zero weight is skipped."""
    yes, no = _of_log_probs(xp, log_p, A, B)
    return shape.slope_by_p(xp, B * no[1], *no) - _used(xp, A, shape.slope(xp, *yes))
