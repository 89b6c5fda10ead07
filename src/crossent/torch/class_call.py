"""A loss over classes with everything but its input: by native code, and by the formula."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from crossent.core import engine, formula
from crossent.core.blocks import NO_BAD_ROW, BadRow
from crossent.core.check import compute_dtype
from crossent.core.faults import Fault
from crossent.core.terms import Terms
from crossent.core.types import NDArray
from crossent.torch.fused import array_of
from crossent.torch.namespace import Namespace
from crossent.torch.numbers import reduced
from crossent.torch.weights import native_weights

__all__ = ["ClassCall"]

_PLAIN_TERMS = Terms()
_COUNT_FIRST = 64  # from so many classes on, counting the rows kept costs little beside the pass


@dataclass(slots=True)
class ClassCall:
    """Of one call: targets are indices or, if `soft`, distributions with classes on `axis` of the input.

    mean_over: what a mean divides by: "mass", the class weights of the targets of the rows kept, or "rows", all rows.
    over_nothing: the mean where that is 0. factor: units to the nat.
    massless_stay: rows whose targets have weight 0 keep what smoothing gives other classes, as in torch; or they leave.
    """

    target: Tensor
    soft: bool
    axis: int
    weight: Tensor | None = None
    ignore_index: int | None = None
    smoothing: float = 0.0
    terms: Terms | None = None
    reduction: str = "mean"
    mean_over: Literal["mass", "rows"] = "mass"
    over_nothing: float = float("nan")
    factor: float = 1.0
    massless_stay: bool = False

    @property
    def tensors(self) -> list[Tensor]:
        """Targets and weights."""
        return [self.target] if self.weight is None else [self.target, self.weight]

    def loss_dtype(self, input: Tensor) -> torch.dtype:
        """The input's, or that of wider targets, as in torch."""
        return torch.promote_types(input.dtype, self.target.dtype) if self.soft else input.dtype

    # ------------------------------------------------------------ the formula

    def formula(self, input: Tensor) -> Tensor:
        """The loss in torch operations, differentiable as often as anybody likes."""
        dtype = self.loss_dtype(input)
        wide = dtype if dtype == torch.float64 else torch.float32
        z = input.movedim(self.axis, -1).to(wide)
        losses, mass = self._soft_rows(z) if self.soft else self._label_rows(z)
        return reduced(
            losses, None if self.mean_over == "rows" else mass, reduction=self.reduction, factor=self.factor,
            over_nothing=self.over_nothing, dtype=dtype,
        )  # fmt: skip

    def _soft_rows(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Row losses and the mass of each row's targets, smoothed afterwards and weighted."""
        xp, terms = Namespace(z.device), self.terms or _PLAIN_TERMS
        q = self.target.movedim(self.axis, -1).to(z.dtype)
        w = None if self.weight is None else self.weight.to(z.dtype)
        dense = formula.dense_targets(xp, q, terms, smoothing=self.smoothing, class_weight=w, z=z)
        mass = (q if w is None else q * w).sum(-1)
        return self._kept(mass, formula.row_loss(xp, z, dense, terms)), mass

    def _kept(self, mass: Tensor, losses: Tensor) -> Tensor:
        return losses if self.massless_stay else torch.where(mass != 0, losses, 0.0)

    def _label_rows(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Row losses and masses of index targets; rows that are ignored have 0 of both, and no gradient."""
        xp, terms = Namespace(z.device), self.terms or _PLAIN_TERMS
        t = self.target.long()
        kept = torch.ones_like(t, dtype=torch.bool) if self.ignore_index is None else t != self.ignore_index
        t = torch.where(kept, t, 0)
        mass = torch.ones_like(t, dtype=z.dtype) if self.weight is None else self.weight.to(z.dtype)[t]
        mass = torch.where(kept, mass, 0.0)
        z = torch.where(kept[..., None], z, 0.0)
        if self.smoothing or terms.hard:
            q = torch.zeros_like(z).scatter(-1, t[..., None], 1.0)  # an error for a label that is no class
            w = None if self.weight is None else self.weight.to(z.dtype)
            q = formula.dense_targets(xp, q, terms, smoothing=self.smoothing, class_weight=w, z=z)
            losses = formula.row_loss(xp, z, q, terms)
            return self._kept(mass, torch.where(kept, losses, 0.0)), mass
        losses = formula.row_label_loss(xp, z, t, terms)
        weight = mass if terms.alpha is None else mass * xp.asarray(terms.alpha, z.dtype)[t]
        return torch.where(kept & (weight != 0), weight * losses, 0.0), mass

    # ------------------------------------------------------------ native code

    def small_pass(self, input: Tensor, wanted: bool) -> tuple[Tensor, Tensor | None, float] | None:
        """See fused.Call: rows one after another with int64 labels, and no option beside ignore_index."""
        target, shape = self.target, input.shape
        if not (
            self.weight is None and not self.smoothing and self.terms is None and not self.soft
            and self.reduction != "none" and self.factor == 1 and self.ignore_index is not None
            and self.over_nothing != self.over_nothing  # NaN, as 0 / 0 gives
            and len(shape) == 2 and shape[0] and target.dtype is torch.int64
            and input.is_contiguous() and target.is_contiguous() and input.element_size() != 2
        ):  # fmt: skip
            return None
        loss = input.new_empty(())
        grad = torch.empty_like(input) if wanted else None
        bad = engine.ROWS_AT[input.element_size()](
            input.data_ptr(), target.data_ptr(), 0 if grad is None else grad.data_ptr(), loss.data_ptr(), *shape,
            self.ignore_index, self.reduction == "mean",
        )  # fmt: skip
        if bad != NO_BAD_ROW:
            raise BadRow(*divmod(bad, 8))
        return loss, grad, 1.0

    def run(self, z: NDArray, grad: NDArray | None) -> tuple[Any, float]:
        """See fused.Call."""
        axis = self.axis
        target = array_of(self.target.contiguous())
        if not z.flags.c_contiguous:
            moved = np.moveaxis(z, axis, -1)
            if moved.flags.c_contiguous:  # channels_last: rows lie one after another
                z, grad = moved, None if grad is None else np.moveaxis(grad, axis, -1)
                target = np.moveaxis(target, axis, -1) if self.soft else target
                axis = z.ndim - 1
        job = self._job(z, axis, target)
        rows = z.size // z.shape[axis]
        if self.reduction == "none":
            values = np.empty(z.shape[:axis] + z.shape[axis + 1 :], compute_dtype(z.dtype))
            engine.run_softmax(job, values=values, grad=grad)
            return values, 1.0
        mass = self._mass_before(job, rows, grad is not None)
        if mass is not None:
            job.grad_factor = self.factor / mass if mass else 0.0
        sums = engine.run_softmax(job, grad=grad)
        if self.reduction == "sum":
            return sums.value, 1.0
        found = rows if self.mean_over == "rows" else sums.mass
        if found == 0:
            return self.over_nothing, 1.0
        return sums.value / found, 1.0 if mass is None else mass / found

    def _mass_before(self, job: engine.SoftmaxJob, rows: int, wanted: bool) -> float | None:
        """What a mean will divide by, or a good guess at it, so that the gradient is right at once; None for a sum."""
        if self.reduction == "sum":
            return None
        if not wanted or self.mean_over == "rows":
            return float(rows)
        if self.weight is None and not self.soft and (self.ignore_index is None or job.classes < _COUNT_FIRST):
            return float(rows)
        return engine.run_mass(job).mass

    def _job(self, z: NDArray, axis: int, target: NDArray) -> engine.SoftmaxJob:
        job = engine.SoftmaxJob(
            z, axis, smoothing=self.smoothing, terms=self.terms, value_factor=self.factor, grad_factor=self.factor
        )
        if self.soft:
            job.soft = target
        else:
            job.labels, job.ignore_index = target, self.ignore_index
        if self.weight is not None:
            stay = self.massless_stay and bool(self.smoothing or self.soft)
            job.class_weight = native_weights(self.weight, positive=stay)
        return job

    def refuse(self, bad: BadRow, input: Tensor) -> None:
        """IndexError for a label that is no class; NaN and other oddities are the formula's to pass on."""
        if bad.code == Fault.LABEL:
            label = int(self.target.reshape(-1)[bad.row])
            raise IndexError(f"Target {label} is out of bounds.")
