"""Sparse features in compressed rows (CSR), as SciPy has them; SciPy itself is not needed."""

from typing import Any, Self

import numpy as np

from crossent.core.matrix.matrix import ColumnMoments
from crossent.core.matrix.slices import slices_for
from crossent.core.types import NDArray

__all__ = ["SparseMatrix"]


class SparseMatrix:
    """Rows i with the values data[indptr[i]:indptr[i + 1]] in the columns indices[...]; see `Matrix`."""

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
        raise NotImplementedError

    def thinned(self, step: int) -> Self:
        return self.take(slice(None, None, step))

    def moments(self, weight: NDArray | None = None) -> ColumnMoments:
        raise NotImplementedError

    def logits(self, first: int, end: int, coef: NDArray, intercept: NDArray, out: NDArray) -> None:
        raise NotImplementedError

    def add_products(self, first: int, end: int, slopes: NDArray, out: NDArray) -> None:
        raise NotImplementedError

    def gram(self, weight: NDArray, scale: NDArray | None = None) -> NDArray:
        raise NotImplementedError

    def gram_diagonal(self, weight: NDArray, scale: NDArray | None = None) -> NDArray:
        square = self.data.astype(np.float64) ** 2
        row = np.repeat(np.arange(self.rows), np.diff(self.indptr))
        total = np.empty(self.columns + 1)
        total[:-1] = np.bincount(self.indices, square * weight[row], self.columns)
        if scale is not None:
            total[:-1] /= scale * scale
        total[-1] = weight.sum()
        return total
