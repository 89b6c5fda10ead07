"""torch.nn.functional.binary_cross_entropy and its kin of logits, with exact forms and native code."""

import torch
from torch import Tensor
from torch.nn import functional as F

from crossent.torch.arguments import float_of, is_floating, reduction_name
from crossent.torch.label_call import LabelCall, ProbabilityCall
from crossent.torch.route import evaluate

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits"]


def _fits(input: Tensor, target: Tensor, *weights: Tensor | None) -> bool:
    """Whether this is a call that torch takes without converting anything."""
    shape = input.shape
    for each in (target, *weights):
        if each is not None and (each.dtype is not input.dtype or each.device != input.device):
            return False
    return (
        is_floating(input)
        and target.shape == shape
        and all(w is None or torch.broadcast_shapes(w.shape, shape) == shape for w in weights)
    )


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Cross-entropy of probabilities of independent labels, as `torch.nn.functional.binary_cross_entropy`.

        loss = w [y min(-log p, 100) + (1 - y) min(-log(1 - p), 100)]      [nat]

    The gradient is w (p - y) / max(p (1 - p), 1e-12). "mean" divides by the number of elements. Logits keep what
    probabilities have lost: `binary_cross_entropy_with_logits`.

    Args:
        input: [...] probabilities p of float32, float64, bfloat16 or float16, on any device.
        target: [...] y, shaped like the input.
        weight: w, anything that broadcasts to the input's shape.
        size_average, reduce: deprecated, as in torch.
        reduction: "mean", "sum" or "none".
    Returns: the loss with the input's dtype.
    Raises: torch's own errors: ValueError, RuntimeError.
    Source: torch 2.13.

    >>> round(binary_cross_entropy(torch.tensor([0.8, 0.3]), torch.tensor([1.0, 0.0])).item(), 6)
    0.289909
    """
    reduction = reduction_name(reduction, size_average, reduce)
    input, target, weight = float_of(input), float_of(target), float_of(weight)
    if not _fits(input, target, weight):  # torch has the words for what is wrong
        return F.binary_cross_entropy(input, target, weight, reduction=reduction)
    call = ProbabilityCall(target, weight, reduction)
    return evaluate(call, input, target, weight)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of logits of independent labels, as `torch.nn.functional.binary_cross_entropy_with_logits`.

        loss = w [P y log(1 + exp(-z)) + (1 - y) log(1 + exp(z))]      [nat]

    "mean" divides by the number of elements.

    Args:
        input: [...] logits z of float32, float64, bfloat16 or float16, on any device.
        target: [...] y, shaped like the input.
        weight: w, anything that broadcasts to the input's shape.
        size_average, reduce: deprecated, as in torch.
        reduction: "mean", "sum" or "none".
        pos_weight: P, anything that broadcasts to the input's shape: one number for each label, usually.
    Returns: the loss with the input's dtype; under autocast float32 for half precision.
    Raises: torch's own errors: ValueError, RuntimeError.
    Source: torch 2.13; Blanchard, Higham & Higham, IMA J. Numer. Anal. 41 (2021), 2311-2330.

    >>> z = torch.tensor([0.0, -2.0])
    >>> round(binary_cross_entropy_with_logits(z, torch.tensor([1.0, 0.0])).item(), 6)
    0.410038
    """
    reduction = reduction_name(reduction, size_average, reduce)
    input, target, weight, pos_weight = float_of(input), float_of(target), float_of(weight), float_of(pos_weight)
    if not _fits(input, target, weight, pos_weight):  # torch has the words for what is wrong
        return F.binary_cross_entropy_with_logits(input, target, weight, reduction=reduction, pos_weight=pos_weight)
    call = LabelCall(target, weight, pos_weight, reduction=reduction)
    return evaluate(call, input, target, weight, pos_weight)
