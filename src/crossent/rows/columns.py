"""Column names and cell texts: the rules by which files that spell the same thing differently are compared.

Canonical text (core/text.py) makes targets of any column type comparable with class names; here it is also read out
of untyped files.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from crossent.core.text import canonical_text
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
        return canonical_text(int(trimmed))
    return canonical_text(float(trimmed))


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
