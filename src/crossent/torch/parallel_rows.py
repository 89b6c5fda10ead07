"""Rows of a vocabulary in shards on native code: each process leaves a few numbers a row, all merge the same.

Rows without a softmax, which native code refuses, have NaN as loss and gradient on every process, as in torch: the
process that sees one marks its state with NaN, for an error of one process would leave the others waiting.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crossent.core import states
from crossent.core.shard import ShardLogits
from crossent.core.types import NDArray
from crossent.errors import NonFiniteError
from crossent.losses import CrossEntropy
from crossent.torch.fused import array_of
from crossent.torch.parallel_group import Vocabulary

__all__ = ["ShardRows"]


@dataclass
class ShardRows:
    """The loss of rows whose classes are spread over processes. Meets linear_chunks.RowLoss.

    target: [N] of the whole vocabulary; factor, row_weight [N]: of gradients. What the first pass over all rows leaves:
    merged [N, 8], what all processes together know of each row, and lost [N], whether it has no softmax.
    """

    vocabulary: Vocabulary
    loss: CrossEntropy
    target: NDArray
    factor: float = 1.0
    row_weight: NDArray | None = None
    known: bool = False
    merged: NDArray = field(init=False)
    lost: NDArray = field(init=False)

    def __post_init__(self) -> None:
        self.merged, self.lost = states.empty_state(len(self.target)), np.zeros(len(self.target), bool)

    def run(self, z: Tensor, rows: slice, again: Callable[[], None], *, gradient: bool) -> None:
        """See RowLoss; the states of the rows are exchanged unless they are known."""
        logits = array_of(z)
        if not self.known:
            self._exchange(logits, rows)
        if gradient:
            self.differentiate(logits, rows, logits)

    def _exchange(self, z: NDArray, rows: slice) -> None:
        own, vocabulary = self._left(z, rows), self.vocabulary
        all_states = vocabulary.gathered(torch.from_numpy(own)).numpy()
        lost = np.isnan(all_states[..., states.MAXIMUM]).any(axis=0)
        all_states[:, lost] = 0
        merged = states.merge_states(list(all_states))
        lost |= states.undecided(merged)
        self.lost[rows] = lost & (self.target[rows] != self.loss.ignore_index)
        merged[lost] = 0
        self.merged[rows] = merged

    def _left(self, z: NDArray, rows: slice) -> NDArray:
        """This process's state of each row; NaN as maximum where no other process's can mend it."""
        try:
            return self._job(z, rows).leave()
        except NonFiniteError:
            lost = np.isnan(z).any(axis=1) | ((z == np.inf).sum(axis=1) > 1)
            left = self._job(np.where(lost[:, None], z.dtype.type(0), z), rows).leave()
            left[lost, states.MAXIMUM] = np.nan
            return left

    def _job(self, z: NDArray, rows: slice) -> ShardLogits:
        weight = None if self.row_weight is None else self.row_weight[rows]
        v = self.vocabulary
        return ShardLogits(self.loss, self.target[rows], z, weight, v.first, v.classes)

    def differentiate(self, z: NDArray, rows: slice, out: NDArray) -> None:
        """The gradient of rows whose states are known; `out` may be the logits themselves."""
        lost = self.lost[rows]
        if lost.any():
            z = np.where(lost[:, None], z.dtype.type(0), z)
        self._job(z, rows).gradient(self.merged[rows], out, self.factor)
        out[lost] = np.nan

    def values(self, dtype: np.dtype[Any]) -> tuple[NDArray, float]:
        """The row losses [N], and their sum."""
        terms = self._job(np.zeros((0, self.vocabulary.sizes[self.vocabulary.rank]), dtype), slice(0, 0)).terms
        losses, sums = states.finished_rows(self.merged, terms, None, 1.0, dtype)
        losses[self.lost] = np.nan
        return losses, float("nan") if self.lost.any() else sums.value
