"""Any loss object of crossent as a torch module: the same options and the same definition."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from crossent.core.check import unit_factor
from crossent.core.options import BinaryOptions, SharedOptions, SoftmaxOptions
from crossent.core.weights import class_weights, real_numbers
from crossent.errors import DtypeError, OptionError, ShapeError, UnsupportedError
from crossent.torch.arguments import float_of, is_floating
from crossent.torch.class_call import ClassCall
from crossent.torch.label_call import LabelCall
from crossent.torch.numbers import wide
from crossent.torch.route import evaluate

__all__ = ["ClassLoss", "LabelLoss", "loss"]


def loss(options: SharedOptions) -> nn.Module:
    """A loss of crossent as a torch module, called with (input, target) like torch's own losses.

        loss(ce.Focal(gamma=2))(input, target)      [nat, or the options' unit]

    The module computes what the object computes from logits, on any device, with torch's derivatives. Where torch's
    habits and crossent's differ, torch's hold: classes lie on axis 1 of the input (axis 0 of a single row), NaN and
    labels that are no class behave as in `cross_entropy`, a mean over no row is NaN where the options say "error", and
    so is the loss of a row without a positive under normalize_targets. Targets are not looked at further.

    Args:
        options: an object such as ce.Focal(), ce.LogitAdjusted(priors=...), ce.CrossEntropy(z_loss=1e-4).
    Returns: an nn.Module; its call takes input, (C), (N, C) or (N, C, d1, ...) logits, and target, class indices or
        distributions; for losses of independent labels, two tensors of one shape. The loss has the
        input's dtype, or that of wider targets.
    Raises: OptionError, UnsupportedError for options that tensors have no use for (names of classes, "balanced" and
        mapped weights, clip, eps, axis); in calls ShapeError, DtypeError, IndexError.
    Source: as the loss itself.

    >>> import crossent as ce
    >>> focal = loss(ce.Focal(gamma=2.0))
    >>> z = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    >>> round(focal(z, torch.tensor([0, 1])).item(), 6)
    0.249571
    """
    if isinstance(options, type) or not isinstance(options, SoftmaxOptions | BinaryOptions):
        raise OptionError(f"loss() was given {options!r}; an object such as crossent.Focal() is needed.")
    name = type(options).__name__
    if "memory_limit" in vars(options):
        raise UnsupportedError(
            f"{name} has a linear layer of its own; crossent.torch.linear_cross_entropy is for that."
        )
    if options.classes is not None:
        raise UnsupportedError(f"classes= of {name} names classes, and tensors hold numbers: leave it out.")
    if isinstance(options.class_weight, str):
        raise UnsupportedError("class_weight='balanced' counts a whole data set, not a batch: pass the weights.")
    if options.clip is not None or options.eps is not None:
        raise UnsupportedError("clip and eps are for probabilities; a module takes logits, which need neither.")
    return LabelLoss(options) if isinstance(options, BinaryOptions) else ClassLoss(options)


class _Lifted(nn.Module):
    """What both kinds share."""

    def __init__(self, options: Any) -> None:
        super().__init__()
        self.options = options
        self.over_nothing = 0.0 if options.empty == "zero" else float("nan")
        self.factor = unit_factor(options.unit)

    def extra_repr(self) -> str:
        given = [(f.name, getattr(self.options, f.name)) for f in fields(self.options) if f.repr]
        inside = ", ".join(f"{name}={value!r}" for name, value in given if not _is_default(self.options, name, value))
        return f"{type(self.options).__name__}({inside})"


def _is_default(options: Any, name: str, value: Any) -> bool:
    return value is getattr(type(options), name, None)


class ClassLoss(_Lifted):
    """A loss over classes on logits; see `loss`."""

    def __init__(self, options: SoftmaxOptions) -> None:
        if options.axis != -1:
            raise UnsupportedError(f"axis={options.axis}: in torch classes lie on axis 1. Leave axis out.")
        super().__init__(options)
        self.classes = _known_classes(options)
        self.terms = options.terms(self.classes or 1)
        weight = None if self.classes is None else class_weights(options.class_weight, self.classes, None)
        self.weight = None if weight is None else torch.from_numpy(weight)  # no buffer, which .half() would round

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits against class indices or distributions."""
        options: SoftmaxOptions = self.options
        axis, soft = 1 if input.dim() > 1 else 0, _checked(input, target)
        if self.classes is not None and input.shape[axis] != self.classes:
            raise ShapeError(f"input has {input.shape[axis]} classes, the options of the loss {self.classes}.")
        input = float_of(input)
        target = self._normalised(float_of(target), axis) if options.normalize_targets else float_of(target)
        weight = None if self.weight is None else self.weight.to(input.device, wide(input))
        call = ClassCall(
            target if soft else target.long(), soft, axis, weight, options.ignore_index, float(options.label_smoothing),
            self.terms, options.reduction, over_nothing=self.over_nothing, factor=self.factor,
        )  # fmt: skip
        return evaluate(call, input, target)

    def _normalised(self, target: Tensor, axis: int) -> Tensor:
        if not target.is_floating_point():
            raise UnsupportedError("normalize_targets is for targets with a column for each class, not for indices.")
        sums = target.sum(axis, keepdim=True)
        empty = 0.0 if self.options.empty_rows == "ignore" else float("nan")
        return torch.where(sums > 0, target / torch.where(sums > 0, sums, 1.0), empty)


def _checked(input: Tensor, target: Tensor) -> bool:
    """Whether targets are distributions; refuses what does not fit."""
    shape, lead = tuple(input.shape), tuple(input.shape[:1] + input.shape[2:]) if input.dim() > 1 else ()
    if not is_floating(input):
        raise DtypeError(f"input has dtype {input.dtype}; float16, bfloat16, float32 or float64 is allowed.")
    if not shape or shape[1 if len(shape) > 1 else 0] == 0:
        raise ShapeError(f"input has shape {shape}; classes are needed on axis 1 (or 0 of a single row).")
    soft = bool(target.is_floating_point())
    if tuple(target.shape) != (shape if soft else lead):
        raise ShapeError(
            f"target has shape {tuple(target.shape)} and dtype {target.dtype} beside an input of shape {shape}; class "
            f"indices of shape {lead} or floats of shape {shape} are allowed."
        )
    return soft


def _known_classes(options: Any) -> int | None:
    """K, where an option has a number for each class."""
    for name in ("class_weight", "alpha", "priors"):
        value = getattr(options, name, None)
        if isinstance(value, Mapping):
            raise UnsupportedError(f"{name} maps some classes to numbers; pass an array with one for each class.")
        if value is not None and np.ndim(value):
            return len(value)
    return None


class LabelLoss(_Lifted):
    """A loss over independent labels on logits; see `loss`."""

    def __init__(self, options: BinaryOptions) -> None:
        super().__init__(options)
        self.terms = options.terms()
        self.pos_weight = (
            None if options.pos_weight is None else torch.as_tensor(real_numbers(options.pos_weight, "pos_weight"))
        )
        self.negative, self.positive = (1.0, 1.0)
        if options.class_weight is not None:
            pair = class_weights(options.class_weight, 2, None)
            assert pair is not None
            self.negative, self.positive = float(pair[0]), float(pair[1])

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits against labels of the same shape."""
        options: BinaryOptions = self.options
        if not is_floating(input):
            raise DtypeError(f"input has dtype {input.dtype}; float16, bfloat16, float32 or float64 is allowed.")
        if target.shape != input.shape:
            raise ShapeError(
                f"target has shape {tuple(target.shape)}, input {tuple(input.shape)}; independent labels need the same."
            )
        input = float_of(input)
        target = float_of(target) if target.is_floating_point() else target.to(input.dtype)
        pos_weight = None if self.pos_weight is None else self.pos_weight.to(input.device, wide(input))
        call = LabelCall(
            target, None, pos_weight, float(options.label_smoothing), self.negative, self.positive, self.terms,
            options.reduction, "mass", self.over_nothing, self.factor,
        )  # fmt: skip
        return evaluate(call, input, target)
