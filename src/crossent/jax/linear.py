"""Cross-entropy behind a linear layer in JAX: a scan over chunks of rows, whose logits are gone before the next.

For a mean or sum the gradients are computed on the way forward, beside the loss: three matrix products in all, and no
logit is kept. Row losses (reduction "none") keep the inputs, and their gradients are computed by a second scan once it
is known what flows back to each row. So a derivative of forward mode is not defined at first order (JAX says so); the
second order, jacfwd of grad, is. Matrix products take the inputs' dtype and add up in float32 (float64 for float64).
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from crossent.core.linear.plan import default_limit
from crossent.errors import ShapeError
from crossent.jax.inputs import Array, Rows, floats, integers, working_dtype
from crossent.jax.reduction import Classes, Targets, class_targets, in_range, reduced
from crossent.linear import LinearCrossEntropy

__all__ = ["linear_cross_entropy", "linear_loss"]

_ARRAYS = 2  # of a chunk's logits in size that XLA holds at once


class _Layer(NamedTuple):
    """hidden [..., D], weight [K, D], bias [K] or None."""

    hidden: Array
    weight: Array
    bias: Array | None


class _Rows(NamedTuple):
    """What is cut into chunks: hidden [N, D], targets, whether a row counts, its weight."""

    hidden: Array
    targets: Targets
    kept: Array
    weight: Array


class _Fixed(NamedTuple):
    """What every chunk sees whole."""

    weight: Array
    bias: Array | None
    class_weight: Array | None


def linear_cross_entropy(
    hidden: Any, weight: Any, labels: Any, *, bias: Any = None, sample_weight: Any = None, **options: Any
) -> Array:
    """Cross-entropy of softmax(hidden @ weight.T + bias), never holding all logits: memory grows by chunks of rows.

        loss_i = log(sum_k exp(z_ik)) - z_i[y_i],  z_i = weight h_i + bias      [nat]

    Arguments stand in optax' order, as in all functions here: what is predicted from, then the labels. (The functions
    on NumPy arrays take the labels first.)

    Args:
        hidden: [..., D] floats; the leading axes are rows.
        weight: [K, D] floats, a row for each class.
        labels: [...] integers in 0..K-1, [..., K] distributions, or a tuple (indices, probs) of two arrays [..., k].
        bias: [K] floats.
        sample_weight: [...] weights >= 0 of the rows; the mean divides by their sum.
        options: those of `crossent.LinearCrossEntropy`: ignore_index, label_smoothing, class_weight, temperature,
            softcap, z_loss, entropy_weight, reduction ("mean" if not given), unit, memory_limit, ...
    Returns: a scalar, or [...] losses for reduction="none"; float64 for float64, else float32.
    Raises: DtypeError, ShapeError, OptionError, UnsupportedError, WeightError. A label that is no class gives NaN.
    Source: as `crossent.LinearCrossEntropy`.

    >>> h, W = jnp.array([[1.0, 0.0]]), jnp.array([[2.0, 5.0], [0.0, 5.0], [0.0, 5.0]])
    >>> round(linear_cross_entropy(h, W, jnp.array([0])).item(), 6)
    0.239545
    """
    return linear_loss(LinearCrossEntropy(**options), hidden, weight, labels, bias=bias, sample_weight=sample_weight)


def linear_loss(
    options: LinearCrossEntropy, hidden: Any, weight: Any, labels: Any, *, bias: Any = None, sample_weight: Any = None
) -> Array:
    """The loss of `options` of the logits hidden @ weight.T + bias."""
    layer = _layer(hidden, weight, bias)
    shape = (*layer.hidden.shape[:-1], len(layer.weight))
    dtype = working_dtype(*(x for x in layer if x is not None))
    rule = Classes(options, shape[-1], dtype)
    given = rule.given(_targets(labels, shape, dtype), sample_weight)
    flat = jax.tree.map(
        lambda x: x.reshape(-1, *x.shape[len(shape) - 1 :]), (layer.hidden, given.targets, given.kept, given.weight)
    )
    rows = _Rows(*flat)
    size = _chunk_size(options.memory_limit, len(rows.hidden), shape[-1], dtype)
    fixed = _Fixed(layer.weight, layer.bias, given.class_weight)
    if options.reduction == "none":
        losses = _weighted_rows(rule, size, rows, fixed).reshape(shape[:-1])
        return reduced(options, losses, given.mass)
    total = _weighted_sum(rule, size, rows, fixed)
    return reduced(options, total[None], given.mass * given.weight)


def _layer(hidden: Any, weight: Any, bias: Any) -> _Layer:
    h, W = floats(hidden, "hidden"), floats(weight, "weight")
    b = None if bias is None else floats(bias, "bias")
    if W.ndim != 2 or h.ndim < 1 or h.shape[-1] != W.shape[1] or not len(W):
        raise ShapeError(f"hidden has shape {h.shape}, weight {W.shape}; [..., D] and [K, D] are needed, with K >= 1.")
    if b is not None and b.shape != W.shape[:1]:
        raise ShapeError(f"bias has shape {b.shape}; weight has {len(W)} classes: shape ({len(W)},) is needed.")
    return _Layer(h, W, b)


def _targets(labels: Any, shape: tuple[int, ...], dtype: Any) -> Targets:
    if not isinstance(labels, tuple):
        return class_targets(labels, Rows(shape, -1), dtype)
    if len(labels) != 2:
        raise ShapeError(f"labels is a tuple of {len(labels)}; (indices, probs), two arrays [..., k], is allowed.")
    indices, probs = integers(labels[0], "indices"), floats(labels[1], "probs").astype(dtype)
    if indices.shape != probs.shape or indices.shape[:-1] != shape[:-1] or indices.ndim != len(shape):
        raise ShapeError(
            f"indices have shape {indices.shape}, probs {probs.shape}, the rows {shape[:-1]}; two arrays of the rows' "
            "shape with one more axis are needed."
        )
    return Targets(indices, in_range(probs, probs >= 0))


def _chunk_size(limit: int | None, N: int, K: int, dtype: Any) -> int:
    """Rows of a chunk: what the limit allows, one at least; all chunks are of about one size."""
    itemsize = int(jnp.dtype(dtype).itemsize)
    most = (limit or default_limit(N, K, itemsize)) // (_ARRAYS * K * itemsize)
    chunks = -(-max(N, 1) // max(1, most))
    return -(-max(N, 1) // chunks)


# ---------------------------------------------------------------- the scan


def _scan(rule: Classes, size: int, rows: _Rows, fixed: _Fixed, *, differentiate: bool) -> Any:
    """Row losses; and the gradients of sum_i weight_i loss_i, as rows (hidden, probabilities) and of the layer."""
    N = len(rows.hidden)
    chunks = -(-max(N, 1) // size)

    def cut(x: Array) -> Array:
        padded = jnp.pad(x, [(0, chunks * size - N)] + [(0, 0)] * (x.ndim - 1))
        return padded.reshape(chunks, size, *x.shape[1:])

    def step(sums: Any, chunk: _Rows) -> Any:
        return _step(rule, fixed, sums, chunk, differentiate=differentiate)

    zeros = None
    if differentiate:
        zeros = jnp.zeros(fixed.weight.shape, rule.dtype), jnp.zeros(len(fixed.weight), rule.dtype)
    sums, found = jax.lax.scan(step, zeros, jax.tree.map(cut, rows))
    return sums, jax.tree.map(lambda x: x.reshape(chunks * size, *x.shape[2:])[:N], found)


def _step(rule: Classes, fixed: _Fixed, sums: Any, chunk: _Rows, *, differentiate: bool) -> Any:
    """One chunk. Rows that do not count have hidden 0: what stands there may be NaN."""
    product = partial(jnp.matmul, preferred_element_type=rule.dtype)
    h = jnp.where(chunk.kept[:, None], chunk.hidden, 0)
    z = product(h, fixed.weight.T)
    if fixed.bias is not None:
        z = z + fixed.bias.astype(rule.dtype)

    def losses(z: Array, soft: Array | None) -> Array:
        return rule.losses(z, Targets(chunk.targets.labels, soft), chunk.kept, fixed.class_weight)

    if not differentiate:
        return sums, losses(z, chunk.targets.soft)
    found, pull = jax.vjp(losses, z, chunk.targets.soft)
    g, soft = pull(chunk.weight)
    sums = sums[0] + product(g.T.astype(h.dtype), h), sums[1] + g.sum(axis=0)
    return sums, (found, product(g.astype(fixed.weight.dtype), fixed.weight), soft)


def _gradients(rows: _Rows, fixed: _Fixed, scanned: Any, factor: Any) -> tuple[_Rows, _Fixed]:
    """What flows back to the inputs: `factor` times it, then in their dtypes; nothing to labels and class weights."""
    (weight, bias), (losses, hidden, soft) = scanned

    def back(x: Array | None, like: Array | None) -> Array | None:
        return None if x is None or like is None else (x * factor).astype(like.dtype)

    targets = Targets(None, back(soft, rows.targets.soft))
    per_row = _Rows(back(hidden, rows.hidden), targets, None, losses)
    return per_row, _Fixed(back(weight, fixed.weight), back(bias, fixed.bias), None)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _weighted_sum(rule: Classes, size: int, rows: _Rows, fixed: _Fixed) -> Array:
    """sum_i weight_i loss_i."""
    return jnp.sum(_scan(rule, size, rows, fixed, differentiate=False)[1] * rows.weight)


def _sum_forward(rule: Classes, size: int, rows: _Rows, fixed: _Fixed) -> Any:
    """Sums in half precision would overflow where the mean's gradient is small: they stay wide until the factor."""
    scanned = _scan(rule, size, rows, fixed, differentiate=True)
    dtypes = jax.tree.map(lambda x: jnp.zeros(0, x.dtype), (rows, fixed))
    return jnp.sum(scanned[1][0] * rows.weight), (*dtypes, scanned)


def _sum_backward(rule: Classes, size: int, kept: Any, upstream: Array) -> Any:
    rows, fixed, scanned = kept  # of rows and layer only the dtypes
    per_row, layer = _gradients(rows, fixed, scanned, upstream)
    return per_row._replace(weight=per_row.weight * upstream), layer


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _weighted_rows(rule: Classes, size: int, rows: _Rows, fixed: _Fixed) -> Array:
    """weight_i loss_i."""
    return _scan(rule, size, rows, fixed, differentiate=False)[1] * rows.weight


def _rows_forward(rule: Classes, size: int, rows: _Rows, fixed: _Fixed) -> Any:
    return _scan(rule, size, rows, fixed, differentiate=False)[1] * rows.weight, (rows, fixed)


def _rows_backward(rule: Classes, size: int, given: Any, upstream: Array) -> Any:
    rows, fixed = given
    scanned = _scan(rule, size, rows._replace(weight=rows.weight * upstream), fixed, differentiate=True)
    per_row, layer = _gradients(rows, fixed, scanned, 1.0)
    return per_row._replace(weight=per_row.weight * upstream), layer


_weighted_sum.defvjp(_sum_forward, _sum_backward)
_weighted_rows.defvjp(_rows_forward, _rows_backward)
