"""Weights of extreme size: losses and gradients of float32 logits are those of float64, rounded; never nan."""

from typing import Any

import numpy as np
import pytest

import crossent as ce
from closeness import assert_close


@pytest.mark.parametrize("weights", [[1e39, 1, 0], [1e39, 1.1e-50, 1.3], [1e300, 1e-300, 1], [1e-39, 1.3e-42, 0]])
@pytest.mark.parametrize("targets", ["index", "soft", "smoothed"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_class_weights_may_lie_beyond_float32(dtype: Any, targets: str, weights: Any) -> None:
    """Infinite beyond the range, without a word; exact for a small weight beside a large one."""
    z = np.random.default_rng(0).normal(size=(30, 3)).astype(dtype)
    z[:3] = [[40, 0, -20], [0, 40, 0], [5, 5, 5]]
    y: Any = np.resize([0, 1, 2, 1], 30)
    options: Any = {"class_weight": weights, "label_smoothing": 0.1 if targets == "smoothed" else 0.0}
    if targets == "soft":
        y = (np.eye(3)[y] / 2 + np.eye(3)[y[::-1]] / 2).astype(np.float32)
    for reduction in ("none", "mean", "sum"):
        loss = ce.CrossEntropy(reduction=reduction, **options)
        got, exact = loss.value_and_grad(y, logits=z), loss.value_and_grad(y, logits=z.astype(np.float64))
        with np.errstate(over="ignore"):
            want = [np.asarray(exact.value, np.float32), exact.grad.astype(dtype)]
            assert_close(np.asarray(got.value, np.float32), want[0], ulps=4)
        assert_close(got.grad, want[1], ulps=8)
        np.testing.assert_array_equal(loss(y, logits=z), got.value)


@pytest.mark.parametrize("targets", ["index", "soft"])
@pytest.mark.parametrize("K", [3, 40, 700])
@pytest.mark.parametrize("axis", [0, 1])
def test_row_weights_may_lie_beyond_float32(axis: int, K: int, targets: str) -> None:
    """A class that is ruled out has gradient 0, not infinity times 0."""
    z = (np.random.default_rng(0).normal(size=(20, K)) * 10).astype(np.float32)
    z[:, 0] = -np.inf
    y: Any = np.full(20, 1)
    if targets == "soft":
        y = np.eye(K, dtype=np.float32)[y]
    if axis == 0:
        y, z = y.T.copy(), z.T.copy()
    loss, w = ce.CrossEntropy(reduction="sum", axis=axis), np.resize([1e39, 1e300], 20)
    got, exact = (loss.value_and_grad(y, logits=x, sample_weight=w).grad for x in (z, z.astype(np.float64)))
    with np.errstate(over="ignore"):
        assert_close(got, exact.astype(np.float32), ulps=8)
    assert not np.take(got, 0, axis=axis).any()


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 1e308, -1.0])
def test_balanced_weights_of_targets_that_are_no_probabilities(bad: float) -> None:
    """Counted before the targets are checked: the check's error all the same, with no warning of NumPy's beside it."""
    q, z = np.eye(4)[[0, 1, 2, 3, 0]], np.zeros((5, 4))
    q[1:3, 2] = bad
    options: Any = {"class_weight": "balanced"}
    columns = np.broadcast_to(np.arange(4), (5, 4))
    asked: list[Any] = [
        lambda: ce.cross_entropy(q, logits=z, **options),
        lambda: ce.cross_entropy(q, probs=z + 0.25, **options),
        lambda: ce.SymmetricCrossEntropy(label_smoothing=0.5, **options).grad_and_hess(q, logits=z, curvature="upper"),
        lambda: ce.linear_cross_entropy(q, hidden=z, weight=z[:4], **options),
        lambda: ce.linear_cross_entropy((columns, q), hidden=z, weight=z[:4], **options),
        lambda: ce.binary_cross_entropy(q, logits=z, **options),
    ]
    for loss in asked:
        with pytest.raises(ce.LabelError, match=r"targets.*\[1, [2:]\]"):
            loss()


@pytest.mark.parametrize("weight", [1e300, 1e280, 1e-300])
@pytest.mark.parametrize("kind", [ce.Focal, ce.LogitAdjusted, ce.Poly1, ce.CrossEntropy])
def test_extreme_row_weights_scale_gradients_and_curvature(kind: Any, weight: float) -> None:
    """No product on the way overflows: all is what weight 1 gives, times the weight."""
    z, q = np.array([[0.73594637, -2.24733632]]), np.array([[0.3254244, 0.6745756]])
    loss = kind(**({"priors": [1.3, 1.8]} if kind is ce.LogitAdjusted else {}))
    for curvature in ("exact", "upper"):
        plain = loss.grad_and_hess(q, logits=z, curvature=curvature)
        heavy = loss.grad_and_hess(q, logits=z, curvature=curvature, sample_weight=[weight])
        assert_close(heavy.grad, plain.grad * weight, ulps=8)
        assert_close(heavy.hess, plain.hess * weight, ulps=16)
