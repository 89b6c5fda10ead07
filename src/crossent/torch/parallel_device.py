"""Rows of a vocabulary in shards in torch operations, for devices that native code does not reach.

    loss_i = (1 - a) w_t (lse_i - z_it) + a / K (W lse_i - sum_j w_j z_ij),  lse_i = m_i + log(sum_j exp(z_ij - m_i))

Of each row every process tells its maximum, its sum of exponentials relative to that, the target's logit if it has it,
and the weighted sum of its logits.
"""

from typing import Any

import torch
from torch import Tensor

from crossent.torch.parallel_group import Vocabulary, refuse_second_order

__all__ = ["DeviceRows", "SummedGradient"]


class SummedGradient(torch.autograd.Function):
    """What all processes have alike: as it is forward; backward the sum of what each found."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, vocabulary: Vocabulary) -> Tensor:
        ctx.vocabulary = vocabulary
        return input.view_as(input)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        refuse_second_order()
        wide = upstream.to(torch.promote_types(upstream.dtype, torch.float32), copy=True)
        ctx.vocabulary.add(wide)
        return wide.to(upstream.dtype), None


class DeviceRows(torch.autograd.Function):
    """Row losses [N] of a shard of logits [N, K'], in float32 or float64."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, smoothing: float,
        vocabulary: Vocabulary,
    ) -> Tensor:  # fmt: skip
        z = logits.to(torch.promote_types(logits.dtype, torch.float32))
        K, first, width = vocabulary.classes, vocabulary.first, z.shape[1]
        w = torch.ones(K, dtype=z.dtype, device=z.device) if weight is None else weight.to(z.dtype)
        kept = target != ignore_index
        t = torch.where(kept, target, 0)
        here = (t >= first) & (t < first + width)
        column = torch.where(here, t - first, 0)[:, None]
        top = z.amax(1)
        base = torch.where(top.isinf(), 0.0, top)
        chosen = torch.where(here, z.gather(1, column)[:, 0], 0.0)
        own = w[first : first + width]
        spread = torch.where(own > 0, z, 0.0) @ own if smoothing else torch.zeros_like(top)
        told = vocabulary.gathered(torch.stack([top, (z - base[:, None]).exp().sum(1), chosen, spread], 1))
        tops, sums, chosen, spread = told[..., 0], told[..., 1], told[..., 2].sum(0), told[..., 3].sum(0)
        m = tops.amax(0)
        total = (sums * (tops - m).exp()).sum(0)
        on_target = (1 - smoothing) * w[t]
        loss = on_target * ((m - chosen) + total.log())
        if smoothing:
            loss = loss + smoothing / K * (w.sum() * (m + total.log()) - spread)
        ctx.save_for_backward(logits, m, total, column, here & kept, kept, on_target, own)
        ctx.spread, ctx.smoothed = smoothing / K, on_target + smoothing / K * w.sum()
        return torch.where(kept, loss, 0.0)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_order()
        logits, m, total, column, here, kept, on_target, own = ctx.saved_tensors
        u = torch.where(kept, upstream, 0.0).to(m.dtype)[:, None]
        g = (logits.to(m.dtype) - m[:, None]).exp_().mul_((ctx.smoothed / total)[:, None])
        g.scatter_add_(1, column, torch.where(here, -on_target, 0.0)[:, None])
        if ctx.spread:
            g -= ctx.spread * own
        g.mul_(u)
        g[~kept] = 0
        return g.to(logits.dtype), None, None, None, None, None
