"""crossent.torch on hard rows: native code within the contract, the formula within its bounds, both beside torch."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import crossent as ce
import crossent.torch as ct
import oracle
from cases import CLASS_COUNTS, hard_batch
from closeness import assert_close
from formula_bounds import gradient_bound, loss_bound

pytestmark = pytest.mark.frameworks
DTYPES = [np.float32, np.float64]


def with_gradient(function: Any, z: Any, *rest: Any, **options: Any) -> tuple[Any, Any]:
    """Loss and gradient of its sum, as arrays."""
    input = torch.from_numpy(np.array(z)).requires_grad_()
    loss = function(input, *rest, **options)
    loss.sum().backward()
    assert input.grad is not None
    return loss.detach().numpy(), input.grad.numpy()


def by_formula(function: Any, z: Any, *rest: Any, **options: Any) -> tuple[Any, Any]:
    """The same on the route of torch.func, which sees no native code."""
    input = torch.from_numpy(np.array(z))
    loss, pull = torch.func.vjp(lambda x: function(x, *rest, **options), input)
    return loss.numpy(), pull(torch.ones_like(loss))[0].numpy()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", CLASS_COUNTS)
def test_native_losses_have_the_bits_of_the_numpy_api(K: int, dtype: Any) -> None:
    """So its whole accuracy contract, which tests/core holds against the oracle, is theirs."""
    z, y = hard_batch(K, dtype)
    want = ce.CrossEntropy(reduction="none").value_and_grad(y, logits=z)
    loss, grad = with_gradient(ct.cross_entropy, z, torch.from_numpy(y), reduction="none")
    np.testing.assert_array_equal(loss, want.value)
    np.testing.assert_array_equal(grad, want.grad)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [3, 10, 64])
def test_the_formula_differentiated_by_torch_keeps_its_bounds(K: int, dtype: Any) -> None:
    """Confident rows keep their tiny losses and gradients; ties share nothing that is not theirs."""
    z, y = hard_batch(K, dtype, infinite=False)
    loss, grad = by_formula(ct.cross_entropy, z, torch.from_numpy(y), reduction="none")
    answers, q = oracle.row_answers(y, logits=z), np.eye(K)[y]
    assert_close(loss, answers.loss, bound=loss_bound(z, q, dtype))
    assert_close(grad, answers.grad, bound=4 * gradient_bound(z, q, dtype))  # autograd adds its own sums


@pytest.mark.parametrize("route", [with_gradient, by_formula])
def test_confident_rows_where_torch_gives_nothing(route: Any) -> None:
    """Torch's float32 loss and gradient are 0 from a lead of 17 on; the exact ones are not."""
    z, y = np.array([[40.0, 0.0, 0.0], [20.0, 0.0, -3.0]], np.float32), np.array([0, 0])
    answers = oracle.row_answers(y, logits=z)
    theirs, their_slope = with_gradient(F.cross_entropy, z, torch.from_numpy(y), reduction="none")
    assert (theirs == 0).all()
    assert (their_slope[:, 0] == 0).all()
    loss, grad = route(ct.cross_entropy, z, torch.from_numpy(y), reduction="none")
    assert_close(loss, answers.loss, ulps=4)
    assert_close(grad, answers.grad, ulps=16)


@pytest.mark.parametrize("route", [with_gradient, by_formula])
def test_equal_logits_have_a_gradient_without_favourites(route: Any) -> None:
    """Where training starts: a maximum that shared its gradient between ties would be wrong here."""
    _, grad = route(ct.cross_entropy, np.zeros((2, 4)), torch.tensor([0, 3]))
    np.testing.assert_allclose(grad, (0.25 - np.eye(4)[[0, 3]]) / 2, rtol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("soft", [False, True])
def test_independent_labels_have_the_bits_of_the_numpy_api(dtype: Any, soft: bool) -> None:
    rng = np.random.default_rng(1)
    z = np.concatenate([rng.normal(scale=s, size=200) for s in (1, 30, 300)]).astype(dtype)
    y = (rng.random(600) if soft else rng.integers(0, 2, 600)).astype(dtype)
    want = ce.BinaryCrossEntropy(reduction="none").value_and_grad(y, logits=z)
    loss, grad = with_gradient(ct.binary_cross_entropy_with_logits, z, torch.from_numpy(y), reduction="none")
    np.testing.assert_array_equal(loss, want.value)
    np.testing.assert_array_equal(grad, want.grad)
    formula, slope = by_formula(ct.binary_cross_entropy_with_logits, z, torch.from_numpy(y), reduction="none")
    u = np.finfo(dtype).eps
    np.testing.assert_allclose(formula, want.value, rtol=12 * u, atol=1e-44)
    np.testing.assert_allclose(slope, want.grad, rtol=0 if soft else 400 * u, atol=24 * u if soft else 1e-44)


@pytest.mark.parametrize("dtype", DTYPES)
def test_probabilities_are_clamped_as_torch_does(dtype: Any) -> None:
    """0, 1 and what lies beside them: values up to 100, slopes up to 1e12; elsewhere closer to float64 than torch."""
    tiny = float(np.finfo(dtype).tiny)
    p = np.array([0.0, 1.0, tiny, 1e-30, 1e-13, 1e-11, 0.3, 0.999, 1 - np.finfo(dtype).eps], dtype)
    for y in (0.0, 1.0, 0.25):
        target = torch.full((len(p),), y, dtype=torch.from_numpy(p).dtype)
        loss, grad = with_gradient(ct.binary_cross_entropy, p, target, reduction="none")
        wide, slope = with_gradient(F.binary_cross_entropy, p.astype(np.float64), target.double(), reduction="none")
        np.testing.assert_allclose(loss, wide, rtol=4 * np.finfo(dtype).eps)
        np.testing.assert_allclose(grad, slope, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_sum_of_many_float32_rows_is_rounded_once(reduction: str) -> None:
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(200_000, 3)).astype(np.float32), rng.integers(0, 3, 200_000)
    rows = ce.cross_entropy(y, logits=z, reduction="none").astype(np.float64)
    exact = rows.mean() if reduction == "mean" else rows.sum()
    for route in (with_gradient, by_formula):
        loss, _ = route(ct.cross_entropy, z, torch.from_numpy(y), reduction=reduction)
        assert float(loss) == pytest.approx(float(exact), rel=2e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("ignored", [0, 3])
def test_small_batches_have_the_numbers_of_large_ones(dtype: Any, reduction: str, ignored: int) -> None:
    """Few rows go to native code by their addresses; a mean over fewer rows than there are is scaled afterwards."""
    for K in (1, 2, 10, 100):
        rng = np.random.default_rng(K)
        z, y = rng.normal(scale=5, size=(12, K)).astype(dtype), rng.integers(0, K, 12)
        y[:ignored] = -100
        z[:ignored, 0] = np.nan
        want = ce.CrossEntropy(reduction=reduction, ignore_index=-100).value_and_grad(y, logits=z)
        loss, grad = with_gradient(ct.cross_entropy, z, torch.from_numpy(y), reduction=reduction)
        assert_close(loss, np.asarray(want.value), ulps=1)
        assert_close(grad, want.grad, ulps=0 if reduction == "sum" or not ignored else 3)
