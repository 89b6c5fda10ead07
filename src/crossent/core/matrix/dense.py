"""Dense features, float32 or float64, rows of any stride; products by native code."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Self

import numpy as np

from crossent import _native
from crossent.core.blocks import NO_BAD_ROW, BadRow
from crossent.core.matrix.matrix import ColumnMoments, Fused
from crossent.core.matrix.slices import aligned_doubles, blocks_of, run_slices, slices_for, step_rows
from crossent.core.matrix.step import RowLoss
from crossent.core.pool import get_num_threads
from crossent.core.types import NDArray

__all__ = ["DenseMatrix"]

_PANEL, _PACKED = _native.GRAM_PANEL, _native.GRAM_PACKED
_WIDE = 256  # columns from which a Gram matrix is cut by its own columns: a sum for each slice would fill the memory
_Native = dict[int, Callable[..., Any]]
_LOGITS: _Native = {4: _native.linear_logits_f32, 8: _native.linear_logits_f64}
_SUMS: _Native = {4: _native.linear_sums_f32, 8: _native.linear_sums_f64}
_MOMENTS: _Native = {4: _native.column_moments_f32, 8: _native.column_moments_f64}
_STEP: _Native = {4: _native.linear_step_f32, 8: _native.linear_step_f64}
_GRAM: _Native = {4: _native.gram_f32, 8: _native.gram_f64}


class DenseMatrix:
    """[N, D] features where they lie, their columns side by side; see `Matrix`."""

    can_centre = True

    def __init__(self, array: NDArray, center: NDArray | None = None) -> None:
        self.array = _readable(array)
        self.center = None if center is None else np.ascontiguousarray(center, dtype=np.float64)
        self._size = self.array.itemsize

    @property
    def rows(self) -> int:
        return int(self.array.shape[0])

    @property
    def columns(self) -> int:
        return int(self.array.shape[1])

    def slices(self, outputs: int) -> list[tuple[int, int]]:
        return slices_for(self.rows, self.columns, outputs)

    def _blocks(self, first: int, end: int) -> list[tuple[int, int]]:
        return blocks_of(first, end, self.columns * self._size)

    def centred(self, center: NDArray | None) -> Self:
        return type(self)(self.array, center)

    def take(self, index: Any) -> Self:
        return type(self)(self.array[index], self.center)

    def thinned(self, step: int) -> Self:
        return type(self)(self.array[::step], self.center)

    def moments(self, weight: NDArray | None = None) -> ColumnMoments:
        with np.errstate(over="ignore", invalid="ignore"):
            found, is_far = self._moments_about(self.array[0].astype(np.float64), weight)
            return self._moments_about(found.mean, weight)[0] if is_far else found

    def _moments_about(self, shift: NDArray, weight: NDArray | None) -> tuple[ColumnMoments, bool]:
        """One pass; whether `shift` lies so far out in some column that its square drowns the others'."""
        total = float(self.rows if weight is None else weight.sum())

        def part(first: int, end: int) -> NDArray:
            sums = np.zeros((5, self.columns))
            sums[2], sums[3] = math.inf, -math.inf
            own = None if weight is None else weight[first:end]
            _MOMENTS[self._size](self.array[first:end], own, shift, sums)
            return sums

        parts = np.stack(run_slices(part, self.slices(5)))
        low, high = parts[:, 2].min(axis=0), parts[:, 3].max(axis=0)
        offset, square = parts[:, 0].sum(axis=0) / total, parts[:, 1].sum(axis=0) / total
        variance = square - offset * offset
        is_far = (variance < 1e-6 * square) & (low < high)
        low, high = (extreme + parts[:, 4].sum(axis=0) for extreme in (low, high))
        return ColumnMoments.of(shift + offset, variance, low, high), bool(is_far.any())

    def first_bad(self) -> tuple[int, int, float] | None:
        step = max(1, (1 << 20) // max(1, self.columns))
        for start in range(0, self.rows, step):
            bad = np.argwhere(~np.isfinite(self.array[start : start + step]))
            if len(bad):
                row, column = start + int(bad[0][0]), int(bad[0][1])
                return row, column, float(self.array[row, column])
        return None

    def logits(self, coef: NDArray, intercept: NDArray) -> NDArray:
        coef, intercept = np.ascontiguousarray(coef), np.ascontiguousarray(intercept)
        z = np.empty((self.rows, len(coef)))

        def part(first: int, end: int) -> None:
            _LOGITS[self._size](self.array[first:end], self.center, coef, intercept, z[first:end])

        run_slices(part, self.slices(len(coef)))
        return z

    def products(self, slopes: NDArray) -> NDArray:
        slopes = np.ascontiguousarray(slopes)

        def part(first: int, end: int) -> NDArray:
            sums = np.zeros((slopes.shape[1], self.columns))
            for start, stop in self._blocks(first, end):
                _SUMS[self._size](self.array[start:stop], self.center, slopes[start:stop], sums)
            return sums

        return np.asarray(sum(run_slices(part, self.slices(slopes.shape[1]))))

    def fused(self, coef: NDArray, intercept: NDArray, loss: RowLoss) -> Fused:
        coef, intercept = np.ascontiguousarray(coef), np.ascontiguousarray(intercept)
        run = self._by_loss if loss.native is None else self._native_step

        def part(first: int, end: int) -> Fused:
            products, totals = np.zeros(coef.shape), np.zeros(len(coef))
            return Fused(run(first, end, coef, intercept, loss, products, totals), products, totals)

        return Fused.merged(run_slices(part, self.slices(len(coef))))

    def _native_step(
        self, first: int, end: int, coef: NDArray, intercept: NDArray, loss: RowLoss, products: NDArray, totals: NDArray
    ) -> float:
        block_rows = step_rows(end - first, self.columns * self._size)
        buffer = np.empty(block_rows * len(coef))
        rows, sums = (self.array[first:end], self.center), (products, totals)
        value, bad = _STEP[self._size](*rows, coef, intercept, loss.native, first, block_rows, buffer, *sums)
        if bad != NO_BAD_ROW:
            raise BadRow(first + bad // 8, bad % 8)
        return float(value)

    def _by_loss(
        self, first: int, end: int, coef: NDArray, intercept: NDArray, loss: RowLoss, products: NDArray, totals: NDArray
    ) -> float:
        value = 0.0
        for start, stop in self._blocks(first, end):
            z = np.empty((stop - start, len(coef)))
            rows = self.array[start:stop]
            _LOGITS[self._size](rows, self.center, coef, intercept, z)
            value += loss(start, stop, z)
            _SUMS[self._size](rows, self.center, z, products)
            totals += z.sum(axis=0)
        return value

    def gram(self, weight: NDArray, scale: NDArray | None = None) -> NDArray:
        panels = self.columns // _PANEL + 1
        inverse = np.ones(self.columns) if scale is None else 1 / scale
        width = panels * _PANEL

        def add(first: int, end: int, first_panel: int, end_panel: int, out: NDArray) -> None:
            packed = aligned_doubles(panels * _PACKED * _PANEL)
            rows = self.array[first:end], self.center, inverse, weight[first:end]
            _GRAM[self._size](*rows, first_panel, end_panel, packed, out)

        if self.columns <= _WIDE:

            def part(first: int, end: int) -> NDArray:
                own = aligned_doubles(width * width).reshape(width, width)
                own[:] = 0
                add(first, end, 0, panels, own)
                return own

            whole = np.sum(run_slices(part, self.slices(self.columns)), axis=0)
        else:
            whole = aligned_doubles(width * width).reshape(width, width)
            whole[:] = 0
            groups = _panel_groups(panels, get_num_threads())
            run_slices(lambda first, end: add(0, self.rows, first, end, whole), groups)
        square: NDArray = whole[: self.columns + 1, : self.columns + 1]
        lower: NDArray = np.triu(square, 1).T
        return np.triu(square) + lower

    def gram_diagonal(self, weight: NDArray, scale: NDArray | None = None) -> NDArray:
        shift = np.zeros(self.columns) if self.center is None else self.center

        def part(first: int, end: int) -> NDArray:
            sums = np.zeros((5, self.columns))
            _MOMENTS[self._size](self.array[first:end], weight[first:end], shift, sums)
            return sums

        square = np.sum(run_slices(part, self.slices(5)), axis=0)[1]
        return np.append(square if scale is None else square / scale / scale, weight.sum())


def _readable(array: NDArray) -> NDArray:
    """The array, or a copy in a form that native code reads: aligned float32 or float64, columns side by side."""
    if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8) or not array.dtype.isnative:
        array = array.astype(np.float32 if array.dtype.itemsize == 2 and array.dtype.kind == "f" else np.float64)
    beside = array.shape[1] < 2 or array.strides[1] == array.itemsize
    whole = array.strides[0] % array.itemsize == 0
    return array if beside and whole and array.flags.aligned else array.copy()


def _panel_groups(panels: int, threads: int) -> list[tuple[int, int]]:
    """A group of column panels for each thread, of about the same work: the triangle's columns grow longer.

    More groups would pack the rows more often. Each element is one sum over the rows, whoever computes it.
    """
    count = min(panels, threads)
    edges = [round(panels * math.sqrt(i / count)) for i in range(count + 1)]
    return [(first, end) for first, end in pairwise(edges) if first < end]
