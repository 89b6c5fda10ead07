"""Probabilities as Keras' layers give them: their logarithms, where derivatives end, and the logits behind them."""

import warnings
from typing import Any, NamedTuple

from keras import ops

from crossent.keras.namespace import compute_dtype, dtype_name, limits

__all__ = ["Scores", "logarithm", "scores", "steady", "warn_of_activation"]

Tensor = Any
_SLACK = 8  # eps between an activation's result and the same activation once more, perhaps compiled otherwise


class Scores(NamedTuple):
    """Whether the probabilities were made of these logits (a single bool); the logits, 0 if not."""

    known: Tensor
    logits: Tensor


def scores(p: Tensor, axis: int | None) -> Scores | None:
    """The logits that Keras' softmax over `axis`, or its sigmoid for None, left on its result; None if there are none.

    The mark does not say which activation left it. So that one must give all the probabilities, and the other must not:
    where both do (two equal logits of 0), derivatives through the probabilities are right whichever it was.
    """
    z = getattr(p, "_keras_logits", None)
    if z is None or tuple(z.shape) != tuple(p.shape):
        return None
    soft = _give(ops.softmax(z, axis=-1 if axis is None else axis), p)
    single = _give(ops.sigmoid(z), p)
    wanted, other = (single, soft) if axis is None else (soft, single)
    known = ops.logical_and(wanted, ops.logical_not(other))
    return Scores(known, ops.where(known, ops.cast(z, compute_dtype(dtype_name(p))), 0.0))


def _give(activated: Tensor, p: Tensor) -> Tensor:
    """Whether all agree, up to the rounding of another way to compile them."""
    numbers = limits(p.dtype)
    eps = 2.0**-7 if dtype_name(p) == "bfloat16" else float(numbers.eps)
    return ops.all(ops.abs(ops.cast(activated, p.dtype) - p) <= _SLACK * eps * p + float(numbers.tiny))


def warn_of_activation(y_pred: Any) -> None:
    """from_logits=True for what comes out of a softmax or sigmoid is nearly always a mistake."""
    if getattr(y_pred, "_keras_logits", None) is not None:
        warnings.warn(
            "from_logits=True, but y_pred comes from a softmax or sigmoid: these are probabilities, and a second "
            "softmax flattens them. Drop the activation of the last layer, or pass from_logits=False.",
            stacklevel=2,
        )


def logarithm(p: Tensor) -> Tensor:
    """log p with the derivative 1 / p, but 0 where that would overflow: below the normal numbers."""
    usable = p >= float(limits(p.dtype).tiny)
    one = ops.ones_like(p)
    return ops.where(usable, ops.log(ops.where(usable, p, one)), ops.log(ops.stop_gradient(p)))


def steady(p: Tensor, A: Tensor, B: Tensor) -> Tensor:
    """p of independent labels, NaN outside [0, 1], without a derivative where that of A log p + B log(1 - p) is inf."""
    tiny = float(limits(p.dtype).tiny)
    edge = ops.logical_or(ops.logical_and(p < tiny, A > 0), ops.logical_and(p >= 1, B > 0))
    p = ops.where(edge, ops.stop_gradient(p), p)
    return ops.where(ops.logical_and(p >= 0, p <= 1), p, float("nan"))
