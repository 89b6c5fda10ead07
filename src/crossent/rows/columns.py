"""Column names and cell texts: the rules by which files that spell the same thing differently are compared.

Canonical text makes targets of any column type comparable with class names: 1, 1.0, int8 1 and the text "1"
are all "1", booleans are "true" and "false", a missing value (null, None, NaN) is None. Text itself is never
changed. Integers below 2^64 in magnitude are written in digits whatever their type; other numbers as
Python's shortest repr of their own precision, so float32 0.1 is "0.1".
"""

import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, Protocol, TypeAlias

import numpy as np

from crossent.errors import DataError
from crossent.wording import did_you_mean, listed, quoted

__all__ = [
    "ColumnInfo",
    "HasColumns",
    "Kind",
    "canonical_text",
    "cell_number",
    "cell_text",
    "missing_column",
    "refuse_repeated",
    "require_column",
]

Kind: TypeAlias = Literal["number", "boolean", "text", "other"]

_DIGITS_END = 2**64
_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\Z|[+-]?(inf|infinity)\Z|nan\Z", re.I | re.A)
_TRUTHS = {"true": "true", "t": "true", "1": "true", "false": "false", "f": "false", "0": "false"}


@dataclass(frozen=True)
class ColumnInfo:
    """A column of a source: its name, and what its cells are ("number", "boolean", "text" or "other")."""

    name: str
    kind: Kind


class HasColumns(Protocol):
    """What a message about columns needs to know of a source."""

    @property
    def name(self) -> str: ...

    @property
    def columns(self) -> tuple[ColumnInfo, ...]: ...


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


def cell_number(cell: str) -> float | None:
    """The number that a cell of an untyped file (CSV) spells, or None if it spells none.

    >>> cell_number(" 1e3 "), cell_number("1_000"), cell_number("abc")
    (1000.0, None, None)
    """
    trimmed = cell.strip()
    return float(trimmed) if _NUMBER.match(trimmed) else None


def cell_text(cell: str, kind: Kind) -> str | None:
    """Canonical text of a cell that was read as text, in a column of the given kind.

    Args:
        cell: the characters between the separators.
        kind: kind of the whole column; only cells of number and boolean columns are rewritten, "007" in a
            text column stays "007".

    >>> cell_text("1.0", "number"), cell_text("1.0", "text"), cell_text("True", "boolean")
    ('1', '1.0', 'true')
    """
    trimmed = cell.strip()
    if kind == "boolean":
        return _TRUTHS.get(trimmed.lower(), cell)
    if kind != "number" or not _NUMBER.match(trimmed):
        return cell
    if _INTEGER.match(trimmed) and len(trimmed) <= 21:
        return _integer_text(int(trimmed))
    return _float_text(float(trimmed))


def missing_column(where: str, name: str, names: Sequence[str]) -> DataError:
    """The error for a column that is not there: where, the nearest name, all names."""
    place = f"{where} has no column" if where else "There is no column"
    return DataError(f"{place} {quoted(name)}.{did_you_mean(name, names)} Its columns are {listed(names, 12)}.")


def refuse_repeated(names: Iterable[str], where: str) -> None:
    """Raises DataError if two columns have the same name, because then a name does not tell the column."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{where} has two columns called {quoted(name)}. Give every column its own name.")
        seen.add(name)


def require_column(source: HasColumns, name: str) -> ColumnInfo:
    """The column `name` of a source.

    Raises: DataError, naming the file, its columns and the nearest name.
    """
    for column in source.columns:
        if column.name == name:
            return column
    raise missing_column(source.name, name, [column.name for column in source.columns])
