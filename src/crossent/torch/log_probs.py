"""torch's losses of log-probabilities, nll_loss and kl_div: torch's calls, with sums that are rounded once.

Both are torch operations throughout, so torch differentiates, transforms and compiles them. Each element is computed
and added up in float64 and rounded once at the end, to the dtype that torch returns: half an ulp from the exact loss
for inputs narrower than float64. Where torch's result is NaN by accident, an element that does not count is 0 here:
a class that both distributions rule out, or a row whose class weight is 0.
"""

import math
import warnings
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from crossent.torch.arguments import reduction_name
from crossent.torch.divergence import Chunked, formula, takes_chunks
from crossent.torch.numbers import summed, wide

__all__ = ["kl_div", "nll_loss"]


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of class indices, from log-probabilities; `torch.nn.functional.nll_loss`.

        loss_i = -w[t_i] log_probs_i[t_i]                 [nat];  mean = sum_i loss_i / sum_i w[t_i]

    Args:
        input: [N, C, d1, ...] or [C] log-probabilities.
        target: [N, d1, ...] or [] class indices in 0..C-1, int64 or uint8.
        weight: [C] class weights, of the input's dtype; a row of weight 0 does not count, whatever its input.
        size_average, reduce: torch's old names of `reduction`; deprecated there.
        ignore_index: the target of rows that do not count.
        reduction: "mean", "sum" or "none".
    Returns: a scalar tensor, or the target's shape with "none"; the input's dtype (float32 under autocast). The mean
        of no row is NaN.
    Raises: torch's errors: IndexError for a target out of range, RuntimeError or ValueError for arguments that do not
        fit together.
    Source: torch.nn.functional.nll_loss of PyTorch 2.13.

    >>> log_probs = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]]).log()
    >>> print(f"{nll_loss(log_probs, torch.tensor([0, 2])).item():.6f}")
    1.039721
    """
    reduction = reduction_name(reduction, size_average, reduce)
    losses = F.nll_loss(input, target, ignore_index=ignore_index, reduction="none")  # exact: no sum, no product
    if not _fits(weight, losses.dtype, input):
        return F.nll_loss(input, target, weight, ignore_index=ignore_index, reduction=reduction)
    if weight is None and reduction == "none":
        return losses
    index = target.long()  # a comparison of uint8 with -100 would wrap around
    kept = index != ignore_index
    if weight is None:
        return _reduced(summed(losses), kept.sum(), reduction, losses.dtype)
    known = torch.where(kept, index, 0).reshape(-1)
    row_weights = torch.where(kept, weight.to(wide(weight)).index_select(0, known).reshape(index.shape), 0.0)
    row_losses = torch.where(row_weights == 0, 0.0, losses) * row_weights
    if reduction == "none":
        return row_losses.to(losses.dtype)
    return _reduced(row_losses.sum(), row_weights.sum(), reduction, losses.dtype)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Kullback-Leibler divergence of predicted log-probabilities from the truth; `torch.nn.functional.kl_div`.

        loss_j = t_j (log t_j - log_probs_j)              [nat]

    Both arguments are differentiable. The derivative for a target probability is log t_j + 1 - log_probs_j, which is
    -inf at t_j = 0 (torch: NaN). A class that both rule out (0 against -inf) adds nothing and has derivatives 0, and so
    has a target of logarithm -inf (torch: NaN).

    Args:
        input: log-probabilities, any shape.
        target: probabilities, or their logarithms with `log_target`; a shape that broadcasts with the input's.
        size_average, reduce: torch's old names of `reduction`; deprecated there.
        reduction: "batchmean" (the sum by the length of the first axis: the divergence of a mean row), "sum", "none",
            or "mean" (by the number of elements, which is no divergence: torch warns of it, and so does this).
        log_target: whether target holds logarithms.
    Returns: a scalar tensor, or the broadcast shape with "none"; the common dtype (float32 under autocast).
    Raises: torch's errors: RuntimeError for integers, complex numbers or shapes that do not fit, ValueError for
        another reduction.
    Source: Kullback & Leibler, Ann. Math. Stat. 22 (1951), 79-86; torch.nn.functional.kl_div of PyTorch 2.13.

    >>> truth = torch.tensor([[0.5, 0.5, 0.0]])
    >>> prediction = torch.tensor([[0.25, 0.75, 0.0]]).log()
    >>> print(f"{kl_div(prediction, truth, reduction='batchmean').item():.6f}")
    0.143841
    """
    old = size_average is not None or reduce is not None
    way = "sum" if reduction == "batchmean" and not old else reduction_name(reduction, size_average, reduce)
    if reduction == "mean" and not old and not torch.compiler.is_compiling():  # which cannot trace a warning
        warnings.warn(
            "reduction='mean' divides by the number of elements, which gives no Kullback-Leibler divergence; "
            "'batchmean' divides by the number of rows and does.",
            stacklevel=2,
        )
    if not (torch.is_floating_point(input) and torch.is_floating_point(target)):
        return F.kl_div(input, target, reduction=reduction, log_target=log_target)
    if takes_chunks(input, target):
        losses = Chunked.apply(input, target, log_target, way != "none")
    else:
        losses = formula(input, target, log_target)
        losses = losses if way == "none" else summed(losses)
    if way == "mean":
        losses = losses / math.prod(torch.broadcast_shapes(input.shape, target.shape))
    if reduction == "batchmean" and input.dim():  # beside size_average too, as in torch
        losses = losses / input.shape[0]
    return losses.to(_common_dtype(input, target))


def _reduced(total: Tensor, mass: Tensor, reduction: str, dtype: torch.dtype) -> Tensor:
    """The sum or mean, rounded."""
    return (total / mass if reduction == "mean" else total).to(dtype)


def _fits(weight: Tensor | None, dtype: Any, input: Tensor) -> bool:
    """Whether class weights are as torch takes them; otherwise torch is asked, and has an error or a rule."""
    if weight is None:
        return True
    C = input.shape[1] if input.dim() > 1 else input.shape[0]
    return C > 0 and weight.shape == (C,) and weight.dtype == dtype and not weight.requires_grad


def _common_dtype(input: Tensor, target: Tensor) -> Any:
    """As torch promotes: a tensor without axes gives way; and autocast to float32 at least."""
    dtype = torch.promote_types(input.dtype, target.dtype)
    if (input.dim() == 0) != (target.dim() == 0):
        dtype = input.dtype if input.dim() else target.dtype
    return torch.promote_types(dtype, torch.float32) if torch.is_autocast_enabled(input.device.type) else dtype
