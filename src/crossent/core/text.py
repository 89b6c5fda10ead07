"""Canonical text: one spelling for equal cells, labels and keys of any type, for all rooms that compare them.

1, 1.0, int8 1 and the text "1" are all "1", booleans are "true" and "false", a missing value (null, None, NaN) is
None. Text itself is never changed. Integers below 2^64 in magnitude are written in digits whatever their type; other
numbers as Python's shortest repr of their own precision, so float32 0.1 is "0.1".
"""

import datetime
from decimal import Decimal

import numpy as np

__all__ = ["canonical_text"]

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
        return value
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


def _integer_text(value: int) -> str:
    return str(value) if abs(value) < _DIGITS_END else repr(float(value))


def _float_text(value: float) -> str | None:
    if value != value:
        return None
    if abs(value) < _DIGITS_END and value.is_integer():
        return str(int(value))
    return repr(value)
