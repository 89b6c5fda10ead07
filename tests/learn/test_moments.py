"""Moments of the columns of features that come from files."""

import numpy as np
import pytest

from closeness import assert_close
from crossent.learn.moments import moments


def test_against_numpy():
    X = np.random.default_rng(0).normal(3.0, 2.0, size=(10_000, 3))
    center, spread = moments(X)
    assert_close(center, X.mean(0), rtol=1e-13)
    assert_close(spread, X.std(0), rtol=1e-13)


def test_weights_are_repetitions():
    X, counts = np.random.default_rng(0).normal(size=(50, 3)), np.arange(50) % 4
    for one, other in zip(moments(X, sample_weight=counts), moments(np.repeat(X, counts, axis=0)), strict=True):
        assert_close(one, other, rtol=1e-13)


@pytest.mark.parametrize("value", [0.1, -7.3, 0.0, 1e300])
def test_constant_columns_have_exactly_no_spread(value):
    center, spread = moments(np.full((1237, 2), value))
    assert np.array_equal(center, [value, value])
    assert np.array_equal(spread, [0.0, 0.0])


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_no_overflow_and_no_underflow(scale):
    X = np.random.default_rng(0).normal(size=(100, 2))
    assert_close(moments(scale * X)[1], scale * X.std(0), rtol=1e-12)


def test_not_centred():
    center, spread = moments(np.array([[3.0], [-4.0]]), centred=False)
    assert center[0] == 0
    assert spread[0] == pytest.approx(np.sqrt(12.5))
