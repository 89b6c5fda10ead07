"""Any loss object of crossent as a function of JAX arrays."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp

from crossent.core import formula_elements
from crossent.core.options import BinaryOptions, SharedOptions, SoftmaxOptions
from crossent.core.terms import BinaryTerms
from crossent.core.weights import class_weights
from crossent.errors import OptionError, ShapeError, UnsupportedError
from crossent.jax.inputs import Array, Rows, floats, working_dtype
from crossent.jax.linear import linear_loss
from crossent.jax.reduction import Classes, balanced, class_targets, in_range, reduced, refuse_names, row_weights
from crossent.jax.rows import element_loss
from crossent.linear import LinearBinaryCrossEntropy, LinearCrossEntropy

__all__ = ["loss"]


def loss(options: SharedOptions) -> Callable[..., Array]:
    """A loss object of crossent as a function of JAX arrays: `f(logits, labels, *, sample_weight=None)`.

        f = loss(ce.Focal(gamma=2.0, label_smoothing=0.1));  jax.value_and_grad(f)(logits, labels)

    All options but classes, clip and eps (names, and probabilities), with the object's own reduction: a mean unless it
    says otherwise. Nothing is raised for values, since they may be traced: what crossent refuses (a label that is no
    class, a target or weight below 0, a mean over nothing) makes the loss NaN. `LinearCrossEntropy` becomes
    `f(hidden, weight, labels, *, bias=None, sample_weight=None)`, see `linear_cross_entropy`.

    Args:
        options: CrossEntropy, Focal, BinaryCrossEntropy, LinearCrossEntropy or another loss object.
    Returns: a function of logits [..., K] (the class axis is the object's axis) and labels, which are integers [...] or
        distributions of the logits' shape; of logits and labels of one shape for independent labels. It gives float64
        for float64, else float32.
    Raises: OptionError, UnsupportedError; the function DtypeError, ShapeError, WeightError.
    Source: as the object's class.

    >>> import crossent as ce
    >>> import jax
    >>> f = loss(ce.Focal(gamma=2.0))
    >>> value, grad = jax.value_and_grad(f)(jnp.array([[0.0, 0.0]]), jnp.array([0]))
    >>> round(value.item(), 6), [round(x, 4) for x in grad[0].tolist()]
    (0.173287, [-0.2983, 0.2983])
    """
    if isinstance(options, type) or not isinstance(options, SoftmaxOptions | BinaryOptions):
        raise OptionError(f"loss() was given {options!r}; an object such as crossent.Focal() is needed.")
    if isinstance(options, LinearBinaryCrossEntropy):
        raise UnsupportedError(
            "loss takes no LinearBinaryCrossEntropy: pass BinaryCrossEntropy and compute the logits."
        )
    refuse_names(options)
    if isinstance(options, LinearCrossEntropy):
        return partial(linear_loss, options)
    return partial(_classes, options) if isinstance(options, SoftmaxOptions) else partial(_elements, options)


def _classes(options: SoftmaxOptions, logits: Any, labels: Any, *, sample_weight: Any = None) -> Array:
    """The loss over classes of logits [..., K]."""
    z = floats(logits, "logits")
    rows = Rows(z.shape, options.axis)
    dtype = working_dtype(z)
    rule = Classes(options, rows.K, dtype)
    given = rule.given(class_targets(labels, rows, dtype), sample_weight)
    losses = rule.losses(rows.read(z.astype(dtype)), given.targets, given.kept, given.class_weight)
    return reduced(options, losses * given.weight, given.mass * given.weight)


def _elements(options: BinaryOptions, logits: Any, labels: Any, *, sample_weight: Any = None) -> Array:
    """The loss of independent labels, one for each logit."""
    z, y = floats(logits, "logits"), jnp.asarray(labels)
    if y.shape != z.shape:
        raise ShapeError(f"labels have shape {y.shape}, the logits {z.shape}: each logit needs its own.")
    dtype = working_dtype(z)
    z, y = z.astype(dtype), y.astype(dtype)
    y = in_range(y, (y >= 0) & (y <= 1))
    by_row = sample_weight is not None and z.ndim > 1 and jnp.shape(sample_weight) == z.shape[:-1]
    w = row_weights(sample_weight, z.shape[:-1] if by_row else z.shape, dtype)
    w = jnp.broadcast_to(w[..., None] if by_row else w, z.shape)
    if isinstance(options.class_weight, str):
        used = jnp.where(w != 0, y, 0.0)
        negative, positive = balanced(jnp.stack([jnp.sum(w * (1 - used)), jnp.sum(w * used)]))
    else:
        pair = class_weights(options.class_weight, 2, None)
        negative, positive = (1.0, 1.0) if pair is None else map(float, pair)
    mass = jnp.where(w != 0, positive * y + negative * (1 - y), 0.0)
    kept = mass != 0
    terms = options.terms() or BinaryTerms()
    A, B = formula_elements.element_weights(
        jnp.where(kept, y, 0.0), terms, smoothing=float(options.label_smoothing), negative=negative, positive=positive,
        pos_weight=1.0 if options.pos_weight is None else jnp.asarray(options.pos_weight, dtype),
    )  # fmt: skip
    losses = element_loss(jnp.where(kept, z, 0.0), A, B, terms.shape)
    return reduced(options, jnp.where(kept, losses, 0.0) * w, mass * w)
