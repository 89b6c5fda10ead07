"""Value, gradient and Hessian of any job: reductions, empty batches, buffers. The jobs know the loss, this the mean."""

import sys
import warnings
from typing import Any, Protocol

import numpy as np

from crossent.core.blocks import BadRow, Sums
from crossent.core.buffers import new_array, new_like
from crossent.core.check import compute_dtype, output_buffer, unit_factor
from crossent.core.options import SharedOptions, one_of
from crossent.core.types import GradHess, LossGrad, NDArray
from crossent.errors import CrossentError, EmptyBatchError

__all__ = ["Job", "grad_and_hess", "reduced", "value", "value_and_grad"]


class Job(Protocol):
    """A loss with its inputs checked for shape: all that reductions see."""

    @property
    def array(self) -> NDArray:
        """The prediction, as given."""

    @property
    def options(self) -> SharedOptions:
        """The loss's options."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the row losses."""

    @property
    def known_mass(self) -> float | None:
        """The targets' mass where it follows from shapes alone."""

    @property
    def inputs(self) -> list[NDArray | None]:
        """Arrays that an output must not overlap."""

    def mass(self) -> Sums:
        """Checks the targets and sums their mass, before any prediction is read or written."""

    def scale_weights(self) -> None:
        """For a mean: brings weights of extreme size near 1, by powers of two."""

    def run(
        self,
        *,
        values: NDArray | None,
        grad: NDArray | None,
        hess: NDArray | None,
        value_factor: float,
        grad_factor: float,
    ) -> Sums:
        """One pass over the rows."""

    def bound_curvature(self) -> None:
        """From now on the Hessian's diagonal bounds the whole of it."""

    def error(self, bad: BadRow) -> CrossentError:
        """The error for a bad row."""

    def notes(self) -> list[Warning]:
        """What the caller should hear after a pass that succeeded."""


def _caller() -> int:
    """The stack level of the first frame outside crossent, as `warnings.warn` in the calling function counts it."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "crossent":
        level, frame = level + 1, frame.f_back
    return level


def _run(
    job: Job,
    values: NDArray | None,
    grad: NDArray | None,
    hess: NDArray | None,
    factor: float,
    grad_factor: float,
    *,
    in_place: bool = False,
) -> Sums:
    try:
        sums = job.run(values=values, grad=grad, hess=hess, value_factor=factor, grad_factor=grad_factor)
    except BadRow as bad:
        error = job.error(bad)
        if in_place:
            error = type(error)(f"{error} Other rows may hold their gradients by now (out= was the prediction itself).")
        raise error from None
    for note in job.notes():
        warnings.warn(note, stacklevel=_caller())
    return sums


def reduced(value: float, mass: float, options: SharedOptions) -> float:
    """The sum, or the mean; over nothing what `empty` says."""
    if options.reduction == "sum":
        return value
    if mass > 0:
        return value / mass
    if options.empty == "error":
        raise EmptyBatchError(
            "no row is left to average (empty batch, or every row has weight 0 or is ignored). "
            "Pass empty='nan' or empty='zero', or reduction='sum'."
        )
    return float("nan") if options.empty == "nan" else 0.0


def _values(job: Job) -> NDArray | None:
    return np.empty(job.shape, compute_dtype(job.array.dtype)) if job.options.reduction == "none" else None


def value(job: Job) -> Any:
    """The reduced loss, or the row losses."""
    options = job.options
    factor = unit_factor(options.unit)
    if options.reduction == "mean":
        job.scale_weights()
    values = _values(job)
    sums = _run(job, values, None, None, factor, factor)
    return reduced(sums.value, sums.mass, options) if values is None else values[()]


def value_and_grad(job: Job, out: Any) -> LossGrad:
    """The loss and its gradient with respect to the prediction."""
    options = job.options
    factor = grad_factor = unit_factor(options.unit)
    if options.reduction == "mean":
        job.scale_weights()
    grad = new_like(job.array) if out is None else output_buffer(out, job.array, job.inputs)
    in_place = out is not None and np.may_share_memory(grad, job.array)  # or so near that it may be taken for it
    if in_place or options.reduction == "mean":
        mass = job.known_mass
        if in_place or mass is None:
            try:
                mass = job.mass().mass
            except BadRow as bad:
                raise job.error(bad) from None
        if options.reduction == "mean":
            if not mass > 0:
                empty = reduced(0.0, 0.0, options)
                grad[...] = 0
                return LossGrad(empty, grad)
            grad_factor = factor / mass
    values = _values(job)
    sums = _run(job, values, grad, None, factor, grad_factor, in_place=in_place)
    return LossGrad(reduced(sums.value, sums.mass, options) if values is None else values[()], grad)


def grad_and_hess(job: Job, curvature: Any) -> GradHess:
    """Gradient and Hessian diagonal of each row's loss, weighted, never averaged."""
    one_of("curvature", curvature)
    if curvature == "upper":
        job.bound_curvature()
    factor = unit_factor(job.options.unit)
    grad = new_like(job.array)
    hess = new_array(grad.shape, grad.dtype)
    _run(job, None, grad, hess, factor, factor)
    return GradHess(grad, hess)
