"""loss(ce.Focal(...)): what the object computes on arrays, on tensors by every route."""

from typing import Any

import numpy as np
import pytest
import torch

import crossent as ce
import crossent.torch as ct

pytestmark = pytest.mark.frameworks

CLASS_LOSSES: dict[str, Any] = {
    "focal": (ce.Focal, {}),
    "focal with alpha": (ce.Focal, {"gamma": 0.5, "alpha": [1, 2, 3, 0.5]}),
    "poly1": (ce.Poly1, {"epsilon": -0.5}),
    "generalized": (ce.GeneralizedCrossEntropy, {}),
    "symmetric": (ce.SymmetricCrossEntropy, {}),
    "logit adjusted": (ce.LogitAdjusted, {"priors": [5, 1, 1, 2]}),
    "bootstrap": (ce.Bootstrap, {}),
    "hard bootstrap": (ce.Bootstrap, {"hard": True}),
    "every option": (
        ce.CrossEntropy,
        {"z_loss": 0.01, "softcap": 3.0, "temperature": 2.0, "entropy_weight": -0.1, "label_smoothing": 0.2,
         "class_weight": [1, 0, 2, 3], "unit": "bit"},
    ),
    "row losses": (ce.CrossEntropy, {"reduction": "none", "ignore_index": 1}),
    "positives": (ce.CrossEntropy, {"normalize_targets": True, "empty_rows": "ignore"}),
}  # fmt: skip
LABEL_LOSSES: dict[str, Any] = {
    "binary": (ce.BinaryCrossEntropy, {"class_weight": [1, 3], "pos_weight": [2.0, 1.0, 0.5], "label_smoothing": 0.1}),
    "binary focal": (ce.BinaryFocal, {"alpha": 0.25, "reduction": "sum", "unit": "bit"}),
}


def with_gradient(module: Any, z: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    z = z.detach().clone().requires_grad_()
    loss = module(z, target)
    (grad,) = torch.autograd.grad(loss.sum(), z)
    return loss.detach(), grad


def by_transform(module: Any, z: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    loss, pull = torch.func.vjp(lambda x: module(x, target), z)
    return loss, pull(torch.ones_like(loss))[0]


def compiled(module: Any, z: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    torch._dynamo.reset()
    return with_gradient(torch.compile(module, fullgraph=True, backend="aot_eager"), z, target)


ROUTES = [with_gradient, by_transform, compiled]


def batch(dtype: torch.dtype, kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    z = 3 * torch.randn(7, 4, 3, dtype=dtype)
    if kind == "index":
        return z, torch.randint(0, 4, (7, 3))
    if kind == "positives":
        return z, (torch.rand(7, 4, 3) < 0.3).to(dtype)
    return z, torch.softmax(torch.randn(7, 4, 3, dtype=dtype), 1)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_losses_over_classes(name: str, route: Any) -> None:
    """Value and gradient of the NumPy object with classes on axis 1, to the rounding of the formula."""
    kind, options = CLASS_LOSSES[name]
    module, on_arrays = ct.loss(kind(**options)), kind(**options, axis=1)
    kinds = ["positives"] if name == "positives" else ["index"] if name == "row losses" else ["index", "soft"]
    for targets in kinds:
        for dtype, rtol in ((torch.float64, 1e-12), (torch.float32, 2e-5)):
            z, y = batch(dtype, targets)
            want = on_arrays.value_and_grad(y.numpy(), logits=z.numpy())
            loss, grad = route(module, z, y)
            assert loss.dtype == dtype
            np.testing.assert_allclose(loss.numpy(), want.value, rtol=rtol)
            np.testing.assert_allclose(grad.numpy(), want.grad, rtol=rtol, atol=rtol * np.abs(want.grad).max())


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", LABEL_LOSSES)
def test_losses_of_independent_labels(name: str, route: Any) -> None:
    kind, options = LABEL_LOSSES[name]
    module = ct.loss(kind(**options))
    torch.manual_seed(3)
    z = 3 * torch.randn(7, 3, dtype=torch.float64)
    for y in (torch.randint(0, 2, (7, 3)), torch.rand(7, 3, dtype=torch.float64), torch.rand(7, 3) < 0.5):
        want = kind(**options).value_and_grad(y.numpy(), logits=z.numpy())
        loss, grad = route(module, z, y)
        np.testing.assert_allclose(loss.numpy(), want.value, rtol=1e-12)
        np.testing.assert_allclose(grad.numpy(), want.grad, rtol=1e-11)


def test_second_derivatives_are_the_formulas() -> None:
    module = ct.loss(ce.Focal(gamma=1.5))
    z, y = batch(torch.float64, "index")
    assert torch.autograd.gradgradcheck(lambda x: module(x, y[:3]), z[:3].clone().requires_grad_())


def test_half_precision_is_computed_in_float32() -> None:
    module = ct.loss(ce.Focal())
    z, y = batch(torch.bfloat16, "index")
    assert module(z, y).dtype == torch.bfloat16
    want = ce.Focal(axis=1)(y.numpy(), logits=z.float().numpy())
    assert module(z, y).item() == pytest.approx(want, rel=2**-8)
    assert module.half() is module  # weights of the options are no buffers, so nothing is rounded


def test_means_over_nothing() -> None:
    z, y = torch.randn(2, 3), torch.tensor([1, 1])
    assert torch.isnan(ct.loss(ce.CrossEntropy(ignore_index=1))(z, y))
    for route in ROUTES:
        loss, grad = route(ct.loss(ce.CrossEntropy(ignore_index=1, empty="zero")), z, y)
        assert loss.item() == 0
        assert not grad.any()


def test_a_row_without_positives() -> None:
    z, y = torch.randn(2, 3), torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    assert torch.isnan(ct.loss(ce.CrossEntropy(normalize_targets=True))(z, y))


def test_a_module_says_what_it_is() -> None:
    assert repr(ct.loss(ce.Focal(gamma=3.0, label_smoothing=0.1))) == "ClassLoss(Focal(label_smoothing=0.1, gamma=3.0))"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (ce.Focal, ce.OptionError, "an object such as"),
        (ce.CrossEntropy(classes=["a", "b"]), ce.UnsupportedError, "classes="),
        (ce.CrossEntropy(class_weight="balanced"), ce.UnsupportedError, "pass the weights"),
        (ce.CrossEntropy(class_weight={0: 2.0}), ce.UnsupportedError, "an array"),
        (ce.CrossEntropy(clip=1e-7), ce.UnsupportedError, "logits"),
        (ce.CrossEntropy(axis=2), ce.UnsupportedError, "axis 1"),
        (ce.LinearCrossEntropy(), ce.UnsupportedError, "linear_cross_entropy"),
    ],
)
def test_options_that_tensors_have_no_use_for(options: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        ct.loss(options)


def test_shapes_and_dtypes_that_do_not_fit() -> None:
    module = ct.loss(ce.LogitAdjusted(priors=[1, 2, 3]))
    z = torch.zeros(2, 3)
    with pytest.raises(ce.ShapeError, match="4 classes, the options of the loss 3"):
        module(torch.zeros(2, 4), torch.tensor([0, 1]))
    with pytest.raises(ce.ShapeError, match=r"class indices of shape \(2,\)"):
        module(z, torch.tensor([0, 1, 2]))
    with pytest.raises(ce.DtypeError, match="int64"):
        module(z.long(), torch.tensor([0, 1]))
    with pytest.raises(ce.ShapeError, match="classes are needed"):
        module(torch.zeros(2, 0), torch.tensor([0, 1]))
    with pytest.raises(IndexError, match="Target 3"):
        module(z, torch.tensor([0, 3]))
    with pytest.raises(ce.ShapeError, match="need the same"):
        ct.loss(ce.BinaryFocal())(z, torch.zeros(3))
