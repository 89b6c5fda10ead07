"""The loop over chunks of rows: logits into one buffer, loss and gradient in place, the gradients of the layer's parts.

Chunks are as large as memory allows. Measured on (2048, 1024, 32000) float32, two cores, time beside one chunk of all
rows in a warm buffer: 1024 rows 1.01, 512 rows 1.03, 256 rows 1.08, 128 rows 1.2, 64 rows 1.4: every chunk packs all
weights again for BLAS and adds to the whole weight gradient. A fresh buffer for all rows costs more than four chunks.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from crossent.core.blocks import BadRow, Sums
from crossent.core.buffers import new_array
from crossent.core.linear.layer import Layer, refuse_infinite
from crossent.core.linear.plan import Needs, default_limit, make_plan
from crossent.core.linear.products import Products
from crossent.core.linear.rows import Part, in_place
from crossent.core.types import NDArray

__all__ = ["Gradients", "RowLoss", "gradients_for", "run_chunks"]


class RowLoss(Protocol):
    """A loss of logits, as the loop over chunks sees it."""

    @property
    def row_bytes(self) -> int:
        """Bytes that a pass takes for each row of a chunk."""

    @property
    def staged_bytes(self) -> int:
        """Bytes that a pass takes for each row that it stages; 0 where it stages none."""

    @property
    def fixed_bytes(self) -> int:
        """Bytes that it takes whatever the rows."""

    def run(self, logits: NDArray, part: Part, staged: int, *, gradient: bool) -> Sums:
        """The loss of a chunk; writes the gradient over the logits. BadRow counts from the chunk's first row."""


@dataclass
class Gradients:
    """What a pass fills: like hidden, weight and bias; `upstream` [rows] multiplies the gradients of the rows."""

    hidden: NDArray
    weight: NDArray
    bias: NDArray | None
    upstream: NDArray | None = None


def gradients_for(layer: Layer) -> Gradients:
    """Unset arrays for the gradients: float64 where the array is, else float32."""
    wide, narrow = np.dtype(np.float64), np.dtype(np.float32)
    h, w, b = (None if a is None else wide if a.dtype.itemsize == 8 else narrow
               for a in (layer.hidden, layer.weight, layer.bias))  # fmt: skip
    assert h is not None
    assert w is not None
    bias = None if b is None else np.empty(layer.classes, b)
    return Gradients(new_array(layer.hidden.shape, h), new_array(layer.weight.shape, w), bias)


def run_chunks(
    layer: Layer, loss: RowLoss, kept: NDArray | None, limit: int | None, gradients: Gradients | None
) -> Sums:
    """The loss over the rows that `kept` numbers (None: over all); fills the gradients, with 0 for other rows.

    Raises: BadRow with the number of the row among all; OptionError for a limit that is too small; NonFiniteError where
        a number of hidden or weight leaves no gradient.
    """
    rows = math.prod(layer.shape) if kept is None else len(kept)
    if gradients is not None and (kept is not None or not rows):
        gradients.hidden[...] = 0
    if gradients is not None and not rows:
        gradients.weight[...] = 0
        if gradients.bias is not None:
            gradients.bias[...] = 0
    if not rows:
        return Sums(0.0, 0.0, 0)
    with np.errstate(all="ignore"):
        found = list(_Chunks(layer, loss, kept, rows, limit, gradients).run())
    return Sums(math.fsum(each.value for each in found), math.fsum(each.mass for each in found),
                sum(each.rows for each in found))  # fmt: skip


class _Chunks:
    """The buffers of one call, and what is done to each chunk with them."""

    def __init__(
        self, layer: Layer, loss: RowLoss, kept: NDArray | None, rows: int, limit: int | None,
        gradients: Gradients | None,
    ) -> None:  # fmt: skip
        self._layer, self._loss, self._kept, self._rows, self._gradients = layer, loss, kept, rows, gradients
        self._source, T = layer.rows, layer.dtype
        self._reads = kept is None and self._source.flat and in_place(self._source.array, T)
        self._writes = gradients is not None and kept is None and gradients.hidden.dtype == T
        scaled = gradients is not None and gradients.upstream is not None
        spare = gradients is not None and not layer.weight_in_place
        held = max(scaled or not self._reads, (gradients is not None and not self._writes) + spare)
        row = layer.classes * T.itemsize + loss.row_bytes + held * layer.features * T.itemsize
        summed = gradients is not None
        cast = gradients is not None and gradients.weight.dtype != T
        needs = Needs(row, layer.features * T.itemsize, loss.staged_bytes, self._fixed() + loss.fixed_bytes,
                      summed=summed, blocks=cast or not layer.weight_in_place)  # fmt: skip
        default = default_limit(math.prod(layer.shape), layer.classes, T.itemsize)
        self._plan = make_plan(limit, default, rows, layer.classes, needs)
        self._logits = new_array((self._plan.rows, layer.classes), T)
        self._held = [np.empty((self._plan.rows, layer.features), T) for _ in range(held)]
        scratch = np.empty((self._plan.classes, layer.features), T) if self._plan.classes else None
        self._products = Products(layer, scratch)
        self._bias = np.zeros(layer.classes) if gradients is not None and gradients.bias is not None else None

    def _fixed(self) -> int:
        """Bytes for the bias: in the layer's dtype, its sum in float64, a part of that sum."""
        bias, itemsize = self._layer.bias, self._layer.dtype.itemsize
        if bias is None:
            return 0
        cast = 0 if in_place(bias[None], self._layer.dtype) else itemsize
        return self._layer.classes * (cast + (8 + itemsize if self._gradients is not None else 0))

    def run(self) -> Iterator[Sums]:
        """Each chunk's sums."""
        step = self._plan.rows
        for first in range(0, self._rows, step):
            end = min(self._rows, first + step)
            part = Part(first, end, None if self._kept is None else self._kept[first:end])
            h, z = self._hidden(part), self._logits[: len(part)]
            self._products.logits(h, z)
            try:
                yield self._loss.run(z, part, self._plan.staged, gradient=self._gradients is not None)
            except BadRow as bad:
                raise BadRow(part.row(bad.row), bad.code) from None
            if self._gradients is not None:
                self._add(self._gradients, z, h, part)
        if self._gradients is not None and self._gradients.bias is not None:
            self._gradients.bias[...] = self._bias

    def _hidden(self, part: Part) -> NDArray:
        return self._source.seen(part) if self._reads else self._source.copy(part, self._held[0][: len(part)])

    def _add(self, gradients: Gradients, g: NDArray, h: NDArray, part: Part) -> None:
        """The chunk's part in each gradient; where rows are scaled, hidden and its gradient are, which are small."""
        n, scale = len(part), part.take(gradients.upstream)
        if scale is not None:
            h = np.multiply(h, scale[:, None], out=self._held[0][:n])
        self._products.to_weight(g, h, gradients.weight, first=part.first == 0)
        if self._bias is not None:
            self._products.to_bias(g, scale, self._bias)
        rows = gradients.hidden.reshape(math.prod(self._layer.shape), self._layer.features)
        free = [buffer[:n] for buffer in self._held]  # hidden is not needed any more
        out = rows[part.first : part.end] if self._writes else free.pop()
        self._products.to_hidden(g, out, free.pop() if free else None)
        if scale is not None:
            np.multiply(out, scale[:, None], out=out)
        refuse_infinite(self._layer, part, h, out)
        if not self._writes:
            rows[part.selection] = out
