"""Loss and gradient of a chunk of logits of independent labels, in place.

Sparse positives: their logits are taken out and replaced by -inf, which as a negative has loss and gradient 0 exactly;
what is left are negatives, one number as target for all; the positives' own losses are computed apart and added, their
gradients put in place. Nothing is subtracted, so nothing cancels. With smoothing a negative is a little positive too,
and -inf would cost infinity: targets are made dense then, a few rows at a time.
"""

import math
from typing import Any

import numpy as np

from crossent.core.binary import BinaryLogits
from crossent.core.blocks import BadRow, Sums, plain
from crossent.core.engine import SigmoidJob, run_sigmoid
from crossent.core.linear.loop import Gradients
from crossent.core.linear.positives import Positives
from crossent.core.linear.rows import Part, RowSource, in_steps
from crossent.core.types import NDArray

__all__ = ["BinaryPass"]


class BinaryPass:
    """Meets loop.RowLoss."""

    def __init__(
        self, base: BinaryLogits, dtype: np.dtype[Any], positives: Positives | None, weight: NDArray | None,
        values: NDArray | None, factors: tuple[float, float], *, gathered: bool,
    ) -> None:  # fmt: skip
        """base: options and dense targets of all rows; weight, values: [rows]; factors: of value and gradient."""
        self._base, self._positives, self._weight, self._values = base, positives, weight, values
        self._factors, self._dtype = factors, dtype
        self._smoothing, self._K = float(base.options.label_smoothing), int(base.shape[-1])
        self._y_dtype = np.dtype(np.float64) if base.targets.dtype.newbyteorder("=") == np.float64 else dtype
        self._soft = RowSource(base.targets)
        dense = positives is None or self._smoothing > 0
        read = positives is None and not gathered and self._soft.flat and plain(self._y_dtype, self._soft.array)
        self._stages_targets = dense and not read
        self._dense = dense
        self._targets: NDArray | None = None
        self._elements: NDArray | None = None

    row_bytes = 0

    @property
    def staged_bytes(self) -> int:
        """Bytes for each staged row: its targets, the losses of its elements."""
        targets = self._y_dtype.itemsize if self._stages_targets else 0
        return self._K * (targets + (self._dtype.itemsize if self._values is not None else 0))

    @property
    def fixed_bytes(self) -> int:
        """Bytes whatever the rows."""
        return 0

    def run(self, logits: NDArray, part: Part, staged: int, *, gradient: bool) -> Sums:
        """The loss of a chunk; the gradient goes over the logits."""
        step = staged or len(part)
        return in_steps(part, step, lambda at, some: self._some(logits[at], some, step, gradient))

    def in_tiles(self, whole: Part, chunk: int, limit: int, gradients: Gradients | None) -> Sums | None:
        """Never: chunks of whole rows, however few."""
        return None

    def _some(self, z: NDArray, part: Part, step: int, gradient: bool) -> Sums:
        values = None
        if self._values is not None:
            if self._elements is None:
                self._elements = np.empty((step, self._K), self._dtype)
            values = self._elements[: len(part)]
        if self._dense:
            sums = self._kernel(z, self._dense_targets(part, step), part, values, gradient)
            rows = None if values is None else values.sum(axis=1, dtype=np.float64)
        else:
            sums, rows = self._sparse(z, part, values, gradient)
        if self._values is not None:
            self._values[part.selection] = rows
        return sums

    def _dense_targets(self, part: Part, step: int) -> NDArray:
        if not self._stages_targets:
            return self._soft.seen(part)
        if self._targets is None:
            self._targets = np.empty((step, self._K), self._y_dtype)
        y = self._targets[: len(part)]
        if self._positives is None:
            return self._soft.copy(part, y)
        y[...] = 0
        y[self._positives.entries(part)] = 1
        return y

    def _kernel(self, z: NDArray, y: NDArray, part: Part, values: NDArray | None, gradient: bool) -> Sums:
        base = self._base
        job = SigmoidJob(z, y, base.pos_weight, part.take(self._weight), self._smoothing, base.negative, base.positive,
                         *self._factors)  # fmt: skip
        try:
            return run_sigmoid(job, values=values, grad=z if gradient else None)
        except BadRow as bad:  # with an element's number
            raise BadRow(bad.row // self._K, bad.code) from None

    def _sparse(self, z: NDArray, part: Part, values: NDArray | None, gradient: bool) -> tuple[Sums, NDArray | None]:
        assert self._positives is not None
        rows, labels = self._positives.entries(part)
        chosen = z[rows, labels]
        z[rows, labels] = -np.inf
        bad = rows[np.isnan(chosen)]
        try:
            rest = self._kernel(z, np.zeros(1, self._dtype), part, values, gradient)
        except BadRow as nan:
            raise BadRow(min(nan.row, int(bad[0])) if bad.size else nan.row, nan.code) from None
        losses = None if values is None else np.empty(chosen.shape, self._dtype)
        slope = np.empty(chosen.shape, self._dtype) if gradient else None
        try:
            own = run_sigmoid(self._of_positives(chosen, part, rows, labels), values=losses, grad=slope)
        except BadRow as nan:
            raise BadRow(int(rows[nan.row]), nan.code) from None
        if slope is not None:
            z[rows, labels] = slope
        sums = Sums(math.fsum((rest.value, own.value)), self._mass(part, rows), len(part))
        if values is None or losses is None:
            return sums, None
        return sums, values.sum(axis=1, dtype=np.float64) + np.bincount(rows, losses, minlength=len(part))

    def _mass(self, part: Part, rows: NDArray) -> float:
        """Of the targets: the pass counted the positives as negatives."""
        positives, weight = np.bincount(rows, minlength=len(part)), part.take(self._weight)
        each = self._base.positive * positives + self._base.negative * (self._K - positives)
        return float(each.sum() if weight is None else (each * weight).sum())

    def _of_positives(self, z: NDArray, part: Part, rows: NDArray, labels: NDArray) -> SigmoidJob:
        """The positives' own logits [P] with their weights: those of the row and of the label."""
        base, weight = self._base, part.take(self._weight)
        factor = None if weight is None else weight[rows]
        if base.pos_weight is not None:
            each = base.pos_weight[labels] if base.pos_weight.size > 1 else np.full(rows.shape, base.pos_weight[0])
            factor = each if factor is None else each * factor
        return SigmoidJob(z, np.ones(1, self._dtype), None, factor, 0.0, base.negative, base.positive, *self._factors)
