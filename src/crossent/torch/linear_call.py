"""A linear layer and its loss with everything but the layer: chunk by chunk on native code, and by the formula.

Gradients are computed beside a mean or a sum in the forward pass and handed over in the backward pass, scaled in place:
they are dropped here first, for their new owner may write into them. A second backward pass, and the one through row
losses, whose factors only the backward pass knows, compute the logits again. Under create_graph=True the backward pass
differentiates the formula, which knows its own derivatives.

What is computed again comes from tensors that autograd saved, targets and class weights too: it refuses those that were
written over in between. A gradient that is there already reads none of them, so that such a change does no harm.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from crossent.core.blocks import BadRow
from crossent.core.engine import SoftmaxJob
from crossent.core.faults import Fault
from crossent.core.types import NDArray
from crossent.torch.cross_entropy import cross_entropy
from crossent.torch.fused import array_of
from crossent.torch.linear_chunks import ChunkLoss, plan_for, run_chunks
from crossent.torch.linear_products import Gradients, Layer, make_gradients
from crossent.torch.weights import native_weights

__all__ = ["LinearCall", "LinearLoss", "Wanted", "forms_of", "layer_of", "row_factors", "target_mass"]

Wanted = tuple[bool, bool, bool]
_NOTHING = (False, False, False)


def layer_of(input: Tensor, weight: Tensor, bias: Tensor | None) -> Layer:
    """The layer with one row for an input without a batch."""
    h = input.detach()
    return Layer(h if h.dim() == 2 else h[None], weight.detach(), None if bias is None else bias.detach())


def forms_of(*parts: Tensor | None) -> tuple[Tensor | None, ...]:
    """Shapes and dtypes of the parts, for gradients that are handed over when their numbers may have changed."""
    return tuple(None if part is None else torch.empty_like(part, device="meta") for part in parts)


@dataclass(frozen=True)
class LinearCall:
    """Of one call. target: floats or int64; dtype: the loss's; memory_limit, chunk_rows: see `linear_cross_entropy`."""

    target: Tensor
    soft: bool
    weight: Tensor | None
    ignore_index: int
    smoothing: float
    reduction: str
    dtype: torch.dtype
    memory_limit: int | None = None
    chunk_rows: int | None = None

    def formula(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The loss of all logits at once, in torch operations."""
        classes, out_features, D = weight.shape[0], weight.shape[1:-1], weight.shape[-1]
        z = F.linear(input, weight.reshape(-1, D), None if bias is None else bias.reshape(-1))
        z = z.reshape((*input.shape[:-1], classes, *out_features))
        if self.dtype is torch.float32 and torch.promote_types(z.dtype, self.dtype) is self.dtype:
            z = z.to(self.dtype)  # as under autocast
        return cross_entropy(
            z, self.target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction,
            label_smoothing=self.smoothing,
        )  # fmt: skip

    def run(self, layer: Layer, wanted: Wanted, upstream: Tensor | None = None) -> tuple[Tensor, Gradients | None]:
        """The loss, chunk by chunk, and the gradients that are wanted; upstream: of the row losses."""
        mass = self._mass(layer.rows)
        plan = plan_for(layer, self.memory_limit, self.chunk_rows)
        job, scale = self._job(layer), None
        gradients = make_gradients(layer, wanted, several=plan.rows < layer.rows) if any(wanted) else None
        values = self.reduction == "none" and gradients is None
        job.grad_factor = 1 / mass if mass else 0.0
        if upstream is not None:
            job.row_weight, scale = row_factors(upstream, layer.dtype)
        loss = ChunkLoss(job, torch.empty(layer.rows, dtype=self.dtype, device="cpu") if values else None)
        run_chunks(layer, loss, plan, gradients, scale)
        if self.soft and self.smoothing and upstream is None and loss.rows < layer.rows:
            raise BadRow(0, Fault.EMPTY_TARGET)  # torch smooths targets of nothing too
        if loss.values is not None:
            return loss.values, gradients
        return torch.tensor(loss.total / mass if mass else torch.nan, dtype=self.dtype, device="cpu"), gradients

    def _job(self, layer: Layer) -> SoftmaxJob:
        """Of all rows, before any logit is known."""
        labels = soft = None
        if self.soft:
            soft = array_of(self.target).reshape(layer.rows, layer.classes)
        else:
            labels = array_of(self.target).reshape(layer.rows)
        return SoftmaxJob(
            array_of(layer.weight[:, :0]).T, 1, np.ascontiguousarray(labels) if soft is None else None, soft,
            class_weight=None if self.weight is None else native_weights(self.weight, positive=bool(self.smoothing)),
            ignore_index=None if self.soft else self.ignore_index, smoothing=self.smoothing,
        )  # fmt: skip

    def _mass(self, rows: int) -> float:
        """What a mean divides by; 1 for a sum."""
        if self.reduction != "mean" or self.soft:
            return float(rows) if self.reduction == "mean" else 1.0
        return target_mass(self.target, self.weight, self.ignore_index)


def target_mass(target: Tensor, weight: Tensor | None, ignore_index: int) -> float:
    """The weights of the targets of all rows kept."""
    kept = target != ignore_index
    if weight is None:
        return float(kept.sum())
    return float(weight.detach().double()[target[kept]].sum())


def row_factors(upstream: Tensor, dtype: torch.dtype) -> tuple[NDArray | None, Tensor | None]:
    """What multiplies the rows' gradients: weights for native code, which rounds once, and the signs that it lacks."""
    if not upstream.isfinite().all():
        return None, upstream.to(dtype)
    weight = np.require(array_of(upstream.abs().to(torch.float64)), np.float64, ["C", "A"])
    return weight, upstream.sign().to(dtype) if (upstream < 0).any() else None


class LinearLoss(torch.autograd.Function):
    """The loss of `call` with its gradients."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, call: LinearCall) -> Tensor:
        wanted = _NOTHING if call.reduction == "none" else ctx.needs_input_grad[:3]
        loss, ctx.gradients = call.run(layer_of(input, weight, bias), wanted)
        ctx.call, ctx.forms = call, forms_of(input, weight, bias)
        ctx.save_for_backward(input, weight, bias, call.target, call.weight)
        return loss if loss.dim() == 0 or input.dim() == 2 else loss[0].clone()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        wanted, by_formula = ctx.needs_input_grad[:3], torch.is_grad_enabled() or _is_batched(upstream)
        if ctx.gradients is not None and not by_formula:
            gradients, ctx.gradients = ctx.gradients, None
            return (*gradients.handed_over(ctx.forms, upstream.item()), None)
        *parts, target, class_weight = ctx.saved_tensors
        call = replace(ctx.call, target=target, weight=class_weight)
        if by_formula:
            return (*_by_formula(call, parts, wanted, upstream), None)
        rows = call.reduction == "none"
        _, gradients = call.run(layer_of(*parts), wanted, upstream.reshape(-1) if rows else None)
        return (*gradients.handed_over(ctx.forms, 1.0 if rows else upstream.item()), None)


def _is_batched(upstream: Tensor) -> bool:
    """Whether it stands for many: under torch.func, or with is_grads_batched=True."""
    return bool(
        torch._C._are_functorch_transforms_active() or torch._C._functorch.is_legacy_batchedtensor(upstream)
    )  # fmt: skip


def _by_formula(call: LinearCall, parts: Any, wanted: Wanted, upstream: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients as functions of the parts and of what comes from above."""
    with torch.enable_grad():
        loss = call.formula(*parts)
        given = [part for part, want in zip(parts, wanted, strict=True) if want]
        found = iter(torch.autograd.grad(loss, given, upstream, create_graph=torch.is_grad_enabled()))
    return tuple(next(found) if want else None for want in wanted)
