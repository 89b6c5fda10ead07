"""What to do about targets and predictions whose shapes a tally does not take, case by case."""

from collections.abc import Iterator
from typing import Any

from crossent.errors import ShapeError

__all__ = ["refuse_generator", "shape_advice"]


def refuse_generator(value: Any, name: str) -> None:
    """Raises ShapeError for what can be read only once and has no length.

    >>> refuse_generator([0, 1], "targets")
    """
    if isinstance(value, Iterator):
        raise ShapeError(f"{name} is a {type(value).__name__}, which has no length: pass list({name}).")


def shape_advice(targets: tuple[int, ...], prediction: tuple[int, ...]) -> str:
    """What to pass instead, with a leading blank.

    Args:
        targets: their shape, which should be (n,).
        prediction: its shape, which should be (n, K) with K >= 2, or (n,).

    >>> shape_advice((3,), (3, 1))
    ' A single column speaks of one of two classes: pass its numbers as [n], p[:, 0].'
    >>> shape_advice((4,), (3, 2))
    ' There are 4 targets, and predictions of 3 rows.'
    """
    if len(targets) == 2 and targets == prediction and targets[1] > 1:
        return (
            " One-hot or soft targets are not scored row by row: pass the classes, targets.argmax(axis=1). "
            "crossent.cross_entropy takes distributions."
        )
    if len(targets) == 2 and 1 in targets:
        return " Pass one class a row, targets.reshape(-1)."
    if not targets or not prediction:
        return f" The {'targets are' if not targets else 'prediction is'} no array of rows."
    if len(prediction) == 2 and prediction[1] == 1 and targets == prediction[:1]:
        return " A single column speaks of one of two classes: pass its numbers as [n], p[:, 0]."
    if len(targets) == 1 and targets[0] != prediction[0]:
        return f" There are {targets[0]} targets, and predictions of {prediction[0]} rows."
    if len(prediction) > 2:
        return " Put all rows on one axis: targets.reshape(-1) and p.reshape(-1, K)."
    return ""
