"""Sparse positives of independent labels: (indices, offsets), as in a CSR matrix of which only the places are known."""

import math
from typing import Any

import numpy as np

from crossent.core.check import unmasked
from crossent.core.faults import place
from crossent.core.linear.rows import Part
from crossent.core.types import NDArray
from crossent.errors import DtypeError, LabelError, ShapeError

__all__ = ["Positives"]


def _integers(value: Any, name: str) -> NDArray:
    array = unmasked(value, name)
    if array.size == 0 and array.ndim == 1:
        return array.astype(np.int64)  # an empty list has no dtype of its own
    if array.ndim != 1:
        raise ShapeError(
            f"{name} has shape {array.shape}; targets are (indices, offsets), two arrays with one axis: the positives "
            "of row i are indices[offsets[i]:offsets[i + 1]]. Pass dense targets as one array."
        )
    if array.dtype.kind not in "iu":
        raise DtypeError(f"{name} has dtype {array.dtype}; integers are allowed.")
    return array


class Positives:
    """The positives of each row; checked, for the rows kept, when made."""

    def __init__(self, targets: tuple[Any, ...], lead: tuple[int, ...], K: int, row_weight: NDArray | None) -> None:
        if len(targets) != 2:
            raise ShapeError(f"targets are a tuple of {len(targets)}; sparse targets are (indices, offsets).")
        self.indices, offsets = (_integers(each, f"targets[{i}]") for i, each in enumerate(targets))
        self._lead, self.K = lead, K
        self.offsets = self._checked(offsets, math.prod(lead))
        self.counts = np.diff(self.offsets)
        self._check_indices(None if row_weight is None else row_weight.reshape(-1) > 0)

    def _checked(self, offsets: NDArray, rows: int) -> NDArray:
        if offsets.shape != (rows + 1,):
            raise ShapeError(
                f"targets[1] has {offsets.size} offsets, but hidden has {rows} rows: {rows + 1} are needed, the first "
                f"0 and the last the number of indices ({self.indices.size})."
            )
        found = offsets.astype(np.int64)
        falls = np.flatnonzero(found[1:] < found[:-1])
        if falls.size:
            i = int(falls[0])
            raise LabelError(f"targets[1][{i + 1}] is {found[i + 1]} after {found[i]}; offsets do not decrease.")
        for at, wanted in ((0, 0), (rows, self.indices.size)):
            if found[at] != wanted:
                raise LabelError(
                    f"targets[1][{at}] is {found[at]}; the offsets begin with 0 and end with {self.indices.size}."
                )
        return found

    def _row(self, entry: int) -> tuple[int, ...]:
        """The row of an entry, as an index into hidden."""
        row = int(np.searchsorted(self.offsets, entry, side="right")) - 1
        return tuple(int(i) for i in np.unravel_index(row, self._lead)) if self._lead else ()

    def _check_indices(self, kept: NDArray | None) -> None:
        looked = np.ones(self.indices.size, bool) if kept is None else np.repeat(kept, self.counts)
        outside = ((self.indices < 0) | (self.indices >= self.K)) & looked
        if outside.any():
            entry = int(np.argmax(outside))
            raise LabelError(
                f"targets[0][{entry}] is {self.indices[entry]}, a positive of {place('hidden', self._row(entry))}, but "
                f"there are {self.K} labels (indices 0..{self.K - 1})."
            )
        columns = self.indices.astype(np.int64)
        starts = np.zeros(columns.size, bool)
        starts[self.offsets[:-1][self.counts > 0]] = True
        if columns.size < 2 or (starts[1:] | (columns[1:] > columns[:-1])).all():
            return  # ascending within each row, as most are
        rows = np.repeat(np.arange(self.counts.size), self.counts)
        order = np.lexsort((columns, rows))
        r, c = rows[order], columns[order]
        twice = np.flatnonzero((r[1:] == r[:-1]) & (c[1:] == c[:-1]) & looked[order][1:])
        if twice.size:
            entry = int(order[twice[0] + 1])
            raise LabelError(
                f"targets[0] names label {self.indices[entry]} twice for {place('hidden', self._row(entry))}, the "
                f"second time as targets[0][{entry}]. Name each positive of a row once."
            )

    def entries(self, part: Part) -> tuple[NDArray, NDArray]:
        """The positives of a part: row within the part, label."""
        counts = self.counts[part.selection]
        rows = np.repeat(np.arange(len(part)), counts)
        if part.index is None:
            return rows, self.indices[self.offsets[part.first] : self.offsets[part.end]].astype(np.intp)
        starts = np.repeat(self.offsets[:-1][part.index] - (np.cumsum(counts) - counts), counts)
        return rows, self.indices[starts + np.arange(rows.size)].astype(np.intp)
