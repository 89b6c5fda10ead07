"""The loss over independent labels behind a linear layer: a job for reductions that never holds all logits."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from crossent.core.binary import BinaryLogits
from crossent.core.blocks import BadRow, Rows, Sums, flat, run_blocks
from crossent.core.faults import Fault
from crossent.core.linear.binary_pass import BinaryPass
from crossent.core.linear.job import LinearJob
from crossent.core.linear.layer import Layer
from crossent.core.linear.positives import Positives
from crossent.core.options import BinaryOptions
from crossent.core.types import NDArray
from crossent.core.weights import row_weights, unit_scaled
from crossent.errors import CrossentError

__all__ = ["LinearBinary"]


class LinearBinary(LinearJob):
    """Weights belong to rows, losses to rows."""

    options: BinaryOptions

    def __init__(
        self, options: BinaryOptions, targets: Any, layer: Layer, sample_weight: Any, memory_limit: int | None
    ) -> None:
        super().__init__(layer, memory_limit)
        self.options = options
        self.row_weight = row_weights(sample_weight, self.shape)
        self._positives: Positives | None = None
        if isinstance(targets, tuple):
            self._positives = Positives(targets, self.shape, layer.classes, self.row_weight)
            targets = np.broadcast_to(np.zeros((), layer.dtype), self.array.shape)
        count = isinstance(options.class_weight, str)
        plainer = replace(options, class_weight=None) if count else options
        self._base = BinaryLogits(plainer, targets, ("logits", self.array), None)
        if count:
            self._balance()

    def _balance(self) -> None:
        """n / (2 count) of negatives and positives, counted with the row weights."""
        ones, base = self._positive_mass(), self._base
        w = np.ones(ones.shape) if self.row_weight is None else self.row_weight.reshape(-1)
        positive = float((w * ones).sum())
        count = np.array([float(w.sum()) * self.layer.classes - positive, positive])
        pair = np.divide(count.sum(), 2 * count, out=np.zeros(2), where=count > 0)
        base.negative, base.positive = map(float, pair)

    def _positive_mass(self) -> NDArray:
        """sum_j y_ij of each row with a weight > 0; BadRow becomes its error."""
        if self._positives is not None:
            return self._positives.counts.astype(np.float64)
        targets, found = Rows(self._base.targets, self.array.ndim - 1), np.zeros(math.prod(self.shape))
        weight = None if self.row_weight is None else self.row_weight.reshape(-1)

        def block(first: int, end: int, sums: NDArray) -> None:
            y = targets.read(first, end, np.dtype(np.float64))
            if weight is not None:
                y = np.where(weight[first:end, None] > 0, y, 0)
            bad = ~((y >= 0) & (y <= 1)).all(axis=1)
            if bad.any():
                raise BadRow(first + int(np.argmax(bad)), Fault.LABEL)
            found[first:end] = y.sum(axis=1)

        try:
            run_blocks(block, found.size, self.layer.classes)
        except BadRow as bad:
            raise self.error(bad) from None
        return found

    # ------------------------------------------------------------ what reductions ask

    @property
    def known_mass(self) -> float | None:
        """The targets' mass where it follows from shapes alone."""
        return self._base.known_mass if self.row_weight is None else None

    def _row_mass(self) -> NDArray:
        """D of each row: w_1 times its positives plus w_0 times its negatives; of one row if all have the same."""
        negative, positive = self._base.negative, self._base.positive
        if negative == positive:
            return np.full(1 if self.row_weight is None else math.prod(self.shape), negative * self.layer.classes)
        ones = self._positive_mass()
        return positive * ones + negative * (self.layer.classes - ones)

    def mass(self) -> Sums:
        """Checks the targets and sums their mass."""
        mass = self._row_mass()
        if self.row_weight is None:
            total = float(mass[0]) * math.prod(self.shape) if mass.size == 1 else float(mass.sum())
        else:
            total = float((mass * self.row_weight.reshape(-1)).sum())
        return Sums(0.0, total, 0)

    def scale_weights(self) -> None:
        """For a mean: weights of extreme size are brought near 1."""
        self.row_weight = unit_scaled(self.row_weight)
        self._base.scale_weights()

    def _target_error(self, bad: BadRow) -> CrossentError:
        """Of the row's first label that is none."""
        index = np.unravel_index(bad.row, self.shape) if self.shape else ()
        y = np.asarray(self._base.targets[index], np.float64)
        column = int(np.argmax(~((y >= 0) & (y <= 1))))
        return self._base.error(BadRow(bad.row * self.layer.classes + column, bad.code))

    def _pass(self, values: NDArray | None, value_factor: float, *, gathered: bool) -> BinaryPass:
        return BinaryPass(
            self._base, self.layer.dtype, self._positives, flat(self.row_weight), values,
            (value_factor, self.grad_factor), gathered=gathered,
        )  # fmt: skip

    def _left(self) -> NDArray:
        left = np.zeros(math.prod(self.shape), bool)
        if self.row_weight is not None:
            left |= self.row_weight.reshape(-1) == 0
        if self._base.negative == 0 or self._base.positive == 0:
            left |= self._row_mass() == 0
        return left
