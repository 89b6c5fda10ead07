"""From a bad row's number to its message: where, what was found, what is allowed, what to do."""

from enum import IntEnum
from typing import Any

import numpy as np

from crossent.core.blocks import Rows
from crossent.core.types import NDArray
from crossent.errors import CrossentError, LabelError, NonFiniteError, ProbabilityError

__all__ = ["Fault", "binary_fault", "place", "softmax_fault"]

_BLOCK = 1 << 16  # targets looked at together


class Fault(IntEnum):
    """What is wrong with a row; the first six are RowError of native/kernels.hpp."""

    NON_FINITE = 1
    LABEL = 2
    TARGET = 3
    TARGET_SUM = 4
    ENTRY = 5
    ROW_SUM = 6
    EMPTY_TARGET = 7
    EXTREME_TARGET = 8


def place(name: str, index: tuple[Any, ...]) -> str:
    """name[i, j] as a reader would write it."""
    return f"{name}[{', '.join(str(int(i)) if i is not None else ':' for i in index)}]" if index else name


def _row_index(row: int, lead: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(row, lead)) if lead else ()


def _with_class(index: tuple[int, ...], axis: int, k: int | None) -> tuple[Any, ...]:
    return (*index[:axis], k, *index[axis:])


def _number(x: float) -> str:
    """A number with as many digits as tell it from others: 1 + 1e-7 is not 1."""
    short = f"{x:g}"
    return short if x != x or float(short) == x else repr(float(x))


def _distribution(name: str, values: NDArray, index: tuple[int, ...], axis: int) -> str:
    """The first entry that is no probability, as text; empty if all are."""
    bad = np.flatnonzero(~((values >= 0) & (values <= 1)))
    return f"{place(name, _with_class(index, axis, int(bad[0])))} is {_number(values[bad[0]])}" if bad.size else ""


def _logit_fault(z: NDArray, index: tuple[int, ...], axis: int) -> CrossentError:
    advice = "Mend the scores, or give the row sample_weight 0 to leave it out."
    nan = np.flatnonzero(np.isnan(z))
    if nan.size:
        return NonFiniteError(
            f"{place('logits', _with_class(index, axis, int(nan[0])))} is nan; numbers, -inf and one +inf a row are "
            f"allowed. {advice}"
        )
    top = np.flatnonzero(z == np.inf)
    if top.size > 1:
        first, second = (place("logits", _with_class(index, axis, int(k))) for k in top[:2])
        return NonFiniteError(
            f"{first} and {second} are both +inf; at most one class of a row may be certain. {advice}"
        )
    row = place("logits", _with_class(index, axis, None))
    if (z == -np.inf).all():
        return NonFiniteError(f"{row} are all -inf: no class is left. {advice}")
    # The kernel saw what no longer stands there: with out=logits, or where another thread writes the array.
    return NonFiniteError(
        f"{row} have NaN, several +inf or only -inf; numbers, -inf and one +inf a row are allowed. {advice}"
    )


def softmax_fault(name: str, array: NDArray, axis: int, soft: NDArray | None, row: int, fault: Fault) -> CrossentError:
    """The error for flat row number `row` of a prediction with classes on `axis`."""
    view = np.moveaxis(array, axis, -1)
    index = _row_index(row, view.shape[:-1])
    values = view[index].astype(np.float64)
    if fault is Fault.NON_FINITE:
        return _logit_fault(values, index, axis)
    if fault in (Fault.ENTRY, Fault.ROW_SUM):
        return _probability_fault(name, values, index, axis)
    assert soft is not None
    q = np.moveaxis(soft, axis, -1)[index].astype(np.float64)
    where = place("targets", _with_class(index, axis, None))
    if fault is Fault.TARGET:
        bad = int(np.flatnonzero(~((q >= 0) & (q < np.inf)))[0])
        return LabelError(
            f"{place('targets', _with_class(index, axis, bad))} is {_number(q[bad])}; soft targets are finite and >= 0."
        )
    if fault is Fault.EMPTY_TARGET:
        return LabelError(f"{where} have no positive; pass empty_rows='ignore' to leave such rows out.")
    with np.errstate(over="ignore"):
        total = f"{q.sum():.6g}"
    if fault is Fault.EXTREME_TARGET:
        return LabelError(f"{where} sum to {total}, too extreme to normalise; sums from 1e-300 to 1e300 are allowed.")
    return LabelError(
        f"{where} sum to {total}, but a distribution sums to 1. Pass normalize_targets=True if each positive "
        "shall count 1 / number of positives, or use binary_cross_entropy for independent labels."
    )


def _probability_fault(name: str, values: NDArray, index: tuple[int, ...], axis: int) -> CrossentError:
    hint = f"These look like logits: pass logits= instead of {name}=."
    if name == "probs" and (values >= 0).all() and 99 < values.sum() < 101:
        hint = "These look like percentages: divide by 100."
    if name == "log_probs":
        bad = np.flatnonzero(~(values <= 0))
        if bad.size:
            where = place(name, _with_class(index, axis, int(bad[0])))
            return ProbabilityError(
                f"{where} is {_number(values[bad[0]])}; logarithms of probabilities are <= 0. {hint}"
            )
        values = np.exp(values)
    else:
        found = _distribution(name, values, index, axis)
        if found:
            return ProbabilityError(f"{found}; probabilities lie in [0, 1]. {hint}")
    where = place(name, _with_class(index, axis, None))
    where = f"exp({where})" if name == "log_probs" else where
    total = f"{values.sum():.6g}"
    return ProbabilityError(f"{where} sum to {total}, but a row of probabilities sums to 1 (within 0.01). {hint}")


def _hold_only(targets: NDArray, *labels: float) -> bool:
    """Whether the finite targets are among the labels; looked at block by block, for there may be very many."""
    rows = Rows(targets, None)
    for first in range(0, targets.size, _BLOCK):
        block = rows.read(first, min(targets.size, first + _BLOCK), np.dtype(np.float64))
        if not (np.isin(block, labels) | ~np.isfinite(block)).all():
            return False
    return True


def _binary_hint(targets: NDArray, found: float) -> str:
    """What labels other than 0 and 1 look like, of which one was found."""
    if found == 2 and _hold_only(targets, 1, 2):
        return "The labels look like 1 and 2: pass targets - 1, or classes=[1, 2]."
    if found == -1 and _hold_only(targets, -1, 1):
        return "The labels look like -1 and 1: pass classes=[-1, 1]."
    return "Use cross_entropy for more than two classes."


def binary_fault(name: str, array: NDArray, targets: NDArray, element: int, fault: Fault) -> CrossentError:
    """The error for flat element number `element` of independent labels."""
    index = _row_index(element, array.shape)
    if fault is Fault.LABEL:
        y = float(targets[index])
        hint = _binary_hint(targets, y)
        return LabelError(f"{place('targets', index)} is {y:g}; labels 0 and 1, or probabilities, are allowed. {hint}")
    value = float(array[index])
    if fault is Fault.NON_FINITE:
        return NonFiniteError(
            f"{place(name, index)} is nan; numbers and infinities are allowed. Mend it, or give it sample_weight 0."
        )
    allowed = "logarithms of probabilities are <= 0" if name == "log_probs" else "probabilities lie in [0, 1]"
    return ProbabilityError(
        f"{place(name, index)} is {_number(value)}; {allowed}. If these are raw scores, pass logits= instead of "
        f"{name}=."
    )
