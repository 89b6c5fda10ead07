"""torch's own sample and error inputs through our functions: torch's values, gradients and errors, or closer ones."""

import re
from functools import partial
from typing import Any

import pytest
import torch

import crossent.torch
from torch_samples import OPS, Call, outcome, quiet, samples, torch_function, troubles

pytestmark = [pytest.mark.frameworks, pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def name_of(op: Any) -> str:
    return " ".join([op.name.rpartition(".")[2], op.variant_test_name]).strip()


each_op = pytest.mark.parametrize("op", OPS, ids=name_of)


def ours_of(op: Any) -> Any:
    return getattr(crossent.torch, op.name.rpartition(".")[2])


def found_in(op: Any, calls: list[Call], **options: Any) -> list[str]:
    ours, theirs, kind = ours_of(op), torch_function(op), "product" if "linear" in op.name else "element"
    return [trouble for call in calls for trouble in troubles(ours, theirs, call, kind=kind, **options)]


@each_op
@pytest.mark.parametrize("requires_grad", [True, False], ids=["gradient", "value"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_samples_of_torch(op: Any, dtype: torch.dtype, requires_grad: bool) -> None:
    assert dtype in op.dtypes
    calls = list(samples(op, dtype, requires_grad=requires_grad))
    assert len(calls) >= 22
    assert found_in(op, calls) == []


def test_every_dtype_of_torch_is_tried() -> None:
    assert {dtype for op in OPS for dtype in op.dtypes} == set(DTYPES)


# The products that autocast rounds to half precision are compared in test_torch_linear.py, at that precision.
@pytest.mark.parametrize("op", [op for op in OPS if "linear" not in op.name], ids=name_of)
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16], ids=str)
def test_autocast(op: Any, low: torch.dtype) -> None:
    calls = [call for dtype in (low, torch.float32) for call in samples(op, dtype, requires_grad=True, layouts=False)]
    precision = low if "linear" in op.name else None  # autocast rounds what is multiplied, and adds in float32
    assert found_in(op, calls, context=partial(torch.autocast, "cpu", dtype=low), precision=precision) == []


@pytest.mark.parametrize("op", [op for op in OPS if op.error_inputs_func], ids=name_of)
def test_error_inputs_of_torch(op: Any) -> None:
    for error in op.error_inputs("cpu"):
        sample = error.sample_input
        with quiet(), pytest.raises(error.error_type, match=error.error_regex):
            ours_of(op)(sample.input, *sample.args, **sample.kwargs)


def wrong_calls() -> dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]]:
    """Calls that torch refuses, which its own lists leave out."""
    z, p, y, w = torch.randn(4, 3), torch.rand(4, 3), torch.tensor([0, 1, 2, 1]), torch.ones(3)
    of_classes = [
        ((z, torch.tensor([0, 1, 3, 0])), {}),
        ((z, torch.tensor([0, 1, -1, 0])), {}),
        ((z, y[:3]), {}),
        ((z, y.int()), {}),
        ((z, y, torch.ones(4)), {}),
        ((z, y, w.double()), {}),
        ((z, y), {"reduction": "median"}),
        ((z.long(), y), {}),
        ((0.5, y), {}),
        ((z, None), {}),
        ((torch.randn(()), torch.tensor(0)), {}),
    ]
    of_elements = [
        ((p, p[:3]), {}),
        ((p, p[:, :2]), {}),
        ((p, p), {"reduction": "median"}),
        ((p.long(), p), {}),
        ((p, p.long()), {}),
        ((p.cfloat(), p), {}),
        ((p, 0.5), {}),
        ((0.5, p), {}),
    ]
    return {
        "cross_entropy": [*of_classes, ((z, p), {"label_smoothing": 1.5})],
        "nll_loss": [*of_classes, ((z, y, w.clone().requires_grad_()), {})],
        "binary_cross_entropy": [*of_elements, ((p + 1, p), {}), ((p, p, torch.ones(4)), {})],
        "binary_cross_entropy_with_logits": [*of_elements, ((p, p, torch.ones(4)), {})],
        "kl_div": of_elements,
    }


@pytest.mark.parametrize("name", wrong_calls())
def test_other_errors(name: str) -> None:
    theirs, ours = getattr(torch.nn.functional, name), getattr(crossent.torch, name)
    errors = 0
    for args, kwargs in wrong_calls()[name]:
        call = Call(args, kwargs)
        wanted, got = outcome(theirs, call), outcome(ours, call)
        errors += isinstance(wanted, type)
        assert isinstance(wanted, type) == isinstance(got, type), str(call)
        assert not isinstance(wanted, type) or wanted is got, str(call)
    assert errors >= 6


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss", "binary_cross_entropy_with_logits", "kl_div"])
@pytest.mark.parametrize("old", [{"size_average": False}, {"reduce": False}, {"size_average": True, "reduce": True}])
def test_old_names_of_the_reductions(name: str, old: dict[str, bool]) -> None:
    z = torch.randn(4, 3)
    target = torch.tensor([0, 1, 2, 1]) if name in ("cross_entropy", "nll_loss") else torch.rand(4, 3)
    with pytest.warns(UserWarning, match=re.escape("size_average and reduce args will be deprecated")):
        ours = getattr(crossent.torch, name)(z, target, **old)
    with quiet():
        theirs = getattr(torch.nn.functional, name)(z, target, **old)
    torch.testing.assert_close(ours, theirs)
