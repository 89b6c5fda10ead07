"""Metadata checks, once, at the public edge: which prediction was named, dtypes, shapes, weights, buffers.

Values are checked by the kernels in their own pass; weights, one number a row or class, in core/weights.py.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from crossent.core.interchange import as_array, shared_array
from crossent.core.types import NDArray
from crossent.errors import DtypeError, OptionError, ShapeError, UnsupportedError

__all__ = [
    "Prediction",
    "axis_number",
    "compute_dtype",
    "float_array",
    "output_buffer",
    "prediction",
    "unit_factor",
    "unmasked",
]

_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)
_LN2_INVERSE = 1.4426950408889634
_HALVES = ("float16", "bfloat16")


Prediction: TypeAlias = tuple[str, NDArray]  # the one that was named: its kind, its array


def unmasked(value: Any, name: str) -> NDArray:
    """The value as an array; a masked array is refused, for its mask would be lost without a word."""
    if type(value) is np.ndarray:
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise UnsupportedError(
            f"{name} is a masked array, and its mask would be ignored. Pass {name}.data, and sample_weight 0 (or "
            "ignore_index) for the rows that are masked."
        )
    return as_array(value, name)


def float_array(value: Any, name: str) -> NDArray:
    """A floating array as it is, integers as float64; any other dtype is refused."""
    array = unmasked(value, name)
    dtype = array.dtype
    kind = dtype.kind
    if kind == "f" and dtype.itemsize <= 8:
        return array
    if array.dtype.name == "bfloat16":
        return array
    if kind in "iu":
        numbers = array.astype(np.float64)
        if array.dtype.itemsize == 8 and np.abs(numbers).max(initial=0.0) > 2.0**53:
            raise DtypeError(f"{name} holds integers beyond 2^53, which float64 rounds. Pass floats.")
        return numbers
    if isinstance(value, Iterator):
        raise ShapeError(f"{name} is a {type(value).__name__}, which has no length: pass list({name}).")
    raise DtypeError(
        f"{name} has dtype {array.dtype}; float16, bfloat16, float32, float64 or integers "
        "are allowed. Convert it, for instance with .astype(float)."
    )


def prediction(logits: Any, probs: Any, log_probs: Any) -> Prediction:
    """The named prediction: exactly one of the three."""
    if logits is not None and probs is None and log_probs is None:
        return "logits", float_array(logits, "logits")
    named = {"logits": logits, "probs": probs, "log_probs": log_probs}
    given = [(name, value) for name, value in named.items() if value is not None]
    if len(given) != 1:
        found = "none was" if not given else " and ".join(f"{name}=" for name, _ in given) + " were"
        raise UnsupportedError(
            f"{found} given; name exactly one: logits= for raw scores, probs= for probabilities, "
            "log_probs= for their logarithms."
        )
    name, value = given[0]
    return name, float_array(value, name)


def axis_number(axis: Any, array: NDArray, name: str) -> int:
    """The class axis as a number >= 0; there must be one, with at least one class."""
    if type(axis) is not int and (isinstance(axis, bool) or not isinstance(axis, (int, np.integer))):
        raise OptionError(f"axis is {axis!r}; a whole number is allowed.")
    ndim = array.ndim
    if ndim == 0:
        raise ShapeError(f"{name} is a single number; it needs an axis of classes.")
    if not -ndim <= axis < ndim:
        raise ShapeError(f"axis={axis} is outside {name} of shape {array.shape}.")
    number = int(axis) % ndim
    if array.shape[number] == 0:
        raise ShapeError(f"{name} has shape {array.shape}: no classes on axis {number}.")
    return number


def compute_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """float64 for float64, else float32: the dtype of losses and of the arithmetic."""
    return _F64 if dtype.itemsize == 8 else _F32


def unit_factor(unit: str) -> float:
    """Nats to the unit."""
    return _LN2_INVERSE if unit == "bit" else 1.0


def _overlaps_itself(array: NDArray) -> bool:
    """Whether elements may share memory: a stride shorter than what lies beneath it."""
    if array.flags.c_contiguous:
        return False
    extent = array.itemsize
    for stride, size in sorted((abs(stride), size) for stride, size in zip(array.strides, array.shape, strict=True)):
        if size > 1 and stride < extent:
            return True
        extent += stride * (size - 1)
    return False


def _same_memory(out: NDArray, array: NDArray) -> bool:
    """Whether each element of one is the same element of the other."""
    if out is array:
        return True
    return out.ctypes.data == array.ctypes.data and out.strides == array.strides and out.dtype == array.dtype


def output_buffer(given: Any, array: NDArray, inputs: Sequence[NDArray | None]) -> NDArray:
    """The gradient's buffer: the `out` that was given, after its checks, as an array on its memory.

    Memory identical to the prediction's is in-place work; any other overlap is refused.
    """
    out: NDArray = given if isinstance(given, np.ndarray) else shared_array(given, "out")
    if out.dtype != array.dtype:
        dtype = array.dtype.newbyteorder("=")
        if out.dtype != dtype and not (dtype.name in _HALVES and out.dtype == np.float32):
            raise DtypeError(f"out has dtype {out.dtype}, the gradient {dtype}: they must agree.")
    if out.shape != array.shape:
        raise ShapeError(f"out has shape {out.shape}, the gradient {array.shape}: they must agree.")
    if not out.flags.writeable:
        raise ShapeError("out is read-only; a writable array is needed.")
    if _overlaps_itself(out):
        raise ShapeError("out overlaps itself (a broadcast array); an array of its own memory is needed.")
    for other in inputs:
        if other is None or not np.may_share_memory(out, other):
            continue
        if not (other is array and _same_memory(out, array)) and np.shares_memory(out, other):
            raise ShapeError(
                "out overlaps an input; pass the prediction itself to work in place, or memory of its own."
            )
    return out
