"""The loop over chunks of rows: logits into one buffer, loss and gradient in place, the gradients of the layer's parts.

The layer's parts and the products are torch's, the loss is native code's; what a chunk's loss is, `RowLoss` knows. Rows
without a softmax (NaN, several +inf, nothing but -inf), which native code refuses, have NaN as loss and gradient, as in
torch: they are looked for when the first has turned up, so that finite logits pay nothing for them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from crossent.core.blocks import BadRow, part
from crossent.core.check import compute_dtype
from crossent.core.engine import SoftmaxJob, run_softmax
from crossent.core.faults import Fault
from crossent.core.linear.plan import Needs, Plan, default_limit, make_plan
from crossent.core.pool import with_threads
from crossent.core.types import NDArray
from crossent.torch.fused import array_of
from crossent.torch.linear_products import Gradients, Layer, Products

__all__ = ["ChunkLoss", "RowLoss", "chunk_job", "hopeless_rows", "kept_rows", "plan_for", "run_chunks"]

_LOOKED_AT = 1 << 20  # logits at a time


class RowLoss(Protocol):
    """A loss of logits, as the loop over chunks sees it."""

    def run(self, z: Tensor, rows: slice, again: Callable[[], None], *, gradient: bool) -> None:
        """Takes up the losses of these rows; writes the gradient over their logits. again(): the logits once more."""


def plan_for(layer: Layer, limit: int | None, most: int | None, classes: int | None = None) -> Plan:
    """How many rows go into a chunk.

    The same whether gradients are wanted or not, for other chunks may round otherwise.

    Args:
        limit: bytes for logits and what is staged beside them; None: the default.
        most: rows, where somebody asked for no more.
        classes: instead of the layer's own, where chunks must be alike among several layers.
    """
    size, K = layer.dtype.itemsize, layer.classes if classes is None else classes
    copied = layer.hidden.dtype is not layer.dtype or not layer.hidden.is_contiguous()
    needs = Needs(
        row=K * size + (layer.features * size if copied else 0), block=layer.features * size, staged=0, fixed=0,
        summed=layer.dtype is not layer.sum_dtype, blocks=not layer.direct,
    )  # fmt: skip
    plan = make_plan(limit, default_limit(layer.rows, K, size), layer.rows, K, needs)
    if most is None or most >= plan.rows:
        return plan
    return plan._replace(rows=max(1, most), classes=max(1, plan.classes))


def run_chunks(
    layer: Layer, loss: RowLoss, plan: Plan, gradients: Gradients | None, scale: Tensor | None = None
) -> None:
    """The loss over all rows; fills the gradients. scale [N]: by what each row's gradient is multiplied."""
    if not layer.rows:
        return
    logits = torch.empty((plan.rows, layer.classes), dtype=layer.dtype, device="cpu")
    products = Products(layer, plan.classes)
    with with_threads(torch.get_num_threads()):
        for first in range(0, layer.rows, plan.rows):
            rows = slice(first, min(layer.rows, first + plan.rows))
            h, z = layer.hidden[rows].to(layer.dtype).contiguous(), logits[: rows.stop - first]
            products.logits(h, z)
            loss.run(z, rows, partial(products.logits, h, z), gradient=gradients is not None)
            if gradients is not None:
                if scale is not None:
                    z.mul_(scale[rows, None])
                _add(products, gradients, z, h, rows)


def _add(products: Products, gradients: Gradients, g: Tensor, h: Tensor, rows: slice) -> None:
    """A chunk's part in each gradient."""
    if gradients.hidden is not None:
        products.to_hidden(g, gradients.hidden[rows])
    if gradients.weight is not None:
        products.to_weight(g, h, gradients.weight, first=rows.start == 0)
    if gradients.bias is not None:
        gradients.bias += g.sum(0)


def hopeless_rows(z: Tensor) -> Tensor:
    """Whether each row of logits [n, K] has no softmax."""
    found = []
    for some in z.split(max(1, _LOOKED_AT // z.shape[1])):
        top = some.amax(1)
        found.append(top.isnan() | (top == -torch.inf) | ((some == torch.inf).sum(1) > 1))
    return torch.cat(found)


@dataclass
class ChunkLoss:
    """The loss of one process, which has all classes. Meets RowLoss.

    job: with targets and weights of all rows. total: of the losses seen, of `rows` rows that took
    part; values: the row losses, where wanted.
    """

    job: SoftmaxJob
    values: Tensor | None = None
    total: float = 0.0
    rows: int = 0

    def run(self, z: Tensor, rows: slice, again: Callable[[], None], *, gradient: bool) -> None:
        """See RowLoss."""
        job = chunk_job(self.job, z, rows)
        try:
            self._take(job, rows, gradient)
        except BadRow as bad:
            if bad.code != Fault.NON_FINITE:
                raise
            again()  # some rows may hold their gradients by now
            lost = hopeless_rows(z)
            z[lost] = 0
            self._take(job, rows, gradient)
            lost &= torch.from_numpy(kept_rows(job))
            z[lost] = torch.nan
            if self.values is not None:
                self.values[rows][lost] = torch.nan
            self.total += float("nan") if lost.any() else 0.0

    def _take(self, job: SoftmaxJob, rows: slice, gradient: bool) -> None:
        values = None if self.values is None else np.empty(job.rows, compute_dtype(job.logits.dtype))
        sums = run_softmax(job, values=values, grad=job.logits if gradient else None)
        self.total, self.rows = self.total + sums.value, self.rows + sums.rows
        if self.values is not None:
            self.values[rows] = torch.from_numpy(values)


def chunk_job(whole: SoftmaxJob, z: Tensor, rows: slice) -> SoftmaxJob:
    """The job of some rows of all, with their logits."""
    labels, soft, weight = (part(each, rows.start, rows.stop) for each in (whole.labels, whole.soft, whole.row_weight))
    return replace(whole, logits=array_of(z), labels=labels, soft=soft, row_weight=weight)


def kept_rows(job: SoftmaxJob) -> NDArray:
    """Whether each row takes part: those with an index to be ignored, and those of weight 0, do not."""
    kept = np.ones(job.rows, bool)
    if job.labels is not None and job.ignore_index is not None:
        kept &= job.labels != job.ignore_index
    if job.row_weight is not None:
        kept &= job.row_weight > 0
    return kept
