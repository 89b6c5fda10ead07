"""Rows of a vocabulary in shards in torch operations, for devices that native code does not reach.

    loss_i = (1 - a) w_t (lse_i - z_it) + a / K (W lse_i - sum_j w_j z_ij),  lse_i = m_i + log1p(r_i)

with r_i = sum_j exp(z_ij - m_i) without one term of the maximum m_i, which is 1. Of each row every process tells its
maximum, its own such sum relative to that, the target's logit if it has it, and the weighted sum of its logits. The
derivative for the target is -(1 - p_t), with 1 - p_t = r / (1 + r) where the target is the maximum: neither it nor the
loss of a confident row is a difference of nearly equal numbers.
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
        rest = (z - base[:, None]).exp_().scatter_(1, z.argmax(1, keepdim=True), 0.0).sum(1)
        told = vocabulary.gathered(torch.stack([top, rest, chosen, spread], 1))
        tops, rests, chosen, spread = told[..., 0], told[..., 1], told[..., 2].sum(0), told[..., 3].sum(0)
        m, r = _merged(tops, rests)
        on_target, log_total = (1 - smoothing) * w[t], r.log1p()
        loss = on_target * ((m - chosen) + log_total)
        if smoothing:
            loss = loss + smoothing / K * (w.sum() * (m + log_total) - spread)
        others = torch.where(chosen == m, r, 1 + r - (chosen - m).exp()) / (1 + r)  # 1 - p of the target
        ctx.save_for_backward(logits, m, r, column, here & kept, kept, on_target, others, own if smoothing else None)
        ctx.spread, ctx.smoothed = smoothing / K, smoothing / K * w.sum()
        return torch.where(kept, loss, 0.0)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_order()
        logits, m, r, column, here, kept, on_target, others, own = ctx.saved_tensors
        u = torch.where(kept, upstream, 0.0).to(m.dtype)[:, None]
        p = (logits.to(m.dtype) - m[:, None]).exp_().div_((1 + r)[:, None])
        at_target = p.gather(1, column) * ctx.smoothed - (on_target * others)[:, None]
        g = p.mul_((on_target + ctx.smoothed)[:, None])
        g.scatter_(1, column, torch.where(here[:, None], at_target, g.gather(1, column)))
        if own is not None:
            g -= ctx.spread * own
        g.mul_(u)
        g[~kept] = 0
        return g.to(logits.dtype), None, None, None, None, None


def _merged(tops: Tensor, rests: Tensor) -> tuple[Tensor, Tensor]:
    """The maximum of all processes and the sum without its term, from [processes, N] of theirs."""
    m, first = tops.max(0)
    scale = (tops - m).exp()
    own = torch.ones_like(scale).scatter_(0, first[None], 0.0)  # each has its maximum's term, but for one that is m's
    return m, ((own + rests) * scale).sum(0)
