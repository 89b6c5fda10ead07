"""nll_loss and kl_div against exact values: what torch loses, what it has as NaN, and the two ways of kl_div."""

import math
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mpmath import mpf

from closeness import assert_close, worst_ulps
from crossent.torch import divergence, kl_div, nll_loss
from torch_samples import quiet

pytestmark = [pytest.mark.frameworks, pytest.mark.usefixtures("one_thread")]

INF = math.inf
NARROW = (torch.float32, torch.bfloat16, torch.float16)


def array(x: torch.Tensor) -> Any:
    """As NumPy has it, with its dtype."""
    x = x.detach()
    return x.view(torch.uint16).numpy().view(ml_dtypes.bfloat16) if x.dtype is torch.bfloat16 else x.numpy()


def exact_elements(x: torch.Tensor, t: torch.Tensor, log_target: bool) -> list[Any]:
    """t (log t - x) in 50 digits, element by element."""
    with mpmath.workdps(50):
        found = []
        for a, b in zip(x.detach().double().flatten().tolist(), t.detach().double().flatten().tolist(), strict=True):
            if b == (-INF if log_target else 0.0):
                found.append(mpf(0))
            else:
                log_t = mpf(b) if log_target else mpmath.log(mpf(b))
                found.append(mpmath.exp(log_t) * (log_t - mpf(a)))
        return found


def pair(dtype: torch.dtype, log_target: bool, shape: tuple[int, ...] = (40, 25)) -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions that have all but met their targets, so that log t - x cancels; the last row is one-hot."""
    torch.manual_seed(3)
    z = 3 * torch.randn(shape, dtype=torch.float64)
    t = z.log_softmax(-1)
    t[-1] = -INF
    t[-1, 2] = 0.0
    x = (z + 1e-3 * torch.randn(shape, dtype=torch.float64)).log_softmax(-1)
    return x.to(dtype), (t if log_target else t.exp()).to(dtype)


@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_kl_div_is_rounded_once(dtype: torch.dtype, log_target: bool) -> None:
    x, t = pair(dtype, log_target)
    exact = exact_elements(x, t, log_target)
    ours = kl_div(x, t, reduction="none", log_target=log_target)
    assert_close(array(ours.flatten()), exact, ulps=0.51)
    total = mpmath.fsum(exact)
    for reduction, divisor in (("sum", 1), ("mean", 1000), ("batchmean", 40)):
        with quiet():
            ours = kl_div(x, t, reduction=reduction, log_target=log_target)
        assert_close(array(ours), total / divisor, ulps=0.51)
    if not log_target:
        theirs = F.kl_div(x[:-1], t[:-1], reduction="none").flatten()
        assert worst_ulps(array(theirs), exact[: len(theirs)]) > 50  # what there was to gain


@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div_of_float64_is_never_further_away_than_torch(log_target: bool) -> None:
    x, t = pair(torch.float64, log_target)
    exact = exact_elements(x, t, log_target)
    ours = kl_div(x, t, reduction="none", log_target=log_target).flatten()
    known = torch.nan_to_num(F.kl_div(x, t, reduction="none", log_target=log_target)).flatten()
    error, of_torch = (
        np.array([abs(float(mpf(a) - b)) for a, b in zip(v.tolist(), exact, strict=True)]) for v in (ours, known)
    )
    p = (t.exp() if log_target else t).flatten().numpy()
    log_t = np.array([0.0 if q == 0 else abs(math.log(q)) for q in p])
    assert np.all(error <= 2.0**-53 * (p * log_t + 4 * np.abs(ours.numpy())))  # rounding log t, and the result
    assert error.sum() <= of_torch.sum()


@pytest.mark.parametrize(
    ("t", "x", "value", "by_x", "by_t"),
    [
        (0.0, -1.0, 0.0, 0.0, -INF),
        (0.0, -INF, 0.0, 0.0, 0.0),
        (0.5, -INF, INF, -0.5, INF),
        (1.0, 0.0, 0.0, -1.0, 1.0),
        (0.0, math.nan, math.nan, 0.0, math.nan),
        (-0.5, -1.0, math.nan, 0.5, math.nan),
    ],
)
@pytest.mark.parametrize("size", [1, 70_000], ids=["formula", "chunks"])
def test_edges_of_kl_div(t: float, x: float, value: float, by_x: float, by_t: float, size: int) -> None:
    X, T = torch.full((size,), x, requires_grad=True), torch.full((size,), t, requires_grad=True)
    loss = kl_div(X, T, reduction="none")
    assert divergence.takes_chunks(X, T) == (size > 1)
    slopes = torch.autograd.grad(loss, [X, T], torch.ones_like(loss))
    for got, wanted in zip((loss, *slopes), (value, by_x, by_t), strict=True):
        torch.testing.assert_close(got, torch.full_like(got, wanted), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("log_t", "x", "value", "by_x", "by_t"),
    [
        (-INF, -1.0, 0.0, 0.0, 0.0),
        (-INF, -INF, 0.0, 0.0, 0.0),
        (-2.0, -INF, INF, -math.exp(-2), INF),
        (-INF, math.nan, math.nan, 0.0, math.nan),
        (0.0, 0.0, 0.0, -1.0, 1.0),
    ],
)
@pytest.mark.parametrize("size", [1, 70_000], ids=["formula", "chunks"])
def test_edges_of_kl_div_with_log_target(
    log_t: float, x: float, value: float, by_x: float, by_t: float, size: int
) -> None:
    X, T = torch.full((size,), x, requires_grad=True), torch.full((size,), log_t, requires_grad=True)
    loss = kl_div(X, T, reduction="none", log_target=True)
    slopes = torch.autograd.grad(loss, [X, T], torch.ones_like(loss))
    for got, wanted in zip((loss, *slopes), (value, by_x, by_t), strict=True):
        torch.testing.assert_close(got, torch.full_like(got, wanted), rtol=1e-7, atol=0, equal_nan=True)


@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.parametrize("reduction", ["none", "sum", "batchmean"])
@pytest.mark.parametrize("dtype", [torch.float64, *NARROW], ids=str)
def test_chunks_are_the_formula(
    dtype: torch.dtype, reduction: str, log_target: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for chunk in (100, 1 << 30):  # 1000 elements: ten chunks, or the formula
        monkeypatch.setattr(divergence, "_CHUNK", chunk)
        x, t = (each.requires_grad_() for each in pair(dtype, log_target))
        assert divergence.takes_chunks(x, t) == (chunk == 100)
        loss = kl_div(x, t, reduction=reduction, log_target=log_target)
        upstream = torch.linspace(-2, 3, loss.numel()).to(dtype).reshape(loss.shape)
        first = torch.autograd.grad(loss, [x, t], upstream, retain_graph=True)
        again = torch.autograd.grad(loss, [x, t], upstream, create_graph=True)
        kept = [slope[:-1].square().sum() for slope in again]
        results.append([loss, *first, *again, *(each[:-1] for each in torch.autograd.grad(sum(kept), [x, t]))])
    for a, b in zip(*results, strict=True):
        assert a.dtype is dtype
        torch.testing.assert_close(a, b, rtol=8 * torch.finfo(dtype).eps, atol=1e-9)


def test_a_gradient_of_one_argument_alone() -> None:
    x, t = pair(torch.float32, False, (400, 250))
    for wanted in (x, t):
        wanted.requires_grad_()
        kl_div(x, t, reduction="sum").backward()
        assert wanted.grad is not None
        wanted.requires_grad_(False)
    torch.testing.assert_close(x.grad, -t)


def test_transforms_of_large_tensors_do_not_see_chunks() -> None:
    x, t = (each[:-1].contiguous() for each in pair(torch.float64, False, (41, 2000)))
    near = {"rtol": 1e-9, "atol": 1e-12}

    def ours(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return kl_div(x, t, reduction="sum")

    def theirs(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return F.kl_div(x, t, reduction="sum")

    assert divergence.takes_chunks(x, t)
    tangents = (torch.ones_like(x), torch.full_like(t, 0.5))
    with quiet():  # torch's own decompositions are written in what it deprecates
        torch.testing.assert_close(
            torch.func.jvp(ours, (x, t), tangents), torch.func.jvp(theirs, (x, t), tangents), **near
        )
        for by in (0, 1):
            torch.testing.assert_close(torch.func.grad(ours, by)(x, t), torch.func.grad(theirs, by)(x, t), **near)
        torch.testing.assert_close(torch.vmap(ours)(x, t), torch.vmap(theirs)(x, t), **near)


def test_kl_div_warns_of_mean_and_divides_as_torch() -> None:
    x, t = pair(torch.float32, False, (4, 3))
    with pytest.warns(UserWarning, match="'batchmean' divides"):
        kl_div(x, t)
    with quiet():  # an old word wins over reduction, yet batchmean divides
        for old in ({"size_average": False}, {"reduce": True}, {"reduce": False}):
            torch.testing.assert_close(
                kl_div(x, t, reduction="batchmean", **old),
                F.kl_div(x, t, reduction="batchmean", **old),
                atol=1e-6,
                rtol=1e-3,
            )
    assert kl_div(x[:0], t[:0], reduction="batchmean").isnan()
    assert kl_div(x[:0], t[:0], reduction="sum") == 0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_nll_loss_is_rounded_once(dtype: torch.dtype, weighted: bool) -> None:
    torch.manual_seed(4)
    x = torch.randn(5000, 7).log_softmax(1).to(dtype)
    y = torch.randint(7, (5000,))
    y[::50] = -100
    w = torch.rand(7).to(dtype) if weighted else None
    kept = [i for i, k in enumerate(y.tolist()) if k >= 0]
    weights = [float(w[y[i]]) if w is not None else 1.0 for i in kept]
    products = [mpf(weight) * -float(x[i, y[i]]) for i, weight in zip(kept, weights, strict=True)]
    for reduction, exact in (("sum", mpmath.fsum(products)), ("mean", mpmath.fsum(products) / mpmath.fsum(weights))):
        assert_close(array(nll_loss(x, y, w, reduction=reduction)), exact, ulps=0.51)
    assert_close(array(nll_loss(x, y, w, reduction="none")[torch.tensor(kept)]), products, ulps=0.51)


def test_rows_that_do_not_count_for_nll_loss() -> None:
    x = torch.tensor([[-1.0, -2.0], [math.nan, -INF], [-INF, math.nan]], requires_grad=True)
    for y, w in ((torch.tensor([0, -100, -100]), None), (torch.tensor([0, 1, 1]), torch.tensor([2.0, 0.0]))):
        for reduction, wanted in (("mean", 1.0), ("sum", 1.0 if w is None else 2.0)):
            loss = nll_loss(x, y, w, reduction=reduction)
            assert loss.item() == wanted
            slope = torch.autograd.grad(loss, x)[0]
            assert slope.tolist() == [[-wanted, 0.0], [0.0, 0.0], [0.0, 0.0]]
    assert nll_loss(x, torch.tensor([-100] * 3)).isnan()
    assert nll_loss(x, torch.tensor([-100] * 3), reduction="sum") == 0
    assert nll_loss(x, torch.tensor([0, 1, 0])) == INF


def test_bytes_are_indices_of_nll_loss() -> None:
    x = torch.randn(2, 200).log_softmax(1)
    y = torch.tensor([3, 156], dtype=torch.uint8)  # 156 is -100 in 8 bits
    assert nll_loss(x, y).item() == pytest.approx(-(x[0, 3] + x[1, 156]).item() / 2)
