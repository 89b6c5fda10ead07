"""What targets mean: class indices, names, or distributions; and the messages for those that mean nothing.

Index or soft is decided by the number of dimensions alone, never by looking at values: targets with one dimension
fewer than the prediction are indices (or names), with as many they are distributions over its class axis. Integer
[N, 1] against [N, K] is squeezed. Whether an index is in range is found by the kernel in its own pass.
"""

from collections.abc import Hashable, Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np

from crossent.core.check import unmasked
from crossent.core.types import NDArray
from crossent.errors import DtypeError, LabelError, OptionError, ShapeError, UnsupportedError

__all__ = ["Targets", "binary_targets", "class_position", "class_targets", "label_error", "value_text"]

_TEXT_KINDS = "USTO"


class Targets(NamedTuple):
    """Either integer `labels` shaped like the rows, or `soft` distributions shaped like the prediction."""

    labels: NDArray | None
    soft: NDArray | None
    ignore_index: int | None = None
    axis: int = -1


def value_text(value: Any) -> str:
    """A target as a message shows it: no NumPy wrapping."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def _place(row: int, shape: tuple[int, ...]) -> str:
    """targets[i, j] of flat row number `row`."""
    return f"targets[{', '.join(str(int(i)) for i in np.unravel_index(row, shape))}]" if shape else "targets"


def class_position(classes: Sequence[Hashable]) -> dict[Hashable, int]:
    """Column number of each class; classes must be distinct, and in an order."""
    if isinstance(classes, (str, bytes, Set, Mapping)) or not (hasattr(classes, "__len__") and np.iterable(classes)):
        raise OptionError(
            f"classes is {type(classes).__name__}; a list of the class names in the order of the prediction's columns "
            "is needed."
        )
    names = [name.item() if isinstance(name, np.generic) else name for name in classes]
    try:
        position = {name: k for k, name in enumerate(names)}
    except TypeError:
        raise OptionError("classes holds lists or other changeable values; numbers and text are allowed.") from None
    if len(position) != len(names):
        twice = next(name for k, name in enumerate(names) if position[name] != k)
        raise OptionError(f"classes names {value_text(twice)} twice; each column needs a class of its own.")
    return position


def _distinct(targets: NDArray) -> tuple[list[Any], NDArray]:
    """The distinct values of the flat targets and each target's number among them, in no particular order."""
    if targets.dtype.kind not in "OT":
        found, inverse = np.unique(targets, return_inverse=True)
        return found.tolist(), inverse.reshape(-1)
    number: dict[Any, int] = {}
    inverse = np.empty(targets.size, np.intp)
    for row, value in enumerate(targets.reshape(-1).tolist()):
        try:
            inverse[row] = number.setdefault(value, len(number))
        except TypeError:
            raise LabelError(
                f"{_place(row, targets.shape)} is {value_text(value)}: a {type(value).__name__} names no class."
            ) from None
    return list(number), inverse


def _from_names(
    targets: NDArray, position: Mapping[Hashable, int], ignore_index: int | None, left_out: NDArray | None
) -> NDArray:
    """Column number of each target; -1 where it equals ignore_index, or is unknown in a row that is left out."""
    values, inverse = _distinct(targets)
    ignored = [ignore_index is not None and bool(value == ignore_index) for value in values]
    columns = np.array([-1 if skip else position.get(v, -2) for v, skip in zip(values, ignored, strict=True)], np.int64)
    labels = columns[inverse] if inverse.size else np.zeros(0, np.int64)
    unknown = labels == -2 if left_out is None else (labels == -2) & ~left_out.reshape(-1)
    if unknown.any():
        row = int(np.argmax(unknown))
        known = ", ".join(map(value_text, list(position)[:8])) + (", ..." if len(position) > 8 else "")
        raise LabelError(
            f"{_place(row, targets.shape)} is {value_text(values[inverse[row]])}, which is not among classes "
            f"({known}). Correct the label, or give classes= in the order of the prediction's columns."
        )
    return np.maximum(labels, -1).reshape(targets.shape)


def _whole(targets: NDArray, left_out: NDArray | None) -> NDArray:
    """Floating labels as int64; fractional or non-finite ones are refused with their row."""
    numbers = targets.astype(np.float64)
    if left_out is not None:
        numbers[left_out] = 0
    fractional = ~(np.floor(numbers) == numbers) | (np.abs(numbers) >= 2.0**53)
    if fractional.any():
        row = int(np.argmax(fractional))
        raise LabelError(
            f"{_place(row, numbers.shape)} is {float(numbers.reshape(-1)[row])}, but class indices are whole numbers. "
            "Targets with as many dimensions as the prediction are taken as distributions; for a single probability "
            "use binary_cross_entropy."
        )
    return numbers.astype(np.int64)


def _indices(
    targets: NDArray,
    classes: Sequence[Hashable] | None,
    K: int,
    ignore_index: int | None,
    left_out: NDArray | None,
) -> Targets:
    dtype = targets.dtype
    kind = dtype.kind
    if kind == "b":
        raise DtypeError(
            "targets are bool with one dimension fewer than the prediction. Pass them as integers "
            "(targets.astype(int)) if True means class 1, or use binary_cross_entropy."
        )
    if classes is not None:
        position = class_position(classes)
        if len(position) != K:
            raise ShapeError(f"classes has {len(position)} names, but the prediction has {K} classes: they must agree.")
        if kind == "f":
            targets = _whole(targets, left_out)
        labels = _from_names(targets, position, ignore_index, left_out)
        return Targets(labels, None, None if ignore_index is None else -1)
    if kind in _TEXT_KINDS:
        example = value_text(targets.flat[0]) if targets.size else "none"
        raise LabelError(
            f"targets are names (targets.flat[0] is {example}), and their columns are not known. Pass classes=, the "
            f"{K} class names in the order of the prediction's columns; it is never inferred by sorting."
        )
    if kind == "f":
        targets = _whole(targets, left_out)
    elif kind not in "iu":
        raise DtypeError(f"targets have dtype {dtype}; integers, names, or distributions are allowed.")
    flags = targets.flags
    if not (targets.dtype.isnative and flags.c_contiguous and flags.aligned):
        targets = np.array(targets, targets.dtype.newbyteorder("="), order="C")
    return Targets(targets, None, ignore_index)


def class_targets(
    targets: Any,
    shape: tuple[int, ...],
    axis: int,
    *,
    classes: Sequence[Hashable] | None,
    ignore_index: int | None,
    left_out: NDArray | None = None,
) -> Targets:
    """Reads targets for a prediction of the given shape whose classes lie on `axis` (already >= 0).

    Rows marked in `left_out` (weight 0) may have any label.
    """
    y = unmasked(targets, "targets")
    rows = shape[:axis] + shape[axis + 1 :]
    K = shape[axis]
    if y.shape == rows:
        return _indices(y, classes, K, ignore_index, left_out)
    if (
        y.ndim == len(shape)
        and y.shape == (*shape[:axis], 1, *shape[axis + 1 :])
        and K != 1
        and y.dtype.kind in "iuUSTO"
    ):
        return _indices(y.reshape(rows), classes, K, ignore_index, left_out)
    if y.shape != shape:
        raise ShapeError(
            f"targets have shape {y.shape}, the prediction {shape} with its {K} classes on axis {axis}. Pass indices "
            f"or names of shape {rows}, or distributions of shape {shape}."
        )
    if y.dtype.kind in _TEXT_KINDS:
        raise DtypeError(f"targets have dtype {y.dtype} and the prediction's shape {shape}; distributions are numbers.")
    if ignore_index is not None:
        raise UnsupportedError("ignore_index is for class indices; give such rows sample_weight 0 with soft targets.")
    return Targets(None, y, axis=axis)


def binary_targets(targets: Any, shape: tuple[int, ...], *, classes: Sequence[Hashable] | None) -> NDArray:
    """Targets in [0, 1] for independent labels; names need classes=(negative, positive)."""
    y = unmasked(targets, "targets")
    if y.shape != shape:
        raise ShapeError(
            f"targets have shape {y.shape}, the prediction {shape}: binary_cross_entropy needs one target for each "
            "element. Reshape one of them, or use cross_entropy if the last axis holds classes."
        )
    if classes is not None:
        position = class_position(classes)
        if len(position) != 2:
            raise ShapeError(f"classes has {len(position)} names; binary needs 2, (negative, positive).")
        return _from_names(y, position, None, None)
    if y.dtype.kind in _TEXT_KINDS:
        raise LabelError("targets are names. Pass classes=(negative, positive); it is never inferred by sorting.")
    return y


def label_error(labels: NDArray, row: int, K: int, ignore_index: int | None) -> LabelError:
    """The error for the label of flat row number `row`, with a hint where all labels look 1-based."""
    label = int(labels.reshape(-1)[row])
    message = f"{_place(row, labels.shape)} is {label}, but the prediction has {K} classes (labels 0..{K - 1})."
    kept = labels if ignore_index is None else labels[labels != ignore_index]
    if kept.min() >= 1 and kept.max() == K:
        names = "1, ..., K" if K > 4 else ", ".join(str(k + 1) for k in range(K))
        return LabelError(f"{message} The labels look 1-based: pass targets - 1, or classes=[{names}].")
    if label >= 2**63:
        return LabelError(message)
    return LabelError(f"{message} Pass ignore_index={label} to leave such rows out.")
