"""Which way a call takes: eager native code for plain CPU tensors, the formula in torch operations for all else.

A gradient that the forward pass computed is a constant to autograd: under forward mode, torch.func or a tracer it would
be silently wrong. So native code sees only plain CPU tensors of which nothing but the input wants a gradient, while no
transform, mode or tracer is at work. Even there a backward pass with create_graph=True goes through the formula.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

__all__ = ["float_of", "is_floating", "is_plain", "reduction_name"]

_PLAIN = (Tensor, torch.nn.Parameter)
_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
_HALVES = (torch.bfloat16, torch.float16)


def is_plain(input: Tensor, *constants: Tensor | None) -> bool:
    """Whether native code may have the input; the constants (targets, weights) must not ask for a gradient."""
    if torch.compiler.is_compiling() or type(input) not in _PLAIN or not input.is_cpu or input.dtype not in _DTYPES:
        return False
    for each in constants:
        if each is not None and (type(each) not in _PLAIN or not each.is_cpu or each.requires_grad or each.is_neg()):
            return False
    return not (
        input.layout != torch.strided
        or input.is_neg()
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
        or torch._C._len_torch_dispatch_stack()
        or torch._C._len_torch_function_stack()
        or torch._C._get_tracing_state() is not None
    )


def is_floating(x: Tensor) -> bool:
    """Whether the dtype is one that losses are computed for."""
    return x.dtype in _DTYPES


def float_of(x: Any) -> Any:
    """Under autocast float32 for half precision, as torch's own loss functions have it."""
    if isinstance(x, Tensor) and x.dtype in _HALVES and torch.is_autocast_enabled(x.device.type):
        return x.to(torch.float32)
    return x


def reduction_name(reduction: str, size_average: bool | None, reduce: bool | None) -> str:
    """Torch's reduction; the two arguments that it deprecates go before, with its warning, and its ValueError."""
    if size_average is not None or reduce is not None:
        return str(torch.nn._reduction.legacy_get_string(size_average, reduce))
    if reduction not in ("mean", "sum", "none"):
        torch.nn._reduction.get_enum(reduction)
    return reduction
