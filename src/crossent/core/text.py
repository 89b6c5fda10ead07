"""Canonical text: one spelling for equal cells, labels and keys of any type, for all rooms that compare them.

1, 1.0, int8 1 and the text "1" are all "1", booleans are "true" and "false", a missing value (null, None, NaN) is
None. Text itself is never changed. Integers below 2^64 in magnitude are written in digits whatever their type; other
numbers as Python's shortest repr of their own precision, so float32 0.1 is "0.1".
"""

import datetime
from decimal import Decimal
from typing import Any

import numpy as np

from crossent.errors import ShapeError

__all__ = ["canonical_text", "distinct_texts"]

_DIGITS_END = 2**64


def canonical_text(value: object) -> str | None:
    """The text by which a cell or label is compared with class names; None for a missing value.

    Args:
        value: a cell of any type, or a label given by the caller.
    Returns: the canonical text, or None for None and NaN.

    >>> [canonical_text(v) for v in (1, 1.0, np.int8(1), "1", True, None, 0.25, "cat")]
    ['1', '1', '1', '1', 'true', None, '0.25', 'cat']
    """
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return _integer_text(int(value))
    if isinstance(value, float | np.floating):
        return _float_text(float(value) if isinstance(value, float) else float(str(value)))
    if isinstance(value, Decimal):
        whole = value.is_finite() and value == value.to_integral_value()
        return _integer_text(int(value)) if whole else _float_text(float(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


def distinct_texts(values: Any, *, what: str = "values") -> tuple[list[str | None], Any]:
    """The canonical texts of the distinct values, and which of them every value has.

    Args:
        values: [n] values of any type, or of several types.
        what: what they are, for messages.
    Returns: the texts, no text twice (None stands for missing values), and [n] int64 places of them.
    Raises: ShapeError unless there is one value a row.

    >>> texts, place = distinct_texts(["b", 1, 1.0, None])
    >>> texts, place.tolist()
    (['b', '1', None], [0, 1, 1, 2])
    """
    # NumPy would make one type of a list, and so 1 of True; an array has its type already
    given = np.asarray(values, object) if isinstance(values, list | tuple) else np.asarray(values)
    if given.ndim != 1:
        raise ShapeError(f"{what} have shape {given.shape}; one a row is needed, shape (n,)")
    if given.dtype.kind == "O":
        texts, inverse = [canonical_text(value) for value in given], None
    else:
        different, inverse = np.unique(given, return_inverse=True)
        texts = [canonical_text(value) for value in different]
    place = {text: k for k, text in enumerate(dict.fromkeys(texts))}
    index = np.fromiter((place[text] for text in texts), np.int64, len(texts))
    return list(place), index if inverse is None else index[inverse]


def _integer_text(value: int) -> str:
    return str(value) if abs(value) < _DIGITS_END else repr(float(value))


def _float_text(value: float) -> str | None:
    if value != value:
        return None
    if abs(value) < _DIGITS_END and value.is_integer():
        return str(int(value))
    return repr(value)
