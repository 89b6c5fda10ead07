"""Panels of short rows and inner axes: every number of classes, tail and layout, against oracle and the row alone."""

from typing import Any

import numpy as np
import pytest

import crossent as ce
import oracle
from bits import assert_same
from cases import Case, equal_but_one, hard_cases
from closeness import assert_close
from isas import ISAS, using_isa
from wide import Wide

DTYPES = (np.float32, np.float64)
INNER = (1, 2, 3, 5, 15, 16, 17, 31, 33, 63, 64, 65, 255, 256, 257, 300, 511, 512, 513, 600)
LOSS = ce.CrossEntropy(reduction="none")


def hard_rows(K: int, dtype: Any, *, limit: int) -> Case:
    """A few rows of every named case, and K - 1 equal logits; infinite ones too."""
    cases = [case for case in hard_cases(K, dtype) if len(case.targets)]
    if K > 1:
        cases.append(equal_but_one(K, dtype, gaps=2 * limit))
    picked = [np.unique(np.linspace(0, len(case.targets) - 1, limit).astype(int)) for case in cases]
    return Case(
        "hard",
        np.concatenate([case.logits[rows] for case, rows in zip(cases, picked, strict=True)]),
        np.concatenate([case.targets[rows] for case, rows in zip(cases, picked, strict=True)]),
    )


def confident_rows(K: int, dtype: Any) -> Case:
    """Gaps 0 to 110 (float64: 0 to 800) to a tied or single runner-up; each position of label and maximum."""
    gaps = np.concatenate([np.arange(0, 100, 7), [59.9, 60.1, 86.9, 87.1, 100, 104, 110]])
    z = np.zeros((len(gaps), K))
    rows = np.arange(len(gaps))
    z[rows, rows % K] = gaps * (7.3 if dtype == np.float64 else 1)
    z[::3, -1] -= 30
    return Case("confident", z.astype(dtype), (rows // 2) % K)


def mixed_batch(N: int, K: int, dtype: Any, *, seed: int = 0) -> tuple[Any, Any]:
    """Rows of many sizes with ties, -inf, deep and very confident ones among them."""
    rng = np.random.default_rng([seed, N, K])
    z = (rng.normal(size=(N, K)) * 10.0 ** rng.uniform(-2, 2.5, (N, 1))).astype(dtype)
    z[::5] = np.round(z[::5])
    if K > 2:
        z[rng.random(N) < 0.1, 1] = -np.inf
    return z, rng.integers(0, K, N)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", range(1, 34))
def test_contract_for_every_number_of_classes(K: int, dtype: Any) -> None:
    """4 ulp for losses, 8 for gradients; on the last axis, on axis 0, in place and without gradient alike."""
    for case in (hard_rows(K, dtype, limit=2), confident_rows(K, dtype)):
        z, y = case.logits, case.targets
        loss = Wide.of(oracle.row_losses(y, logits=z))
        grad = Wide.of(oracle.gradient(y, logits=z, reduction="none"))
        for isa in ISAS:
            with using_isa(isa):
                got = LOSS.value_and_grad(y, logits=z)
                alone = LOSS(y, logits=z)
                inner = ce.CrossEntropy(reduction="none", axis=0).value_and_grad(y, logits=z.T.copy())
                place = z.copy()
                LOSS.value_and_grad(y, logits=place, out=place)
            assert_close(got.value, loss, ulps=4, dtype=dtype, label=f"{isa} {case.name} loss")
            assert_close(got.grad, grad, ulps=8, dtype=dtype, label=f"{isa} {case.name} gradient")
            assert_same([alone, place], got)
            if K <= 32:
                assert_same([inner.value, inner.grad.T], got)
            assert_close(inner.value, loss, ulps=4, dtype=dtype, label=f"{isa} {case.name} inner loss")


@pytest.mark.parametrize("K", [2, 3, 5, 10, 17, 32])
def test_equal_logits_do_not_drift(K: int, isa: str) -> None:
    """log K within 1 ulp, p_j and 1 - p_t within 2: the terms that equal 1 are counted."""
    y = np.arange(K)
    got = LOSS.value_and_grad(y, logits=np.full((K, K), 0.7, np.float32))
    assert_close(got.value, np.log(np.full(K, float(K))), ulps=1)
    assert_close(got.grad, np.full((K, K), 1 / K) - np.eye(K), ulps=2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [2, 3, 4, 5, 10, 21, 32])
def test_tails_of_every_length(K: int, dtype: Any, isa: str) -> None:
    """A batch of n rows has the bits of the first n rows of a longer one, wherever a vector or a panel ends."""
    z, y = mixed_batch(600, K, dtype)
    want = LOSS.value_and_grad(y, logits=z)
    for n in (*range(1, 34), 63, 64, 65, 127, 129, 255, 256, 257, 300, 511, 513):
        first = 600 - n
        got = LOSS.value_and_grad(y[first:], logits=z[first:])
        assert_same(got, (want.value[first:], want.grad[first:]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [2, 3, 7, 10, 32])
def test_any_buffer_gets_the_same_bits(K: int, dtype: Any, isa: str) -> None:
    """Fresh and in the pool's memory, given, in place, at odd addresses."""
    z, y = mixed_batch((1 << 18) // K + 3, K, dtype)
    want = LOSS.value_and_grad(y, logits=z)
    out = np.empty_like(z)
    for _ in range(2):
        assert_same(LOSS.value_and_grad(y, logits=z, out=out), want)
    memory = np.empty(z.size + 16, dtype)
    for offset in (1, 3, 8):
        moved = memory[offset : offset + z.size].reshape(z.shape)
        assert_same(LOSS.value_and_grad(y, logits=z, out=moved), want)
        moved[...] = z
        assert_same(LOSS.value_and_grad(y, logits=moved, out=moved), want)


@pytest.mark.parametrize("K", [2, 5, 32, 70, 600])
@pytest.mark.parametrize("dtype", DTYPES)
def test_inner_axes_of_every_size(K: int, dtype: Any, isa: str) -> None:
    """Rows that lie across panels' edges and across the outer axis: the bits of the same rows in another shape."""
    loss = ce.CrossEntropy(reduction="none", axis=1)
    z, y = mixed_batch(1200, K, dtype) if K < 600 else mixed_batch(150, K, dtype)
    want = loss.value_and_grad(y[None], logits=np.ascontiguousarray(z.T)[None])
    for inner in INNER if K < 600 else (1, 2, 15, 16, 17, 33, 64, 65, 75):
        outer = min(len(y) // inner, 40)
        rows = slice(0, outer * inner)
        block = np.ascontiguousarray(z[rows].reshape(outer, inner, K).swapaxes(1, 2))
        got = loss.value_and_grad(y[rows].reshape(outer, inner), logits=block)
        if inner == 1 and K > 32:
            continue  # classes that lie side by side in long rows are added up in another order
        grad = want.grad[0].T[rows].reshape(outer, inner, K).swapaxes(1, 2)
        assert_same(got, (want.value[0][rows].reshape(outer, inner), grad))
        place = block.copy()
        loss.value_and_grad(y[rows].reshape(outer, inner), logits=place, out=place)
        assert_same([place], [grad])


@pytest.mark.parametrize("K", [3, 10])
@pytest.mark.parametrize("kind", [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)])
def test_labels_of_every_type(kind: str, K: int, isa: str) -> None:
    z, y = mixed_batch(777, K, np.float32)
    assert_same(LOSS.value_and_grad(y.astype(kind), logits=z), LOSS.value_and_grad(y, logits=z))


@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("bad", [-1, 5, 2**31, 2**32, 2**32 + 1, -(2**32), 2**62])
def test_the_lowest_bad_label_is_named_in_every_lane(bad: int, axis: int, isa: str) -> None:
    z, y = mixed_batch(300, 5, np.float32)
    loss = ce.CrossEntropy(axis=axis, ignore_index=-100)
    logits = z if axis else np.ascontiguousarray(z.T)
    y[7] = -100
    for row in (*range(36), 254, 255, 256, 257, 299):
        wrong = y.copy()
        wrong[row] = wrong[min(row + 3, 299)] = bad
        with pytest.raises(ce.LabelError, match=rf"targets\[{row}\] is {bad}\b"):
            loss.value_and_grad(wrong, logits=logits)


@pytest.mark.parametrize("kind", ["nan", "two inf", "all -inf", "all nan", "inf and nan"])
@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_lowest_row_without_an_answer_is_named(dtype: Any, axis: int, kind: str, isa: str) -> None:
    z, y = mixed_batch(280, 6, dtype)
    for row in (*range(18), 255, 256, 279):
        wrong = z.copy()
        wrong[row] = {"nan": [0, np.nan, 1, 0, 0, 0], "two inf": [0, np.inf, 1, np.inf, 0, 0]}.get(
            kind, {"all -inf": -np.inf, "all nan": np.nan}.get(kind, [np.inf, np.nan, 0, 0, 0, 0])
        )
        wrong[min(row + 2, 279)] = wrong[row]
        place = rf"^logits\[{row}, [\d:]+\]" if axis else rf"^logits\[[\d:]+, {row}\]"
        with pytest.raises(ce.NonFiniteError, match=place):
            ce.CrossEntropy(axis=axis).value_and_grad(y, logits=wrong if axis else np.ascontiguousarray(wrong.T))


@pytest.mark.parametrize("unit", ["nat", "bit"])
@pytest.mark.parametrize("ignored", [-100, 2, 255])
@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_that_leave(dtype: Any, axis: int, ignored: int, unit: Any, isa: str) -> None:
    """Ignored and weightless rows give exact zeros whatever their logits; the others keep their bits."""
    z, y = mixed_batch(700, 5, dtype)
    rng = np.random.default_rng(3)
    weight = np.where(rng.random(700) < 0.2, 0.0, 1.0)
    plain = ce.CrossEntropy(reduction="none", axis=axis, unit=unit)

    def turned(array: Any) -> Any:
        return array if axis else np.ascontiguousarray(array.T)

    want = plain.value_and_grad(y, logits=turned(z))
    y = np.where(rng.random(700) < 0.2, ignored, y)
    left = (y == ignored) | (weight == 0)
    assert 0.3 < left.mean() < 0.6
    z[left] = np.where(rng.random((int(left.sum()), 5)) < 0.3, np.nan, z[left])
    loss = ce.CrossEntropy(reduction="none", axis=axis, ignore_index=ignored, unit=unit)
    got = loss.value_and_grad(y, logits=turned(z), sample_weight=weight)
    grad = turned(got.grad)
    assert_same([got.value[~left], grad[~left]], [want.value[~left], turned(want.grad)[~left]])
    assert_same([got.value[left], grad[left]], [np.zeros_like(got.value[left]), np.zeros_like(grad[left])])
    mean = ce.CrossEntropy(axis=axis, ignore_index=ignored, unit=unit)(y, logits=turned(z), sample_weight=weight)
    assert mean == pytest.approx(float(np.sum(got.value, dtype=np.float64)) / int((~left).sum()), rel=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [2, 3, 10])
def test_weighted_rows_meet_the_contract(K: int, dtype: Any) -> None:
    """Any weight and unit, very confident rows among them."""
    case = confident_rows(K, dtype)
    z, y = case.logits, case.targets
    w = np.resize([3.0, 1e-3, 7e5, 1.0], len(y))
    asked = {"logits": z, "sample_weight": w, "unit": "bit"}
    value = Wide.of(oracle.row_losses(y, **asked))
    grad = Wide.of(oracle.gradient(y, reduction="none", **asked))
    for isa in ISAS:
        with using_isa(isa):
            got = ce.CrossEntropy(reduction="none", unit="bit").value_and_grad(y, logits=z, sample_weight=w)
        assert_close(got.value, value, ulps=4, dtype=dtype, label=f"{isa} loss")
        assert_close(got.grad, grad, ulps=8, dtype=dtype, label=f"{isa} gradient")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [2, 3, 4, 5, 10, 17, 32])
def test_hessian_of_panels(K: int, dtype: Any) -> None:
    """8 ulp, through the subnormal range, with weights; the same bits on axis 0; the gradient is that of the sum."""
    for case in (hard_rows(K, dtype, limit=2), confident_rows(K, dtype)):
        z, y = case.logits, case.targets
        w = np.resize([1.0, 3.0, 7e5, 0.0], len(y))
        exact = Wide.of(oracle.hessian(y, logits=z, sample_weight=w))
        for isa in ISAS:
            with using_isa(isa):
                got = ce.CrossEntropy().grad_and_hess(y, logits=z, sample_weight=w)
                inner = ce.CrossEntropy(axis=0).grad_and_hess(y, logits=z.T.copy(), sample_weight=w)
                grad = ce.CrossEntropy(reduction="sum").value_and_grad(y, logits=z, sample_weight=w).grad
            assert_close(got.hess, exact, ulps=8, dtype=dtype, label=f"{isa} {case.name} hessian")
            assert_same([got.grad, inner.grad.T, inner.hess.T], [grad, grad, got.hess])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [-1, 0])
def test_weights_whose_products_leave_the_normal_range(dtype: Any, axis: int, isa: str) -> None:
    """Factors below the smallest normal number and beyond the largest: 8 ulp, and -inf logits have gradient 0."""
    tiny, huge = (1e-38, 3e39) if dtype == np.float32 else (1e-308, 1.7e308)
    for K in (2, 10, 32):
        z, y = mixed_batch(40, K, dtype)
        z = np.clip(z, -50, 50) if K == 2 else np.where(np.isfinite(z), np.clip(z, -50, 50), z)
        weight = np.resize([tiny, huge, 1.0, 1e-3 * tiny, 0.3 * tiny * K], 40)
        y[1::5], z[1::5, 0], z[3::5, :2] = 0, 3, -90
        y[3::5] = 1
        grad = Wide.of(oracle.gradient(y, logits=z, sample_weight=weight, reduction="sum"))
        shape = (z, y) if axis == -1 else (np.ascontiguousarray(z.T), y)
        loss = ce.CrossEntropy(reduction="sum", axis=axis)
        got = loss.value_and_grad(y, logits=shape[0], sample_weight=weight).grad
        assert_close(got if axis == -1 else got.T, grad, ulps=8, dtype=dtype, label=f"{K} classes")
        hess = loss.grad_and_hess(y, logits=shape[0], sample_weight=weight).hess
        exact = Wide.of(oracle.hessian(y, logits=z, sample_weight=weight))
        assert_close(hess if axis == -1 else hess.T, exact, ulps=16, dtype=dtype, label=f"{K} classes, Hessian")
