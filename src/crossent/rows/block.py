"""Some thousand rows of a source as columns: numbers, texts and class indices, with the row of every cell.

Cells stay in Arrow memory until they are asked for; each conversion is one call per column, never a loop
over rows. Rows are counted from 0 in code (`first_row`) and from 1, header not counted, in messages.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from crossent.core.types import NDArray
from crossent.errors import DataError
from crossent.rows.arrow import load_pyarrow
from crossent.rows.columns import ColumnInfo, Kind, canonical_text, cell_number, cell_text, missing_column
from crossent.wording import did_you_mean, listed, quoted

__all__ = ["Block", "kind_of"]

# Rows copied per step in `matrix`: the tile of every column stays in the cache while it is transposed.
_TILE = 1024


def kind_of(arrow_type: Any) -> Kind:
    """What the cells of an Arrow type are: "number", "boolean", "text" or "other"."""
    types = load_pyarrow().types
    if types.is_dictionary(arrow_type):
        return kind_of(arrow_type.value_type)
    if types.is_integer(arrow_type) or types.is_floating(arrow_type) or types.is_decimal(arrow_type):
        return "number"
    if types.is_boolean(arrow_type):
        return "boolean"
    return "text" if _is_text(arrow_type) else "other"


def _is_text(arrow_type: Any) -> bool:
    types = load_pyarrow().types
    tests = ("is_string", "is_large_string", "is_string_view", "is_binary", "is_large_binary")
    return any(getattr(types, test)(arrow_type) for test in tests if hasattr(types, test))


class Block:
    """Some consecutive rows of a source.

    Args:
        batch: a pyarrow RecordBatch.
        source: name of the source, for messages.
        first_row: row of the source, counted from 0, that is the block's first.
        kinds: kind by column, where the Arrow type does not tell it (text files).

    >>> import pyarrow as pa
    >>> block = Block(pa.record_batch({"x": [1, None], "y": ["cat", "dog"]}), source="a.parquet")
    >>> block.numbers("x").tolist(), block.codes("y", ["dog", "cat"]).tolist()
    ([1.0, nan], [1, 0])
    """

    def __init__(
        self,
        batch: Any,
        *,
        source: str,
        first_row: int = 0,
        kinds: Mapping[str, Kind] | None = None,
    ) -> None:
        self._batch = batch
        self.source = source
        self.first_row = first_row
        self.column_names: tuple[str, ...] = tuple(batch.schema.names)
        self._index = {name: i for i, name in enumerate(self.column_names)}
        given = kinds or {}
        self._kinds: dict[str, Kind] = {
            field.name: given.get(field.name) or kind_of(field.type) for field in batch.schema
        }

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    def __repr__(self) -> str:
        return f"Block({self.source!r}, first row {self.first_row}, {len(self)} rows, {self.column_names})"

    @property
    def name(self) -> str:
        """Name of the source, so that a block can be asked like a source."""
        return self.source

    @property
    def columns(self) -> tuple[ColumnInfo, ...]:
        """The columns with their kinds, as `Source.columns`."""
        return tuple(ColumnInfo(name, self._kinds[name]) for name in self.column_names)

    def place(self, index: int) -> str:
        """Where row `index` of the block is, as a person counts: "train.csv row 17"."""
        return f"{self.source} row {self.first_row + index + 1}"

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """A column as float64 [n]; missing cells are NaN, booleans 0 and 1. May be a read-only view.

        Raises: DataError for a missing column, and for the first cell that is not a number, with its row.
        """
        pa = load_pyarrow()
        array = self._plain(name)
        if pa.types.is_boolean(array.type):
            array = array.cast(pa.uint8())
        elif _is_text(array.type):
            array = self._parsed(name, array)
        elif kind_of(array.type) != "number" and not pa.types.is_null(array.type):
            raise DataError(
                f"{self.source}: column {quoted(name)} has the type {array.type}, numbers are needed. "
                "Convert the column, or leave it out."
            )
        if not pa.types.is_float64(array.type):
            array = array.cast(pa.float64(), safe=False)
        values: npt.NDArray[np.float64] = array.to_numpy(zero_copy_only=False)
        return values

    def matrix(self, names: Sequence[str]) -> npt.NDArray[np.float64]:
        """Columns side by side as a C-contiguous float64 [n, D], in the order of `names`.

        Raises: DataError as `numbers`.
        """
        columns = [self.numbers(name) for name in names]
        out = np.empty((len(self), len(columns)))
        for start in range(0, len(self), _TILE):
            tile = slice(start, start + _TILE)
            for j, column in enumerate(columns):
                out[tile, j] = column[tile]
        return out

    def text(self, name: str) -> list[str | None]:
        """A column as canonical texts (see crossent.rows.columns); None for missing cells.

        Raises: DataError for a missing column or a nested one.
        """
        texts, index = self.distinct(name)
        # index -1 is a missing cell and takes the None at the end
        table = np.array([*texts, None], dtype=object)
        cells: list[str | None] = table[index].tolist()
        return cells

    def codes(self, name: str, classes: Sequence[str]) -> npt.NDArray[np.int64]:
        """Position of every cell's canonical text in `classes`, int64 [n].

        Args:
            name: the column.
            classes: class names in the order of the predictions; compared as canonical text.
        Raises: DataError for the first cell that is missing or not a class, with its row, the classes and a
            hint.
        """
        position: dict[str | None, int] = {canonical_text(c): k for k, c in enumerate(classes)}
        position.pop(None, None)
        texts, index = self.distinct(name)
        table = np.array([*(position.get(t, -1) for t in texts), -1], dtype=np.int64)
        codes = table[index]
        if codes.size and codes.min() < 0:
            row = int(np.argmax(codes < 0))
            found = texts[index[row]] if index[row] >= 0 else None
            raise DataError(_not_a_class(self.place(row), name, found, classes))
        return codes

    def select(self, keep: npt.NDArray[np.bool_], name: str) -> Any:
        """The Arrow cells of a column where `keep` [n] is true, for passing columns on unchanged."""
        return self._column(name).filter(load_pyarrow().array(keep))

    def _column(self, name: str) -> Any:
        if name not in self._index:
            raise missing_column(self.source, name, self.column_names)
        return self._batch.column(self._index[name])

    def _plain(self, name: str) -> Any:
        """The column without dictionary encoding."""
        array = self._column(name)
        if load_pyarrow().types.is_dictionary(array.type):
            array = array.dictionary_decode()
        return array

    def _parsed(self, name: str, array: Any) -> Any:
        """Numbers from text cells; empty cells are missing."""
        pa = load_pyarrow()
        array = self._as_string(name, array)
        try:
            return array.cast(pa.float64())
        except pa.ArrowInvalid:  # spaces around numbers, blank cells, or a text
            try:
                return _trimmed(array).cast(pa.float64())
            except pa.ArrowInvalid:
                return self._parsed_slowly(name, array)

    def _parsed_slowly(self, name: str, array: Any) -> Any:
        """Numbers from the distinct texts, for spellings Arrow does not read; reports the first bad row."""
        pa = load_pyarrow()
        encoded = array.dictionary_encode()
        cells = encoded.dictionary.to_pylist()
        numbers: list[float | None] = []
        for cell in cells:
            truth = cell_text(cell, "boolean") if self._kinds[name] == "boolean" else None
            numbers.append(float(truth == "true") if truth in ("true", "false") else cell_number(cell))
        bad = np.array([value is None and bool(cells[i].strip()) for i, value in enumerate(numbers)] + [False])
        index = encoded.indices.fill_null(len(cells)).to_numpy(zero_copy_only=False)
        rows = np.flatnonzero(bad[index])
        if rows.size:
            place, found = self.place(int(rows[0])), quoted(cells[index[rows[0]]])
            raise DataError(
                f"{place}: column {quoted(name)} holds the text {found}, a number is needed. "
                "Correct the cell, or leave the column out."
            )
        table = np.array([np.nan if value is None else value for value in [*numbers, None]])
        return pa.array(table[index])

    def distinct(self, name: str) -> tuple[list[str | None], npt.NDArray[np.int64]]:
        """Canonical texts of the distinct cells, and per row int64 [n] the position there (-1: missing).

        A text may stand there twice (1 and 1.0 of a text file) or be None (NaN).

        Raises: DataError as `text`.
        """
        pa = load_pyarrow()
        array = self._column(name)
        if pa.types.is_nested(array.type):
            raise DataError(
                f"{self.source}: column {quoted(name)} has the nested type {array.type}; "
                "plain cells are needed. Choose another column."
            )
        if _is_text(array.type):
            array = self._as_string(name, array)
        if pa.types.is_null(array.type):
            return [], np.full(len(array), -1, dtype=np.int64)
        half = pa.types.is_float16(array.type)
        if half:
            array = array.view(pa.uint16())  # Arrow encodes no float16, but its bits
        if not pa.types.is_dictionary(array.type):
            array = array.dictionary_encode()
        texts = self._texts(name, array.dictionary.view(pa.float16()) if half else array.dictionary)
        index = array.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        return texts, index

    def _texts(self, name: str, distinct: Any) -> list[str | None]:
        types = load_pyarrow().types
        if _is_text(distinct.type):
            kind = self._kinds[name]
            return [
                None if cell is None else cell_text(cell, kind) for cell in self._as_string(name, distinct).to_pylist()
            ]
        if types.is_floating(distinct.type) and not types.is_float64(distinct.type):
            # numpy keeps the precision, so that float32 0.1 is "0.1"
            return [canonical_text(cell) for cell in _narrow_floats(distinct)]
        return [canonical_text(cell) for cell in distinct.to_pylist()]

    def _as_string(self, name: str, array: Any) -> Any:
        """Text cells as one Arrow type, whichever of the six kinds of text they are."""
        pa = load_pyarrow()
        if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            return array
        try:
            return array.cast(pa.large_string())
        except pa.ArrowInvalid:
            raise DataError(
                f"{self.source}: column {quoted(name)} holds bytes that are not UTF-8 text. "
                "Convert the column, or leave it out."
            ) from None


def _trimmed(cells: Any) -> Any:
    """Cells without spaces around them, blank ones missing."""
    pa = load_pyarrow()
    trimmed = pa.compute.utf8_trim_whitespace(cells)
    return pa.compute.if_else(pa.compute.equal(trimmed, ""), pa.scalar(None, trimmed.type), trimmed)


def _narrow_floats(distinct: Any) -> list[object]:
    values: NDArray = distinct.to_numpy(zero_copy_only=False)
    return list(values)


def _not_a_class(place: str, column: str, found: str | None, classes: Sequence[str]) -> str:
    """The message for a target cell that is no class."""
    if found is None:
        return (
            f"{place}: column {quoted(column)} is empty there; every row needs one of the classes "
            f"{listed(classes)}. Fill it in, or leave such rows out of the file."
        )
    K = len(classes)
    hint = did_you_mean(found, classes)
    if found == str(K) and list(classes) == [str(k) for k in range(K)]:
        hint = f" Labels seem to start at 1, the classes at 0: subtract 1 from column {quoted(column)}."
    return (
        f"{place}: column {quoted(column)} holds {quoted(found)}, which is none of the {K} classes "
        f"{listed(classes)}.{hint or ' Correct the cell, or use the classes of the predictions.'}"
    )
