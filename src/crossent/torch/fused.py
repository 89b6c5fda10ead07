"""Loss and gradient in one native pass, as autograd sees them: the eager route for plain CPU tensors.

The gradient's buffer is made in the forward pass and handed over in the backward pass, scaled in place: it is dropped
here first, for its new owner may write into it. A second backward pass computes it again from the saved input, and one
under create_graph=True differentiates the formula, which knows its own derivatives.
"""

from typing import Any, Protocol

import ml_dtypes
import numpy as np
import torch
from torch import Tensor

from crossent.core.blocks import BadRow
from crossent.core.buffers import new_array
from crossent.core.pool import with_threads
from crossent.core.types import NDArray

__all__ = ["Call", "Fused", "array_of", "is_batched", "native_pass", "scaled", "tensor_of"]

_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
_NUMPY = {
    torch.float32: np.dtype(np.float32), torch.float64: np.dtype(np.float64), torch.float16: np.dtype(np.float16),
    torch.bfloat16: _BFLOAT16,
}  # fmt: skip
_MANY = 1 << 17  # elements from which on threads share a pass


class Call(Protocol):
    """A loss with everything but its input."""

    @property
    def axis(self) -> int | None:
        """Where the input has an axis that the row losses do not have."""

    @property
    def tensors(self) -> list[Tensor]:
        """Targets and weights."""

    def loss_dtype(self, input: Tensor) -> torch.dtype:
        """The input's, or that of wider targets."""

    def formula(self, input: Tensor) -> Tensor:
        """The loss in torch operations."""

    def small_pass(self, input: Tensor, wanted: bool) -> tuple[Tensor, Tensor | None, float] | None:
        """A pass over few numbers, where arrays take longer to make than to fill; None for what has no such way."""

    def run(self, z: NDArray, grad: NDArray | None) -> tuple[Any, float]:
        """One native pass: the loss (a number, or an array of row losses), and what the gradient lacks as a factor.

        BadRow where a value is not what the kernels take.
        """

    def refuse(self, bad: BadRow, input: Tensor) -> None:
        """Raises torch's error for a bad row, if torch has one."""


def array_of(tensor: Tensor) -> NDArray:
    """The same memory as an array."""
    tensor = tensor.detach()
    if tensor.dtype is torch.bfloat16:
        return np.asarray(tensor.view(torch.int16).numpy()).view(_BFLOAT16)
    return np.asarray(tensor.numpy())


def tensor_of(array: NDArray) -> Tensor:
    """The same memory as a tensor."""
    if array.dtype == _BFLOAT16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _new_like(input: Tensor, z: NDArray) -> NDArray:
    """A gradient's memory, with the input's strides where it has no gaps."""
    if z.flags.c_contiguous:
        return new_array(z.shape, z.dtype)
    return array_of(torch.empty_like(input))


def native_pass(call: Call, input: Tensor, wanted: bool) -> tuple[Tensor, Tensor | None, float]:
    """The loss, its gradient if wanted, and the factor that the gradient lacks; BadRow."""
    small = input.numel() <= _MANY
    if small and (found := call.small_pass(input, wanted)) is not None:
        return found
    z = array_of(input)
    grad = _new_like(input, z) if wanted else None
    if small:
        value, lacks = call.run(z, grad)
    else:
        with with_threads(torch.get_num_threads()):
            value, lacks = call.run(z, grad)
    dtype = call.loss_dtype(input)
    loss = tensor_of(value).to(dtype) if isinstance(value, np.ndarray) else torch.tensor(value, dtype=dtype)
    return loss, None if grad is None else tensor_of(grad), lacks


class Fused(torch.autograd.Function):
    """The loss of `call`, with its gradient computed beside it."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, call: Call) -> Tensor:
        loss, ctx.grad, ctx.lacks = native_pass(call, input, True)
        ctx.call = call
        ctx.save_for_backward(input, *call.tensors)
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        call, lacks = ctx.call, ctx.lacks
        again = torch.is_grad_enabled()  # create_graph=True
        if again or torch._C._are_functorch_transforms_active():
            input = ctx.saved_tensors[0]
            with torch.enable_grad():
                (slope,) = torch.autograd.grad(call.formula(input), input, upstream, create_graph=again)
            return slope, None
        grad, ctx.grad = ctx.grad, None
        if grad is None:
            input = ctx.saved_tensors[0]  # an error if it, the targets or the weights have been written to
            _, grad, lacks = native_pass(call, input, True)
        return scaled(grad, upstream, lacks, call.axis), None


def is_batched(upstream: Tensor) -> bool:
    """Whether these are many upstreams at once: is_grads_batched=True."""
    return bool(torch._C._functorch.is_legacy_batchedtensor(upstream))


def scaled(grad: Tensor, upstream: Tensor, lacks: float, axis: int | None) -> Tensor:
    """The gradient times what comes from above, in place."""
    if is_batched(upstream):
        upstream = upstream if axis is None or upstream.dim() == 0 else upstream.unsqueeze(axis)
        return grad * (lacks * upstream)
    if upstream.dim() == 0:
        factor = lacks * upstream.item()
        return grad if factor == 1 else grad.mul_(factor)
    if upstream.numel() == 0:
        return grad
    if not any(upstream.stride()):  # a number, expanded
        return grad.mul_(lacks * upstream[(0,) * upstream.dim()])
    if axis is not None:
        upstream = upstream.unsqueeze(axis)
    return grad.mul_(upstream.to(grad.dtype))  # of row losses, whose gradients lack nothing
