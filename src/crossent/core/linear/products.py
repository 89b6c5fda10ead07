"""The four products of a linear layer on NumPy's BLAS, into given buffers: logits and the gradients of its parts.

No copy of the weights is made and no second [K, D] for a sum: what BLAS cannot read where it lies (half precision,
another dtype, strides), and what it cannot add to (np.matmul has no "+="), goes through a block of classes at a time.
The sums over rows are float32 where the layer is: a chunk's product is added to what the chunks before left, which
rounds less often than one product over all rows does. The bias, sums of one column each, is added up in float64.
"""

import numpy as np

from crossent.core.linear.layer import Layer
from crossent.core.types import NDArray

__all__ = ["Products", "add_to_bias", "one_row"]

_SUMMED_ROWS = 64  # of a gradient, added up in its dtype before they go to float64
_LOOKED_AT = 1 << 18  # weights converted at a time, for one row


class Products:
    """h W^T + b, G W, G^T h and the sums of G, for chunks h [n, D] and G [n, K]."""

    def __init__(self, layer: Layer, scratch: NDArray | None) -> None:
        """scratch: [classes, D] of the layer's dtype, where a product goes by blocks."""
        self._layer, self._scratch = layer, scratch
        self._direct = layer.weight_in_place
        self._bias = None if layer.bias is None else np.require(layer.bias, layer.dtype, ["C", "A"])

    def _blocks(self) -> list[slice]:
        assert self._scratch is not None
        step = len(self._scratch)
        return [slice(k, min(self._layer.classes, k + step)) for k in range(0, self._layer.classes, step)]

    def _weight(self, classes: slice) -> NDArray:
        """A block of the weights in the layer's dtype."""
        assert self._scratch is not None
        block = self._scratch[: classes.stop - classes.start]
        block[...] = self._layer.weight[classes]
        return block

    def logits(self, h: NDArray, out: NDArray) -> None:
        """out = h W^T + b."""
        if self._direct:
            np.matmul(h, self._layer.weight.T, out=out)
        else:
            for classes in self._blocks():
                np.matmul(h, self._weight(classes).T, out=out[:, classes])
        if self._bias is not None:
            np.add(out, self._bias, out=out)

    def to_hidden(self, g: NDArray, out: NDArray, spare: NDArray | None) -> None:
        """out = G W; spare: a second [n, D], where the weights go by blocks."""
        if self._direct:
            np.matmul(g, self._layer.weight, out=out)
            return
        assert spare is not None
        for classes in self._blocks():
            target = out if classes.start == 0 else spare
            np.matmul(g[:, classes], self._weight(classes), out=target)
            if target is spare:
                np.add(out, spare, out=out)

    def to_weight(self, g: NDArray, h: NDArray, out: NDArray, *, first: bool) -> None:
        """out = G^T h for the first chunk, out += G^T h for those after it."""
        if first and out.dtype == h.dtype:
            np.matmul(g.T, h, out=out)
            return
        assert self._scratch is not None
        for classes in self._blocks():
            block = self._scratch[: classes.stop - classes.start]
            np.matmul(g[:, classes].T, h, out=block)
            if first:
                out[classes] = block
            else:
                np.add(out[classes], block, out=out[classes], casting="same_kind")


def add_to_bias(g: NDArray, scale: NDArray | None, out: NDArray) -> None:
    """out += G^T scale, in float64; scale: one number a row, 1 if not given."""
    for first in range(0, len(g), _SUMMED_ROWS):
        rows = g[first : first + _SUMMED_ROWS]
        part = np.ones(len(rows), g.dtype) if scale is None else scale[first : first + _SUMMED_ROWS]
        np.add(out, np.matmul(part, rows), out=out)


def one_row(layer: Layer, row: int) -> NDArray:
    """The logits [K] of one row."""
    h, out = layer.rows.one(row).astype(layer.dtype), np.empty(layer.classes, layer.dtype)
    step = max(1, _LOOKED_AT // max(1, layer.features))
    with np.errstate(all="ignore"):
        for k in range(0, layer.classes, step):
            out[k : k + step] = layer.weight[k : k + step].astype(layer.dtype) @ h
        return out if layer.bias is None else np.asarray(out + layer.bias.astype(layer.dtype))
