"""Redrawn labels: mean and variance of the rows' own labels, weights, exact promises, seeds."""

import numpy as np
import pytest

from calibration_cases import columns_of
from crossent.errors import OptionError
from crossent.stats.redraws import null_of, occupied, redrawn_hits

REDRAWS = 20_000


def assert_moments(drawn, mean, variance):
    """Mean and variance of redraws within five standard errors of theirs."""
    assert abs(drawn.mean() - mean) < 5 * np.sqrt(variance / len(drawn))
    excess = ((drawn - mean) ** 4).mean() / variance**2
    assert abs(drawn.var() / variance - 1) < 5 * np.sqrt((excess + 1) / len(drawn))


@pytest.mark.parametrize("p", [0.001, 0.3, 0.5, 0.95])
@pytest.mark.parametrize(
    "weight",
    [np.ones(7), np.array([3.0, 1.0, 0.2]), np.array([1000.0, *[1.0] * 50]), np.array([1e-30, 2e-30]), np.ones(1)],
)
def test_redraws_have_mean_and_variance_of_the_rows_labels(p, weight):
    n = len(weight)
    (drawn,) = redrawn_hits(columns_of(np.full(n, p), np.zeros(n), weight), REDRAWS, 1).T
    scale = weight.sum()
    assert_moments(drawn / scale, p, (weight**2).sum() / scale**2 * p * (1 - p))
    assert drawn.min() >= 0
    assert drawn.max() <= scale * (1 + 1e-15)


def test_rows_without_weights_are_redrawn_as_whole_numbers():
    rng = np.random.default_rng(0)
    p = rng.random(3000)
    drawn = redrawn_hits(columns_of(p, p > 0.5), 50, 3)
    assert (drawn == np.rint(drawn)).all()
    cells = occupied(columns_of(p, p > 0.5))
    assert drawn.shape == (50, len(cells.p))
    assert (drawn <= cells.n).all()
    equal_weights = redrawn_hits(columns_of(p, p > 0.5, np.full(3000, 0.3)), 50, 3)
    np.testing.assert_allclose(equal_weights, 0.3 * drawn, rtol=1e-12)


def test_cells_are_redrawn_independently():
    p = np.repeat([0.2, 0.4, 0.6], 50)
    drawn = redrawn_hits(columns_of(p, p > 0.5), REDRAWS, 5)
    correlation = np.corrcoef(drawn.T)[np.triu_indices(3, 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(REDRAWS)


def test_promises_of_0_and_1_are_kept_and_only_those():
    tiny, near = 1e-60, 1 - 2.0**-53
    p = np.array([0.0, tiny, near, near, near, 1.0])
    cells = occupied(columns_of(p, np.ones(6)))
    assert cells.p[0] == 0
    assert cells.p[-1] == 1
    assert (cells.p[1:-1] > 0).all()
    assert (cells.p[1:-1] < 1).all()
    drawn = redrawn_hits(columns_of(p, np.ones(6), np.array([0.3, 1.0, 1.0, 1.0, 1.0, 0.7])), 200, 0)
    assert (drawn[:, 0] == 0).all()
    assert (drawn[:, -1] == 0.7).all()


def test_seed_and_sums_decide():
    p = np.random.default_rng(2).random(500)
    w = np.random.default_rng(3).random(500) + 0.1
    first = redrawn_hits(columns_of(p, p > 0.5, w), 20, 7)
    order = np.random.default_rng(4).permutation(500)
    assert (first == redrawn_hits(columns_of(p[order], p[order] > 0.9, w[order]), 20, 7)).all()
    assert (first != redrawn_hits(columns_of(p, p > 0.5, w), 20, 8)).any()
    np.testing.assert_allclose(redrawn_hits(columns_of(p, p > 0.5, 10 * w), 20, 7), 10 * first, rtol=1e-12)


def test_no_rows_no_redraws():
    empty = columns_of(np.empty(0), np.empty(0))
    assert occupied(empty) is None
    assert redrawn_hits(empty, 5, 0).shape == (5, 0)
    with pytest.raises(OptionError, match="redraws is 0; a whole number >= 1"):
        redrawn_hits(empty, 0, 0)


def test_null_counts_ties_and_infinity():
    values = np.array([0.1, 0.2, 0.3, 0.3])
    assert null_of(0.3, values).p_value == null_of(0.1 + 0.2, values).p_value == 3 / 5
    assert 0.1 + 0.2 > 0.3
    assert null_of(np.inf, values).p_value == 1 / 5
    assert null_of(0.0, np.zeros(4)).p_value == 1.0
    assert null_of(0.25, values).mean == pytest.approx(0.225)
    assert null_of(0.25, np.arange(101.0)).upper == 95.0
