"""Value and gradients of a linear layer's loss: the factor of a mean, an upstream gradient, empty batches."""

from typing import Any

import numpy as np

from crossent.core import reduction as reduce
from crossent.core.blocks import BadRow
from crossent.core.check import unit_factor, unmasked
from crossent.core.linear.job import LinearJob
from crossent.core.linear.layer import Layer
from crossent.core.linear.loop import Gradients, gradients_for
from crossent.core.types import NDArray
from crossent.errors import DtypeError, NonFiniteError, ShapeError

__all__ = ["value_and_gradients"]


def value_and_gradients(job: LinearJob, upstream: Any) -> tuple[Any, Gradients]:
    """The reduced loss and the gradients of sum_i upstream_i loss_i, or of upstream times a mean or sum."""
    options, factor = job.options, unit_factor(job.options.unit)
    scale = _upstream(upstream, job.layer, options.reduction)
    if options.reduction == "mean":
        job.scale_weights()
        mass = job.known_mass
        if mass is None:
            try:
                mass = job.mass().mass
            except BadRow as bad:
                raise job.error(bad) from None
        factor = factor / mass if mass > 0 else factor  # else no row is left, and `value` says what that means
    job.grad_factor = factor
    job.gradients = gradients_for(job.layer)
    job.gradients.upstream = scale
    return reduce.value(job), job.gradients


def _upstream(given: Any, layer: Layer, reduction: str) -> NDArray | None:
    """One factor a row, in the layer's dtype."""
    if given is None:
        return None
    array = unmasked(given, "upstream")
    if array.dtype.kind not in "buif" and array.dtype.name != "bfloat16":
        raise DtypeError(f"upstream has dtype {array.dtype}; real numbers are allowed.")
    shape = layer.shape if reduction == "none" else ()
    if array.shape != shape:
        what = f"one for each row, shape {shape}" if reduction == "none" else "a single number"
        raise ShapeError(f"upstream has shape {array.shape}; with reduction={reduction!r} it is {what}.")
    with np.errstate(over="ignore"):
        scale = np.ravel(array).astype(layer.dtype)
    bad = ~np.isfinite(scale)
    if bad.any():
        row = int(np.argmax(bad))
        index = ", ".join(str(int(i)) for i in np.unravel_index(row, array.shape)) if array.ndim else ""
        where = f"upstream[{index}]" if index else "upstream"
        raise NonFiniteError(
            f"{where} is {float(np.ravel(array)[row]):g}; finite numbers of {layer.dtype.name} are allowed."
        )
    rows = int(np.prod(layer.shape, dtype=np.int64))
    return scale if reduction == "none" else np.full(rows, scale[0])
