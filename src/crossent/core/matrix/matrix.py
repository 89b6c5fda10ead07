"""What a linear model needs of its features, whatever they are stored in."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from crossent.core.matrix.step import RowLoss
from crossent.core.types import NDArray

__all__ = ["ColumnMoments", "Fused", "Matrix"]


class ColumnMoments(NamedTuple):
    """Of every column: weighted mean, standard deviation around it (0 if constant), largest absolute value.

    Where squares overflow or underflow, half the range stands in for the standard deviation. Where a column is not
    finite, neither is the largest value.
    """

    mean: NDArray
    spread: NDArray
    largest: NDArray

    @classmethod
    def of(cls, mean: NDArray, variance: NDArray, low: NDArray, high: NDArray) -> "ColumnMoments":
        """From the extremes, and mean and variance as far as they are numbers. To be called without float errors."""
        spread = np.where((variance > 0) & np.isfinite(variance), np.sqrt(variance), high / 2 - low / 2)
        largest = np.maximum(np.abs(low), np.abs(high))
        return cls(np.clip(mean, low, high), np.where(low == high, 0.0, spread), largest)


class Fused(NamedTuple):
    """Over all rows: the sum of their values, of slopes^T (x - c) [K, D], of slopes [K]."""

    value: float
    products: NDArray
    totals: NDArray

    @classmethod
    def merged(cls, parts: "Sequence[Fused]") -> "Fused":
        """Parts added in their order."""
        products, totals = parts[0].products, parts[0].totals
        for part in parts[1:]:
            products += part.products
            totals += part.totals
        return cls(math.fsum(part.value for part in parts), products, totals)


class Matrix(Protocol):
    """Rows of features x_i, each taken relative to a center c that is kept beside them; products in float64.

    Every sum over rows runs in an order that the shape alone decides.
    """

    @property
    def rows(self) -> int:
        """N."""

    @property
    def columns(self) -> int:
        """D."""

    @property
    def center(self) -> NDArray | None:
        """c, [D] float64; None for 0."""

    @property
    def can_centre(self) -> bool:
        """Whether it takes a center: a sparse matrix would not stay sparse."""

    def slices(self, outputs: int) -> list[tuple[int, int]]:
        """First and end row of the slices that sums over rows are cut into."""

    def centred(self, center: NDArray | None) -> Self:
        """The same rows relative to another center (sparse ones take None only)."""

    def moments(self, weight: NDArray | None = None) -> ColumnMoments:
        """Weighted moments of the columns, of the raw x."""

    def first_bad(self) -> tuple[int, int, float] | None:
        """Row, column and value of the first cell that is NaN or infinite, row by row."""

    def logits(self, coef: NDArray, intercept: NDArray) -> NDArray:
        """(x - c) coef^T + intercept, [N, K], of coef [K, D]; NaN and infinities without a warning."""

    def products(self, slopes: NDArray) -> NDArray:
        """slopes^T (x - c), [K, D], of slopes [N, K]."""

    def fused(self, coef: NDArray, intercept: NDArray, loss: RowLoss) -> Fused:
        """One pass over the rows: their logits, what the loss makes of them, and the sums over its slopes.

        Raises: BadRow, or what the loss raises, for logits that are not finite.
        """

    def gram(self, weight: NDArray, scale: NDArray | None = None) -> NDArray:
        """sum_i weight_i u_i u_i^T, [D + 1, D + 1], with u_i = ((x_i - c) / scale, 1); weight [N] >= 0."""

    def gram_diagonal(self, weight: NDArray, scale: NDArray | None = None) -> NDArray:
        """The diagonal of `gram`, [D + 1]."""

    def take(self, index: Any) -> Self:
        """The rows of that index, copied."""

    def thinned(self, step: int) -> Self:
        """Every step-th row."""
