"""Dense features, float32 or float64, rows of any stride."""

from typing import Any, Self

import numpy as np

from crossent.core.matrix.matrix import ColumnMoments
from crossent.core.matrix.slices import blocks_of, run_slices, slices_for
from crossent.core.types import NDArray

__all__ = ["DenseMatrix"]


class DenseMatrix:
    """[N, D] features where they lie; see `Matrix`."""

    def __init__(self, array: NDArray, center: NDArray | None = None) -> None:
        self.array, self.center = array, center

    @property
    def can_centre(self) -> bool:
        return True

    @property
    def rows(self) -> int:
        return int(self.array.shape[0])

    @property
    def columns(self) -> int:
        return int(self.array.shape[1])

    def slices(self, outputs: int) -> list[tuple[int, int]]:
        return slices_for(self.rows, self.columns, outputs)

    def blocks(self, first: int, end: int) -> list[tuple[int, int]]:
        return blocks_of(first, end, self.columns * self.array.itemsize)

    def centred(self, center: NDArray | None) -> Self:
        return type(self)(self.array, center)

    def take(self, index: Any) -> Self:
        return type(self)(self.array[index], self.center)

    def thinned(self, step: int) -> Self:
        return type(self)(self.array[::step], self.center)

    def _block(self, first: int, end: int) -> NDArray:
        block = self.array[first:end].astype(np.float64)
        return block if self.center is None else block - self.center

    def moments(self, weight: NDArray | None = None) -> ColumnMoments:
        x = self.array.astype(np.float64)
        w = np.ones(len(x)) if weight is None else weight
        mean = np.average(x, axis=0, weights=w)
        spread = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=w))
        spread[x.min(axis=0) == x.max(axis=0)] = 0
        return ColumnMoments(mean, spread, np.abs(x).max(axis=0))

    def logits(self, first: int, end: int, coef: NDArray, intercept: NDArray, out: NDArray) -> None:
        np.matmul(self._block(first, end), coef.T, out=out)
        out += intercept

    def add_products(self, first: int, end: int, slopes: NDArray, out: NDArray) -> None:
        out += slopes.T @ self._block(first, end)

    def gram(self, weight: NDArray, scale: NDArray | None = None) -> NDArray:
        def part(first: int, end: int) -> NDArray:
            u = np.ones((end - first, self.columns + 1))
            u[:, :-1] = self._block(first, end)
            if scale is not None:
                u[:, :-1] /= scale
            return np.asarray((u * weight[first:end, None]).T @ u)

        return np.sum(run_slices(part, self.slices(self.columns)), axis=0)

    def gram_diagonal(self, weight: NDArray, scale: NDArray | None = None) -> NDArray:
        total = np.empty(self.columns + 1)
        block = self._block(0, self.rows)
        total[:-1] = weight @ (block * block)
        if scale is not None:
            total[:-1] /= scale * scale
        total[-1] = weight.sum()
        return total
