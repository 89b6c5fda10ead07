"""What fits what: axes, targets beside predictions, weights and masks beside losses; unknown sizes fit anything."""

from operator import index
from typing import Any

from keras import ops

from crossent.errors import OptionError, ShapeError
from crossent.keras.namespace import rank

__all__ = ["aligned", "beside_rows", "checked_axis", "same_shape", "without_axis"]

Tensor = Any


def checked_axis(axis: Any) -> int:
    """An axis option: a whole number."""
    try:
        if isinstance(axis, bool):
            raise TypeError
        return index(axis)
    except TypeError:
        raise OptionError(f"axis is {axis!r}; a whole number is allowed.") from None


def without_axis(name: str, x: Tensor, axis: int) -> tuple[int, tuple[int | None, ...]]:
    """The axis counted from 0, and the shape of the losses."""
    shape = tuple(x.shape)
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"{name} has shape {shape}, which has no axis {axis}. Give another axis=, or reshape {name}.")
    axis %= len(shape)
    return axis, shape[:axis] + shape[axis + 1 :]


def _fit(found: Any, wanted: Any) -> bool:
    """Whether two shapes of equal length agree where both are known."""
    return all(a is None or b is None or a == b for a, b in zip(found, wanted, strict=True))


def aligned(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """[N] and [N, 1] brought together, either way, as in Keras' losses."""
    if rank(y_true) == rank(y_pred) + 1 and y_true.shape[-1] == 1:
        return (y_true, ops.expand_dims(y_pred, -1)) if rank(y_pred) == 1 else (ops.squeeze(y_true, -1), y_pred)
    if rank(y_pred) == rank(y_true) + 1 and y_pred.shape[-1] == 1:
        return (ops.expand_dims(y_true, -1), y_pred) if rank(y_true) == 1 else (y_true, ops.squeeze(y_pred, -1))
    return y_true, y_pred


def same_shape(y_true: Tensor, y_pred: Tensor, advice: str) -> None:
    """Targets of the prediction's shape; nothing is broadcast."""
    if rank(y_true) != rank(y_pred) or not _fit(y_true.shape, y_pred.shape):
        raise ShapeError(
            f"y_true has shape {tuple(y_true.shape)}, y_pred {tuple(y_pred.shape)}: they must agree. {advice}"
        )


def beside_rows(name: str, x: Tensor, shape: tuple[int | None, ...]) -> Tensor:
    """Weights or a mask for losses of this shape: [N] counts for all losses [N, ...] of a sample, [N, 1] for [N]."""
    given = tuple(x.shape)
    if rank(x) == len(shape) + 1 and given[-1] == 1:
        x = ops.squeeze(x, -1)
    while 0 < rank(x) < len(shape):
        x = ops.expand_dims(x, -1)
    free = [None if size == 1 else size for size in x.shape]
    if rank(x) and (rank(x) != len(shape) or not _fit(free, shape)):
        advice = (
            "Give the prediction one more axis, of size 1." if not shape else "One for each sample, or for each loss."
        )
        raise ShapeError(f"{name} has shape {given}, the losses {shape}: they do not fit. {advice}")
    return x
