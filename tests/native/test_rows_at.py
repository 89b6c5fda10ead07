"""Few rows by their addresses: the numbers of the kernel that takes arrays, on every instruction set."""

from typing import Any

import numpy as np
import pytest

import crossent as ce
from closeness import assert_close
from crossent import _native  # type: ignore[attr-defined]  # built, not written
from isas import ISAS, using_isa
from native_calls import NO_BAD_ROW

FUNCTIONS = {np.dtype(np.float32): _native.rows_at_f32, np.dtype(np.float64): _native.rows_at_f64}


def rows_at(z: Any, y: Any, grad: Any, *, mean: bool, ignore_index: int = -100) -> tuple[Any, int]:
    """The loss and the lowest bad row."""
    loss = np.full((), 7, z.dtype)
    at = 0 if grad is None else grad.ctypes.data
    bad = FUNCTIONS[z.dtype](z.ctypes.data, y.ctypes.data, at, loss.ctypes.data, *z.shape, ignore_index, mean)
    return loss, bad


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("K", [1, 2, 10, 100, 3000])
def test_loss_and_gradient(K: int, dtype: Any, isa: str) -> None:
    rng = np.random.default_rng(K)
    z, y = rng.normal(scale=5, size=(12, K)).astype(dtype), rng.integers(0, K, 12)
    with using_isa(isa):
        for mean in (False, True):
            want = ce.CrossEntropy(reduction="mean" if mean else "sum").value_and_grad(y, logits=z)
            grad = np.empty_like(z)
            loss, bad = rows_at(z, y, grad, mean=mean)
            assert bad == NO_BAD_ROW
            assert_close(loss, np.asarray(want.value), ulps=1)
            np.testing.assert_array_equal(grad, want.grad)
            np.testing.assert_array_equal(rows_at(z, y, None, mean=mean)[0], loss)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_mean_over_the_rows_kept(dtype: Any) -> None:
    z, y = np.random.default_rng(0).normal(size=(6, 5)).astype(dtype), np.array([9, 1, 9, 2, 3, 9])
    grad = np.empty_like(z)
    loss, bad = rows_at(z, y, grad, mean=True, ignore_index=9)
    want = ce.CrossEntropy(ignore_index=9).value_and_grad(y, logits=z)
    assert bad == NO_BAD_ROW
    assert_close(loss, np.asarray(want.value), ulps=1)
    assert_close(grad, want.grad, ulps=3)
    loss, bad = rows_at(z, np.full(6, 9), grad, mean=True, ignore_index=9)
    assert bad == NO_BAD_ROW
    assert np.isnan(loss)
    assert not grad.any()


def test_bad_rows_and_nothing() -> None:
    z = np.zeros((3, 4))
    assert rows_at(z, np.array([0, 4, 9]), None, mean=True)[1] == 1 * 8 + 2
    z[2, 1] = np.nan
    assert rows_at(z, np.array([0, 1, 2]), np.empty_like(z), mean=True)[1] == 2 * 8 + 1
    with pytest.raises(ValueError, match="size of rows"):
        _native.rows_at_f64(0, 0, 0, 0, 3, 4, -100, True)
    with pytest.raises(ValueError, match="size of rows"):
        rows_at(np.zeros((0, 4)), np.zeros(0, np.int64), None, mean=True)
