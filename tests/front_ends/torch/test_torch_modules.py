"""torch's own inputs of its loss modules through ours: values, gradients, errors, and all that a module is besides."""

import copy
import io
from typing import Any

import pytest
import torch

import crossent.torch
from torch_samples import MODULES, Call, Kind, quiet, troubles

pytestmark = [pytest.mark.frameworks, pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

each_module = pytest.mark.parametrize("info", MODULES, ids=lambda info: info.module_cls.__name__)


def ours_of(info: Any) -> Any:
    return getattr(crossent.torch, info.module_cls.__name__)


def inputs_of(info: Any, dtype: torch.dtype, *, requires_grad: bool = True) -> list[Any]:
    torch.manual_seed(20261122)
    return list(info.module_inputs_func(info, "cpu", dtype, requires_grad, True))


def as_call(one: Any, module: torch.nn.Module) -> Call:
    """The forward pass with the module's parameters as arguments, so that they are variables of the comparison."""
    inputs = one.forward_input
    return Call((*inputs.args, *module.parameters()), {**inputs.kwargs, **dict(module.named_buffers())})


def kind_of(info: Any, arguments: Any) -> Kind:
    """torch draws class weights of both signs, so that sums over classes cancel; smoothed targets are no indices."""
    if "Linear" in info.name:
        return "product"
    return "difference" if {"weight", "label_smoothing"} & set(arguments.kwargs) else "element"


def function_of(module: torch.nn.Module) -> Any:
    """The module as a function of inputs, parameters and buffers, as `as_call` gives them."""
    parameters = [name for name, _ in module.named_parameters()]
    buffers = [name for name, _ in module.named_buffers()]

    def function(*args: Any, **kwargs: Any) -> Any:
        inputs = args[: len(args) - len(parameters)]
        state = dict(zip(parameters, args[len(inputs) :], strict=True)) | {name: kwargs.pop(name) for name in buffers}
        return torch.func.functional_call(module, state, inputs, kwargs)

    return function


@each_module
def test_inputs_of_torch(info: Any) -> None:
    found, count = [], 0
    for dtype in info.dtypes:
        for one in inputs_of(info, dtype):
            arguments = one.constructor_input
            theirs = info.module_cls(*arguments.args, **arguments.kwargs)
            ours = ours_of(info)(*arguments.args, **arguments.kwargs)
            ours.load_state_dict(theirs.state_dict())
            call = as_call(one, ours)
            found += [
                f"{one.desc}: {x}"
                for x in troubles(function_of(ours), function_of(theirs), call, kind=kind_of(info, arguments))
            ]
            count += 1
    assert count >= 12
    assert found == []


@each_module
def test_references_of_torch(info: Any) -> None:
    count = 0
    for one in inputs_of(info, torch.float64, requires_grad=False):
        if one.reference_fn is None:
            continue
        ours = ours_of(info)(*one.constructor_input.args, **one.constructor_input.kwargs)
        with quiet():
            value = ours(*one.forward_input.args, **one.forward_input.kwargs)
            reference = one.reference_fn(ours, *one.forward_input.args, **one.forward_input.kwargs)
        torch.testing.assert_close(value, reference, equal_nan=True)
        count += 1
    assert count >= 6 or info.module_cls is torch.nn.BCEWithLogitsLoss


@pytest.mark.parametrize(
    "info", [info for info in MODULES if info.module_error_inputs_func], ids=lambda info: info.name
)
def test_error_inputs_of_torch(info: Any) -> None:
    for dtype in info.dtypes:
        for one in info.module_error_inputs_func(info, "cpu", dtype, False, True):
            inputs = one.module_error_input
            arguments, forward = inputs.constructor_input, inputs.forward_input
            with quiet(), pytest.raises(one.error_type, match=one.error_regex):
                ours_of(info)(*arguments.args, **arguments.kwargs)(*forward.args, **forward.kwargs)


@each_module
def test_a_module_of_torch_in_every_other_way(info: Any) -> None:
    one = inputs_of(info, torch.float32)[-1]
    arguments = one.constructor_input
    theirs = info.module_cls(*arguments.args, **arguments.kwargs)
    ours = ours_of(info)(*arguments.args, **arguments.kwargs)
    assert isinstance(ours, info.module_cls)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert ours.load_state_dict(theirs.state_dict()).missing_keys == []
    buffer = io.BytesIO()
    torch.save(ours, buffer)
    buffer.seek(0)
    with quiet():
        value = ours(*one.forward_input.args, **one.forward_input.kwargs)
        for copied in (copy.deepcopy(ours), torch.load(buffer, weights_only=False)):
            assert type(copied) is ours_of(info)
            torch.testing.assert_close(
                copied(*one.forward_input.args, **one.forward_input.kwargs), value, rtol=0, atol=0
            )


def test_forward_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    names = {
        "CrossEntropyLoss": "cross_entropy",
        "NLLLoss": "nll_loss",
        "BCELoss": "binary_cross_entropy",
        "BCEWithLogitsLoss": "binary_cross_entropy_with_logits",
        "KLDivLoss": "kl_div",
        "LinearCrossEntropyLoss": "linear_cross_entropy",
    }
    for name in names.values():
        monkeypatch.setattr(crossent.torch.modules, name, lambda *_, _name=name, **__: used.append(_name))
    for info in MODULES:
        one = inputs_of(info, torch.float32)[0]
        ours_of(info)(*one.constructor_input.args, **one.constructor_input.kwargs)(*one.forward_input.args)
    assert used == list(names.values())
