"""torch.nn.functional.cross_entropy with exact forms and native code."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from crossent.torch.arguments import float_of, is_floating, reduction_name
from crossent.torch.class_call import ClassCall
from crossent.torch.route import evaluate

__all__ = ["cross_entropy"]


def _kind(input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> Literal["index", "soft"] | None:
    """What the targets are; None for what torch refuses, or may."""
    if not isinstance(input, Tensor) or not isinstance(target, Tensor):
        return None
    shape, dtype = input.shape, target.dtype
    if not shape or not is_floating(input) or target.device != input.device:
        return None
    classes = shape[1 if len(shape) > 1 else 0]
    if classes == 0 or (weight is not None and (weight.shape != (classes,) or weight.device != input.device)):
        return None
    if dtype is torch.int64 or dtype is torch.uint8:
        fits = target.shape == (shape[:1] + shape[2:] if len(shape) > 1 else ())
        return "index" if fits and (weight is None or weight.dtype is input.dtype) else None
    return "soft" if target.shape == shape and is_floating(target) and ignore_index < 0 else None


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of logits against class indices or distributions, as `torch.nn.functional.cross_entropy`.

        loss_i = sum_j w_j q_ij (lse_i - z_ij),  lse_i = log(sum_k exp(z_ik))      [nat]

    with q_i the target's distribution, smoothed as (1 - a) q + a / C. "mean" divides by sum_i w_{t_i} over the rows
    kept for indices, by their number for distributions; over no row it is NaN.

    Args:
        input: (C), (N, C) or (N, C, d1, ...) logits of float32, float64, bfloat16 or float16, on any device.
        target: class indices (), (N) or (N, d1, ...), or distributions shaped like the input.
        weight: (C) class weights w.
        size_average, reduce: deprecated, as in torch.
        ignore_index: rows with this index are left out, whatever their logits.
        reduction: "mean", "sum" or "none".
        label_smoothing: a in [0, 1].
    Returns: the loss with the input's dtype, or that of wider distributions; under autocast float32 for half precision.
    Raises: torch's own errors: ValueError, RuntimeError, IndexError.
    Source: torch 2.13; Blanchard, Higham & Higham, IMA J. Numer. Anal. 41 (2021), 2311-2330.

    >>> z = torch.tensor([[40.0, 0.0], [0.0, 0.0]], requires_grad=True)
    >>> loss = cross_entropy(z, torch.tensor([0, 1]), reduction="none")
    >>> loss.tolist()[0] > 0  # torch's own is 0 here, and so is its gradient
    True
    >>> loss.sum().backward()
    >>> z.grad[1].tolist()
    [0.5, -0.5]
    """
    reduction = reduction_name(reduction, size_average, reduce)
    input, weight = float_of(input), float_of(weight)
    kind = _kind(input, target, weight, ignore_index) if 0 <= label_smoothing <= 1 else None
    if kind is None:  # torch has the words for what is wrong
        return F.cross_entropy(
            input, target, weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
        )
    soft, axis = kind == "soft", 1 if input.dim() > 1 else 0
    call = ClassCall(
        float_of(target) if soft else target, soft, axis, weight, None if soft else ignore_index, label_smoothing,
        reduction=reduction, mean_over="rows" if soft else "mass", massless_stay=True,
    )  # fmt: skip
    return evaluate(call, input, target, weight)
