"""The loss of a vocabulary in shards, as autograd sees it: one exchange forward, none backward.

Every process gets the same loss, bit by bit, and the gradient of its own part; the gradient of what all have alike,
the layer's input, is summed over the processes beside the forward pass, or, for row losses, in the backward pass.
What comes from above must be the same everywhere. No process knows the others' derivatives of second order, so a
gradient of a gradient is refused. Targets and class weights are saved by autograd, which refuses a backward pass that
needs them after they were written over; where that happens on one process alone, the others wait for it in vain.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crossent.core.buffers import new_like
from crossent.core.pool import with_threads
from crossent.losses import CrossEntropy
from crossent.torch.fused import array_of, tensor_of
from crossent.torch.linear_call import Wanted, forms_of, layer_of, row_factors, target_mass
from crossent.torch.linear_chunks import plan_for, run_chunks
from crossent.torch.linear_products import Gradients, Layer, make_gradients
from crossent.torch.parallel_device import DeviceRows
from crossent.torch.parallel_group import Vocabulary, refuse_second_order
from crossent.torch.parallel_rows import ShardRows

__all__ = ["LinearShard", "LogitShard", "ParallelCall"]


@dataclass(frozen=True)
class ParallelCall:
    """Of one call, after the processes met. target: [N]; weight: of all classes; dtype: of the loss."""

    vocabulary: Vocabulary
    target: Tensor
    weight: Tensor | None
    ignore_index: int
    smoothing: float
    reduction: str
    dtype: torch.dtype
    memory_limit: int | None = None

    @cached_property
    def mass(self) -> float:
        """What a mean divides by; 1 for a sum."""
        return target_mass(self.target, self.weight, self.ignore_index) if self.reduction == "mean" else 1.0

    def rows(self, seen: ShardRows | None = None) -> ShardRows:
        """All rows, before the first pass; or with what it left in those already seen."""
        weight = None if self.weight is None else array_of(self.weight)
        loss = CrossEntropy(class_weight=weight, ignore_index=self.ignore_index, label_smoothing=self.smoothing,
                            reduction="sum")  # fmt: skip
        target = np.ascontiguousarray(array_of(self.target))
        rows = ShardRows(self.vocabulary, loss, target, 1 / self.mass if self.mass else 0.0)
        if seen is not None:
            rows.known, rows.merged, rows.lost = True, seen.merged, seen.lost
        return rows

    def reduced(self, rows: ShardRows) -> Tensor:
        """The loss, or the row losses [N]."""
        values, total = rows.values(np.dtype(np.float64 if self.dtype is torch.float64 else np.float32))
        if self.reduction == "none":
            return tensor_of(values).to(self.dtype)
        return torch.tensor(total / self.mass if self.mass else torch.nan, dtype=self.dtype, device="cpu")

    def on_device(self, logits: Tensor) -> Tensor:
        """The same of logits [N, K'] on another device, in torch operations."""
        losses = DeviceRows.apply(
            logits, self.target, self.weight, self.ignore_index, self.smoothing, self.vocabulary
        )  # fmt: skip
        if self.reduction != "none":
            losses = losses.sum() / (self.mass or torch.nan if self.reduction == "mean" else 1.0)
        loss: Tensor = losses.to(self.dtype)
        return loss


class LogitShard(torch.autograd.Function):
    """The loss of this process's logits [N, K']; its gradient comes from what the processes exchanged."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, call: ParallelCall) -> Tensor:
        ctx.call, ctx.rows = call, call.rows()
        ctx.save_for_backward(logits, call.target, call.weight)
        with with_threads(torch.get_num_threads()):
            if len(logits):
                ctx.rows.run(logits, slice(0, len(logits)), lambda: None, gradient=False)
        return call.reduced(ctx.rows)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        refuse_second_order()
        logits, target, weight = ctx.saved_tensors
        call, sign = replace(ctx.call, target=target, weight=weight), None
        rows = call.rows(ctx.rows)
        if call.reduction == "none":
            rows.row_weight, sign = row_factors(upstream, logits.dtype)
        else:
            rows.factor = upstream.item() / call.mass if call.mass else 0.0
        z = array_of(logits)
        grad = new_like(z)
        with with_threads(torch.get_num_threads()):
            rows.differentiate(z, slice(0, len(z)), grad)
        found = tensor_of(grad)
        return found if sign is None else found.mul_(sign[:, None]), None


class LinearShard(torch.autograd.Function):
    """The loss of the logits that this process's part of the layer makes, chunk by chunk."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, call: ParallelCall) -> Tensor:
        ctx.call, ctx.rows = call, call.rows()
        wanted = (False, False, False) if call.reduction == "none" else ctx.needs_input_grad[:3]
        ctx.gradients = _run(call, layer_of(input, weight, bias), ctx.rows, wanted, None)
        ctx.forms = forms_of(input, weight, bias)
        ctx.save_for_backward(input, weight, bias, call.target, call.weight)
        return call.reduced(ctx.rows)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_order()
        gradients, ctx.gradients = ctx.gradients, None
        by_row = ctx.call.reduction == "none"
        if gradients is None:
            *parts, target, class_weight = ctx.saved_tensors
            call, layer, sign = replace(ctx.call, target=target, weight=class_weight), layer_of(*parts), None
            rows = call.rows(ctx.rows)
            if by_row:
                rows.row_weight, sign = row_factors(upstream, layer.dtype)
            gradients = _run(call, layer, rows, ctx.needs_input_grad[:3], sign)
        return (*gradients.handed_over(ctx.forms, 1.0 if by_row else upstream.item()), None)


def _run(call: ParallelCall, layer: Layer, rows: ShardRows, wanted: Wanted, scale: Tensor | None) -> Gradients | None:
    """All chunks; the gradient of the input is that of all processes."""
    plan = plan_for(layer, call.memory_limit, call.vocabulary.rows)
    gradients = make_gradients(layer, wanted, several=plan.rows < layer.rows) if any(wanted) else None
    run_chunks(layer, rows, plan, gradients, scale)
    if gradients is not None and gradients.hidden is not None:
        gradients.hidden = gradients.hidden.to(layer.sum_dtype)
        call.vocabulary.add(gradients.hidden)
    return gradients
