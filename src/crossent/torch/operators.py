"""Native code under torch.compile: a loss with its gradient, and the backward pass, as custom operators.

The gradient leaves the first operator as a second result. The backward pass is an operator too, for the gradient it is
given is a constant to autograd: its own derivative is the formula's, so that second derivatives are right where a
backend has them.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from crossent.core.blocks import BadRow
from crossent.torch.class_call import ClassCall
from crossent.torch.fused import Call, native_pass, scaled
from crossent.torch.label_call import LabelCall

__all__ = ["compiled"]

_CLASS_FIELDS = (
    "Tensor target, bool soft, int axis, Tensor? weight, int? ignore_index, float smoothing, str reduction, "
    "str mean_over, float over_nothing, float factor, bool massless_stay"
)
_LABEL_FIELDS = (
    "Tensor target, Tensor? weight, Tensor? pos_weight, float smoothing, float negative, float positive, "
    "str reduction, str mean_over, float over_nothing, float factor"
)


class _Operator:
    """The two operators of a kind of call, whose fields they take."""

    def __init__(self, name: str, kind: Any, schema: str) -> None:
        self.kind = kind
        self.names = [field.split()[-1] for field in schema.split(", ")]
        self.tensors = [i for i, field in enumerate(schema.split(", ")) if field.startswith("Tensor")]
        library = torch.library
        self.forward = library.custom_op(
            f"crossent::{name}", self._forward, mutates_args=(),
            schema=f"(Tensor input, {schema}, bool wanted) -> (Tensor, Tensor)",
        )  # fmt: skip
        self.backward = library.custom_op(
            f"crossent::{name}_backward", self._backward, mutates_args=(),
            schema=f"(Tensor upstream, Tensor grad, Tensor input, {schema}) -> Tensor",
        )  # fmt: skip
        self.forward.register_fake(self._fake_forward)
        self.backward.register_fake(lambda upstream, grad, input, *fields: torch.empty_like(input))
        self.forward.register_autograd(self._pull, setup_context=self._keep)
        self.backward.register_autograd(self._pull_again, setup_context=self._keep_again)

    def __call__(self, call: Call, input: Tensor) -> Tensor:
        wanted = input.requires_grad and torch.is_grad_enabled()
        loss: Tensor = self.forward(input, *[getattr(call, name) for name in self.names], wanted)[0]
        return loss

    def _call(self, fields: Any) -> Any:
        return self.kind(**dict(zip(self.names, fields, strict=True)))

    def _forward(self, input: Tensor, *fields: Any) -> tuple[Tensor, Tensor]:
        call, wanted = self._call(fields[:-1]), fields[-1]
        try:
            loss, grad, lacks = native_pass(call, input, wanted)
        except BadRow as bad:
            call.refuse(bad, input)
            (loss, grad), lacks = _by_formula(call, input, wanted), 1.0
        slope = input.new_empty(0) if grad is None else grad
        return loss, slope if lacks == 1 else slope.mul_(lacks)

    def _fake_forward(self, input: Tensor, *fields: Any) -> tuple[Tensor, Tensor]:
        call = self._call(fields[:-1])
        shape = list(input.shape) if call.reduction == "none" else []
        if shape and call.axis is not None:
            del shape[call.axis]
        return input.new_empty(shape, dtype=call.loss_dtype(input)), torch.empty_like(input) if fields[
            -1
        ] else input.new_empty(0)

    def _keep(self, ctx: Any, inputs: Any, output: Any) -> None:
        _remember(ctx, inputs[0], output[1], inputs[1:-1], self.tensors)

    def _pull(self, ctx: Any, upstream: Tensor, _: Any) -> tuple[Any, ...]:
        input, grad, fields = _remembered(ctx)
        return (self.backward(upstream, grad, input, *fields), *[None] * (len(fields) + 1))

    def _backward(self, upstream: Tensor, grad: Tensor, input: Tensor, *fields: Any) -> Tensor:
        return scaled(grad.clone(), upstream, 1.0, self._call(fields).axis)

    def _keep_again(self, ctx: Any, inputs: Any, output: Any) -> None:
        upstream, _, input, *fields = inputs
        _remember(ctx, input, upstream, fields, self.tensors)

    def _pull_again(self, ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
        """Of upstream0 * dloss/dinput, for which the formula stands in."""
        input, upstream0, fields = _remembered(ctx)
        again = torch.is_grad_enabled()
        with torch.enable_grad():
            x, u = (each if again else each.detach().requires_grad_() for each in (input, upstream0))
            (slope,) = torch.autograd.grad(self._call(fields).formula(x), x, u, create_graph=True)
            by_u, by_x = torch.autograd.grad(slope, (u, x), upstream, create_graph=again, allow_unused=True)
        return (by_u, None, by_x, *[None] * len(fields))


def _by_formula(call: Call, input: Tensor, wanted: bool) -> tuple[Tensor, Tensor | None]:
    """The same by the formula, in a thread of its own: inside an operator autograd is out of reach of this one."""

    def both() -> tuple[Tensor, Tensor | None]:
        x = input.detach().requires_grad_(wanted)
        loss = call.formula(x)
        grad = torch.autograd.grad(loss.sum(), x)[0] if wanted else None
        as_promised = None if grad is None else torch.empty_like(input).copy_(grad)  # with the strides of the fake
        return loss.detach().contiguous(), as_promised

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(both).result()


def _remember(ctx: Any, input: Tensor, other: Tensor, fields: Any, tensors: list[int]) -> None:
    ctx.save_for_backward(input, other, *[fields[i] for i in tensors])
    ctx.tensors, ctx.fields = tensors, [None if i in tensors else field for i, field in enumerate(fields)]


def _remembered(ctx: Any) -> tuple[Tensor, Tensor, list[Any]]:
    input, other, *saved = ctx.saved_tensors
    fields = list(ctx.fields)
    for i, tensor in zip(ctx.tensors, saved, strict=True):
        fields[i] = tensor
    return input, other, fields


_CLASS = _Operator("class_loss", ClassCall, _CLASS_FIELDS)
_LABEL = _Operator("label_loss", LabelCall, _LABEL_FIELDS)


def compiled(call: Call, input: Tensor) -> Tensor:
    """The loss of a call that torch.compile is tracing, by native code where there is some for it."""
    if isinstance(call, ClassCall) and call.terms is None:
        return _CLASS(call, input)
    if isinstance(call, LabelCall) and call.terms is None:
        return _LABEL(call, input)
    return call.formula(input)
