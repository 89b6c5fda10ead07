"""Losses over independent labels with everything but their input: by native code, and by the formula."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from crossent.core import engine, formula_elements
from crossent.core.blocks import BadRow
from crossent.core.check import compute_dtype
from crossent.core.engine_probability import BinaryProbabilityJob, run_binary_probability
from crossent.core.faults import Fault
from crossent.core.terms import BinaryTerms
from crossent.core.types import NDArray
from crossent.torch.fused import array_of
from crossent.torch.namespace import Namespace
from crossent.torch.numbers import reduced
from crossent.torch.weights import native_weights

__all__ = ["LabelCall", "ProbabilityCall"]

_PLAIN_TERMS = BinaryTerms()


@dataclass(slots=True)
class LabelCall:
    """From logits; targets are shaped like them, weight and pos_weight fit them by broadcasting.

    mean_over: what a mean divides by: "elements", their number, or "mass", the class weights of the targets.
    over_nothing: the mean where that is 0. factor: units to the nat.
    """

    target: Tensor
    weight: Tensor | None = None
    pos_weight: Tensor | None = None
    smoothing: float = 0.0
    negative: float = 1.0
    positive: float = 1.0
    terms: BinaryTerms | None = None
    reduction: str = "mean"
    mean_over: Literal["elements", "mass"] = "elements"
    over_nothing: float = float("nan")
    factor: float = 1.0
    axis: None = None

    @property
    def tensors(self) -> list[Tensor]:
        """Targets and weights."""
        given = (self.target, self.weight, self.pos_weight)
        return [each for each in given if each is not None]

    def loss_dtype(self, input: Tensor) -> torch.dtype:
        """The input's, or that of wider targets, as in torch."""
        return torch.promote_types(input.dtype, self.target.dtype)

    def formula(self, input: Tensor) -> Tensor:
        """The loss in torch operations, differentiable as often as anybody likes."""
        dtype = self.loss_dtype(input)
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        z, y, terms = input.to(wide), self.target.to(wide), self.terms or _PLAIN_TERMS
        A, B = formula_elements.element_weights(
            y, terms, smoothing=self.smoothing, pos_weight=1.0 if self.pos_weight is None else self.pos_weight.to(wide),
            negative=self.negative, positive=self.positive,
        )  # fmt: skip
        losses = formula_elements.element_loss(Namespace(z.device), z, A, B, terms.shape)
        if self.weight is not None:
            losses = losses * self.weight.to(wide)
        mass = None if self.mean_over == "elements" else self.positive * y + self.negative * (1 - y)
        return reduced(
            losses, mass, reduction=self.reduction, factor=self.factor, over_nothing=self.over_nothing, dtype=dtype
        )

    def small_pass(self, input: Tensor, wanted: bool) -> None:
        """See fused.Call: none."""

    def run(self, z: NDArray, grad: NDArray | None) -> tuple[Any, float]:
        """See fused.Call."""
        job = engine.SigmoidJob(
            z, array_of(self.target), _label_weights(self.pos_weight, z.shape), _element_weights(self.weight, z.shape),
            self.smoothing, self.negative, self.positive, self.factor, self.factor, self.terms,
        )  # fmt: skip
        if self.reduction == "none":
            values = np.empty(z.shape, compute_dtype(z.dtype))
            engine.run_sigmoid(job, values=values, grad=grad)
            return values, 1.0
        guess = float(z.size) if self.reduction == "mean" else 1.0
        job.grad_factor = self.factor / guess if guess else 0.0
        sums = engine.run_sigmoid(job, grad=grad)
        found = sums.mass if self.reduction == "mean" and self.mean_over == "mass" else guess
        return (sums.value / found, guess / found) if found else (self.over_nothing, 1.0)

    def refuse(self, bad: BadRow, input: Tensor) -> None:
        """Torch takes any number for a target, and passes NaN on: so does the formula."""


@dataclass(slots=True)
class ProbabilityCall:
    """From probabilities, clamped as torch.nn.BCELoss has it: -log p at 100, p (1 - p) in the gradient at 1e-12."""

    target: Tensor
    weight: Tensor | None = None
    reduction: str = "mean"
    axis: None = None

    @property
    def tensors(self) -> list[Tensor]:
        """Targets and weights."""
        given = (self.target, self.weight)
        return [each for each in given if each is not None]

    def loss_dtype(self, input: Tensor) -> torch.dtype:
        """The input's, or that of wider targets, as in torch."""
        return torch.promote_types(input.dtype, self.target.dtype)

    def formula(self, input: Tensor) -> Tensor:
        """Torch's own, which loses nothing from probabilities."""
        loss: Tensor = F.binary_cross_entropy(input, self.target, self.weight, reduction=self.reduction)
        return loss

    def small_pass(self, input: Tensor, wanted: bool) -> None:
        """See fused.Call: none."""

    def run(self, z: NDArray, grad: NDArray | None) -> tuple[Any, float]:
        """See fused.Call."""
        divisor = float(z.size) if self.reduction == "mean" else 1.0
        factor = 1 / divisor if divisor else 0.0
        weight = _element_weights(self.weight, z.shape)
        job = BinaryProbabilityJob(z, array_of(self.target), weight=weight, grad_factor=factor, clamped=True)
        values = np.empty(z.shape, compute_dtype(z.dtype)) if self.reduction == "none" else None
        sums = run_binary_probability(job, values=values, grad=grad)
        if values is not None:
            return values, 1.0
        return sums.value / divisor if divisor else float("nan"), 1.0

    def refuse(self, bad: BadRow, input: Tensor) -> None:
        """The formula, which is torch's own, has the words."""


def _element_weights(weight: Tensor | None, shape: tuple[int, ...]) -> NDArray | None:
    """One weight for each element, or for each row of the last axis; BadRow for what only the formula can take."""
    if weight is None:
        return None
    w = native_weights(weight)
    by_row = len(shape) > 1 and w.ndim == len(shape) and w.shape[-1] == 1
    return np.ascontiguousarray(np.broadcast_to(w[..., 0], shape[:-1]) if by_row else np.broadcast_to(w, shape))


def _label_weights(pos_weight: Tensor | None, shape: tuple[int, ...]) -> NDArray | None:
    """One number for all, or one for each label of the last axis; BadRow for what only the formula can take."""
    if pos_weight is None:
        return None
    w = native_weights(pos_weight)
    if w.size != 1 and (not shape or w.shape != (1,) * (w.ndim - 1) + shape[-1:]):
        raise BadRow(0, Fault.ENTRY)
    return np.ascontiguousarray(w.reshape(-1))
