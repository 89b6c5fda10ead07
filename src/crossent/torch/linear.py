"""torch.nn.functional.linear_cross_entropy without all logits at once."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from crossent.core.blocks import BadRow
from crossent.core.linear.plan import checked_limit
from crossent.torch.arguments import is_floating
from crossent.torch.linear_call import LinearCall, LinearLoss, layer_of
from crossent.torch.route import is_plain

__all__ = ["cast_layer", "linear_cross_entropy"]


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
    memory_limit: int | None = None,
) -> Tensor:
    """Cross-entropy of softmax(input @ linear_weight.T + linear_bias), without holding all N x C logits.

        loss_i = sum_j w_j q_ij (lse_i - z_ij),  z_i = linear_weight input_i + linear_bias      [nat]

    as `torch.nn.functional.linear_cross_entropy`. Chunks of rows go through one buffer: their logits by torch's matrix
    product, the loss and the gradient in place of the logits. That is what happens for plain CPU tensors. All logits
    are made

    - under torch.func, torch.compile, forward mode, create_graph=True, is_grads_batched=True, or a tracer or mode;
    - on other devices, unless options are given: then torch's own chunks do the work, with all that limits them;
    - for a K-dimensional linear_weight, for parts of unequal dtype, and for class weights of another dtype than the
      loss beside class indices;
    - for class weights or targets that ask for gradients, are negative or are not finite;
    - with label_smoothing beside a class weight of 0, or beside a distribution of nothing but zeros.

    Accuracy: the loss's contract holds for the logits as torch rounded them: to bfloat16 for bfloat16, as its own
    layer does; float16 is multiplied in float32. Gradients are added up over chunks in float32 (float64 for float64).

    Args:
        input: (D) or (N, D) features of float32, float64, bfloat16 or float16.
        linear_weight: (C, D), a row for each class, or (C, d1, ..., D).
        target: class indices () or (N), or distributions (C) or (N, C); with d1, ... as in torch.
        linear_bias: (C), or (C, d1, ...).
        weight: (C) class weights w.
        reduction: "mean", "sum" or "none"; the backward pass through row losses computes the logits again.
        ignore_index: rows with this index are left out; None stands for -100. Not with distributions.
        label_smoothing: from 0 to 1.
        options: a torch.nn.LinearCrossEntropyOptions; its batch_chunk_size limits the rows of a chunk. Its other fields
            choose between speed, memory and accuracy of torch's own chunks, and change nothing here: sums are always
            accurate and a second backward pass always works. On other devices than CPU the whole call goes to
            torch.nn.functional.linear_cross_entropy, and memory_limit has no part in it.
        memory_limit: bytes for everything beyond the loss and the gradients (those of float16, and those of bfloat16
            added up over several chunks, are float32 until the backward pass); what torch's matrix product keeps for
            itself is its own. Default: a quarter of what the logits would take, at least 4 MB, at most 512 MB.
    Returns: the loss, with the input's dtype; under autocast float32.
    Raises: torch's own errors: RuntimeError, ValueError, IndexError; OptionError for a memory_limit that is too small.
    Source: torch 2.13; Wijmans et al., Cut Your Losses in Large-Vocabulary Language Models, ICLR 2025, for the same aim
        on other hardware.

    >>> h, W = torch.ones(2, 3, requires_grad=True), torch.zeros(5, 3, requires_grad=True)
    >>> loss = linear_cross_entropy(h, W, torch.tensor([0, 4]))
    >>> loss.backward()
    >>> round(loss.item(), 6), [round(x, 6) for x in W.grad[:, 0].tolist()]
    (1.609438, [-0.3, 0.2, 0.2, 0.2, -0.3])
    """
    memory_limit = checked_limit(memory_limit)
    kind = _kind(input, linear_weight, target, linear_bias, weight, ignore_index)
    if kind is None or reduction not in ("mean", "sum", "none") or not 0 <= label_smoothing <= 1:
        return F.linear_cross_entropy(  # torch has the words for what is wrong
            input, linear_weight, target, linear_bias=linear_bias, weight=weight, reduction=reduction,
            ignore_index=ignore_index, label_smoothing=label_smoothing,
        )  # fmt: skip
    if options is not None and not input.is_cpu:
        return F.linear_cross_entropy(  # its chunks are the ones that such a device has
            input, linear_weight, target, linear_bias=linear_bias, weight=weight, reduction=reduction,
            ignore_index=ignore_index, label_smoothing=label_smoothing, options=options,
        )  # fmt: skip
    target = target if kind == "soft" else target.long()  # a comparison of uint8 with -100 would wrap around
    input, linear_weight, linear_bias, weight, lower = cast_layer(input, linear_weight, linear_bias, weight)
    dtype = torch.float32 if lower else input.dtype
    call = LinearCall(
        target, kind == "soft", weight, -100 if ignore_index is None else ignore_index, label_smoothing, reduction,
        torch.promote_types(dtype, target.dtype) if kind == "soft" else dtype, memory_limit,
        None if options is None else options.batch_chunk_size,
    )  # fmt: skip
    if not _is_native(call, input, linear_weight, linear_bias):
        return call.formula(input, linear_weight, linear_bias)
    _check_labels(call, linear_weight.shape[0])
    try:
        if torch.is_grad_enabled() and _any_wanted(input, linear_weight, linear_bias):
            loss: Tensor = LinearLoss.apply(input, linear_weight, linear_bias, call)
            return loss
        loss, _ = call.run(layer_of(input, linear_weight, linear_bias), (False, False, False))
        return loss if loss.dim() == 0 or input.dim() == 2 else loss[0]
    except BadRow:  # targets or weights that are none to native code, but numbers to torch
        return call.formula(input, linear_weight, linear_bias)


def _any_wanted(*parts: Tensor | None) -> bool:
    return any(part is not None and part.requires_grad for part in parts)


def _kind(
    input: Tensor, linear_weight: Tensor, target: Tensor, bias: Tensor | None, weight: Tensor | None,
    ignore_index: int | None,
) -> str | None:  # fmt: skip
    """What the targets are, "index" or "soft"; None for what torch refuses, or may."""
    if input.dim() not in (1, 2) or linear_weight.dim() < 2 or input.shape[-1] != linear_weight.shape[-1]:
        return None
    batch, (classes, *out_features) = input.shape[:-1], linear_weight.shape[:-1]
    if not is_floating(input) or classes == 0 or (out_features and not batch):
        return None
    if bias is not None and bias.shape != linear_weight.shape[:-1]:
        return None
    if target.shape == (*batch, classes, *out_features):
        return "soft" if is_floating(target) and ignore_index is None else None
    fits = target.shape == (*batch, *out_features) and target.dtype in (torch.int64, torch.uint8)
    return "index" if fits and (weight is None or weight.shape == (classes,)) else None


def cast_layer(input: Tensor, linear_weight: Tensor, bias: Tensor | None, weight: Tensor | None) -> Any:
    """The layer as autocast has its products, the class weights as it has its losses; and whether it is at work."""
    device = input.device.type
    if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
        return input, linear_weight, bias, weight, False
    dtype = torch.get_autocast_dtype(device)

    def lower(x: Tensor | None) -> Tensor | None:
        return x if x is None or x.dtype is torch.float64 else x.to(dtype)

    if weight is not None and weight.dtype is not torch.float64:
        weight = weight.to(torch.float32)
    return lower(input), lower(linear_weight), lower(bias), weight, input.dtype is not torch.float64


def _is_native(call: LinearCall, input: Tensor, linear_weight: Tensor, bias: Tensor | None) -> bool:
    """Whether the chunks may run; else all logits are made, or torch says what is wrong."""
    if torch.compiler.is_compiling() or linear_weight.dim() > 2 or linear_weight.dtype is not input.dtype:
        return False
    if bias is not None and (bias.dtype is not input.dtype or not is_plain(bias, ())):
        return False
    w = call.weight
    if w is not None and (w.shape != linear_weight.shape[:1] or (not call.soft and w.dtype is not call.dtype)):
        return False
    return is_plain(input, (call.target, w)) and is_plain(linear_weight, ())


def _check_labels(call: LinearCall, classes: int) -> None:
    """IndexError for a label that is no class."""
    if call.soft:
        return
    t = call.target
    outside = ((t < 0) | (t >= classes)) & (t != call.ignore_index)
    if outside.any():
        raise IndexError(f"Target {int(t[outside].reshape(-1)[0])} is out of bounds.")
