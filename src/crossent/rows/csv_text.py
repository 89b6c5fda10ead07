"""How a CSV file is written: its separator, its header, what its cells are, and which row breaks it.

DuckDB's sniffer tells separator and types; the header line is read here, because DuckDB would rename columns
that differ in case only. A CSV file has a header line, '"' as quote, UTF-8, and empty cells where values are
missing.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from crossent.errors import DataError
from crossent.rows.arrow import load_duckdb, load_pyarrow
from crossent.rows.columns import ColumnInfo, Kind, cell_number, refuse_repeated

__all__ = ["Dialect", "broken_csv", "connection", "reading_query", "sniff"]

_SEPARATORS = (",", "\t", ";", "|")
# By their first bytes, because DuckDB and Arrow go by suffixes and differ there.
_COMPRESSIONS = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_LEADING_ZERO = re.compile(r"\s*[+-]?0[0-9]")
_SAMPLED_CELLS = 20_000
_NUMBER_TYPES = re.compile(r"(TINY|SMALL|BIG|HUGE|U)*INT(EGER)?|U?(TINY|SMALL|BIG|HUGE)INT|FLOAT|DOUBLE|DECIMAL")


@dataclass(frozen=True)
class Dialect:
    """Separator and columns of a CSV file."""

    separator: str
    columns: tuple[ColumnInfo, ...]


@contextmanager
def connection() -> Iterator[Any]:
    """A private DuckDB in memory that never fetches an extension."""
    duckdb = load_duckdb()
    settings = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    with duckdb.connect(":memory:", config=settings) as opened:
        opened.execute("set enable_progress_bar = false")
        yield opened


def _escaped_glob(path: str) -> str:
    """A path that DuckDB takes for itself, not for a pattern."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def _compression(path: str) -> str | None:
    """How a file is compressed: "gzip", "zstd" or None."""
    with open(path, "rb") as file:
        start = file.read(4)
    return next((name for magic, name in _COMPRESSIONS if start.startswith(magic)), None)


def _layout(path: str) -> str:
    """The arguments of DuckDB's CSV functions for what is not to be guessed, the file's name first."""
    return (
        f"{_literal(_escaped_glob(path))}, compression={_literal(_compression(path) or 'none')}, "
        """header=true, skip=0, quote='"', escape='"', comment='', nullstr=''"""
    )


def _literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def reading_query(path: str, separator: str, picked: str, names: Iterable[str]) -> str:
    """The query for the columns `picked` of a CSV file whose columns get `names`, all cells as text."""
    types = ", ".join(f"{name}: 'VARCHAR'" for name in names)
    return (
        f"select {picked} from read_csv({_layout(path)}, auto_detect=false, "
        f"delim={_literal(separator)}, columns={{{types}}})"
    )


def sniff(path: str, *, shown: str, separator: str | None = None) -> Dialect:
    """Separator, column names and kinds of a CSV file.

    Args:
        path: absolute path of the file.
        shown: its name in messages.
        separator: the separator where it is known.
    Raises: DataError for an empty file, one that is not UTF-8 text, repeated names, and rows of wrong length.
    """
    header = _header_text(path, shown)
    with connection() as opened:
        known = separator or _sniffed_separator(opened, path, header)
        names = _cells(header, known)
        refuse_repeated(names, shown)
        try:
            kinds = _kinds(opened, path, known, len(names))
        except (load_duckdb().Error, ValueError) as error:
            raise broken_csv(path, shown, known, len(names), error) from error
    return Dialect(known, tuple(map(ColumnInfo, names, kinds)))


def _kinds(opened: Any, path: str, separator: str, width: int) -> list[Kind]:
    """The kind of every column, from the sniffer's types and a look at its text columns."""
    query = f"select Columns from sniff_csv({_layout(path)}, delim={_literal(separator)})"
    found = opened.execute(query).fetchall()[0][0]
    kinds = [_kind(str(column["type"])) for column in found]
    if len(kinds) != width:
        raise ValueError(f"its rows have {len(kinds)} cells, the header has {width}")
    for position in _mistyped_numbers(opened, path, separator, kinds):
        kinds[position] = "number"
    return kinds


def _mistyped_numbers(opened: Any, path: str, separator: str, kinds: list[Kind]) -> list[int]:
    """Text columns half of whose first cells or more are numbers: a stray text, to be reported with its row.

    A cell with a leading zero makes a column text (postal codes). Without any row nothing speaks for text, and whoever
    reads is told that there are no rows.
    """
    texts = [i for i, kind in enumerate(kinds) if kind == "text"]
    if not texts:
        return []
    picked = ", ".join(f"c{i}" for i in texts)
    query = reading_query(path, separator, picked, [f"c{i}" for i in range(len(kinds))])
    sample = opened.sql(f"{query} limit {max(50, _SAMPLED_CELLS // len(texts))}").fetchall()
    if not sample:
        return texts
    return [i for i, cells in zip(texts, zip(*sample, strict=True), strict=False) if _mostly_numbers(cells)]


def _mostly_numbers(cells: Iterable[str | None]) -> bool:
    filled = [cell for cell in cells if cell is not None]
    numbers = sum(cell_number(cell) is not None for cell in filled)
    coded = any(_LEADING_ZERO.match(cell) for cell in filled)
    return not coded and numbers > 0 and 2 * numbers >= len(filled)


def _sniffed_separator(opened: Any, path: str, header: str) -> str:
    """The sniffer's separator if it splits the header line, else the one that splits it most."""
    try:
        query = f"select Delimiter from sniff_csv({_layout(path)})"
        answer = str(opened.execute(query).fetchall()[0][0])
    except load_duckdb().Error:
        answer = ""
    if answer in _SEPARATORS and len(_cells(header, answer)) > 1:
        return answer
    return max(_SEPARATORS, key=lambda candidate: len(_cells(header, candidate)))


def _kind(duckdb_type: str) -> Kind:
    base = duckdb_type.partition("(")[0].upper()
    if base == "BOOLEAN":
        return "boolean"
    if base == "VARCHAR":
        return "text"
    return "number" if _NUMBER_TYPES.fullmatch(base) else "other"


@contextmanager
def _opened_text(path: str) -> Iterator[io.TextIOWrapper]:
    """The characters of a file, compressed or not."""
    with (
        load_pyarrow().input_stream(path, compression=_compression(path)) as stream,
        io.TextIOWrapper(io.BufferedReader(_Raw(stream)), encoding="utf-8-sig", newline="") as text,
    ):
        yield text


class _Raw(io.RawIOBase):
    """An Arrow stream as Python's io expects it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return int(self._stream.readinto(buffer))


def _header_text(path: str, shown: str) -> str:
    """The header record as it stands in the file, quoted line breaks included."""
    pa = load_pyarrow()
    lines: list[str] = []
    try:
        with _opened_text(path) as text:
            for line in text:
                lines.append(line)
                closed = sum(part.count('"') for part in lines) % 2 == 0
                if (closed and line.strip()) or len(lines) >= 1000:
                    break
    except UnicodeDecodeError as error:
        raise DataError(f"{shown} is not UTF-8 text ({error.reason}). Save it as CSV in UTF-8.") from error
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{shown} cannot be read: {error}.") from error
    header = "".join(lines)
    if not header.strip():
        raise DataError(f"{shown} is empty. A CSV file needs a header line with the column names, and rows.")
    if "\0" in header:
        raise DataError(f"{shown} is not CSV text: its first line has zero bytes. Give the right format.")
    return header


def _cells(header: str, separator: str) -> list[str]:
    reader = csv.reader(io.StringIO(header, newline=""), delimiter=separator, skipinitialspace=True)
    return next((row for row in reader if row), [])


def broken_csv(path: str, shown: str, separator: str, width: int, error: Exception) -> DataError:
    """The error for a CSV file that DuckDB cannot read, with the row as a person counts.

    DuckDB counts lines, not rows, so the file is read once more from the start, without holding it.
    """
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    fault = _fault(path, separator, width) or " cannot be read as CSV: " + " ".join(said[:2])
    return DataError(shown + fault)


def _fault(path: str, separator: str, width: int) -> str | None:
    """What is wrong with a CSV file, to follow its name; None if nothing is seen."""
    row = -1
    try:
        with _opened_text(path) as text:
            reader = csv.reader(text, delimiter=separator, strict=True)
            for cells in reader:
                if not cells:
                    row += width == 1
                    continue
                row += 1
                if row and len(cells) != width:
                    plural = "s" * (len(cells) != 1)
                    return (
                        f" row {row} (line {reader.line_num}) has {len(cells)} cell{plural}, the header has "
                        f"{width} (separator {separator!r}). Correct that line; cells with a separator in "
                        "them need quotes."
                    )
            line_ends = text.newlines
    except UnicodeDecodeError:
        return f" is not UTF-8 text near row {row + 1}. Save it as CSV in UTF-8."
    except csv.Error as error:
        return f" row {row + 1} has a quote that does not end as it should ({error}). Correct the quotes there."
    except (OSError, load_pyarrow().ArrowException) as error:
        return f" cannot be read: {error}"
    if isinstance(line_ends, tuple):
        return f" mixes the line ends {' and '.join(map(repr, line_ends))}. Save it with one kind."
    return None
