"""Rows of an array with any leading axes, seen where they lie or copied into a buffer; and a part of all rows."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from crossent.core.blocks import BadRow, Sums, merged
from crossent.core.types import NDArray

__all__ = ["Part", "RowSource", "in_place", "in_steps"]

_COPIED_ELEMENTS = 1 << 16  # gathered at a time: what lies between is small beside any buffer

Selection: TypeAlias = "slice | NDArray"


def in_place(matrix: NDArray, dtype: np.dtype[Any]) -> bool:
    """Whether np.matmul hands a matrix to BLAS as it lies; of any other it would make a copy, or multiply by hand."""
    if matrix.dtype != dtype or not matrix.dtype.isnative or not matrix.flags.aligned:
        return False
    if matrix.flags.c_contiguous or matrix.flags.f_contiguous:
        return True
    far, near = matrix.strides if matrix.strides[1] == matrix.itemsize else matrix.strides[::-1]
    within = matrix.shape[1] if matrix.strides[1] == matrix.itemsize else matrix.shape[0]
    return near == matrix.itemsize and far % matrix.itemsize == 0 and far >= within * matrix.itemsize


@dataclass(frozen=True)
class Part:
    """Some of all rows, in their order: numbers first .. end, or those that `index` lists."""

    first: int
    end: int
    index: NDArray | None = None

    def __len__(self) -> int:
        return self.end - self.first

    @property
    def selection(self) -> Selection:
        """For arrays with one entry a row."""
        return slice(self.first, self.end) if self.index is None else self.index

    def row(self, number: int) -> int:
        """The row that is the part's `number`-th."""
        return self.first + number if self.index is None else int(self.index[number])

    def sub(self, first: int, end: int) -> "Part":
        """Rows first .. end of this part."""
        index = None if self.index is None else self.index[first:end]
        return Part(self.first + first, self.first + end, index)

    def take(self, array: NDArray | None) -> NDArray | None:
        """Its entries of an array with one a row, contiguous."""
        return None if array is None else array.reshape(-1)[self.selection]


def in_steps(part: Part, step: int, run: Callable[[slice, Part], Sums]) -> Sums:
    """run(where they lie in the part, the rows) of at most `step` rows at a time; BadRow counts from the first."""
    found = []
    for first in range(0, len(part), step):
        end = min(len(part), first + step)
        try:
            found.append(run(slice(first, end), part.sub(first, end)))
        except BadRow as bad:
            raise BadRow(first + bad.row, bad.code) from None
    return merged(found)


class RowSource:
    """An array [..., width] as rows, in C order of the leading axes."""

    def __init__(self, array: NDArray) -> None:
        self.width = int(array.shape[-1])
        self.flat = array.ndim <= 2 or array.flags.c_contiguous  # else rows are copied one by one
        self.array = array.reshape(math.prod(array.shape[:-1]), self.width) if self.flat else array

    def _at(self, selection: Selection, start: int, stop: int) -> NDArray:
        """Rows start .. stop of a selection."""
        lead = self.array.shape[:-1]
        if isinstance(selection, slice):
            first = int(selection.start)
            if len(lead) == 1:
                return self.array[first + start : first + stop]
            numbers = np.arange(first + start, first + stop)
        else:
            numbers = selection[start:stop]
        return self.array[numbers] if len(lead) == 1 else self.array[np.unravel_index(numbers, lead)]

    def one(self, row: int) -> NDArray:
        """One row."""
        return np.asarray(self._at(slice(row, row + 1), 0, 1)[0])

    def seen(self, part: Part) -> NDArray:
        """A part without gaps where it lies; of a `flat` array."""
        return self.array[part.first : part.end]

    def copy(self, part: Part, out: NDArray, columns: slice = slice(None)) -> NDArray:
        """Copies a part, or some columns of it, into `out` [n, columns], rounding to its dtype."""
        step = max(1, _COPIED_ELEMENTS // max(1, self.width))
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(part), step):
                stop = min(len(part), start + step)
                out[start:stop] = self._at(part.selection, start, stop)[..., columns]
        return out
