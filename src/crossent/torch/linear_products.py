"""The products of a linear layer on torch's own matrix product, chunk by chunk: logits, and the gradients of its parts.

bfloat16 is multiplied as it is where the processor has instructions for that, several times as fast as float32. torch
rounds such a product to bfloat16, the logits too, exactly as its own layer does; no product of torch on CPU takes
bfloat16 and leaves float32. float16 is multiplied in float32 (torch's float16 product is slower than that on most
processors, and gradients divided by many rows would underflow): weights go there by blocks of classes. Products of one
chunk are added to those of others in float32, so that a gradient is not rounded chunk by chunk.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from crossent.core.buffers import new_array
from crossent.torch.fused import array_of, tensor_of

__all__ = ["Gradients", "Layer", "Products", "make_gradients", "new_matrix"]


_ROUNDED = 1 << 10  # rows of a gradient at a time
_PIECE = 1 << 25  # bytes; as much or more the C library gives back at once


def new_matrix(rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    """Unset numbers; from the pool of large results if there are many."""
    return tensor_of(new_array((rows, columns), array_of(torch.empty(0, dtype=dtype, device="cpu")).dtype))


@dataclass(frozen=True)
class Layer:
    """logits = hidden @ weight.T + bias: hidden [N, D], weight [K, D], bias [K] of one dtype."""

    hidden: Tensor
    weight: Tensor
    bias: Tensor | None

    @property
    def rows(self) -> int:
        """N."""
        return int(self.hidden.shape[0])

    @property
    def classes(self) -> int:
        """K."""
        return int(self.weight.shape[0])

    @property
    def features(self) -> int:
        """D."""
        return int(self.weight.shape[1])

    @property
    def dtype(self) -> torch.dtype:
        """Of the products."""
        dtype = self.hidden.dtype
        if dtype is torch.float16 or (dtype is torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported()):
            return torch.float32
        return dtype

    @property
    def direct(self) -> bool:
        """Whether the matrix product reads the weights where they lie; of others torch would make a copy."""
        w = self.weight
        lies_well = (w.stride(1) == 1 and w.stride(0) >= w.shape[1]) or (w.stride(0) == 1 and w.stride(1) >= w.shape[0])
        return w.dtype is self.dtype and (lies_well or w.is_contiguous())

    @property
    def sum_dtype(self) -> torch.dtype:
        """Of sums over chunks."""
        return torch.float32 if self.dtype is torch.bfloat16 else self.dtype


@dataclass
class Gradients:
    """What a pass fills, where it is wanted; of a dtype that loses nothing, rounded to that of the parts afterwards.

    weight: in pieces of some classes, where it will be rounded: each goes back to the system when that is done.
    """

    hidden: Tensor | None
    weight: list[Tensor] | None
    bias: Tensor | None

    def handed_over(self, parts: Sequence[Tensor | None], factor: float) -> tuple[Tensor | None, ...]:
        """factor times each, for hidden, weight and bias: in place, or rounded to the part's dtype.

        Nothing is held here afterwards, so that autograd may keep what it is given.
        """
        held = [None if self.hidden is None else [self.hidden], self.weight, None if self.bias is None else [self.bias]]
        self.hidden = self.weight = self.bias = None
        return tuple(
            None if pieces is None or part is None else _rounded(pieces, part, factor)
            for pieces, part in zip(held, parts, strict=True)
        )


def _rounded(pieces: list[Tensor], like: Tensor, factor: float) -> Tensor:
    """The pieces in one, times factor; they are let go one by one."""
    if pieces[0].dtype is like.dtype:
        whole = pieces.pop()
        return (whole if factor == 1 else whole.mul_(factor)).reshape(like.shape)
    width = pieces[0].shape[-1]
    out = new_matrix(sum(len(torch.atleast_2d(piece)) for piece in pieces), width, like.dtype)
    free = out
    while pieces:
        piece = torch.atleast_2d(pieces.pop(0))
        for wide, some in zip(piece.split(_ROUNDED), free.split(_ROUNDED), strict=False):
            some.copy_(wide if factor == 1 else wide * factor)
        free = free[len(piece) :]
    return out.reshape(like.shape)


def make_gradients(layer: Layer, wanted: tuple[bool, bool, bool], *, several: bool) -> Gradients:
    """Zeros for no row at all, else unset numbers. several: whether there are several chunks to be added up."""
    h, w, b = wanted
    dtype = layer.sum_dtype if several else layer.dtype
    found = Gradients(
        new_matrix(layer.rows, layer.features, layer.dtype) if h else None,
        _pieces(layer, dtype) if w else None,
        torch.zeros(layer.classes, dtype=layer.sum_dtype, device="cpu") if b else None,
    )
    if not layer.rows:
        for piece in found.weight or ():
            piece.zero_()
    return found


def _pieces(layer: Layer, dtype: torch.dtype) -> list[Tensor]:
    if dtype is layer.hidden.dtype:
        return [new_matrix(layer.classes, layer.features, dtype)]
    step = -(-_PIECE // max(1, layer.features * dtype.itemsize))
    sizes = [min(step, layer.classes - k) for k in range(0, layer.classes, step)]
    return [torch.empty((size, layer.features), dtype=dtype, device="cpu") for size in sizes]


class Products:
    """h W^T + b, G W, G^T h and the sums of G, for chunks h [n, D] and G [n, K]."""

    def __init__(self, layer: Layer, block: int) -> None:
        """block: classes of a block, where a product goes by blocks."""
        self._layer, self._direct = layer, layer.direct
        self._scratch = torch.empty((block, layer.features), dtype=layer.dtype, device="cpu") if block else None

    def _blocks(self, first: int, end: int) -> Iterator[tuple[slice, Tensor]]:
        """Blocks of the classes first .. end, and the scratch for each."""
        assert self._scratch is not None
        for k in range(first, end, len(self._scratch)):
            stop = min(end, k + len(self._scratch))
            yield slice(k, stop), self._scratch[: stop - k]

    def logits(self, h: Tensor, out: Tensor) -> None:
        """out = h W^T + b."""
        weight, bias = self._layer.weight, self._layer.bias
        if self._direct and bias is None:
            torch.mm(h, weight.t(), out=out)
        elif self._direct:
            torch.addmm(bias, h, weight.t(), out=out)
        else:
            for classes, scratch in self._blocks(0, self._layer.classes):
                torch.mm(h, scratch.copy_(weight[classes]).t(), out=out[:, classes])
            if bias is not None:
                out.add_(bias)

    def to_hidden(self, g: Tensor, out: Tensor) -> None:
        """out = G W."""
        weight = self._layer.weight
        if self._direct:
            torch.mm(g, weight, out=out)
            return
        for classes, scratch in self._blocks(0, self._layer.classes):
            scratch.copy_(weight[classes])
            if classes.start == 0:
                torch.mm(g[:, classes], scratch, out=out)
            else:
                out.addmm_(g[:, classes], scratch)

    def to_weight(self, g: Tensor, h: Tensor, out: list[Tensor], *, first: bool) -> None:
        """out = G^T h for the first chunk, out += G^T h for those after it."""
        k = 0
        for piece in out:
            if piece.dtype is not g.dtype:
                self._add_blocks(g, h, piece, k, first)
            elif first:
                torch.mm(g[:, k : k + len(piece)].t(), h, out=piece)
            else:
                piece.addmm_(g[:, k : k + len(piece)].t(), h)
            k += len(piece)

    def _add_blocks(self, g: Tensor, h: Tensor, piece: Tensor, k: int, first: bool) -> None:
        """The same for the classes from k on, of another dtype than the products."""
        for classes, scratch in self._blocks(k, k + len(piece)):
            torch.mm(g[:, classes].t(), h, out=scratch)
            some = piece[classes.start - k : classes.stop - k]
            if first:
                some.copy_(scratch)
            else:
                some.add_(scratch)
