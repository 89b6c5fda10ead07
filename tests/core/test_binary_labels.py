"""Labels 0 and 1 without weights have a kernel of their own: its ranges, its seams with the general one, its sums."""

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

import crossent as ce
import oracle_binary
from closeness import assert_close, worst_ulps
from isas import ISAS, using_isa
from wide import Wide

DTYPES = (np.float32, np.float64)
RAW = ce.BinaryCrossEntropy(reduction="none")


def ranges(dtype: Any) -> Any:
    """Both signs of: tiny numbers, 0 to 100, and where exp(-|z|) leaves the normal range and vanishes."""
    rng = np.random.default_rng(12)
    edges = np.linspace(86, 105, 60) if dtype == np.float32 else np.linspace(706, 747, 60)
    size = np.concatenate([10.0 ** np.linspace(-30, 0, 40), rng.uniform(0, 100, 150), rng.uniform(0, 3, 150), edges])
    z = np.concatenate([size, -size]).astype(dtype)
    with np.errstate(under="ignore"):
        small = np.exp(-np.abs(z))
    assert (small == 0).any(), "no result vanishes"
    assert ((small > 0) & (small < np.finfo(dtype).tiny)).sum() > 20, "too few subnormal results"
    return z


@pytest.mark.parametrize("unit", ["nat", "bit"])
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("dtype", DTYPES)
def test_contract_over_the_whole_range(dtype: Any, label: int, unit: Any) -> None:
    z = ranges(dtype)
    y = np.full(z.shape, label, dtype)
    asked = {"logits": z, "unit": unit}
    value = Wide.of(oracle_binary.binary_cross_entropy(y, reduction="none", **asked))
    grad = Wide.of(oracle_binary.binary_gradient(y, reduction="none", **asked))
    hess = Wide.of(oracle_binary.binary_hessian(y, **asked))
    loss = ce.BinaryCrossEntropy(reduction="none", unit=unit)
    for isa in ISAS:
        with using_isa(isa):
            got, second = loss.value_and_grad(y, logits=z), loss.grad_and_hess(y, logits=z)
            alone = loss(y, logits=z)
        assert_close(got.value, value, ulps=4, dtype=dtype, label=f"{isa} loss")
        assert_close(got.grad, grad, ulps=8, dtype=dtype, label=f"{isa} gradient")
        assert_close(second.hess, hess, ulps=8, dtype=dtype, label=f"{isa} hessian")
        np.testing.assert_array_equal(alone, got.value)
        np.testing.assert_array_equal(second.grad, got.grad)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_of_a_mean_underflow_gradually(dtype: Any, isa: str) -> None:
    """1 / N takes results below the normal range before exp(-|z|) itself gets there."""
    part = ranges(dtype)
    z = np.tile(part, 100)
    y = np.tile(np.resize([0.0, 1.0, 1.0], part.size), 100).astype(dtype)
    got = ce.BinaryCrossEntropy().value_and_grad(y, logits=z).grad
    exact = oracle_binary.binary_gradient(y[: part.size], logits=part, reduction="sum") / z.size
    with np.errstate(under="ignore"):
        smallest = np.abs(got[got != 0]).min()
    assert smallest < np.finfo(dtype).tiny
    assert_close(got[: part.size], exact, ulps=8, dtype=dtype)
    np.testing.assert_array_equal(got.reshape(100, -1), np.tile(got[: part.size], (100, 1)))


def test_float32_losses_on_a_dense_sample(isa: str) -> None:
    """Every 97th float32 from -87 to 0 and back: exp and log1p in float32 within 4 ulp together."""
    z = np.arange(0x2000_0000, 0x42AE_0000, 97, dtype=np.uint32).view(np.float32)
    wide = z.astype(np.float64)
    exact = np.log1p(np.exp(-wide))
    for sign in (1, -1):
        got = RAW.value_and_grad(np.zeros_like(z), logits=np.float32(-sign) * z)
        want = exact if sign > 0 else exact + wide
        assert worst_ulps_of_floats(got.value, want) <= 3, f"loss, sign {sign}"
        slope = np.exp(-wide if sign > 0 else 0 * wide) / (1 + np.exp(-wide))
        assert worst_ulps_of_floats(got.grad, slope) <= 3.2, f"gradient, sign {sign}"


def worst_ulps_of_floats(actual: Any, desired: Any) -> float:
    """The largest error of normal float32 numbers against float64 ones, whose own errors do not show."""
    spacing = np.ldexp(1.0, np.frexp(desired)[1] - 24)
    return float(np.max(np.abs(actual.astype(np.float64) - desired) / spacing))


def test_the_dense_measure_sees_an_error() -> None:
    x = np.array([1.0, 0.75], np.float32)
    assert worst_ulps_of_floats(x, x.astype(np.float64)) == 0
    assert worst_ulps_of_floats(np.nextafter(x, np.float32(2)), x.astype(np.float64)) == 1
    assert worst_ulps(np.nextafter(x, np.float32(2)), x) == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_neighbours_of_another_kind_change_nothing(dtype: Any, isa: str) -> None:
    """Soft labels, far logits, infinities and -0.0 beside an element: its bits stay."""
    rng = np.random.default_rng(2)
    z = (rng.normal(size=193) * 4).astype(dtype)
    y = rng.integers(0, 2, z.size).astype(dtype)
    plain, plain_second = RAW.value_and_grad(y, logits=z), RAW.grad_and_hess(y, logits=z)
    others = rng.permutation(z.size)[:60]
    z[others[:20]] = np.resize([1e4, -1e4, np.inf, -np.inf, 95, -720], 20)
    y[others[20:40]] = np.resize([0.5, 1e-6, 0.25], 20)
    y[others[40:]] = np.where(y[others[40:]] == 0, -0.0, 1)
    mixed, mixed_second = RAW.value_and_grad(y, logits=z), RAW.grad_and_hess(y, logits=z)
    kept = np.setdiff1d(np.arange(z.size), others[:40])
    for got, want in zip((*mixed, *mixed_second), (*plain, *plain_second), strict=True):
        np.testing.assert_array_equal(got[kept].view(f"u{z.itemsize}"), want[kept].view(f"u{z.itemsize}"))
    far = RAW.value_and_grad(y[others[:20]], logits=z[others[:20]])
    np.testing.assert_array_equal(mixed.value[others[:20]], far.value)
    np.testing.assert_array_equal(mixed.grad[others[:20]], far.grad)


@pytest.mark.parametrize("position", [0, 1, 15, 16, 63, 64, 70, 511, 517, 518])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_bad_element_is_found_wherever_it_stands(dtype: Any, position: int, isa: str) -> None:
    clean = np.zeros(519, dtype)
    for value, error, name in (
        (np.nan, ce.NonFiniteError, "logits"), (2.0, ce.LabelError, "targets"), (-1e-9, ce.LabelError, "targets"),
        (np.nan, ce.LabelError, "targets"), (1 + 2.0**-23, ce.LabelError, "targets"),
    ):  # fmt: skip
        bad = clean.copy()
        bad[position] = value
        bad[position + 1 :] = value
        z, y = (bad, clean) if name == "logits" else (clean, bad)
        with pytest.raises(error, match=rf"{name}\[{position}\] is"):
            ce.binary_cross_entropy(y, logits=z)


def test_float64_labels_beside_float32_logits(isa: str) -> None:
    """The same bits where they are 0 or 1; what float32 would round to 1 is a soft label."""
    z = np.linspace(-20, 20, 1001, dtype=np.float32)
    y = np.resize([0.0, 1.0, 1.0], z.size)
    want = RAW.value_and_grad(y.astype(np.float32), logits=z)
    got = RAW.value_and_grad(y, logits=z)
    np.testing.assert_array_equal(got.value, want.value)
    np.testing.assert_array_equal(got.grad, want.grad)
    y[::7] = 1 - 1e-12
    value = oracle_binary.binary_cross_entropy(y[::7], logits=z[::7], reduction="none")
    assert_close(RAW(y, logits=z)[::7], value, ulps=4, dtype=np.float32)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_do_not_lose_many_small_losses_beside_a_large_one(dtype: Any, isa: str) -> None:
    """Losses of 2^-54 beside one of 1: a plain double sum in lanes would drop thousands of them."""
    z = np.full(100_003, -54 * np.log(2), dtype)
    z[::4099] = 0.54132485
    losses = RAW(np.zeros_like(z), logits=z)
    exact = sum((Fraction(float(x)) * int(n) for x, n in zip(*np.unique(losses, return_counts=True), strict=True)))
    got = ce.binary_cross_entropy(np.zeros(z.size, dtype), logits=z, reduction="sum")
    assert_close(got, mpmath.mpf(exact.numerator) / exact.denominator, rtol=1e-14)


def test_no_gradient_is_minus_zero(isa: str) -> None:
    z = np.array([np.inf, 1e4, 200.0], np.float32)
    assert not np.signbit(RAW.value_and_grad(np.ones(3, np.float32), logits=z).grad).any()
