"""Targets that mean nothing: an error that names the first where values are at hand, else a flag for the graph."""

from typing import Any

import numpy as np
from keras import ops

from crossent.core.faults import place
from crossent.core.types import NDArray
from crossent.errors import LabelError
from crossent.keras.namespace import concrete

__all__ = ["bad_labels", "bad_targets"]

Tensor = Any


def _first(bad: Tensor, values: Tensor) -> tuple[tuple[int, ...], NDArray] | None:
    """Where the first bad target stands, and all targets; None if none is bad, or nobody knows yet."""
    flags = concrete(bad)
    if flags is None or not flags.any():
        return None
    found = concrete(values)
    assert found is not None
    return tuple(int(i) for i in np.argwhere(flags)[0]), found


def bad_labels(labels: Tensor, K: int, keep: Tensor) -> Tensor:
    """Marks kept labels that are none of 0..K-1."""
    good = ops.logical_and(labels >= 0, labels < K)
    if "float" in str(labels.dtype):
        good = ops.logical_and(good, ops.floor(labels) == labels)
    bad = ops.logical_and(keep, ops.logical_not(good))
    found = _first(bad, labels)
    if found is not None:
        index, values = found
        label = values[index].item()
        advice = f"Pass ignore_class={label:g} to leave such rows out." if label == int(label) else "Round them."
        if values.min() >= 1 and values.max() == K:
            advice = "The labels look 1-based: pass y_true - 1."
        raise LabelError(
            f"{place('y_true', index)} is {label:g}, but y_pred has {K} classes (labels 0..{K - 1}). {advice}"
        )
    return bad


def bad_targets(y: Tensor, keep: Tensor, highest: float) -> Tensor:
    """Marks kept targets that are not in [0, highest]; NaN and inf are not."""
    good = ops.logical_and(y >= 0, y <= highest if highest < np.inf else y < highest)
    bad = ops.logical_and(keep, ops.logical_not(good))
    found = _first(bad, y)
    if found is not None:
        index, values = found
        target = f"{place('y_true', index)} is {values[index].item():g}"
        if highest == 1:
            hint = " The labels look like -1 and 1: pass (y_true + 1) / 2." if values.min() == -1 else ""
            raise LabelError(f"{target}; labels 0 and 1, or probabilities, are allowed.{hint}")
        raise LabelError(
            f"{target}; finite numbers >= 0, one for each class, are allowed. For class indices use the sparse loss."
        )
    return bad
