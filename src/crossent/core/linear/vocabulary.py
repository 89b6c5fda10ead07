"""Chunks of rows and of the vocabulary: where so few rows of all classes fit that their matrix products would be slow.

Two passes over the classes for each chunk of rows: the state that each block of classes leaves of a row is merged
(core/states.py), then the block's logits are made again for its gradient. That is one product more than chunks of whole
rows take: measured on (2048, 256, 32000) float32 it pays where chunks would have less than some thirty rows.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from crossent.core.blocks import BadRow, Sums
from crossent.core.engine import Shard, SoftmaxJob, run_softmax
from crossent.core.faults import Fault
from crossent.core.linear.layer import Layer, refuse_bad_hidden, refuse_bad_weight
from crossent.core.linear.loop import Gradients
from crossent.core.linear.products import add_to_bias
from crossent.core.linear.rows import Part, RowSource, in_steps
from crossent.core.linear.sparse import SparseTargets
from crossent.core.states import STATE, empty_state, finished_rows, log_sum_exp, merge_states, undecided
from crossent.core.terms import Terms
from crossent.core.types import NDArray

__all__ = ["FEW_ROWS", "Tile", "VocabularyPass", "make_tile"]

FEW_ROWS = 32  # fewer rows of all classes than this, and the vocabulary is cut instead
_STATE_BYTES = 8 * STATE * 8  # of a row's state, and of what lies between while two are merged


class Tile(NamedTuple):
    """How many rows, and how many classes, are looked at together."""

    rows: int
    classes: int


def make_tile(limit: int, rows: int, layer: Layer, targets_bytes: int) -> Tile:
    """The largest tile, about square, whose logits, dense targets (bytes for each) and products fit the limit."""
    itemsize, D = layer.dtype.itemsize, layer.features
    cell, edge = itemsize + targets_bytes, 3 * D * itemsize + _STATE_BYTES
    limit = max(1, limit - (0 if layer.bias is None else 8 * layer.classes))  # its gradient is added up in float64
    side = int((math.sqrt(edge**2 + 4 * cell * limit) - edge) / (2 * cell))
    n = max(1, min(rows, side))
    by_row, by_class = 2 * D * itemsize + _STATE_BYTES, D * itemsize
    k = max(1, min(layer.classes, (limit - n * by_row) // (n * cell + by_class)))
    n = max(n, min(rows, (limit - k * by_class) // (k * cell + by_row)))
    return Tile(n, k)


class VocabularyPass:
    """The loss, and the gradients of the layer's parts, tile by tile."""

    def __init__(
        self, layer: Layer, job: SoftmaxJob, sparse: SparseTargets | None, values: NDArray | None, lse: NDArray | None
    ) -> None:
        """job: with the targets of all rows; values, lse: [rows], receive the rows' results."""
        self._layer, self._job, self._sparse, self._values, self._lse = layer, job, sparse, values, lse
        self._soft = None if job.soft is None or sparse is not None else RowSource(job.soft)
        self._terms = job.terms or Terms()

    @property
    def targets_bytes(self) -> int:
        """Bytes of dense targets for each logit."""
        return 0 if self._job.soft is None else self._job.dtype.itemsize

    def run(self, whole: Part, tile: Tile, gradients: Gradients | None) -> Sums:
        """The loss over all rows; gradients are added up in place. BadRow counts from the first of the rows."""
        T, K = self._layer.dtype, self._layer.classes
        self._logits = np.empty(tile.rows * tile.classes, T)
        self._targets = np.empty(tile.rows * tile.classes if self._soft or self._sparse else 0, self._job.dtype)
        self._spare = np.empty(max(tile.rows, tile.classes) * self._layer.features, T)
        self._bias = None if self._layer.bias is None else np.zeros(K)
        self._step = tile.classes
        if gradients is not None:
            gradients.weight[...] = 0
        sums = in_steps(whole, tile.rows, lambda _, part: self._chunk(part, gradients))
        if gradients is not None and gradients.bias is not None:
            gradients.bias[...] = self._bias
        return sums

    def _chunk(self, part: Part, gradients: Gradients | None) -> Sums:
        h = np.empty((len(part), self._layer.features), self._layer.dtype)
        self._layer.rows.copy(part, h)
        state = self._states(part, h)
        sums = self._finish(part, state)
        if gradients is not None:
            self._add(gradients, part, h, state)
        return sums

    def _blocks(self) -> Iterator[slice]:
        K = self._layer.classes
        for k in range(0, K, self._step):
            yield slice(k, min(K, k + self._step))

    def _weight(self, classes: slice) -> NDArray:
        return self._layer.weight[classes].astype(self._layer.dtype, copy=False)

    def _logits_of(self, h: NDArray, classes: slice) -> NDArray:
        width = classes.stop - classes.start
        z = self._logits[: len(h) * width].reshape(len(h), width)
        np.matmul(h, self._weight(classes).T, out=z)
        if self._layer.bias is not None:
            np.add(z, self._layer.bias[classes].astype(z.dtype), out=z)
        return z

    def _job_of(self, z: NDArray, part: Part, classes: slice, shard: Shard) -> SoftmaxJob:
        whole, width = self._job, classes.stop - classes.start
        q = None
        if self._sparse is not None or self._soft is not None:
            q = self._targets[: len(part) * width].reshape(len(part), width)
            if self._sparse is not None:
                self._sparse.fill(part, classes, q)
            else:
                assert self._soft is not None
                self._soft.copy(part, q, classes)
        weight = whole.class_weight
        return replace(
            whole, logits=z, axis=1, soft=q, labels=part.take(whole.labels), soft_factor=part.take(whole.soft_factor),
            row_weight=part.take(whole.row_weight), class_weight=None if weight is None else weight[classes],
            sum_tolerance=-1.0, shard=shard,
        )  # fmt: skip

    def _states(self, part: Part, h: NDArray) -> NDArray:
        """The merged state of each row; BadRow for the lowest bad one."""
        K, merged, bad = self._layer.classes, None, []
        for classes in self._blocks():
            left = empty_state(len(part))
            shard = Shard(classes.start, K, left=left)
            try:
                run_softmax(self._job_of(self._logits_of(h, classes), part, classes, shard))
            except BadRow as found:
                bad.append(found)
                continue
            merged = left if merged is None else merge_states([merged, left])
        if merged is not None and undecided(merged).any():
            bad.append(BadRow(int(np.argmax(undecided(merged))), Fault.NON_FINITE))
        if bad:
            raise min(bad, key=lambda found: found.row)
        assert merged is not None
        return merged

    def _finish(self, part: Part, state: NDArray) -> Sums:
        weight = part.take(self._job.row_weight)
        losses, sums = finished_rows(state, self._terms, weight, self._job.value_factor, self._layer.dtype)
        if self._values is not None:
            self._values[part.selection] = losses
        if self._lse is not None:
            self._lse[part.selection] = log_sum_exp(state)
        return sums

    def _add(self, gradients: Gradients, part: Part, h: NDArray, state: NDArray) -> None:
        """The chunk's part in each gradient."""
        refuse_bad_hidden(self._layer, part, h)
        n, D, K = len(part), self._layer.features, self._layer.classes
        scale = part.take(gradients.upstream)
        scaled = h if scale is None else h * scale[:, None]
        out = np.zeros((n, D), self._layer.dtype)
        for classes in self._blocks():
            g = self._logits_of(h, classes)
            run_softmax(self._job_of(g, part, classes, Shard(classes.start, K, given=state)), grad=g)
            width = classes.stop - classes.start
            block = np.matmul(g.T, scaled, out=self._spare[: width * D].reshape(width, D))
            target = gradients.weight[classes]
            np.add(target, block, out=target, casting="same_kind")
            if self._bias is not None:
                add_to_bias(g, scale, self._bias[classes])
            np.add(out, np.matmul(g, self._weight(classes), out=self._spare[: n * D].reshape(n, D)), out=out)
        if scale is not None:
            np.multiply(out, scale[:, None], out=out)
        refuse_bad_weight(self._layer, out)
        rows = gradients.hidden.reshape(math.prod(self._layer.shape), D)
        rows[part.selection] = out
