"""The loss of a row or an element as JAX differentiates it: derivatives of every order, by the formula.

The value and the first derivative of plain cross-entropy, most of all use, stand here in a form that XLA fuses into
three passes over the logits; whatever else is asked (other losses, derivatives of the derivative) is core.formula.
Without the custom rules XLA would keep several arrays of the logits' size for the way back.

With m = max z, e_k = exp(z_k - m), s = sum e, and r the sum over all but one maximum: where s < 2, no other logit comes
near m, and r = sum e_k min((m - z_k) / eps^2, 1), in which the factor is 0 at the maximum and 1 elsewhere; otherwise
r = s - 1 loses at most one digit of two. A comparison in place of the factor would make XLA's CPU compiler write an
array of the logits' size, and so would an array that two sums share: the barriers keep their operands apart.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from crossent.core import formula, formula_elements
from crossent.core.shapes import Shape
from crossent.core.terms import CROSS_ENTROPY, Terms

__all__ = ["PLAIN", "element_loss", "label_loss", "row_both", "row_loss"]

Array = Any
PLAIN = Terms()
_apart = jax.lax.optimization_barrier


def _fixed(direction: Any) -> bool:
    """Whether an argument is not differentiated, so that nothing need be computed for it."""
    return isinstance(direction, SymbolicZero)


class _Plain(NamedTuple):
    """m [..., 1] as it is and within the finite numbers, r and s [..., 1]; NaN for two infinite logits."""

    m: Array
    finite_m: Array
    r: Array
    s: Array


def _below(z: Array, m: Array) -> Array:
    """z - m, 0 also at an infinite z, where m is the largest finite number."""
    return jnp.minimum(z, m) - m


def _plain(z: Array) -> _Plain:
    numbers = jnp.finfo(z.dtype)
    m = jnp.max(z, axis=-1, keepdims=True)
    finite = jnp.minimum(m, numbers.max)
    s = jnp.sum(jnp.exp(_below(z, finite)), axis=-1, keepdims=True)
    d = _below(z, _apart(finite))
    far = 1 / float(numbers.eps) ** 2
    r = jnp.sum(jnp.exp(d) * jnp.minimum(-d * far, 1.0), axis=-1, keepdims=True)
    r = jnp.where(s < 2, r, jnp.where(m < jnp.inf, s - 1, jnp.nan))
    return _Plain(m, finite, r, 1 + r)


def _gap(m: Array, z: Array) -> Array:
    """m - z, 0 at an infinite maximum."""
    return jnp.where(z == m, 0.0, m - z)


# ---------------------------------------------------------------- plain cross-entropy of index labels


def _known(z: Array, labels: Array) -> Array:
    return (labels >= 0) & (labels < z.shape[-1])


def _label_value(row: _Plain, z: Array, labels: Array) -> Array:
    at_label = jnp.take_along_axis(z, jnp.clip(labels, 0, z.shape[-1] - 1)[..., None], -1)
    loss = _gap(row.m, at_label) + jnp.log1p(row.r)
    return jnp.where(_known(z, labels), loss[..., 0], jnp.nan)


def _label_loss(z: Array, labels: Array) -> Array:
    """-log p_y, [...]; NaN where a label is not among 0..K-1, with gradient 0: what is masked later stays 0 then."""
    return _label_value(_plain(z), z, labels)


def _label_both(z: Array, labels: Array) -> tuple[Array, Array]:
    """Loss and gradient, of one look at the rows; a label that is no class has gradient 0."""
    row = _plain(z)
    d = _below(z, _apart(_apart(row.finite_m)))
    hit = jnp.arange(z.shape[-1]) == labels[..., None]
    gradient = jnp.where(hit & (d == 0), -row.r / row.s, jnp.exp(d) / row.s - hit)
    return _label_value(row, z, labels), jnp.where(_known(z, labels)[..., None], gradient, 0.0)


def _label_rule(primals: Any, tangents: Any) -> Any:
    loss, gradient = label_both(*primals)
    return loss, jnp.sum(gradient * tangents[0], axis=-1)


def _label_both_rule(primals: Any, tangents: Any) -> Any:
    z, labels = primals
    loss, gradient = label_both(z, labels)
    q = formula.one_hot(jnp, labels, z.shape[-1], z.dtype)
    bent = jax.jvp(lambda z: formula.row_gradient(jnp, z, q, PLAIN), (z,), (tangents[0],))[1]
    return (loss, gradient), (jnp.sum(gradient * tangents[0], axis=-1), bent)


label_loss, label_both = jax.custom_jvp(_label_loss), jax.custom_jvp(_label_both)
label_loss.defjvp(_label_rule)
label_both.defjvp(_label_both_rule)


# ---------------------------------------------------------------- rows with dense targets


def _plain_value(row: _Plain, z: Array, q: Array) -> Array:
    D = _gap(row.m, z)
    D = jnp.where((q != 0) | jnp.isfinite(D), D, 0.0)
    return jnp.sum(q * D, axis=-1) + jnp.sum(q, axis=-1) * jnp.log1p(row.r)[..., 0]


def _plain_both(z: Array, q: Array) -> tuple[Array, Array]:
    row = _plain(z)
    d = _below(z, _apart(_apart(row.finite_m)))
    Q = jnp.sum(q, axis=-1, keepdims=True)
    others = jnp.sum(jnp.where(_apart(d) == 0, 0.0, q), axis=-1, keepdims=True)
    at_top = others - Q * (row.r / row.s)
    gradient = jnp.where((d == 0) & (row.r < 1), at_top, Q * (jnp.exp(d) / row.s) - q)
    return _plain_value(row, z, q), gradient


def _values(z: Array, q: Array, terms: Terms) -> Array:
    return _plain_value(_plain(z), z, q) if terms is PLAIN else formula.row_loss(jnp, z, q, terms)


def row_both(z: Array, q: Array, terms: Terms) -> tuple[Array, Array]:
    """Loss and gradient by z of rows, [...] and [..., K]; derivatives of the gradient are those of the formula."""

    def primal(z: Array, q: Array) -> tuple[Array, Array]:
        if terms is PLAIN:
            return _plain_both(z, q)
        return formula.row_loss(jnp, z, q, terms), formula.row_gradient(jnp, z, q, terms)

    def exact(z: Array, q: Array) -> tuple[Array, Array]:
        return row_loss(z, q, terms), formula.row_gradient(jnp, z, q, terms)

    def rule(primals: Any, tangents: Any) -> Any:
        return both(*primals), jax.jvp(exact, primals, tangents)[1]

    both = jax.custom_jvp(primal)
    both.defjvp(rule)
    loss, gradient = both(z, q)
    return loss, gradient


def row_loss(z: Array, q: Array, terms: Terms) -> Array:
    """The loss of rows z, q [..., K]; [...]. Derivatives by both."""

    def rule(primals: Any, tangents: Any) -> Any:
        z, q = primals
        if _fixed(tangents[0]):
            value = _values(z, q, terms)
            tangent = jnp.zeros_like(value)
        else:
            value, gradient = row_both(z, q, terms)
            tangent = jnp.sum(gradient * tangents[0], axis=-1)
        if not _fixed(tangents[1]):
            tangent += jax.jvp(lambda q: formula.row_loss(jnp, z, q, terms), (q,), (tangents[1],))[1]
        return value, tangent

    loss = jax.custom_jvp(lambda z, q: _values(z, q, terms))
    loss.defjvp(rule, symbolic_zeros=True)
    return loss(z, q)


# ---------------------------------------------------------------- independent labels


def element_loss(z: Array, A: Array, B: Array, shape: Shape = CROSS_ENTROPY) -> Array:
    """A f(p) + B f(1 - p) with p = sigmoid(z), all of one shape. Derivatives by all three."""

    def primal(z: Array, A: Array, B: Array) -> Array:
        return formula_elements.element_loss(jnp, z, A, B, shape)

    def rule(primals: Any, tangents: Any) -> Any:
        z, A, B = primals
        value = primal(z, A, B)
        tangent = jnp.zeros_like(value)
        if not _fixed(tangents[0]):
            tangent += formula_elements.element_gradient(jnp, z, A, B, shape) * tangents[0]
        if not all(map(_fixed, tangents[1:])):
            changes = tuple(jnp.zeros_like(A) if _fixed(t) else t for t in tangents[1:])
            tangent += jax.jvp(lambda A, B: primal(z, A, B), (A, B), changes)[1]
        return value, tangent

    loss = jax.custom_jvp(primal)
    loss.defjvp(rule, symbolic_zeros=True)
    return loss(z, A, B)
