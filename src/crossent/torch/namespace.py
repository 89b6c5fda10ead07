"""torch as the array namespace in which core.formula and core.formula_elements are written."""

from typing import Any

import torch

__all__ = ["Namespace"]


class Namespace:
    """What the formulas ask of NumPy, with torch's names for axes, on one device."""

    abs = staticmethod(torch.abs)
    ceil = staticmethod(torch.ceil)
    exp = staticmethod(torch.exp)
    expm1 = staticmethod(torch.expm1)
    finfo = staticmethod(torch.finfo)
    isfinite = staticmethod(torch.isfinite)
    log = staticmethod(torch.log)
    log1p = staticmethod(torch.log1p)
    log2 = staticmethod(torch.log2)
    tanh = staticmethod(torch.tanh)
    where = staticmethod(torch.where)

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def asarray(self, x: Any, dtype: torch.dtype) -> torch.Tensor:
        return torch.as_tensor(x, dtype=dtype, device=self._device)

    def arange(self, n: int) -> torch.Tensor:
        return torch.arange(n, device=self._device)

    def argmax(self, x: torch.Tensor, *, axis: int) -> torch.Tensor:
        return torch.argmax(x, dim=axis)

    def take_along_axis(self, x: torch.Tensor, indices: torch.Tensor, axis: int) -> torch.Tensor:
        return torch.gather(x, axis, indices)  # take_along_dim takes an index that is none modulo the size

    def sum(self, x: torch.Tensor, *, axis: int, keepdims: bool = False) -> torch.Tensor:
        return torch.sum(x, dim=axis, keepdim=keepdims)
