"""sigmoid, log_sigmoid, softmax, log_softmax, logsumexp: on the kernels of the losses, so they agree with them.

float16 and bfloat16 are computed in float32; softmax, sigmoid and their logarithms are rounded back to the input's
dtype, logsumexp stays float32. A row that has no meaning (NaN, several +inf, nothing but -inf) raises NonFiniteError.
"""

from typing import Any

import numpy as np

from crossent.core import engine
from crossent.core.blocks import BadRow
from crossent.core.buffers import new_array, new_like
from crossent.core.check import axis_number, compute_dtype, float_array
from crossent.core.faults import Fault, binary_fault, softmax_fault
from crossent.core.types import ArrayLike, NDArray

__all__ = ["log_sigmoid", "log_softmax", "logsumexp", "sigmoid", "softmax"]


def _over_classes(logits: Any, axis: int, output: int | None) -> NDArray:
    z = float_array(logits, "logits")
    number = axis_number(axis, z, "logits")
    job = engine.SoftmaxJob(z, number, output=engine.PROBS if output is None else output)
    if output is None:
        result = np.empty(z.shape[:number] + z.shape[number + 1 :], compute_dtype(z.dtype))
    else:
        result = new_like(z)
    try:
        engine.run_softmax(job, values=result if output is None else None, grad=None if output is None else result)
    except BadRow as bad:
        raise softmax_fault("logits", z, number, None, bad.row, Fault(bad.code)) from None
    return result if result.ndim else result[()]


def _elementwise(logits: Any, target: float, *, logarithm: bool) -> Any:
    z = float_array(logits, "logits")
    y = np.full(1, target, compute_dtype(z.dtype))
    job = engine.SigmoidJob(z, y)
    result = new_array(z.shape, compute_dtype(z.dtype)) if logarithm else new_like(z)
    try:
        engine.run_sigmoid(job, values=result if logarithm else None, grad=None if logarithm else result)
    except BadRow as bad:
        raise binary_fault("logits", z, y, bad.row, Fault(bad.code)) from None
    if logarithm:
        result = np.negative(result, out=result).astype(z.dtype.newbyteorder("="), copy=False)
    return result if result.ndim else result[()]


def softmax(logits: ArrayLike, *, axis: int = -1) -> Any:
    """Probabilities exp(z_j) / sum_k exp(z_k) along an axis.

    Args:
        logits: [..., K] scores; -inf gives 0, one +inf gives 1.
        axis: where the classes lie.
    Returns: an array like logits, each element within 8 ulp of its own value.
    Raises: NonFiniteError, ShapeError, DtypeError.
    Source: Blanchard, Higham & Higham, IMA J. Numer. Anal. 41 (2021), 2311-2330.

    >>> softmax([1.0, 2.0, 4.0]).round(8).tolist()
    [0.04201007, 0.1141952, 0.84379473]
    """
    return _over_classes(logits, axis, engine.PROBS)


def log_softmax(logits: ArrayLike, *, axis: int = -1) -> Any:
    """Logarithms of probabilities, z_j - log(sum_k exp(z_k)) = (z_j - m) - log1p(r), along an axis.

    Args:
        logits: [..., K] scores.
        axis: where the classes lie.
    Returns: an array like logits, each element <= 0 and within 4 ulp of its own value.
    Raises: NonFiniteError, ShapeError, DtypeError.
    Source: as `softmax`.

    >>> log_softmax([0.0, 0.0]).round(6).tolist()
    [-0.693147, -0.693147]
    """
    return _over_classes(logits, axis, engine.LOG_PROBS)


def logsumexp(logits: ArrayLike, *, axis: int = -1) -> Any:
    """log(sum_k exp(z_k)) = m + log1p(r) along an axis.

    Args:
        logits: [..., K] scores.
        axis: where the classes lie.
    Returns: the array without that axis (float32 for half precision); error 1 ulp of max(|m|, log1p(r)) plus 2 ulp of
        log1p(r): the sum of a negative maximum and a positive logarithm may cancel.
    Raises: NonFiniteError, ShapeError, DtypeError.
    Source: as `softmax`.

    >>> round(float(logsumexp([1000.0, 1000.0])), 6)
    1000.693147
    """
    return _over_classes(logits, axis, None)


def sigmoid(logits: ArrayLike) -> Any:
    """1 / (1 + exp(-z)), element by element.

    Args:
        logits: [...] scores; infinities give 0 and 1.
    Returns: an array like logits, each element within 8 ulp of its own value.
    Raises: NonFiniteError for NaN, DtypeError.
    Source: the binary case of `softmax`.

    >>> sigmoid([0.0, -800.0]).tolist()
    [0.5, 0.0]
    """
    return _elementwise(logits, 0.0, logarithm=False)


def log_sigmoid(logits: ArrayLike) -> Any:
    """log(sigmoid(z)) = min(z, 0) - log1p(exp(-|z|)), element by element.

    Args:
        logits: [...] scores.
    Returns: an array like logits, each element <= 0 and within 4 ulp of its own value.
    Raises: NonFiniteError for NaN, DtypeError.
    Source: the binary case of `log_softmax`.

    >>> round(float(log_sigmoid(-1000.0)), 6)
    -1000.0
    """
    return _elementwise(logits, 1.0, logarithm=True)
