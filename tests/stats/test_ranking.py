"""AUC of cells against scikit-learn's of rows."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from calibration_cases import columns_of, drawn_rows, few_values
from crossent.stats.ranking import auc


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
    misses = cells.weight - cells.hits
    bound = (cells.hits * misses).sum() / (cells.hits.sum() * misses.sum()) / 2
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
