"""Activations against the oracle within the bounds that their docstrings state, on every instruction set."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import crossent as ce
import oracle
import oracle_binary
from cases import hard_cases
from closeness import assert_close, ulp_of
from isas import ISAS, using_isa
from wide import Wide

DTYPES = (np.float32, np.float64)


@pytest.fixture(params=ISAS, autouse=True)
def _every_isa(request: pytest.FixtureRequest) -> Any:
    with using_isa(request.param):
        yield


def rows(K: int, dtype: Any) -> Any:
    """Hard rows, a dozen of each kind."""
    return np.concatenate([c.logits[:12] for c in hard_cases(K, dtype) if len(c.targets)])


_seen: dict[Any, Any] = {}


def once(name: str, K: int, dtype: Any, function: Any) -> Any:
    """An exact answer, computed for the first instruction set and kept for the others."""
    if (name, K, dtype) not in _seen:
        _seen[name, K, dtype] = Wide.of(function())
    return _seen[name, K, dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 2, 3, 10, 40])
def test_softmax_within_8_ulp(K: int, dtype: Any) -> None:
    z = rows(K, dtype)
    exact = once("softmax", K, dtype, lambda: oracle.softmax(z))
    assert_close(ce.softmax(z), exact, ulps=8, dtype=dtype)
    turned = np.ascontiguousarray(z.T)
    assert_close(ce.softmax(turned, axis=0).T, exact, ulps=8, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 2, 3, 10, 40])
def test_log_softmax_within_4_ulp(K: int, dtype: Any) -> None:
    z = rows(K, dtype)[::2]
    exact = once("log_softmax", K, dtype, lambda: oracle.log_softmax(z))
    got = ce.log_softmax(z)
    assert_close(got, exact, ulps=4, dtype=dtype)
    assert (got <= 0).all()
    assert_close(ce.log_softmax(np.ascontiguousarray(z.T), axis=0).T, exact, ulps=4, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 2, 3, 10, 40])
def test_logsumexp_within_its_bound(K: int, dtype: Any) -> None:
    """1 ulp of max(|m|, log1p(r)) plus 2 ulp of log1p(r)."""
    z = rows(K, dtype)
    finite = z[np.isfinite(z.max(axis=1))]
    exact = once("logsumexp", K, dtype, lambda: oracle.logsumexp(finite))
    m = finite.max(axis=1).astype(np.float64)
    ordered = np.sort(finite, axis=1).astype(np.float64)
    log1p_r = np.log1p(np.exp(ordered[:, :-1] - ordered[:, -1:]).sum(axis=1))
    bound = ulp_of(np.maximum(np.abs(m), log1p_r), dtype) + 2 * ulp_of(log1p_r, dtype)
    assert_close(ce.logsumexp(finite), exact, bound=bound, dtype=dtype)
    assert ce.logsumexp(z)[np.isinf(z.max(axis=1))].tolist() == [np.inf] * int(np.isinf(z.max(axis=1)).sum())


def elements(dtype: Any) -> Any:
    """0, +-1e-30 .. 1e4, infinities, and where results become subnormal."""
    size = np.concatenate(
        [[0.0, np.inf], 10.0 ** np.linspace(-30, 4, 60), np.linspace(0, 130, 200), np.linspace(690, 800, 60)]
    )
    return np.concatenate([size, -size]).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_within_8_ulp(dtype: Any) -> None:
    z = elements(dtype)
    assert_close(ce.sigmoid(z), once("sigmoid", 0, dtype, lambda: oracle_binary.sigmoid(z)), ulps=8, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_sigmoid_within_4_ulp(dtype: Any) -> None:
    z = elements(dtype)
    got = ce.log_sigmoid(z)
    exact = once("log_sigmoid", 0, dtype, lambda: oracle_binary.log_sigmoid(z))
    assert_close(got, exact, ulps=4, dtype=dtype)
    assert (got <= 0).all()


# ---------------------------------------------------------------- shapes and dtypes

OVER_CLASSES = (ce.softmax, ce.log_softmax, ce.logsumexp)
ELEMENTWISE = (ce.sigmoid, ce.log_sigmoid)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("function", OVER_CLASSES)
def test_axes_and_layouts(function: Any, axis: int) -> None:
    z = np.random.default_rng(0).normal(size=(4, 5, 6))
    last = function(np.ascontiguousarray(np.moveaxis(z, axis, -1)))
    want = last if function is ce.logsumexp else np.moveaxis(last, -1, axis)
    for carried in (z, np.asfortranarray(z), np.repeat(z, 2, axis=2)[..., ::2], z.astype(">f8")):
        np.testing.assert_array_equal(function(carried, axis=axis), want)


@pytest.mark.parametrize("function", ELEMENTWISE)
def test_elementwise_layouts(function: Any) -> None:
    z = np.random.default_rng(0).normal(size=(4, 5, 6))
    want = function(z.ravel()).reshape(z.shape)
    for carried in (z, np.asfortranarray(z), np.repeat(z, 2, axis=2)[..., ::2], z.astype(">f8"), z.tolist()):
        np.testing.assert_array_equal(function(carried), want)
    assert function(np.zeros((0, 3))).shape == (0, 3)
    assert isinstance(function(0.5), np.float64)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("function", [*OVER_CLASSES, *ELEMENTWISE])
def test_half_precision_is_float32_rounded_once(function: Any, dtype: Any) -> None:
    z = (np.random.default_rng(0).normal(size=(70, 5)) * 4).astype(dtype)
    got, wide = function(z), function(z.astype(np.float32))
    assert got.dtype == (np.float32 if function is ce.logsumexp else z.dtype)
    np.testing.assert_array_equal(got, wide.astype(got.dtype))


def test_zero_sizes_and_single_rows() -> None:
    assert ce.softmax(np.zeros((0, 3))).shape == (0, 3)
    assert ce.logsumexp(np.zeros((0, 3))).shape == (0,)
    assert ce.softmax([0.0, 0.0]).tolist() == [0.5, 0.5]
    assert isinstance(ce.logsumexp([0.0, 0.0]), np.float64)
    assert ce.softmax([3]).tolist() == [1.0]
    assert ce.log_softmax([[3.0]]).tolist() == [[0.0]]


def test_infinite_logits() -> None:
    assert ce.softmax([0.0, -np.inf, 0.0]).tolist() == [0.5, 0.0, 0.5]
    assert ce.softmax([0.0, np.inf, 5.0]).tolist() == [0, 1, 0]
    assert ce.log_softmax([0.0, np.inf, 5.0]).tolist() == [-np.inf, 0, -np.inf]
    assert ce.log_softmax([-np.inf, 7.0]).tolist() == [-np.inf, 0]
    assert ce.logsumexp([0.0, np.inf]) == np.inf
    assert ce.logsumexp([-np.inf, 3.0]) == 3
    assert ce.sigmoid([np.inf, -np.inf]).tolist() == [1, 0]
    assert ce.log_sigmoid([np.inf, -np.inf]).tolist() == [0, -np.inf]


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize("function", OVER_CLASSES)
def test_rows_without_a_meaning(function: Any) -> None:
    z = np.zeros((3, 4))
    for row, message in (
        ([0, np.nan, 0, 0], r"logits\[2, 1\] is nan"),
        ([0, np.inf, 0, np.inf], r"logits\[2, 1\] and logits\[2, 3\] are both \+inf"),
        ([-np.inf] * 4, r"logits\[2, :\] are all -inf"),
    ):
        z[2] = row
        with pytest.raises(ce.NonFiniteError, match=message):
            function(z)
    with pytest.raises(ce.ShapeError, match="no classes on axis 1"):
        function(np.zeros((3, 0)))
    with pytest.raises(ce.ShapeError, match="a single number"):
        function(1.0)
    with pytest.raises(ce.ShapeError, match="axis=2 is outside"):
        function(z, axis=2)
    with pytest.raises(ce.DtypeError, match="logits has dtype bool"):
        function(np.zeros((2, 2), bool))


@pytest.mark.parametrize("function", ELEMENTWISE)
def test_elements_without_a_meaning(function: Any) -> None:
    z = np.zeros((3, 4))
    z[1, 2] = z[2, 0] = np.nan
    with pytest.raises(ce.NonFiniteError, match=r"logits\[1, 2\] is nan"):
        function(z)
    with pytest.raises(ce.DtypeError, match="logits has dtype complex128"):
        function(np.zeros(2, complex))


def test_activations_are_those_of_the_losses() -> None:
    """log_softmax at the target is minus the loss; softmax off the target is the gradient."""
    z = rows(10, np.float64)
    z = z[np.isfinite(z).all(axis=1)]
    y = np.arange(len(z)) % 10
    got = ce.CrossEntropy(reduction="none").value_and_grad(y, logits=z)
    np.testing.assert_array_max_ulp(-ce.log_softmax(z)[np.arange(len(z)), y], got.value, maxulp=4)
    others = np.eye(10)[y] == 0
    np.testing.assert_array_max_ulp(ce.softmax(z)[others], got.grad[others], maxulp=8)
