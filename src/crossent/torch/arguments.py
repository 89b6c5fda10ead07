"""What torch's loss functions do with their arguments before anything else: dtypes, autocast, deprecated words."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["float_of", "is_floating", "reduction_name"]

_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
_HALVES = (torch.bfloat16, torch.float16)
_REDUCTIONS = ("none", "mean", "sum")  # in the order of torch's numbers


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
        if torch.compiler.is_compiling():  # which takes torch's helper for an operator
            return "none" if reduce is not None and not reduce else "mean" if size_average in (None, True) else "sum"
        return str(torch.nn._reduction.legacy_get_string(size_average, reduce))
    if reduction in _REDUCTIONS:
        return reduction
    return _REDUCTIONS[torch.nn._reduction.get_enum(reduction)]  # another word is an error, an old one a warning
