"""Large linear losses: vocabularies of 256 000, more logits than 2^31, against float64 on rows that were picked."""

from typing import Any

import numpy as np
import pytest

import crossent as ce
from closeness import assert_close
from oracle_linear import bounds

pytestmark = pytest.mark.slow


def by_definition(z: Any, labels: Any) -> tuple[Any, Any]:
    """Row losses and gradients of float64 logits."""
    d = z - z.max(axis=1, keepdims=True)
    p = np.exp(d)
    total = p.sum(axis=1)
    p /= total[:, None]
    rows = np.arange(len(z))
    losses = np.log(total) - d[rows, labels]
    p[rows, labels] -= 1
    return losses, p


@pytest.mark.parametrize("sparse", [False, True])
def test_a_vocabulary_of_256_000(sparse: bool) -> None:
    rng = np.random.default_rng(1)
    N, D, K = 48, 16, 256_000
    hidden, weight = rng.standard_normal((N, D), np.float32), rng.standard_normal((K, D), np.float32)
    bias, labels = rng.standard_normal(K, np.float32), rng.integers(0, K, N)
    targets: Any = (labels[:, None], np.ones((N, 1), np.float32)) if sparse else labels
    z = hidden.astype(np.float64) @ weight.T.astype(np.float64) + bias
    losses, g = by_definition(z, labels)
    scale = np.abs(g)
    scale[np.arange(N), labels] = 2
    limits = bounds(scale, hidden, weight, bias, np.float32, losses=losses)
    for limit in (None, 12_000_000):
        got = ce.LinearCrossEntropy(reduction="none", memory_limit=limit).value_and_grad(
            targets, hidden=hidden, weight=weight, bias=bias
        )
        assert_close(got.value, losses, bound=limits.losses)
        assert_close(got.hidden, g @ weight.astype(np.float64), bound=limits.hidden)
        assert_close(got.weight[:5000], g.T[:5000] @ hidden.astype(np.float64), bound=limits.weight[:5000])
        assert_close(got.weight[labels], g.T[labels] @ hidden.astype(np.float64), bound=limits.weight[labels])
        assert_close(got.bias, g.sum(axis=0), bound=limits.bias)


def test_more_logits_than_32_bits_count() -> None:
    """300 000 x 8000 logits would take 9.6 GB; the default takes 512 MB of them at a time."""
    rng = np.random.default_rng(2)
    N, D, K = 300_000, 4, 8000
    hidden, weight = rng.standard_normal((N, D), np.float32), rng.standard_normal((K, D), np.float32)
    labels = rng.integers(0, K, N)
    assert N * K > 2**31
    got = ce.LinearCrossEntropy(reduction="none").value_and_grad(labels, hidden=hidden, weight=weight)
    some = np.array([0, 1, 2**31 // K, 2**31 // K + 1, N - 1])
    losses, g = by_definition(hidden[some].astype(np.float64) @ weight.T.astype(np.float64), labels[some])
    np.testing.assert_allclose(got.value[some], losses, rtol=1e-5)
    np.testing.assert_allclose(got.hidden[some], g @ weight.astype(np.float64), rtol=1e-4, atol=1e-5)
    assert abs(float(got.weight.sum(dtype=np.float64))) < 0.1  # every row's gradient sums to 0


def test_extreme_multi_label() -> None:
    """20 positives of 200 000 labels."""
    rng = np.random.default_rng(3)
    N, D, K = 500, 8, 200_000
    hidden, weight = rng.standard_normal((N, D), np.float32), rng.standard_normal((K, D), np.float32)
    bias = np.full(K, -6.0, np.float32)
    indices, offsets = (
        np.concatenate([rng.choice(K, 20, replace=False) for _ in range(N)]),
        np.arange(0, 20 * N + 1, 20),
    )
    got = ce.LinearBinaryCrossEntropy(reduction="none").value_and_grad(
        (indices, offsets), hidden=hidden, weight=weight, bias=bias
    )
    for row in (0, 123, N - 1):
        z = weight.astype(np.float64) @ hidden[row].astype(np.float64) - 6
        y = np.zeros(K)
        y[indices[20 * row : 20 * row + 20]] = 1
        want = np.logaddexp(0, z).sum() - (y * z).sum()
        assert got.value[row] == pytest.approx(want, rel=1e-5)
        g = 1 / (1 + np.exp(-z)) - y
        np.testing.assert_allclose(got.hidden[row], g @ weight.astype(np.float64), rtol=1e-4, atol=1e-3)
