"""Loss and gradient of a chunk of logits on the softmax kernel, in place; targets are brought as the kernel reads them.

Targets that it cannot read where they lie (sparse ones, other dtypes, rows that were gathered), and logits beside
float64 targets, are staged a few rows at a time: no second matrix of the chunk's size is needed.
"""

from dataclasses import replace

import numpy as np

from crossent.core.blocks import Sums, plain
from crossent.core.engine import Shard, SoftmaxJob, run_softmax
from crossent.core.linear.layer import Layer
from crossent.core.linear.loop import Gradients
from crossent.core.linear.rows import Part, RowSource, in_steps
from crossent.core.linear.sparse import SparseTargets
from crossent.core.linear.vocabulary import FEW_ROWS, VocabularyPass, make_tile
from crossent.core.states import empty_state, log_sum_exp
from crossent.core.types import NDArray

__all__ = ["SoftmaxPass"]


class SoftmaxPass:
    """Meets loop.RowLoss."""

    def __init__(
        self, job: SoftmaxJob, layer: Layer, sparse: SparseTargets | None, *, gathered: bool,
        values: NDArray | None, lse: NDArray | None,
    ) -> None:  # fmt: skip
        """job: with the targets of all rows; values, lse: [rows], receive the rows' results."""
        dtype, self._layer = layer.dtype, layer
        self._job, self._sparse, self._values, self._lse = job, sparse, values, lse
        self._dtype = job.dtype
        self._soft = None if job.soft is None or sparse is not None else RowSource(job.soft)
        read = self._soft is not None and not gathered and self._soft.flat and plain(self._dtype, self._soft.array)
        self._stages_targets = sparse is not None or (self._soft is not None and not read)
        self._stages_logits = self._dtype != dtype
        self._targets: NDArray | None = None
        self._logits: NDArray | None = None

    row_bytes = 0

    @property
    def staged_bytes(self) -> int:
        """Bytes for each staged row."""
        return self._job.classes * self._dtype.itemsize * (self._stages_targets + self._stages_logits)

    @property
    def fixed_bytes(self) -> int:
        """Bytes for the class weights in the kernel's dtype."""
        return 0 if self._job.class_weight is None else self._job.classes * self._dtype.itemsize

    def run(self, logits: NDArray, part: Part, staged: int, *, gradient: bool) -> Sums:
        """The loss of a chunk; the gradient goes over the logits."""
        if not staged:
            return self._kernel(logits, part, None if self._soft is None else self._soft.seen(part), gradient)
        return in_steps(part, staged, lambda at, some: self._staged(logits[at], some, staged, gradient))

    def in_tiles(self, whole: Part, chunk: int, limit: int, gradients: Gradients | None) -> Sums | None:
        """Tiles of rows and vocabulary where chunks of whole rows would be too flat for fast products."""
        if chunk >= min(FEW_ROWS, len(whole)):
            return None
        tiles = VocabularyPass(self._layer, self._job, self._sparse, self._values, self._lse)
        tile = make_tile(limit, len(whole), self._layer, tiles.targets_bytes)
        worth = tile.rows >= 2 * chunk and tile.classes >= FEW_ROWS
        return tiles.run(whole, tile, gradients) if worth else None

    def _staged(self, logits: NDArray, part: Part, staged: int, gradient: bool) -> Sums:
        n, soft = len(part), self._target_rows(part, staged)
        if not self._stages_logits:
            return self._kernel(logits, part, soft, gradient)
        if self._logits is None:
            self._logits = np.empty((staged, self._job.classes), self._dtype)
        wide = self._logits[:n]
        wide[...] = logits
        sums = self._kernel(wide, part, soft, gradient)
        if gradient:
            logits[...] = wide
        return sums

    def _target_rows(self, part: Part, staged: int) -> NDArray | None:
        """Dense targets of a part, where it has such."""
        if not self._stages_targets:
            return None if self._soft is None else self._soft.seen(part)
        if self._targets is None:
            self._targets = np.empty((staged, self._job.classes), self._dtype)
        if self._sparse is not None:
            self._sparse.fill(part, slice(0, self._job.classes), self._targets[: len(part)])
        else:
            assert self._soft is not None
            self._soft.copy(part, self._targets[: len(part)])
        return self._targets[: len(part)]

    def _kernel(self, logits: NDArray, part: Part, soft: NDArray | None, gradient: bool) -> Sums:
        whole = self._job
        job = replace(
            whole, logits=logits, axis=1, soft=soft, labels=part.take(whole.labels),
            soft_factor=part.take(whole.soft_factor), row_weight=part.take(whole.row_weight),
        )  # fmt: skip
        if self._lse is not None:
            self._log_sums(job, part, self._lse)
        values = None if self._values is None else np.empty(len(part), self._dtype)
        sums = run_softmax(job, values=values, grad=logits if gradient else None)
        if self._values is not None:
            self._values[part.selection] = values
        return sums

    def _log_sums(self, job: SoftmaxJob, part: Part, out: NDArray) -> None:
        """log(sum(exp(z))) of each row, of the logits as the options change them."""
        left = empty_state(len(part))
        run_softmax(replace(job, shard=Shard(0, job.classes, left=left)))
        out[part.selection] = log_sum_exp(left)
