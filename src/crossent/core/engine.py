"""Runs losses of logits on native code: layouts, blocks, buffers. The one place that calls these kernels."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossent import _native
from crossent.core.blocks import Rows, Sums, flat, part, plain, run_blocks, run_direct, run_one
from crossent.core.buffers import streams
from crossent.core.check import compute_dtype
from crossent.core.terms import BinaryTerms, Terms
from crossent.core.types import NDArray
from crossent.core.weights import largest

__all__ = [
    "GRADIENT",
    "LOG_PROBS",
    "PROBS",
    "ROWS_AT",
    "SigmoidJob",
    "SoftmaxJob",
    "columns_for",
    "run_mass",
    "run_sigmoid",
    "run_softmax",
]

GRADIENT, PROBS, LOG_PROBS = 0, 1, 2
_F64 = np.dtype(np.float64)
_SMALL_BYTES = 1 << 18
_LARGE = 2.0**64  # a product of two weights up to here is a float32
_Kernels = dict[str, Callable[..., Any]]  # by the character of the dtype that they read
_SOFTMAX: _Kernels = {
    "f": _native.softmax_f32, "d": _native.softmax_f64, "e": _native.softmax_f16, "E": _native.softmax_bf16,
}  # fmt: skip
# Index targets by addresses, for a caller who has checked everything: see native/module.cpp.
ROWS_AT: dict[int, Callable[..., int]] = {4: _native.rows_at_f32, 8: _native.rows_at_f64}
_SIGMOID: _Kernels = {
    "f": _native.sigmoid_f32, "d": _native.sigmoid_f64, "e": _native.sigmoid_f16, "E": _native.sigmoid_bf16,
}  # fmt: skip
_FAMILY: _Kernels = {
    "f": _native.family_f32, "d": _native.family_f64, "e": _native.family_f16, "E": _native.family_bf16,
}  # fmt: skip
_BINARY_FAMILY: _Kernels = {
    "f": _native.binary_family_f32, "d": _native.binary_family_f64, "e": _native.binary_family_f16,
    "E": _native.binary_family_bf16,
}  # fmt: skip
_GROUP = 8  # rows that the family's kernel takes at once, a vector's lane each
_MASS: _Kernels = {"f": _native.mass_f32, "d": _native.mass_f64, "e": _native.mass_f16, "E": _native.mass_bf16}


@dataclass(slots=True)
class Shard:
    """The logits are classes first .. first + K of `classes`; states [rows, 8] go out (left) or come in (given)."""

    first: int
    classes: int
    left: NDArray | None = None
    given: NDArray | None = None


@dataclass(slots=True)
class SoftmaxJob:
    """What one softmax pass reads. Arrays keep the caller's layout; weights and labels are contiguous."""

    logits: NDArray
    axis: int
    labels: NDArray | None = None
    soft: NDArray | None = None
    soft_factor: NDArray | None = None
    class_weight: NDArray | None = None
    row_weight: NDArray | None = None
    ignore_index: int | None = None
    smoothing: float = 0.0
    value_factor: float = 1.0
    grad_factor: float = 1.0
    sum_tolerance: float = -1.0
    output: int = GRADIENT
    terms: Terms | None = None  # what makes it another member of the family
    upper: bool = False  # the Hessian's diagonal is to bound the whole of it
    shard: Shard | None = None

    @property
    def classes(self) -> int:
        return int(self.logits.shape[self.axis])

    @property
    def inner(self) -> int:
        return math.prod(self.logits.shape[self.axis + 1 :])

    @property
    def rows(self) -> int:
        return self.logits.size // self.classes

    @property
    def dense(self) -> bool:
        """Whether more than one class of a row may have a target."""
        return self.soft is not None or self.smoothing != 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the arithmetic: float64 targets, and weights that float32 may not hold, lift float32 logits."""
        q = self.soft
        if q is not None and q.dtype.kind == "f" and q.dtype.itemsize == 8:
            return _F64
        weighted = self.class_weight is not None or self.row_weight is not None or self.soft_factor is not None
        return _F64 if weighted and self._extreme else compute_dtype(self.logits.dtype)

    @property
    def _extreme(self) -> bool:
        """Whether a product of weights may leave float32's range; small weights are float32 beside dense targets."""
        for w in (self.class_weight, self.row_weight, self.soft_factor):
            if w is not None and largest(w) > _LARGE:
                return True
        w = self.class_weight
        return w is not None and self.dense and bool(((w > 0) & (w < 1 / _LARGE)).any())


@dataclass(slots=True)
class SigmoidJob:
    """What one pass over independent labels reads; targets may be a single number for all."""

    logits: NDArray
    targets: NDArray
    pos_weight: NDArray | None = None
    weight: NDArray | None = None
    smoothing: float = 0.0
    negative_weight: float = 1.0
    positive_weight: float = 1.0
    value_factor: float = 1.0
    grad_factor: float = 1.0
    terms: BinaryTerms | None = None
    upper: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        return compute_dtype(self.logits.dtype)

    @property
    def target_dtype(self) -> np.dtype[Any]:
        """float64 targets stay so beside float32 logits: rounded, 1 - y would be off by far more than its ulp."""
        return compute_dtype(self.targets.dtype) if self.targets.dtype.kind == "f" else self.dtype


def _stored(given: np.dtype[Any], computed: np.dtype[Any]) -> np.dtype[Any]:
    """Of the arrays that native code reads: half precision stays as it is where float32 is computed."""
    return given if given.itemsize == 2 and computed.itemsize == 4 and given.isnative else computed


def _bits(array: NDArray | None) -> NDArray | None:
    """Half precision as the uint16 that native code takes it for."""
    return None if array is None else array.view(np.uint16)


def _lanes(job: SoftmaxJob, dtype: np.dtype[Any]) -> NDArray | None:
    """Class weights as dense targets are multiplied by them; zeros, which nothing reads, beside one target a row."""
    w = job.class_weight
    if w is None or w.dtype == dtype:
        return w
    return w.astype(dtype) if job.dense else np.zeros(w.shape, dtype)


def run_softmax(
    job: SoftmaxJob,
    *,
    values: NDArray | None = None,
    grad: NDArray | None = None,
    hess: NDArray | None = None,
) -> Sums:
    """One pass: fills values [rows] of the compute dtype, grad and hess shaped like the logits; raises BadRow."""
    dtype, shape, axis = job.dtype, job.logits.shape, job.axis
    stored = _stored(job.logits.dtype, dtype)
    classes, inner = shape[axis], 1 if axis == len(shape) - 1 else job.inner
    rows = job.logits.size // classes
    whole = job.terms is not None or job.upper or job.shard is not None
    kernels, lanes, least = (_FAMILY, None, _GROUP) if whole else (_SOFTMAX, _lanes(job, dtype), 1)
    if plain(stored, job.logits, job.soft, grad, hess) and (values is None or plain(dtype, values)):
        z, q, g, h = job.logits, job.soft, grad, hess
        if stored.itemsize == 2:
            z, q, g, h = z.view(np.uint16), _bits(q), _bits(g), _bits(h)
        if whole:
            arguments = _family_arguments(job, z, inner, q, values, g, h, 0, rows)
        else:
            arguments = (
                z, classes, inner, job.labels, q, job.soft_factor, job.class_weight, lanes,
                job.row_weight, job.ignore_index, job.smoothing, job.value_factor, job.grad_factor, job.sum_tolerance,
                job.output, values, g, h, streams(grad, job.logits),
            )  # fmt: skip
        return run_direct(kernels[stored.char], arguments, rows, classes, inner, least)
    staged = _staged_softmax(job, kernels[dtype.char], whole, lanes, values, grad, hess)
    return run_blocks(staged, rows, classes, inner, least)


def _family_arguments(
    job: SoftmaxJob,
    z: NDArray,
    inner: int,
    q: NDArray | None,
    values: NDArray | None,
    grad: NDArray | None,
    hess: NDArray | None,
    first: int,
    end: int,
) -> tuple[Any, ...]:
    """What the family's kernel takes for rows first .. end, of which z, q and the outputs are given."""
    terms, shard = job.terms or Terms(), job.shard or Shard(0, job.classes)
    return (
        z, job.classes, inner, part(flat(job.labels), first, end), q, part(flat(job.soft_factor), first, end),
        job.class_weight, part(flat(job.row_weight), first, end), job.ignore_index, job.smoothing, job.value_factor,
        job.grad_factor, job.sum_tolerance, values, grad, hess, *terms.native, int(job.upper), shard.first,
        shard.classes, part(shard.left, first, end), part(shard.given, first, end),
    )  # fmt: skip


def _staged_softmax(
    job: SoftmaxJob,
    function: Any,
    whole: bool,
    lanes: NDArray | None,
    values: NDArray | None,
    grad: NDArray | None,
    hess: NDArray | None,
) -> Callable[[int, int, NDArray], None]:
    dtype, loss_dtype, inner = job.dtype, compute_dtype(job.logits.dtype), job.inner > 1
    logits, soft = Rows(job.logits, job.axis), None if job.soft is None else Rows(job.soft, job.axis)
    outputs = [None if array is None else Rows(array, job.axis) for array in (grad, hess)]
    labels, flat_values = flat(job.labels), flat(values)
    factor, weight = flat(job.soft_factor), flat(job.row_weight)

    def staged(first: int, end: int, sums: NDArray) -> None:
        z = logits.read(first, end, dtype, classes_first=inner)
        q = None if soft is None else soft.read(first, end, dtype, classes_first=inner)
        g, h = (None if rows is None else np.empty_like(z) for rows in outputs)
        v = np.empty(end - first, dtype) if dtype != loss_dtype and job.shard is None else part(flat_values, first, end)
        width = end - first if inner else 1
        if whole:
            arguments = _family_arguments(job, z, width, q, v, g, h, first, end)
        else:
            arguments = (
                z, job.classes, width, part(labels, first, end), q,
                part(factor, first, end), job.class_weight, lanes, part(weight, first, end), job.ignore_index,
                job.smoothing, job.value_factor, job.grad_factor, job.sum_tolerance, job.output, v, g, h, False,
            )  # fmt: skip
        sums[0] = run_one(function, arguments, end - first, first)
        if v is not None and dtype != loss_dtype:
            with np.errstate(over="ignore"):
                rounded = v.astype(loss_dtype)
            sums[0, 0] = rounded.sum(dtype=np.float64)
            if flat_values is not None:
                flat_values[first:end] = rounded
        for rows, block in zip(outputs, (g, h), strict=True):
            if rows is not None and block is not None:
                rows.write(first, end, block, classes_first=inner)

    return staged


def run_mass(job: SoftmaxJob, *, row_sums: NDArray | None = None) -> Sums:
    """The targets' mass before any logit is read; raises BadRow. row_sums gets each row's sum of soft targets."""
    dtype = job.dtype
    stored = _stored(job.logits.dtype, dtype)
    if plain(stored, job.soft):
        soft = _bits(job.soft) if stored.itemsize == 2 else job.soft
        arguments = (
            job.rows, job.classes, job.inner, job.labels, soft, job.soft_factor, job.class_weight,
            job.row_weight, job.ignore_index, job.sum_tolerance, row_sums,
        )  # fmt: skip
        return run_direct(_MASS[stored.char], arguments, job.rows, 1 if job.soft is None else job.classes)
    assert job.soft is not None
    function, rows = _MASS[dtype.char], Rows(job.soft, job.axis)
    factor, weight = flat(job.soft_factor), flat(job.row_weight)

    def staged(first: int, end: int, sums: NDArray) -> None:
        arguments = (
            end - first, job.classes, 1, None, rows.read(first, end, dtype), part(factor, first, end),
            job.class_weight, part(weight, first, end), None, job.sum_tolerance, part(row_sums, first, end),
        )  # fmt: skip
        sums[0] = run_one(function, arguments, end - first, first)

    return run_blocks(staged, job.rows, job.classes)


def columns_for(elements: NDArray, weight: NDArray | None, pos_weight: NDArray | None) -> int:
    """Elements that share a weight or a positive weight lie in rows; without either, elements are rows of their own."""
    by_row = weight is not None and weight.size != elements.size
    by_column = pos_weight is not None and pos_weight.size > 1
    return int(elements.shape[-1]) if by_row or by_column else 1


def run_sigmoid(
    job: SigmoidJob,
    *,
    values: NDArray | None = None,
    grad: NDArray | None = None,
    hess: NDArray | None = None,
) -> Sums:
    """One pass over independent labels: values of the compute dtype, grad and hess like the logits; raises BadRow."""
    size = job.logits.size
    if size == 0:
        return Sums(0.0, 0.0, 0)
    dtype, columns = job.dtype, columns_for(job.logits, job.weight, job.pos_weight)
    stored = _stored(job.logits.dtype, dtype)
    kernels = _SIGMOID if job.terms is None else _BINARY_FAMILY
    wide = job.target_dtype != dtype and dtype == np.float32
    y_dtype = np.dtype(np.float64) if wide else dtype
    if size * job.logits.itemsize <= _SMALL_BYTES and job.targets.dtype != y_dtype:
        job.targets = job.targets.astype(y_dtype)  # one short copy instead of the detour by blocks
    if plain(y_dtype, job.targets) and plain(stored, job.logits, grad, hess):
        y, wide_y = (None, job.targets) if wide else (job.targets, None)
        z, g, h = job.logits, grad, hess
        if stored.itemsize == 2:
            z, g, h = z.view(np.uint16), _bits(g), _bits(h)
        arguments = (
            z, columns, y, wide_y, job.pos_weight, job.weight, job.smoothing, job.negative_weight,
            job.positive_weight, job.value_factor, job.grad_factor, values, g, h,
            *_sigmoid_tail(job, streams(grad, job.logits)),
        )  # fmt: skip
        return run_direct(kernels[stored.char], arguments, size // columns, columns)
    staged = _staged_sigmoid(job, kernels[dtype.char], columns, y_dtype, values, (grad, hess))
    return run_blocks(staged, size // columns, columns)


def _sigmoid_tail(job: SigmoidJob, stream: bool) -> tuple[Any, ...]:
    """What is left for the plain kernel, or for the family's."""
    return (stream,) if job.terms is None else (*job.terms.native, int(job.upper))


def _staged_sigmoid(
    job: SigmoidJob,
    function: Callable[..., Any],
    columns: int,
    y_dtype: np.dtype[Any],
    values: NDArray | None,
    gradients: tuple[NDArray | None, NDArray | None],
) -> Callable[[int, int, NDArray], None]:
    axis = job.logits.ndim - 1 if columns > 1 else None
    dtype, wide, scalar = job.dtype, y_dtype != job.dtype, job.targets.size == 1 and job.logits.size > 1
    logits, targets = Rows(job.logits, axis), Rows(job.targets, axis)
    outputs = [None if array is None else Rows(array, axis) for array in gradients]
    flat_values, weight = flat(values), flat(job.weight)
    per_row = 1 if weight is None or weight.size == job.logits.size // columns else columns

    def staged(first: int, end: int, sums: NDArray) -> None:
        z = logits.read(first, end, dtype)
        y = np.ascontiguousarray(job.targets, dtype) if scalar else targets.read(first, end, y_dtype)
        g, h = (None if rows is None else np.empty_like(z) for rows in outputs)
        arguments = (
            z, columns, None if wide else y, y if wide else None, job.pos_weight,
            part(weight, first * per_row, end * per_row), job.smoothing,
            job.negative_weight, job.positive_weight, job.value_factor, job.grad_factor,
            part(flat_values, first * columns, end * columns), g, h, *_sigmoid_tail(job, False),
        )  # fmt: skip
        sums[0] = run_one(function, arguments, end - first, first * columns)
        for rows, block in zip(outputs, (g, h), strict=True):
            if rows is not None and block is not None:
                rows.write(first, end, block)

    return staged
