"""Derivatives of every order and mode against finite differences; torch.func and torch.compile against torch.

gradcheck compares backward, forward-mode and batched gradients with finite differences, gradgradcheck the same of the
gradient, on torch's own sample inputs, where torch says that its function has these modes.
"""

from functools import partial
from typing import Any

import pytest
import torch

import crossent.torch
from torch_samples import OPS, Call, quiet, samples, torch_function

pytestmark = [pytest.mark.frameworks, pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

PLAIN = [op for op in OPS if not op.variant_test_name]


def name_of(op: Any) -> str:
    return " ".join([op.name.rpartition(".")[2], op.variant_test_name]).strip()


each_op = pytest.mark.parametrize("op", PLAIN, ids=name_of)


def ours_of(op: Any) -> Any:
    return getattr(crossent.torch, op.name.rpartition(".")[2])


def spread(calls: list[Call], count: int) -> list[Call]:
    """So many of them, from the first to the last."""
    step = max(len(calls) // count, 1)
    return calls[::step]


def some_calls(op: Any, dtype: torch.dtype = torch.float64, count: int = 12) -> list[Call]:
    return spread(list(samples(op, dtype, requires_grad=True, layouts=False)), count)


@pytest.mark.parametrize("op", OPS, ids=name_of)
def test_derivatives_against_finite_differences(op: Any) -> None:
    modes = {"check_batched_grad": op.check_batched_grad, "check_forward_ad": op.supports_forward_ad}
    for call in some_calls(op, count=24):
        function = call.of(ours_of(op))
        with quiet():
            assert torch.autograd.gradcheck(
                function,
                call.variables,
                fast_mode=op.gradcheck_fast_mode is not False,
                check_batched_forward_grad=op.check_batched_forward_grad and op.supports_forward_ad,
                nondet_tol=1e-10,
                **modes,
            ), str(call)


@each_op
def test_second_derivatives_against_finite_differences(op: Any) -> None:
    for call in some_calls(op):
        with quiet():
            assert torch.autograd.gradgradcheck(
                call.of(ours_of(op)),
                call.variables,
                fast_mode=True,
                check_batched_grad=op.check_batched_gradgrad,
                check_fwd_over_rev=op.supports_fwgrad_bwgrad,
                nondet_tol=1e-10,
            ), str(call)


def both(op: Any, call: Call) -> tuple[Any, Any]:
    """Ours and torch's as functions of the input alone."""
    fixed = Call(
        (call.args[0], *(_constant(x) for x in call.args[1:])), {n: _constant(x) for n, x in call.kwargs.items()}
    )
    return fixed.of(ours_of(op)), fixed.of(torch_function(op))


def _constant(x: Any) -> Any:
    return x.detach() if isinstance(x, torch.Tensor) else x


def total(f: Any) -> Any:
    """A scalar with a curvature of its own."""
    return lambda x: f(x).square().sum()


def near(ours: Any, theirs: Any) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@each_op
def test_torch_func(op: Any) -> None:
    for call in some_calls(op):
        ours, theirs = both(op, call)
        x = call.args[0].detach()
        batch = torch.stack([x * (1 - 0.1 * i) for i in range(3)])  # probabilities stay some
        tangent = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).reshape(x.shape)
        with quiet():
            near(torch.vmap(ours)(batch), torch.stack([theirs(each) for each in batch]))
            near(torch.func.jvp(ours, (x,), (tangent,)), torch.func.jvp(theirs, (x,), (tangent,)))
            near(torch.func.jacrev(ours)(x), torch.func.jacrev(theirs)(x))
            near(torch.func.jacfwd(ours)(x), torch.func.jacrev(theirs)(x))
            near(torch.func.grad(total(ours))(x), torch.func.grad(total(theirs))(x))
            near(torch.vmap(torch.func.grad(total(ours)))(batch), torch.vmap(torch.func.grad(total(theirs)))(batch))
            near(torch.func.hessian(total(ours))(x), torch.func.hessian(total(theirs))(x))


def value_and_gradients(function: Any, call: Call) -> list[torch.Tensor]:
    value = function(*call.variables)
    return [value, *torch.autograd.grad(value.square().sum(), call.variables)]


@each_op
def test_compiled_in_one_graph(op: Any) -> None:
    for call in some_calls(op, count=3)[:3]:
        torch.compiler.reset()
        compiled = torch.compile(call.of(ours_of(op)), fullgraph=True, backend="aot_eager")
        with quiet():
            near(value_and_gradients(compiled, call), value_and_gradients(call.of(torch_function(op)), call))
            with torch.no_grad():
                near(compiled(*call.variables), call.of(torch_function(op))(*call.variables))


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss", "binary_cross_entropy_with_logits", "kl_div"])
def test_deprecated_words_compile(name: str) -> None:
    z = torch.randn(4, 3)
    target = torch.tensor([0, 1, 2, 1]) if name in ("cross_entropy", "nll_loss") else torch.rand(4, 3)
    for old in ({"size_average": False}, {"reduce": False}, {"size_average": True, "reduce": True}):
        torch.compiler.reset()
        ours = torch.compile(partial(getattr(crossent.torch, name), **old), fullgraph=True, backend="aot_eager")
        with quiet():
            torch.testing.assert_close(ours(z, target), getattr(torch.nn.functional, name)(z, target, **old))


@each_op
def test_compiled_to_machine_code(op: Any) -> None:
    call = some_calls(op, torch.float32)[-1]
    torch.compiler.reset()
    with quiet():
        compiled = torch.compile(call.of(ours_of(op)), fullgraph=True)
        ours = value_and_gradients(compiled, call)
        theirs = value_and_gradients(call.exact().of(torch_function(op)), call.exact())
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-6 * max(1.0, b.abs().max().item()))
