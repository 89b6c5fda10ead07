"""Sparse features in compressed rows (CSR), as SciPy has them; SciPy itself is not needed."""

from typing import Any, Self

import numpy as np

from crossent.core.matrix.matrix import ColumnMoments
from crossent.core.matrix.slices import blocks_of, slices_for
from crossent.core.types import NDArray

__all__ = ["SparseMatrix"]


class SparseMatrix:
    """Rows i: the values data[indptr[i]:indptr[i + 1]] in the columns indices[...], each at most once; see `Matrix`."""

    def __init__(self, data: NDArray, indices: NDArray, indptr: NDArray, columns: int) -> None:
        self.data, self.indices, self.indptr, self.columns = data, indices, indptr, columns
        self.center = None

    @property
    def can_centre(self) -> bool:
        return False

    @property
    def rows(self) -> int:
        return len(self.indptr) - 1

    def slices(self, outputs: int) -> list[tuple[int, int]]:
        return slices_for(self.rows, self.columns, outputs)

    def blocks(self, first: int, end: int) -> list[tuple[int, int]]:
        return [(first, end)]

    def centred(self, center: NDArray | None) -> Self:
        assert center is None
        return self

    def take(self, index: Any) -> Self:
        rows = np.arange(self.rows)[index]
        counts = np.diff(self.indptr)[rows]
        indptr = np.concatenate([[0], np.cumsum(counts)])
        stored = np.repeat(self.indptr[:-1][rows] - indptr[:-1], counts) + np.arange(indptr[-1])
        return type(self)(self.data[stored], self.indices[stored], indptr, self.columns)

    def thinned(self, step: int) -> Self:
        return self.take(slice(None, None, step))

    def _entries(self, first: int, end: int) -> tuple[NDArray, NDArray, NDArray]:
        """The rows (from 0), columns and values of a block."""
        stored = slice(self.indptr[first], self.indptr[end])
        row = np.repeat(np.arange(end - first), np.diff(self.indptr[first : end + 1]))
        return row, self.indices[stored], self.data[stored].astype(np.float64)

    def moments(self, weight: NDArray | None = None) -> ColumnMoments:
        row, column, x = self._entries(0, self.rows)
        w = np.ones(self.rows) if weight is None else weight
        w = w / w.sum()
        mean = np.bincount(column, w[row] * x, self.columns)
        at_zero = np.maximum(1 - np.bincount(column, w[row], self.columns), 0)
        square = np.bincount(column, w[row] * (x - mean[column]) ** 2, self.columns) + at_zero * mean * mean
        low, high, largest = np.zeros(self.columns), np.zeros(self.columns), np.zeros(self.columns)
        full = np.bincount(column, minlength=self.columns) == self.rows
        low[full], high[full] = np.inf, -np.inf
        np.minimum.at(low, column, x)
        np.maximum.at(high, column, x)
        np.maximum.at(largest, column, np.abs(x))
        spread = np.sqrt(square)
        spread[low == high] = 0
        return ColumnMoments(mean, spread, largest)

    def logits(self, first: int, end: int, coef: NDArray, intercept: NDArray, out: NDArray) -> None:
        row, column, x = self._entries(first, end)
        for k in range(len(coef)):
            out[:, k] = np.bincount(row, x * coef[k, column], end - first) + intercept[k]

    def add_products(self, first: int, end: int, slopes: NDArray, out: NDArray) -> None:
        row, column, x = self._entries(first, end)
        for k in range(len(out)):
            out[k] += np.bincount(column, x * slopes[row, k], self.columns)

    def gram(self, weight: NDArray, scale: NDArray | None = None) -> NDArray:
        total = np.zeros((self.columns + 1, self.columns + 1))
        for first, end in blocks_of(0, self.rows, 8 * self.columns):
            row, column, x = self._entries(first, end)
            u = np.zeros((end - first, self.columns + 1))
            u[row, column] = x if scale is None else x / scale[column]
            u[:, -1] = 1
            total += (u * weight[first:end, None]).T @ u
        return total

    def gram_diagonal(self, weight: NDArray, scale: NDArray | None = None) -> NDArray:
        square = self.data.astype(np.float64) ** 2
        row = np.repeat(np.arange(self.rows), np.diff(self.indptr))
        total = np.empty(self.columns + 1)
        total[:-1] = np.bincount(self.indices, square * weight[row], self.columns)
        if scale is not None:
            total[:-1] /= scale * scale
        total[-1] = weight.sum()
        return total
