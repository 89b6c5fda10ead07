"""The loop over chunks of rows: logits into one buffer, loss and gradient in place, the gradients of the layer's parts.

Chunks are as large as memory allows. Processor time of one thread for (2048, 1024, 32000) float32 beside chunks of 512
rows: 256 rows 1.02, 128 rows 1.15, 64 rows 1.26, 32 rows 1.43, for every chunk packs all weights again and adds to the
whole gradient of the weights; 1024 rows 1.03, 2048 rows 1.10, for their buffers' pages are fresh.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from crossent.core.blocks import BadRow, Sums
from crossent.core.buffers import new_array
from crossent.core.linear.layer import Layer, refuse_bad_hidden, refuse_bad_weight
from crossent.core.linear.plan import Needs, default_limit, make_plan
from crossent.core.linear.products import Products, add_to_bias
from crossent.core.linear.rows import Part, in_place, in_steps
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

    def in_tiles(self, whole: Part, chunk: int, limit: int, gradients: "Gradients | None") -> Sums | None:
        """The loss of all rows with the vocabulary cut as well, if that is faster than chunks of `chunk` rows."""


@dataclass
class Gradients:
    """What a pass fills: like hidden, weight and bias; `upstream` [rows] multiplies the gradients of the rows."""

    hidden: NDArray
    weight: NDArray
    bias: NDArray | None
    upstream: NDArray | None = None


def gradient_dtype(array: NDArray) -> np.dtype[Any]:
    """Of the gradient with respect to an array: float64 where it is, else float32."""
    return np.dtype(np.float64 if array.dtype.itemsize == 8 else np.float32)


def gradients_for(layer: Layer) -> Gradients:
    """Unset arrays for the gradients."""
    h, w = (new_array(array.shape, gradient_dtype(array)) for array in (layer.hidden, layer.weight))
    return Gradients(h, w, None if layer.bias is None else np.empty(layer.classes, gradient_dtype(layer.bias)))


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
    whole = Part(0, rows, kept)
    chunks = _Chunks(layer, loss, kept, rows, limit, gradients)
    try:
        with np.errstate(all="ignore"):
            tiled = loss.in_tiles(whole, chunks.plan.rows, chunks.limit, gradients)
            return chunks.run(whole) if tiled is None else tiled
    except BadRow as bad:
        raise BadRow(whole.row(bad.row), bad.code) from None


class _Chunks:
    """The buffers of one call, and what is done to each chunk with them."""

    def __init__(
        self, layer: Layer, loss: RowLoss, kept: NDArray | None, rows: int, limit: int | None,
        gradients: Gradients | None,
    ) -> None:  # fmt: skip
        self._layer, self._loss, self._gradients = layer, loss, gradients
        self._source, T = layer.rows, layer.dtype
        self._reads = kept is None and self._source.flat and in_place(self._source.array, T)
        self._writes = kept is None and gradient_dtype(layer.hidden) == T
        needs, held = self._needs(scaled=gradients is not None and gradients.upstream is not None)
        default = default_limit(math.prod(layer.shape), layer.classes, T.itemsize)
        self.plan = make_plan(limit, default, rows, layer.classes, needs)
        self.limit = default if limit is None else limit
        self._holds = held if gradients is not None else int(not self._reads)

    def _make_buffers(self) -> None:
        layer, plan, T = self._layer, self.plan, self._layer.dtype
        self._logits = new_array((plan.rows, layer.classes), T)
        self._held = [np.empty((plan.rows, layer.features), T) for _ in range(self._holds)]
        self._products = Products(layer, np.empty((plan.classes, layer.features), T) if plan.classes else None)
        wanted = self._gradients is not None and self._gradients.bias is not None
        self._bias = np.zeros(layer.classes) if wanted else None

    def _needs(self, *, scaled: bool) -> tuple[Needs, int]:
        """What the plan has to know, and how many [rows, D] buffers a chunk takes.

        As for gradients also where none are wanted: the same chunks round the same way, so that the loss alone has the
        bits of the loss with its gradient.
        """
        layer, itemsize = self._layer, self._layer.dtype.itemsize
        copied, kept_apart, converted = not self._reads, not self._writes, not layer.weight_in_place
        held = max(
            int(copied or scaled), kept_apart + converted
        )  # hidden's copy is free once weight's gradient is done
        fixed = self._loss.fixed_bytes
        if layer.bias is not None:  # in the layer's dtype, its sum in float64, a part of that sum
            own = in_place(layer.bias[None], layer.dtype)
            fixed += layer.classes * (8 + itemsize * (1 if own else 2))
        return Needs(
            row=layer.classes * itemsize + self._loss.row_bytes + held * layer.features * itemsize,
            block=layer.features * itemsize, staged=self._loss.staged_bytes, fixed=fixed, summed=True,
            blocks=converted or gradient_dtype(layer.weight) != layer.dtype,
        ), held  # fmt: skip

    def run(self, whole: Part) -> Sums:
        """The sums of all chunks."""
        self._make_buffers()
        sums = in_steps(whole, self.plan.rows, lambda _, part: self._chunk(part))
        if self._gradients is not None and self._gradients.bias is not None:
            self._gradients.bias[...] = self._bias
        return sums

    def _chunk(self, part: Part) -> Sums:
        h, z = self._hidden(part), self._logits[: len(part)]
        self._products.logits(h, z)
        sums = self._loss.run(z, part, self.plan.staged, gradient=self._gradients is not None)
        if self._gradients is not None:
            self._add(self._gradients, z, h, part)
        return sums

    def _hidden(self, part: Part) -> NDArray:
        return self._source.seen(part) if self._reads else self._source.copy(part, self._held[0][: len(part)])

    def _add(self, gradients: Gradients, g: NDArray, h: NDArray, part: Part) -> None:
        """The chunk's part in each gradient; where rows are scaled, hidden and its gradient are, which are small."""
        n, scale = len(part), part.take(gradients.upstream)
        refuse_bad_hidden(self._layer, part, h)
        if scale is not None:
            h = np.multiply(h, scale[:, None], out=self._held[0][:n])
        self._products.to_weight(g, h, gradients.weight, first=part.first == 0)
        if self._bias is not None:
            add_to_bias(g, scale, self._bias)
        rows = gradients.hidden.reshape(math.prod(self._layer.shape), self._layer.features)
        free = [buffer[:n] for buffer in self._held]  # hidden is not needed any more
        out = rows[part.first : part.end] if self._writes else free.pop()
        self._products.to_hidden(g, out, free.pop() if free else None)
        if scale is not None:
            np.multiply(out, scale[:, None], out=out)
        refuse_bad_weight(self._layer, out)
        if not self._writes:
            rows[part.selection] = out
