"""AUC of cells against scikit-learn's of rows."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from calibration_cases import columns_of, drawn_rows, few_values
from crossent.stats.ranking import auc, auc_bound


@pytest.mark.parametrize("n", [20, 500, 20_000])
@pytest.mark.parametrize("weighted", [False, True])
def test_equal_probabilities_in_a_cell_give_the_area_of_rows(n, weighted):
    p, hit = few_values(n, 2)
    weight = np.random.default_rng(n).exponential(size=n) if weighted else None
    assert auc(columns_of(p, hit, weight)) == pytest.approx(roc_auc_score(hit, p, sample_weight=weight), rel=1e-12)


@pytest.mark.parametrize("spread", [0.3, 2.0, 6.0])
def test_pairs_within_a_cell_bound_the_error(spread):
    p, hit = drawn_rows(5000, 3, spread=spread)
    cells = columns_of(p, hit)
    bound = auc_bound(cells)
    assert abs(auc(cells) - roc_auc_score(hit, p)) <= bound
    assert bound < 0.02


def test_perfect_reversed_and_no_order():
    p, hit = np.array([0.0, 0.1, 0.8, 1.0]), np.array([False, False, True, True])
    assert auc(columns_of(p, hit)) == 1.0
    assert auc(columns_of(p, ~hit)) == 0.0
    assert auc(columns_of(np.full(4, 0.5), hit)) == 0.5


@pytest.mark.parametrize("hit", [[], [True, True], [False]])
def test_one_side_without_rows_has_no_area(hit):
    assert auc(columns_of(np.linspace(0.2, 0.8, len(hit)), hit)) is None


def test_weights_from_tiny_to_huge():
    p, hit = drawn_rows(100, 4)
    weight = 10.0 ** np.random.default_rng(0).uniform(-60, 60, 100)
    assert auc(columns_of(p, hit, weight)) == pytest.approx(roc_auc_score(hit, p, sample_weight=weight), abs=1e-6)


def test_the_bound_is_large_where_probabilities_share_a_cell_and_0_where_they_are_equal():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.3, 0.305, 4000)
    hit = rng.random(4000) < (p - 0.3) / 0.005
    cells = columns_of(p, hit)
    wrong = abs(auc(cells) - roc_auc_score(hit, p))
    assert 0.1 < wrong <= auc_bound(cells) <= 0.5
    assert auc_bound(columns_of(np.repeat([0.0, 0.5, 1.0], 4), np.tile([True, False], 6))) == 0.0
    assert auc_bound(columns_of(p, np.ones(4000, bool))) is None
