"""The comparison with torch passes torch itself; it finds functions with a wrong value, gradient, dtype or error."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from torch_samples import OPS, Call, samples, torch_function, trouble_between, troubles

pytestmark = [pytest.mark.frameworks, pytest.mark.usefixtures("one_thread")]

Function = Callable[..., Any]


def shifted(function: Function) -> Function:
    """A value that is off by 1e-4 of it."""
    return lambda *args, **kwargs: function(*args, **kwargs) * (1 + 1e-4)


def steeper(function: Function) -> Function:
    """The right value with a gradient that is off by 1e-4 of it."""

    def wrong(*args: Any, **kwargs: Any) -> Any:
        value = function(*args, **kwargs)
        return value + 1e-4 * (value - value.detach())

    return wrong


def wider(function: Function) -> Function:
    """The right value in another dtype."""
    return lambda *args, **kwargs: function(*args, **kwargs).double()


def frozen(function: Function) -> Function:
    """Without a gradient."""
    return lambda *args, **kwargs: function(*args, **kwargs).detach()


def lax(function: Function) -> Function:
    """0 instead of NaN."""
    return lambda *args, **kwargs: function(*args, **kwargs).nan_to_num()


def found_in(change: Callable[[Function], Function], op: Any, dtype: torch.dtype) -> list[str]:
    function = torch_function(op)
    kind = "product" if "linear" in op.name else "element"
    calls = samples(op, dtype, requires_grad=True, layouts=False)
    return [trouble for call in calls for trouble in troubles(change(function), function, call, kind=kind)]


PLAIN = [op for op in OPS if not op.variant_test_name]
each_op = pytest.mark.parametrize("op", PLAIN, ids=lambda op: op.name.rpartition(".")[2])


@each_op
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_torch_itself_passes(op: Any, dtype: torch.dtype) -> None:
    assert found_in(lambda function: function, op, dtype) == []


@each_op
@pytest.mark.parametrize("change", [shifted, steeper, wider, frozen])
def test_wrong_functions_are_found(op: Any, change: Callable[[Function], Function]) -> None:
    assert len(found_in(change, op, torch.float32)) >= 8


def test_errors_are_compared() -> None:
    call = Call((torch.zeros(2, 3), torch.tensor([0, 5])), {})
    assert troubles(F.cross_entropy, F.cross_entropy, call) == []

    def wrong(*args: Any) -> Any:
        raise ValueError

    assert troubles(wrong, F.cross_entropy, call)
    assert troubles(lambda z, y: z.sum(), F.cross_entropy, call)


def test_a_nan_has_its_place() -> None:
    call = Call((torch.zeros(2, 3), torch.tensor([-100, -100])), {})
    assert troubles(F.nll_loss, F.nll_loss, call) == []
    assert troubles(lax(F.nll_loss), F.nll_loss, call)


def test_closer_than_torch_is_right_and_further_is_wrong() -> None:
    exact = torch.tensor([1.0, 2.0], dtype=torch.float64)
    close, far = exact.float(), (exact * (1 + 1e-5)).float()
    assert trouble_between(close, far, exact) == ""
    assert trouble_between(far, close, exact) != ""
    assert trouble_between(far, far, exact) == ""
