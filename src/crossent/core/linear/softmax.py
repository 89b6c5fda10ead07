"""The loss over classes behind a linear layer: a job for reductions that never holds all logits."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from crossent.core.blocks import BadRow, Rows, Sums, flat, run_blocks
from crossent.core.faults import Fault
from crossent.core.linear.layer import Layer, logit_error
from crossent.core.linear.loop import Gradients, run_chunks
from crossent.core.linear.products import one_row
from crossent.core.linear.softmax_pass import SoftmaxPass
from crossent.core.linear.sparse import SparseTargets, is_sparse
from crossent.core.options import SoftmaxOptions
from crossent.core.softmax import SoftmaxLogits
from crossent.core.types import NDArray
from crossent.errors import CrossentError, UnsupportedError

__all__ = ["LinearSoftmax"]


class LinearSoftmax:
    """Meets reduction.Job: targets and weights are checked as for logits that stand nowhere; `run` makes them."""

    def __init__(
        self, options: SoftmaxOptions, targets: Any, layer: Layer, sample_weight: Any, memory_limit: int | None
    ) -> None:
        self.options, self.layer, self._limit = options, layer, memory_limit
        self.array, self.shape = layer.stand_in(), layer.shape
        self._sparse: SparseTargets | None = None
        self._base = self._bound(targets, sample_weight)
        self.gradients: Gradients | None = None  # what `run` fills, times this:
        self.grad_factor = 1.0
        self.lse: NDArray | None = None  # [rows] of the layer's dtype: receives log(sum(exp(z))) of the rows kept

    def _bound(self, targets: Any, sample_weight: Any) -> SoftmaxLogits:
        """Targets, weights and options as a job of logits; sparse targets stand beside it."""
        prediction = ("logits", self.array)
        if not is_sparse(targets, self.shape):
            return SoftmaxLogits(self.options, targets, prediction, sample_weight)
        options = self.options
        if options.ignore_index is not None:
            raise UnsupportedError(
                "ignore_index is for class indices; give such rows sample_weight 0 with soft targets."
            )
        count = isinstance(options.class_weight, str)  # "balanced"
        plainer = replace(options, normalize_targets=False, class_weight=None if count else options.class_weight)
        base = SoftmaxLogits(plainer, np.zeros(self.shape, np.int8), prediction, sample_weight)
        sparse = SparseTargets(
            targets, self.shape, base.K, base.row_weight, normalize=bool(options.normalize_targets),
            empty_rows=options.empty_rows,
        )  # fmt: skip
        base.job.soft_factor = sparse.factor
        base.job.soft = np.broadcast_to(np.zeros((), sparse.probs.dtype), self.array.shape)  # for its dtype
        base.job.labels = None
        if count:
            base.job.class_weight = sparse.balanced()
        self._sparse = sparse
        return base

    # ------------------------------------------------------------ what reductions ask

    @property
    def known_mass(self) -> float | None:
        """The targets' mass where it follows from shapes alone."""
        return None if self._sparse is not None else self._base.known_mass

    @property
    def inputs(self) -> list[NDArray | None]:
        """Nothing: gradients are new arrays."""
        return []

    def mass(self) -> Sums:
        """Checks the targets and sums their mass."""
        if self._sparse is None:
            return self._base.mass()
        mass, weight = self._sparse.row_mass(self._base.job.class_weight), self._base.row_weight
        total = mass if weight is None else mass * weight.reshape(-1)
        return Sums(0.0, float(total.sum()), int(np.count_nonzero(total)))

    def scale_weights(self) -> None:
        """For a mean: weights of extreme size are brought near 1."""
        self._base.scale_weights()

    def bound_curvature(self) -> None:
        """Never asked for."""

    def notes(self) -> list[Warning]:
        """None."""
        return []

    def error(self, bad: BadRow) -> CrossentError:
        """The error for a bad row, whose logits are computed again."""
        if bad.code == Fault.NON_FINITE:
            return logit_error(self.layer, bad.row, one_row(self.layer, bad.row))
        return self._base.error(bad)

    # ------------------------------------------------------------ the pass

    def run(
        self,
        *,
        values: NDArray | None,
        grad: NDArray | None,
        hess: NDArray | None,
        value_factor: float,
        grad_factor: float,
    ) -> Sums:
        """One pass over the rows that are kept. `grad` and `hess` of logits are never asked for."""
        assert grad is None
        assert hess is None
        kept = self._kept()
        if values is not None and kept is not None:
            values[...] = 0
        job = replace(self._base.job, value_factor=value_factor, grad_factor=self.grad_factor)
        loss = SoftmaxPass(job, self.layer, self._sparse, gathered=kept is not None,
                           values=flat(values), lse=self.lse)  # fmt: skip
        return run_chunks(self.layer, loss, kept, self._limit, self.gradients)

    def _kept(self) -> NDArray | None:
        """Numbers of the rows that stay, where some leave: their hidden may be anything, so it must not be touched."""
        left = self._left() if self._sparse is None else self._sparse.row_mass(self._base.job.class_weight) == 0
        return np.flatnonzero(~left) if left.any() else None

    def _left(self) -> NDArray:
        """Whether each row has weight 0, is ignored, or has no mass."""
        job = self._base.job
        left = np.zeros(math.prod(self.shape), bool)
        if job.row_weight is not None:
            left |= job.row_weight.reshape(-1) == 0
        if job.soft_factor is not None:
            left |= job.soft_factor == 0
        w = job.class_weight
        unused = w is not None and bool((w == 0).any())
        if job.labels is not None:
            t = job.labels.reshape(-1)
            if job.ignore_index is not None:
                left |= t == job.ignore_index
            if unused:
                assert w is not None
                inside = (t >= 0) & (t < job.classes)
                left |= inside & (w[np.where(inside, t, 0).astype(np.intp)] == 0)
        elif unused:
            assert w is not None
            left |= self._massless(w > 0)
        return left

    def _massless(self, used: NDArray) -> NDArray:
        """Whether a row of soft targets has nothing on the classes used; the targets are checked first."""
        job = self._base.job
        assert job.soft is not None
        try:
            self._base.mass()
        except BadRow as bad:
            raise self._base.error(bad) from None
        soft, found = Rows(job.soft, job.axis), np.zeros(job.rows, bool)

        def block(first: int, end: int, sums: NDArray) -> None:
            found[first:end] = (soft.read(first, end, np.dtype(np.float64))[:, used] == 0).all(axis=1)

        run_blocks(block, job.rows, job.classes)
        return found
