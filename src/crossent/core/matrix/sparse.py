"""Sparse features in compressed rows (CSR), as SciPy has them; SciPy itself is not needed. Products by native code.

Indices are copied and checked here; a cell that is stored in parts becomes one, and rows are sorted where they are not.
The outputs of a line lie side by side, padded to whole vectors. Logits walk compressed rows; the sums of slopes walk
compressed columns, made once, so that each sum belongs to one thread and runs in the order of the rows.
"""

import math
from collections.abc import Callable
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import numpy as np

from crossent import _native
from crossent.core.matrix.dense import DenseMatrix
from crossent.core.matrix.matrix import ColumnMoments, Fused
from crossent.core.matrix.slices import run_slices
from crossent.core.matrix.step import RowLoss
from crossent.core.types import NDArray
from crossent.errors import DataError, ShapeError

__all__ = ["SparseMatrix"]

_PAD = 8  # doubles of the widest vector
_SLICE_VALUES = 1 << 16
_MOST_SLICES = 32
_DENSE_ROWS = 1024
_MOST = np.iinfo(np.int32).max  # rows and columns
_LINES: dict[int, Callable[..., None]] = {4: _native.sparse_f32, 8: _native.sparse_f64}
_TRANSPOSED: dict[int, Callable[..., None]] = {4: _native.sparse_transposed_f32, 8: _native.sparse_transposed_f64}


class _Lines:
    """Rows or columns: line i has values[starts[i]:starts[i + 1]] at index[...]."""

    def __init__(self, values: NDArray, index: NDArray, starts: NDArray) -> None:
        self.values, self.index, self.starts = values, index, starts

    def slices(self) -> list[tuple[int, int]]:
        """First and end line of slices of about as many values each."""
        lines = len(self.starts) - 1
        count = max(1, min(_MOST_SLICES, int(self.starts[-1]) // _SLICE_VALUES, lines))
        marks = int(self.starts[-1]) * np.arange(1, count) // count
        edges = [0, *np.searchsorted(self.starts, marks).tolist(), lines]
        return [(first, end) for first, end in pairwise(edges) if first < end]

    @property
    def are_sorted(self) -> bool:
        """Whether the indices of every line rise: none stands twice."""
        rises = np.diff(self.index) > 0
        rises[self._filled()[1:] - 1] = True  # from one line to the next they need not
        return bool(rises.all())

    def merged(self, other: int) -> "_Lines":
        """The same with sorted indices (below `other`), values of the same index added up."""
        lines = self.transposed(other).transposed(len(self.starts) - 1)
        is_new = np.append(True, np.diff(lines.index) != 0)
        is_new[lines._filled()] = True
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.add.reduceat(lines.values, np.flatnonzero(is_new))
        return _Lines(values, lines.index[is_new], np.append(0, np.cumsum(is_new))[lines.starts])

    def _filled(self) -> NDArray:
        """Where the lines begin that are not empty."""
        return self.starts[:-1][np.diff(self.starts) > 0]

    def transposed(self, other: int) -> "_Lines":
        """Columns for rows: as many lines as the indices may name."""
        values, index = np.empty_like(self.values), np.empty_like(self.index)
        starts = np.empty(other + 1, np.int64)
        _TRANSPOSED[self.values.itemsize](self.values, self.index, self.starts, values, index, starts)
        return _Lines(values, index, starts)

    def times(self, first: int, end: int, other: NDArray, base: NDArray | None, out: NDArray) -> None:
        """out [end - first, width] = base + the lines times other [.., width]; width is a multiple of 8."""
        _LINES[self.values.itemsize](self.values, self.index, self.starts, first, end, other, other.shape[1], base, out)


class SparseMatrix:
    """[N, D] features of which most are 0; see `Matrix`.

    Args:
        data: the values, float32 or float64 (others become float64).
        indices: the column of each.
        indptr: [N + 1], where each row begins.
        columns: D.
    Raises: ShapeError, DataError for arrays that are no such matrix.
    """

    can_centre = False
    center = None

    def __init__(self, data: NDArray, indices: NDArray, indptr: NDArray, columns: int) -> None:
        lines = _checked(data, indices, indptr, columns)
        self.columns = columns
        self._by_row = lines if lines.are_sorted else lines.merged(columns)

    @cached_property
    def _by_column(self) -> _Lines:
        return self._by_row.transposed(self.columns)

    @property
    def rows(self) -> int:
        return len(self._by_row.starts) - 1

    def slices(self, outputs: int) -> list[tuple[int, int]]:
        return self._by_row.slices()

    def centred(self, center: NDArray | None) -> Self:
        assert center is None
        return self

    def take(self, index: Any) -> Self:
        chosen = np.arange(self.rows)[index]
        starts, lengths = self._by_row.starts[chosen], np.diff(self._by_row.starts)[chosen]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        at = np.repeat(starts - ends[:-1], lengths) + np.arange(ends[-1])
        return type(self)(self._by_row.values[at], self._by_row.index[at], ends, self.columns)

    def thinned(self, step: int) -> Self:
        return self.take(slice(None, None, step))

    def moments(self, weight: NDArray | None = None) -> ColumnMoments:
        columns = self._by_column
        total = float(self.rows if weight is None else weight.sum())
        values, lengths = columns.values.astype(np.float64), np.diff(columns.starts)
        part = np.ones(len(values)) if weight is None else weight[columns.index]
        with np.errstate(over="ignore", invalid="ignore"):
            mean = self._column_sums(part * values) / total
            absent = np.where(lengths < self.rows, 1 - self._column_sums(part) / total, 0)  # share of cells not stored
            far = values - np.repeat(mean, lengths)
            variance = self._column_sums(part * far * far) / total + np.maximum(absent, 0) * mean * mean
            low, high = (self._column_sums(values, rule) for rule in (np.minimum, np.maximum))
            low, high = (
                np.where(lengths < self.rows, rule(extreme, 0), extreme)
                for rule, extreme in ((np.minimum, low), (np.maximum, high))
            )
            return ColumnMoments.of(mean, variance, low, high)

    def _column_sums(self, values: NDArray, rule: np.ufunc = np.add) -> NDArray:
        """Over the stored values of every column, in the order of the rows; 0 for an empty one."""
        starts = self._by_column.starts
        filled = np.flatnonzero(np.diff(starts))
        sums = np.zeros(self.columns)
        if len(filled):
            sums[filled] = rule.reduceat(values, starts[filled])
        return sums

    def first_bad(self) -> tuple[int, int, float] | None:
        rows = self._by_row
        bad = np.flatnonzero(~np.isfinite(rows.values))
        if not len(bad):
            return None
        at = int(bad[0])
        return int(np.searchsorted(rows.starts, at, side="right")) - 1, int(rows.index[at]), float(rows.values[at])

    def logits(self, coef: NDArray, intercept: NDArray) -> NDArray:
        return np.ascontiguousarray(self._padded_logits(coef, intercept, lambda first, end, z: None)[:, : len(coef)])

    def _padded_logits(self, coef: NDArray, intercept: NDArray, then: Callable[[int, int, NDArray], None]) -> NDArray:
        """Logits [N, padded K]; `then` gets those of each slice while they are in cache."""
        table, base = _side_by_side(coef), _side_by_side(intercept[:, None])[0]
        z = np.empty((self.rows, table.shape[1]))

        def part(first: int, end: int) -> None:
            self._by_row.times(first, end, table, base, z[first:end])
            then(first, end, z[first:end])

        run_slices(part, self._by_row.slices())
        return z

    def products(self, slopes: NDArray) -> NDArray:
        padded = np.zeros((self.rows, _padded(slopes.shape[1])))
        padded[:, : slopes.shape[1]] = slopes
        return np.ascontiguousarray(self._products(padded)[:, : slopes.shape[1]].T)

    def _products(self, slopes: NDArray) -> NDArray:
        """slopes [N, padded] -> [D, padded]."""
        sums = np.empty((self.columns, slopes.shape[1]))
        columns = self._by_column
        run_slices(lambda first, end: columns.times(first, end, slopes, None, sums[first:end]), columns.slices())
        return sums

    def fused(self, coef: NDArray, intercept: NDArray, loss: RowLoss) -> Fused:
        K, values = len(coef), {}

        def evaluate(first: int, end: int, padded: NDArray) -> None:
            z = np.ascontiguousarray(padded[:, :K])
            values[first] = loss(first, end, z)
            padded[:, :K], padded[:, K:] = z, 0

        slopes = self._padded_logits(coef, intercept, evaluate)
        products = np.ascontiguousarray(self._products(slopes)[:, :K].T)
        return Fused(math.fsum(values[first] for first in sorted(values)), products, slopes[:, :K].sum(axis=0))

    def gram(self, weight: NDArray, scale: NDArray | None = None) -> NDArray:
        whole = np.zeros((self.columns + 1, self.columns + 1))
        for first in range(0, self.rows, _DENSE_ROWS):
            end = min(first + _DENSE_ROWS, self.rows)
            whole += DenseMatrix(self._dense(first, end)).gram(weight[first:end], scale)
        return whole

    def _dense(self, first: int, end: int) -> NDArray:
        starts = self._by_row.starts[first : end + 1]
        block = np.zeros((end - first, self.columns))
        at = slice(int(starts[0]), int(starts[-1]))
        row = np.repeat(np.arange(end - first), np.diff(starts))
        block[row, self._by_row.index[at]] = self._by_row.values[at]
        return block

    def gram_diagonal(self, weight: NDArray, scale: NDArray | None = None) -> NDArray:
        columns = self._by_column
        values = columns.values.astype(np.float64)
        square = self._column_sums(values * values * weight[columns.index])
        return np.append(square if scale is None else square / scale / scale, weight.sum())


def _checked(data: NDArray, indices: NDArray, indptr: NDArray, columns: int) -> _Lines:
    """The rows of these arrays; index and starts are copies, which nobody can change once they have been looked at."""
    if data.dtype.kind != "f" or data.dtype.itemsize not in (4, 8) or not data.dtype.isnative:
        data = data.astype(np.float64)
    if not data.ndim == indices.ndim == indptr.ndim == 1 or len(indptr) == 0:
        shapes = f"{data.shape}, {indices.shape}, {indptr.shape}"
        raise ShapeError(f"X.data, X.indices and X.indptr have the shapes {shapes}; each has one axis. Use X.tocsr().")
    if max(columns, len(indptr) - 1) > _MOST:
        raise ShapeError(f"X has the shape {(len(indptr) - 1, columns)}; up to {_MOST} rows and columns are allowed.")
    if indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu":
        raise DataError(f"X.indices and X.indptr hold {indices.dtype} and {indptr.dtype}; whole numbers are needed.")
    starts = np.array(indptr, dtype=np.int64)
    if starts[0] != 0 or (np.diff(starts) < 0).any():
        raise DataError("X.indptr does not rise from 0: it is no CSR matrix. Build it again, or call X.tocsr().")
    used = int(starts[-1])
    stored = min(len(data), len(indices))
    if stored < used:
        raise ShapeError(f"X has {stored} stored values, but X.indptr ends at {used}. Build X again.")
    low, high = (int(indices[:used].min()), int(indices[:used].max())) if used else (0, -1)
    if low < 0 or high >= columns:
        raise DataError(f"X.indices runs from {low} to {high}; the columns are 0..{columns - 1}. Build X again.")
    return _Lines(np.ascontiguousarray(data[:used]), np.array(indices[:used], dtype=np.int32), starts)


def _padded(outputs: int) -> int:
    return -(-outputs // _PAD) * _PAD


def _side_by_side(table: NDArray) -> NDArray:
    """[K, n] as [n, padded K]."""
    result = np.zeros((table.shape[1], _padded(len(table))))
    result[:, : len(table)] = table.T
    return result
