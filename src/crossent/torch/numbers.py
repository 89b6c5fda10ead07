"""Sums and means of row losses in torch operations: added in float64 where the device has it, rounded once."""

import torch
from torch import Tensor

__all__ = ["reduced", "summed", "wide"]

_WITHOUT_FLOAT64 = ("mps", "xla")


def wide(x: Tensor) -> torch.dtype:
    """float64, or what its device has instead."""
    return torch.float32 if x.device.type in _WITHOUT_FLOAT64 else torch.float64


def summed(x: Tensor) -> Tensor:
    """The sum of all elements, in float64."""
    return x.sum(dtype=wide(x))


def reduced(
    losses: Tensor, mass: Tensor | None, *, reduction: str, factor: float, over_nothing: float, dtype: torch.dtype
) -> Tensor:
    """The row losses times factor, their sum, or their mean, in dtype.

    mass: what a mean divides by the sum of, and over_nothing the mean where that is 0; None: the number of losses.
    """
    losses = losses if factor == 1 else factor * losses
    if reduction == "none":
        return losses.to(dtype)
    total = summed(losses)
    if reduction == "mean":
        total = _mean(total, float(losses.numel()) if mass is None else summed(mass), over_nothing)
    return total.to(dtype)


def _mean(total: Tensor, divisor: Tensor | float, over_nothing: float) -> Tensor:
    """total / divisor; over_nothing where the divisor is 0."""
    if not isinstance(divisor, Tensor):
        return total / divisor if divisor else total * over_nothing if over_nothing != 0 else torch.zeros_like(total)
    some = divisor != 0
    return torch.where(some, total / torch.where(some, divisor, 1.0), over_nothing)
