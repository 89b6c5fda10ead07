"""Where rows go: block by block into one Parquet or CSV file, which appears whole at the end or not at all.

A new format is a class with `_open`, which makes the library's writer, and a line in `_SINKS`.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from crossent.core.types import NDArray
from crossent.errors import DataError
from crossent.rows.arrow import load_pyarrow
from crossent.rows.filesafe import atomic_write
from crossent.rows.formats import format_of
from crossent.wording import listed, quoted

__all__ = ["Sink", "open_sink"]


class Sink:
    """Takes blocks of columns; the first block fixes names, order and types."""

    def __init__(self, file: BinaryIO, *, name: str) -> None:
        self.name = name
        self.row_count = 0
        self._file = file
        self._schema: Any = None
        self._writer: Any = None

    def write(self, columns: Mapping[str, NDArray | Sequence[Any]]) -> None:
        """Appends rows.

        Args:
            columns: per column name an array or list [n] (numbers, booleans, texts; None is a missing cell).
                All blocks have the same names in the same order.
        Raises: DataError if names, lengths or types do not fit the first block.
        """
        pa = load_pyarrow()
        names = list(columns)
        if self._schema is not None and names != self._schema.names:
            raise DataError(
                f"Cannot write {self.name}: a block has the columns {listed(names)}, "
                f"the first one had {listed(self._schema.names)}. Give every block the same columns."
            )
        types = [None] * len(names) if self._schema is None else self._schema.types
        arrays = [self._array(name, columns[name], kind) for name, kind in zip(names, types, strict=True)]
        if len({len(array) for array in arrays}) > 1:
            raise DataError(f"Cannot write {self.name}: columns have lengths {[len(array) for array in arrays]}.")
        batch = pa.RecordBatch.from_arrays(arrays, names=names)
        if self._schema is None:
            self._schema = batch.schema
            self._writer = self._open(batch.schema)
        self._append(batch)
        self.row_count += int(batch.num_rows)

    def close(self) -> None:
        """Completes the file.

        Raises: DataError if nothing was written, as a file without columns says nothing.
        """
        if self._writer is None:
            raise DataError(f"Cannot write {self.name}: there are no rows to write.")
        self._writer.close()
        self._writer = None

    def abandon(self) -> None:
        """Lets go of the writer after an error; what it wrote is about to be removed."""
        if self._writer is not None:
            with suppress(Exception):
                self._writer.close()

    def _array(self, name: str, values: Any, kind: Any) -> Any:
        pa = load_pyarrow()
        try:
            array = pa.array(values, type=kind)
            if kind is None and pa.types.is_null(array.type):
                array = array.cast(pa.string())
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise DataError(
                f"Cannot write {self.name}: column {quoted(name)} has cells of mixed types ({error})."
            ) from error
        return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array

    def _open(self, schema: Any) -> Any:
        raise NotImplementedError

    def _append(self, batch: Any) -> None:
        self._writer.write_batch(batch)


class ParquetSink(Sink):
    """Parquet; every block is a row group, every page has a checksum."""

    def _open(self, schema: Any) -> Any:
        return load_pyarrow().parquet.ParquetWriter(self._file, schema, write_page_checksum=True)

    def _append(self, batch: Any) -> None:
        if batch.num_rows:
            self._writer.write_batch(batch)


class CsvSink(Sink):
    """CSV in UTF-8 with a header line; missing cells are empty; numbers read back exactly."""

    separator = ","

    def _open(self, schema: Any) -> Any:
        csv = load_pyarrow().csv
        return csv.CSVWriter(self._file, schema, write_options=csv.WriteOptions(delimiter=self.separator))


class TsvSink(CsvSink):
    """CSV with tabs."""

    separator = "\t"


_SINKS: dict[str, Callable[..., Sink]] = {"parquet": ParquetSink, "csv": CsvSink, "tsv": TsvSink}


@contextmanager
def open_sink(path: str | os.PathLike[str], *, format: str | None = None) -> Iterator[Sink]:
    """Context manager that writes a table block by block; the file appears when the body ends well.

    Args:
        path: the file to write; its suffix (.parquet, .csv, .tsv) tells the format.
        format: "parquet", "csv" or "tsv", whatever the suffix.
    Yields: a `Sink`; call `write({"column": values, ...})` per block.
    Raises: DataError for an unknown format and a file that cannot be written.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_sink(pathlib.Path(folder, "a.csv")) as sink:
    ...         sink.write({"x": [1, 2], "y": ["cat", None]})
    ...     pathlib.Path(folder, "a.csv").read_text()
    '"x","y"\\n1,"cat"\\n2,\\n'
    """
    name = os.fspath(path)
    create = _SINKS[format_of(name, format, tuple(_SINKS), verb="write")]
    load_pyarrow()
    with atomic_write(path) as file:
        sink = create(file, name=name)
        try:
            yield sink
            sink.close()
        except BaseException:
            sink.abandon()
            raise
