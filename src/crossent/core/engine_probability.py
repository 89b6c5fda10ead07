"""Runs losses of probabilities on native code: layouts, blocks, notes. The one place that calls these kernels.

Arrays that lie as native code reads them are passed as they are; others block by block, and of rows of which one
element is read, that element alone is copied.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossent import _native
from crossent.core.blocks import Rows, Sums, block_rows_for, flat, part, plain, run_blocks, run_direct, run_one
from crossent.core.check import compute_dtype
from crossent.core.engine import SoftmaxJob, columns_for
from crossent.core.types import NDArray

__all__ = ["BinaryProbabilityJob", "ProbabilityJob", "binary_mass", "run_binary_probability", "run_probability"]

_ROWS: dict[int, Callable[..., Any]] = {4: _native.probability_f32, 8: _native.probability_f64}
_BINARY: dict[int, Callable[..., Any]] = {4: _native.binary_probability_f32, 8: _native.binary_probability_f64}


@dataclass(slots=True)
class ProbabilityJob:
    """A job whose `logits` are probabilities or their logarithms, and what is looked at.

    silent, refused: how far a row's sum may be off 1 without a note, without an error. note(count, lowest, highest)
    is called with the row sums that are worth one.
    """

    shared: SoftmaxJob
    logarithms: bool
    look: bool
    silent: float
    refused: float
    note: Callable[[int, float, float], None]

    @property
    def gathers(self) -> bool:
        """Whether one element of a row is all that is read."""
        return self.shared.soft is None and self.shared.smoothing == 0 and not self.look


def run_probability(job: ProbabilityJob, *, values: NDArray | None = None, grad: NDArray | None = None) -> Sums:
    """One pass: fills values [rows] of the losses' dtype and grad like the probabilities; raises BadRow."""
    s = job.shared
    if s.rows == 0:
        return Sums(0.0, 0.0, 0)
    dtype = s.dtype
    function = _ROWS[dtype.itemsize]
    lies_well = s.inner == 1 or (job.gathers and grad is None)
    if not (lies_well and plain(dtype, s.logits, s.soft, grad, values)):
        return run_blocks(_staged(job, function, values, grad), s.rows, s.classes)
    notes = np.zeros((-(-s.rows // block_rows_for(s.rows, s.classes)), 3))
    arguments = (
        s.logits, s.rows, s.classes, s.inner, s.labels, s.soft, s.soft_factor, s.class_weight, s.row_weight,
        s.ignore_index, s.smoothing, s.value_factor, s.grad_factor, s.sum_tolerance, job.silent, job.refused,
        job.logarithms, False, job.look, values, grad, notes,
    )  # fmt: skip
    sums = run_direct(function, arguments, s.rows, s.classes)
    _pass_on(job, notes)
    return sums


def _pass_on(job: ProbabilityJob, notes: NDArray) -> None:
    """The notes of blocks to whoever collects them."""
    count = int(notes[:, 0].sum()) if job.look else 0
    if count:
        job.note(count, float(notes[:, 1].min()), float(notes[:, 2].max()))


def _staged(
    job: ProbabilityJob, function: Callable[..., Any], values: NDArray | None, grad: NDArray | None
) -> Callable[[int, int, NDArray], None]:
    s = job.shared
    dtype, loss_dtype = s.dtype, compute_dtype(s.logits.dtype)
    probs, soft = Rows(s.logits, s.axis), None if s.soft is None else Rows(s.soft, s.axis)
    output = None if grad is None else Rows(grad, s.axis)
    labels, flat_values = flat(s.labels), flat(values)
    factor, weight = flat(s.soft_factor), flat(s.row_weight)

    def staged(first: int, end: int, sums: NDArray) -> None:
        t = part(labels, first, end)
        p = _gathered(probs, first, end, t, s.classes, dtype) if job.gathers else probs.read(first, end, dtype)
        q = None if soft is None else soft.read(first, end, dtype)
        g = None if output is None else np.empty((end - first, s.classes), dtype)
        v = np.empty(end - first, dtype) if dtype != loss_dtype else part(flat_values, first, end)
        notes = np.zeros((1, 3))
        arguments = (
            p, end - first, s.classes, 1, t, q, part(factor, first, end), s.class_weight, part(weight, first, end),
            s.ignore_index, s.smoothing, s.value_factor, s.grad_factor, s.sum_tolerance, job.silent, job.refused,
            job.logarithms, job.gathers, job.look, v, g, notes,
        )  # fmt: skip
        sums[0] = run_one(function, arguments, end - first, first)
        if v is not None and dtype != loss_dtype:
            with np.errstate(over="ignore"):
                rounded = v.astype(loss_dtype)
            sums[0, 0] = rounded.sum(dtype=np.float64)
            if flat_values is not None:
                flat_values[first:end] = rounded
        _pass_on(job, notes)
        if output is not None and g is not None:
            output.write(first, end, g)

    return staged


def _gathered(probs: Rows, first: int, end: int, t: NDArray | None, K: int, dtype: np.dtype[Any]) -> NDArray:
    """The element at each row's label; any element where the label is none, which the kernel reports or leaves out."""
    assert t is not None
    inside = (t >= 0) & (t < K)
    return np.require(probs.gather(first, end, np.where(inside, t, 0).astype(np.intp)), dtype, ["C", "A"])


@dataclass(slots=True)
class BinaryProbabilityJob:
    """What one pass over the probabilities of independent labels reads; probs is not read by `binary_mass`."""

    probs: NDArray
    targets: NDArray
    pos_weight: NDArray | None = None
    weight: NDArray | None = None
    smoothing: float = 0.0
    negative_weight: float = 1.0
    positive_weight: float = 1.0
    value_factor: float = 1.0
    grad_factor: float = 1.0
    clamped: bool = False  # with the limits of torch.nn.BCELoss: logarithms at -100, p (1 - p) of gradients at 1e-12

    @property
    def target_dtype(self) -> np.dtype[Any]:
        """What native code reads the targets as: integers, bool, float32 and float64 as they are."""
        dtype = self.targets.dtype.newbyteorder("=")
        if dtype.kind in "biu" or dtype in (np.float32, np.float64):
            return dtype
        return np.dtype(np.float64)


def run_binary_probability(
    job: BinaryProbabilityJob, *, values: NDArray | None = None, grad: NDArray | None = None
) -> Sums:
    """One pass: values of the losses' dtype and grad like the probabilities; raises BadRow with an element's number."""
    return _run_binary(job, compute_dtype(job.probs.dtype), job.probs, values, grad)


def binary_mass(job: BinaryProbabilityJob) -> Sums:
    """The targets' mass before any probability is read; raises BadRow."""
    return _run_binary(job, np.dtype(np.float64), None, None, None)


def _run_binary(
    job: BinaryProbabilityJob,
    dtype: np.dtype[Any],
    probs: NDArray | None,
    values: NDArray | None,
    grad: NDArray | None,
) -> Sums:
    size, columns = job.targets.size, columns_for(job.targets, job.weight, job.pos_weight)
    if size == 0:
        return Sums(0.0, 0.0, 0)
    function = _BINARY[dtype.itemsize]
    if not (plain(job.target_dtype, job.targets) and plain(dtype, probs, grad, values)):
        staged = _staged_binary(job, function, columns, dtype, probs, values, grad)
        return run_blocks(staged, size // columns, columns)
    arguments = (
        probs, job.targets, columns, job.pos_weight, job.weight, job.smoothing, job.negative_weight,
        job.positive_weight, job.value_factor, job.grad_factor, job.clamped, values, grad,
    )  # fmt: skip
    return run_direct(function, arguments, size // columns, columns)


def _staged_binary(
    job: BinaryProbabilityJob,
    function: Callable[..., Any],
    columns: int,
    dtype: np.dtype[Any],
    probs: NDArray | None,
    values: NDArray | None,
    grad: NDArray | None,
) -> Callable[[int, int, NDArray], None]:
    y_dtype = job.target_dtype
    axis = job.targets.ndim - 1 if columns > 1 else None
    targets = Rows(job.targets, axis)
    given, output = (None if array is None else Rows(array, axis) for array in (probs, grad))
    flat_values, weight = flat(values), flat(job.weight)
    per_row = 1 if weight is None else weight.size // (job.targets.size // columns)

    def staged(first: int, end: int, sums: NDArray) -> None:
        p = None if given is None else given.read(first, end, dtype)
        g = None if output is None else np.empty((end - first, columns), dtype)
        arguments = (
            p, targets.read(first, end, y_dtype), columns, job.pos_weight,
            part(weight, first * per_row, end * per_row), job.smoothing, job.negative_weight, job.positive_weight,
            job.value_factor, job.grad_factor, job.clamped, part(flat_values, first * columns, end * columns), g,
        )  # fmt: skip
        sums[0] = run_one(function, arguments, end - first, first * columns)
        if output is not None and g is not None:
            output.write(first, end, g)

    return staged
