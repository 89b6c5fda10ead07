"""Where rows come from: Parquet files, CSV files and Arrow objects, all read block by block, never whole.

A new format is a subclass of `Source` with `_batches` and a line in `_SOURCES`. Everything that formats
share (column check, row numbers, the error for a table without rows, the translation of library errors) is
in `Source.blocks`.
"""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Any

from crossent.errors import DataError, OptionError
from crossent.rows import csv_text
from crossent.rows.arrow import load_duckdb, load_pyarrow
from crossent.rows.block import Block, kind_of
from crossent.rows.columns import ColumnInfo, refuse_repeated, require_column
from crossent.rows.formats import format_of
from crossent.wording import did_you_mean

__all__ = ["Source", "from_table", "open_source"]


class Source:
    """A table whose rows can be read in blocks.

    `name` is how messages call it, `columns` the columns in file order, `row_count` the number of rows where
    it is known without reading.
    """

    def __init__(self, name: str, *, columns: tuple[ColumnInfo, ...], row_count: int | None) -> None:
        self.name = name
        self.columns = columns
        self.row_count = row_count

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self.columns)} columns, {self.row_count} rows)"

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, in file order."""
        return tuple(column.name for column in self.columns)

    def blocks(self, columns: Sequence[str] | None = None, *, rows: int = 65536) -> Iterator[Block]:
        """The rows, from the first to the last, as blocks of at most `rows` rows.

        Args:
            columns: the columns that are needed, all if left out; others are not read where the format
                allows it.
            rows: largest length of a block.
        Returns: an iterator; it can be asked for again, and then starts at the first row.
        Raises: DataError at once for a column that is not there; while iterating for a damaged file, and at
            the end if there was no row at all. OptionError for rows < 1.
        """
        if rows < 1:
            raise OptionError(f"rows is {rows}; a block needs rows >= 1, for example 65536.")
        wanted = self.columns if columns is None else tuple(require_column(self, name) for name in columns)
        return self._blocks(tuple(dict.fromkeys(wanted)), rows)

    def _blocks(self, wanted: tuple[ColumnInfo, ...], rows: int) -> Iterator[Block]:
        kinds = {column.name: column.kind for column in wanted}
        first_row = 0
        with closing(self._translated(list(kinds), rows)) as batches:
            for batch in batches:
                if batch.num_rows:
                    yield Block(batch, source=self.name, first_row=first_row, kinds=kinds)
                    first_row += batch.num_rows
        if not first_row:
            raise DataError(f"{self.name} has no rows. At least one row is needed.")

    def _translated(self, names: list[str], rows: int) -> Generator[Any, None, None]:
        """The batches; errors of the reading library become a DataError with the file's name."""
        pa = load_pyarrow()
        try:
            yield from self._batches(names, rows)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.name} is damaged or truncated: {_first_line(error)}") from error

    def _batches(self, names: list[str], rows: int) -> Iterator[Any]:
        """Record batches of at most `rows` rows with exactly the columns `names`, in that order."""
        raise NotImplementedError


class ParquetSource(Source):
    """Parquet through pyarrow, a few row groups at a time, needed columns only."""

    def __init__(self, path: str) -> None:
        pa = load_pyarrow()
        try:
            with pa.parquet.ParquetFile(path) as file:
                schema, row_count = file.schema_arrow, file.metadata.num_rows
        except (pa.ArrowException, OSError) as error:
            raise DataError(_not_parquet(path, error)) from error
        self._path = path
        super().__init__(path, columns=_columns(schema, path), row_count=row_count)

    def _batches(self, names: list[str], rows: int) -> Iterator[Any]:
        # pre_buffer would keep every row group that was read until the file is closed
        parquet, options = load_pyarrow().parquet, {"pre_buffer": False, "page_checksum_verification": True}
        with parquet.ParquetFile(self._path, **options) as file:
            for batch in file.iter_batches(batch_size=rows, columns=names):
                # pyarrow takes "a" for a prefix of "a.b" as well, so the columns are picked again
                yield batch.select(names)


class CsvSource(Source):
    """CSV through DuckDB: cells are read as text and become numbers when they are asked for, so rows keep
    their numbers and a text among numbers is reported with its row."""

    def __init__(self, path: str, *, separator: str | None = None) -> None:
        self._path = os.path.abspath(path)
        self._dialect = csv_text.sniff(self._path, shown=path, separator=separator)
        super().__init__(path, columns=self._dialect.columns, row_count=None)

    @property
    def separator(self) -> str:
        """The character between the cells."""
        return self._dialect.separator

    def _batches(self, names: list[str], rows: int) -> Iterator[Any]:
        duckdb, separator = load_duckdb(), self._dialect.separator
        # Columns go by number inside the query, so no name in a file ever becomes a part of it.
        position = {column.name: f"c{i}" for i, column in enumerate(self.columns)}
        picked = ", ".join(position[name] for name in names) or "c0"
        query = csv_text.reading_query(self._path, separator, picked, tuple(position.values()))
        with csv_text.connection() as opened:
            try:
                result = opened.sql(query)  # lazy, so the reader streams; with parameters DuckDB 1 would not
                reader = getattr(result, "to_arrow_reader", None) or result.fetch_arrow_reader  # its name in 1
                for batch in reader(rows):
                    yield batch.rename_columns(names) if names else batch.select([])
            except (duckdb.Error, OSError, load_pyarrow().ArrowException) as error:
                raise csv_text.broken_csv(self._path, self.name, separator, len(self.columns), error) from error


class TsvSource(CsvSource):
    """CSV with tabs."""

    def __init__(self, path: str) -> None:
        super().__init__(path, separator="\t")


class ArrowSource(Source):
    """Any object with `__arrow_c_stream__`, without importing its library."""

    def __init__(self, table: Any, *, name: str) -> None:
        self._table = table
        shape = getattr(table, "shape", None)  # before the stream: a connection of DuckDB has one result at a time
        # opened now for the columns, read by the first `blocks`: some streams run only once
        self._first: Any = self._stream(name)
        rows = shape[0] if isinstance(shape, tuple) and shape and isinstance(shape[0], int) else None
        super().__init__(name, columns=_columns(self._first.schema, name), row_count=rows)

    def _stream(self, name: str) -> Any:
        pa = load_pyarrow()
        try:
            return pa.RecordBatchReader.from_stream(self._table)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise DataError(
                f"{name}: the {type(self._table).__name__} gives no rows ({_first_line(error)}) A stream can "
                "be read once; pass a table (pandas, polars, pyarrow) to read it again."
            ) from error

    def _batches(self, names: list[str], rows: int) -> Iterator[Any]:
        reader, self._first = self._first or self._stream(self.name), None
        with reader:
            for batch in reader:
                chosen = batch.select(names)
                for start in range(0, chosen.num_rows, rows):
                    yield chosen.slice(start, rows)


_SOURCES: dict[str, Callable[[str], Source]] = {"parquet": ParquetSource, "csv": CsvSource, "tsv": TsvSource}


def open_source(path: str | os.PathLike[str], *, format: str | None = None) -> Source:
    """A file as a source of rows.

    Args:
        path: a Parquet or CSV file; its suffix (.parquet, .csv, .tsv, .csv.gz) tells the format.
        format: "parquet", "csv" or "tsv", whatever the suffix.
    Returns: a `Source`. Only the header or footer has been read.
    Raises: DataError for a file that is missing, empty, truncated, or not of its format; OptionError for an
        unknown `format`.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "a.csv")
    ...     _ = path.write_text("x,y\\n1.5,cat\\n2,dog\\n")
    ...     source = open_source(path)
    ...     [(c.name, c.kind) for c in source.columns], [b.numbers("x").tolist() for b in source.blocks()]
    ([('x', 'number'), ('y', 'text')], [[1.5, 2.0]])
    """
    name = os.fspath(path)
    _check_file(name)
    return _SOURCES[format_of(name, format, tuple(_SOURCES), verb="read")](name)


def from_table(table: Any, *, name: str = "table") -> Source:
    """A table in memory (pandas, polars, pyarrow, any object with `__arrow_c_stream__`) as a source of rows.

    Args:
        table: the object.
        name: how messages call it.
    Raises: DataError if the object offers no Arrow stream.

    >>> import pyarrow as pa
    >>> from_table(pa.table({"x": [1, 2]})).columns
    (ColumnInfo(name='x', kind='number'),)
    """
    if not hasattr(table, "__arrow_c_stream__"):
        raise DataError(
            f"{name}: a {type(table).__name__} is no table. Pass an object with __arrow_c_stream__ "
            "(pandas, polars, pyarrow), or the path of a file to open_source."
        )
    return ArrowSource(table, name=name)


def _columns(schema: Any, where: str) -> tuple[ColumnInfo, ...]:
    columns = tuple(ColumnInfo(field.name, kind_of(field.type)) for field in schema)
    refuse_repeated((column.name for column in columns), where)
    return columns


def _check_file(name: str) -> None:
    """A DataError for a path that is not a file with something in it."""
    try:
        name.encode()  # pyarrow and DuckDB take no other names
        if os.path.isdir(name):
            raise DataError(f"{name} is a folder. Give one file.")
        with open(name, "rb") as file:
            if not file.read(1):
                raise DataError(f"{name} is empty (0 bytes). A table with at least one row is needed.")
    except UnicodeEncodeError:
        raise DataError(f"The file name {name!a} is not UTF-8. Rename the file.") from None
    except FileNotFoundError:
        raise DataError(f"{name} does not exist.{_near_file(name)}") from None
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror or error}.") from error


def _near_file(name: str) -> str:
    folder, base = os.path.split(name)
    try:
        return did_you_mean(base, os.listdir(folder or "."))
    except OSError:
        return f" Nor does its folder {folder}."


def _not_parquet(path: str, error: Exception) -> str:
    with open(path, "rb") as file:
        begins = file.read(4) == b"PAR1"
    if begins:
        return f"{path} is a damaged or truncated Parquet file: {_first_line(error)} Write or copy it again."
    return f"{path} is not a Parquet file. Give its format (csv) if it is one of another kind."


def _first_line(error: Exception) -> str:
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return line if line.endswith(".") else f"{line}."
