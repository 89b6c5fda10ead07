"""The loss over classes behind a linear layer: a job for reductions that never holds all logits."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from crossent.core.blocks import BadRow, Rows, Sums, flat, run_blocks
from crossent.core.linear.job import LinearJob
from crossent.core.linear.layer import Layer
from crossent.core.linear.softmax_pass import SoftmaxPass
from crossent.core.linear.sparse import SparseTargets, is_sparse
from crossent.core.options import SoftmaxOptions
from crossent.core.softmax import SoftmaxLogits
from crossent.core.types import NDArray
from crossent.core.weights import balanced, balanced_by, sum_by_class
from crossent.errors import CrossentError, UnsupportedError

__all__ = ["LinearSoftmax"]

_COUNTED = 1 << 17  # targets at a time


class LinearSoftmax(LinearJob):
    """Targets and weights are checked as for logits that stand nowhere."""

    options: SoftmaxOptions

    def __init__(
        self, options: SoftmaxOptions, targets: Any, layer: Layer, sample_weight: Any, memory_limit: int | None
    ) -> None:
        super().__init__(layer, memory_limit)
        self.options = options
        self._sparse: SparseTargets | None = None
        self._base = self._bound(targets, sample_weight)
        self.lse: NDArray | None = None  # [rows] of the layer's dtype: receives log(sum(exp(z))) of the rows kept

    def _bound(self, targets: Any, sample_weight: Any) -> SoftmaxLogits:
        """Targets, weights and options as a job of logits; sparse targets stand beside it."""
        options, prediction = self.options, ("logits", self.array)
        count = isinstance(options.class_weight, str)  # "balanced", which is counted here: there it takes N x K
        plainer = replace(options, class_weight=None) if count else options
        if is_sparse(targets, self.shape):
            base = self._bound_sparse(targets, plainer, sample_weight)
        else:
            base = SoftmaxLogits(plainer, targets, prediction, sample_weight)
        if count:
            base.job.class_weight = self._balanced(base)
        return base

    def _bound_sparse(self, targets: Any, options: SoftmaxOptions, sample_weight: Any) -> SoftmaxLogits:
        if options.ignore_index is not None:
            raise UnsupportedError(
                "ignore_index is for class indices; give rows of soft targets sample_weight 0 instead."
            )
        labels = np.zeros(self.shape, np.int8)  # for the checks of everything else
        base = SoftmaxLogits(replace(options, normalize_targets=False), labels, ("logits", self.array), sample_weight)
        sparse = SparseTargets(
            targets, self.shape, base.K, base.row_weight, normalize=bool(options.normalize_targets),
            empty_rows=options.empty_rows,
        )  # fmt: skip
        base.job.soft_factor = sparse.factor
        base.job.soft = np.broadcast_to(np.zeros((), sparse.probs.dtype), self.array.shape)  # for its dtype
        base.job.labels = None
        self._sparse = sparse
        return base

    def _balanced(self, base: SoftmaxLogits) -> NDArray:
        """n / (K count_k), distributions counted block by block."""
        if self._sparse is not None:
            return self._sparse.balanced()
        job, weight = base.job, flat(base.row_weight)
        if job.soft is None:
            return balanced(base.targets, base.K, base.row_weight, None)
        soft, counts = Rows(job.soft, job.axis), np.zeros(base.K)
        step = max(1, _COUNTED // base.K)
        for first in range(0, job.rows, step):
            q = soft.read(first, min(job.rows, first + step), np.dtype(np.float64))
            w = np.ones(len(q)) if weight is None else weight[first : first + step]
            factor = 1.0 if job.soft_factor is None else job.soft_factor[first : first + step]
            counts += sum_by_class(w * factor, q, w > 0)
        return balanced_by(counts)

    # ------------------------------------------------------------ what reductions ask

    @property
    def known_mass(self) -> float | None:
        """The targets' mass where it follows from shapes alone."""
        return None if self._sparse is not None else self._base.known_mass

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

    def _target_error(self, bad: BadRow) -> CrossentError:
        return self._base.error(bad)

    def _pass(self, values: NDArray | None, value_factor: float, *, gathered: bool) -> SoftmaxPass:
        job = replace(self._base.job, value_factor=value_factor, grad_factor=self.grad_factor)
        return SoftmaxPass(job, self.layer, self._sparse, gathered=gathered, values=values, lse=self.lse)

    def _left(self) -> NDArray:
        job = self._base.job
        if self._sparse is not None:
            return np.asarray(self._sparse.row_mass(job.class_weight) == 0)
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
