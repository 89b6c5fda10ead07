"""Which way a call takes: native code for plain CPU tensors, operators while compiling, the formula for all else.

A gradient that the forward pass computed is a constant to autograd: under forward mode, torch.func or a tracer it would
be silently wrong. So native code sees only plain CPU tensors of which nothing but the input wants a gradient, while no
transform, mode or tracer is at work. Even there a backward pass with create_graph=True goes through the formula.
"""

import torch
from torch import Tensor
from torch.autograd import forward_ad

from crossent.core.blocks import BadRow
from crossent.torch.arguments import is_floating
from crossent.torch.fused import Call, Fused, native_pass
from crossent.torch.operators import compiled

__all__ = ["evaluate", "is_plain"]

_PLAIN = (Tensor, torch.nn.Parameter)
# Function.apply without its search for transforms, which `is_plain` has made: 1.2 of 24 us for (32, 10).
_apply = super(torch.autograd.Function, Fused).apply


def is_plain(input: Tensor, constants: tuple[Tensor | None, ...]) -> bool:
    """Whether the input just holds numbers; the constants (targets, weights) must not ask for a gradient."""
    if type(input) not in _PLAIN or not input.is_cpu or input.is_neg() or input.layout != torch.strided:
        return False
    for each in constants:
        if each is not None and (type(each) not in _PLAIN or not each.is_cpu or each.requires_grad or each.is_neg()):
            return False
    return not (
        torch._C._are_functorch_transforms_active()
        or torch._C._functorch.is_functorch_wrapped_tensor(input)  # left over from a transform that has ended
        or forward_ad._current_level >= 0
        or torch._C._len_torch_dispatch_stack()
        or torch._C._len_torch_function_stack()
        or torch._C._get_tracing_state() is not None
    )


def _has_operator(input: Tensor, constants: tuple[Tensor | None, ...]) -> bool:
    """As `is_plain`, of what torch.compile is tracing."""
    given = [each for each in constants if each is not None]
    if not input.is_cpu or any(not each.is_cpu or each.requires_grad for each in given):
        return False
    return not torch._C._are_functorch_transforms_active() and forward_ad._current_level < 0


def evaluate(call: Call, input: Tensor, *constants: Tensor | None) -> Tensor:
    """The loss of a floating input; the constants are the tensors of the call."""
    assert is_floating(input)
    if torch.compiler.is_compiling():
        return compiled(call, input) if _has_operator(input, constants) else call.formula(input)
    if not is_plain(input, constants):
        return call.formula(input)
    try:
        if input.requires_grad and torch.is_grad_enabled():
            loss: Tensor = _apply(input, call)
            return loss
        return native_pass(call, input, False)[0]
    except BadRow as bad:
        call.refuse(bad, input)
    return call.formula(input)
