"""Under torch.compile: one graph, native code inside, torch's results."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

import crossent.torch as ct
from crossent.torch import operators

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:`torch.jit.script.*is deprecated:DeprecationWarning"),
]
BACKENDS = ["eager", "aot_eager", pytest.param("inductor", marks=pytest.mark.slow)]


@pytest.fixture(autouse=True)
def _fresh_compiler() -> None:
    torch._dynamo.reset()


def with_gradient(function: Any, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    z = z.detach().clone().requires_grad_()
    loss = function(z)
    (grad,) = torch.autograd.grad(loss.sum(), z)
    return loss.detach(), grad


def same(ours: Any, theirs: Any, z: torch.Tensor, backend: str) -> None:
    """Loss and gradient of one compiled graph are those of torch's own function."""
    compiled = torch.compile(ours, fullgraph=True, backend=backend)
    for got, want in zip(with_gradient(compiled, z), with_gradient(theirs, z), strict=True):
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("soft", [False, True])
def test_cross_entropy(backend: str, reduction: str, soft: bool) -> None:
    torch.manual_seed(1)
    z, w = torch.randn(3, 4, 5), torch.rand(4)
    y = torch.softmax(torch.randn(3, 4, 5), 1) if soft else torch.randint(0, 4, (3, 5))
    options: Any = {"weight": w, "reduction": reduction, "label_smoothing": 0.1}
    same(lambda x: ct.cross_entropy(x, y, **options), lambda x: F.cross_entropy(x, y, **options), z, backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["binary_cross_entropy", "binary_cross_entropy_with_logits"])
def test_independent_labels(backend: str, name: str) -> None:
    torch.manual_seed(2)
    x, y, w = torch.rand(5, 4), torch.rand(5, 4), torch.rand(5, 4)
    same(lambda x: getattr(ct, name)(x, y, weight=w), lambda x: getattr(F, name)(x, y, weight=w), x, backend)


@pytest.mark.parametrize("wanted", [False, True])
def test_the_operators_are_sound(wanted: bool) -> None:
    """Torch's own check of schema, autograd registration, fake tensors and AOT dispatch."""
    z = torch.randn(6, 4, dtype=torch.float64, requires_grad=wanted)
    fields = (torch.randint(0, 4, (6,)), False, 1, None, -100, 0.1, "mean", "mass", float("nan"), 1.0, True)
    result = torch.library.opcheck(operators._CLASS.forward, (z, *fields, wanted))
    assert set(result.values()) == {"SUCCESS"}
    y = torch.rand(6, 4, dtype=torch.float64)
    label_fields = (y, None, None, 0.0, 1.0, 1.0, "none", "elements", float("nan"), 1.0)
    result = torch.library.opcheck(operators._LABEL.forward, (z, *label_fields, wanted))
    assert set(result.values()) == {"SUCCESS"}


def test_native_code_is_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bool] = []
    native = operators.native_pass
    monkeypatch.setattr(operators, "native_pass", lambda *a: made.append(a[-1]) or native(*a))
    z, y = torch.randn(6, 4), torch.randint(0, 4, (6,))
    with_gradient(torch.compile(lambda x: ct.cross_entropy(x, y), fullgraph=True, backend="aot_eager"), z)
    assert made == [True]


def test_nan_and_bad_labels_inside_a_graph() -> None:
    compiled = torch.compile(ct.cross_entropy, fullgraph=True, backend="aot_eager")
    z = torch.tensor([[float("nan"), 0.0], [1.0, 2.0]], requires_grad=True)
    loss = compiled(z, torch.tensor([0, 1]))
    loss.backward()
    assert torch.isnan(loss)
    assert z.grad is not None
    assert torch.isnan(z.grad[0]).all()
    torch.testing.assert_close(z.grad[1], (torch.softmax(z.detach()[1], 0) - torch.tensor([0.0, 1.0])) / 2)
    with pytest.raises(IndexError, match="Target 7 is out of bounds"):
        compiled(torch.zeros(2, 2), torch.tensor([0, 7]))


def hessian_vector(function: Any) -> torch.Tensor:
    torch.manual_seed(3)
    z, y = torch.randn(4, 3, dtype=torch.float64, requires_grad=True), torch.tensor([0, 1, 2, 1])
    (slope,) = torch.autograd.grad(function(z, y) ** 2, z, create_graph=True)
    return torch.autograd.grad((slope * z).sum(), z)[0]


def test_second_derivatives_where_the_backend_has_them() -> None:
    compiled = torch.compile(ct.cross_entropy, fullgraph=True, backend="eager")
    torch.testing.assert_close(hessian_vector(compiled), hessian_vector(F.cross_entropy))


def test_transforms_inside_a_graph() -> None:
    z, y = torch.randn(4, 3), torch.tensor([0, 1, 2, 1])

    def slope(function: Any) -> Any:
        return lambda x: torch.func.grad(lambda a: function(a, y))(x)

    compiled = torch.compile(slope(ct.cross_entropy), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(z), slope(F.cross_entropy)(z))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("compiling", [False, True])
def test_autocast_gives_float32(dtype: torch.dtype, compiling: bool) -> None:
    z, y = torch.randn(3, 4, dtype=dtype), torch.tensor([0, 1, 2])
    ours = torch.compile(ct.cross_entropy, fullgraph=True, backend="eager") if compiling else ct.cross_entropy
    with torch.autocast("cpu", dtype=dtype):
        got, want = ours(z, y), F.cross_entropy(z, y)
    assert got.dtype == want.dtype == torch.float32
    torch.testing.assert_close(got, want)
