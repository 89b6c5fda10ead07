"""The data of fits, and the objective that judges them, beside SciPy and closed forms."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix, issparse
from scipy.special import logsumexp

from crossent.bench.cases import cases_of
from crossent.bench.peers.data import Spec
from crossent.bench.peers.problems import PROBLEMS, Fitted, Problem, estimator_fits, objective, problem


def spec(case) -> Spec:
    return Spec(**{**case.spec, "shape": case.shape})


@pytest.mark.parametrize("case", cases_of("fit", quick=True), ids=lambda c: c.title)
def test_every_process_makes_the_same_data(case):
    first, second = problem(spec(case)), problem(spec(case))
    dense = [each.features.toarray() if issparse(each.features) else each.features for each in (first, second)]
    np.testing.assert_array_equal(*dense)
    np.testing.assert_array_equal(first.labels, second.labels)
    assert dense[0].shape == case.shape[:2]
    assert dense[0].dtype == case.dtype
    assert set(first.labels) == set(range(first.labels.max() + 1))
    assert 2 <= first.labels.max() + 1 <= case.shape[2]


def test_label_noise_and_separation_are_what_they_are_called():
    """Both have the same features, correlated; one of ten labels that are drawn anew stays what it was."""
    noisy, clean = (PROBLEMS[kind](4000, 30, 10) for kind in ("fit noisy", "fit separable"))
    np.testing.assert_array_equal(noisy[0], clean[0])
    assert np.mean(noisy[1] != clean[1]) == pytest.approx(0.12 * 0.9, abs=0.02)
    values = np.linalg.svd(clean[0] - clean[0].mean(axis=0), compute_uv=False)
    assert values[0] > 10 * values[-1]


def test_the_digits_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.load_digits(return_X_y=True)
    made = problem(Spec("fit digits", (1797, 64, 10), "float64"))
    np.testing.assert_array_equal(made.features, X)
    np.testing.assert_array_equal(made.labels, y)


def test_the_sparse_rows_are_like_texts():
    X, y = PROBLEMS["fit sparse"](400, 50_000, 20)
    assert 90 < X.nnz / 400 < 115
    assert X.data.min() > 0
    assert X.has_sorted_indices
    np.testing.assert_allclose(X.multiply(X).sum(axis=1), 1, rtol=1e-12)
    counts = np.sort(np.bincount(X.indices, minlength=50_000))[::-1]
    assert counts[0] > 300
    assert np.mean(counts == 0) > 0.5
    assert len(set(y)) == 20


@pytest.mark.parametrize("form", [np.asarray, csr_matrix, np.float32])
def test_the_objective_of_many_classes(form):
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((40_000, 3)).astype(np.float32).astype(np.float64), rng.integers(0, 4, 40_000)
    coef, intercept = 5 * rng.standard_normal((4, 3)), rng.standard_normal(4)
    z = X @ coef.T + intercept
    expected = np.mean(logsumexp(z, axis=1) - z[np.arange(len(y)), y]) + np.sum(coef**2) / (2 * len(y))
    assert objective(Problem(form(X), y), coef, intercept) == pytest.approx(expected, rel=1e-12)


def test_the_objective_of_two_classes_has_one_logit():
    """ln 2 at zero; one row with logit 700 for the wrong class is 700 nats."""
    X = np.array([[0.0], [0.0], [700.0]])
    assert objective(Problem(X, np.array([0, 1, 1])), np.zeros((1, 1)), np.zeros(1)) == pytest.approx(np.log(2))
    found = objective(Problem(X, np.array([0, 1, 0])), np.ones((1, 1)), np.zeros(1))
    assert found == pytest.approx((2 * np.log(2) + 700) / 3 + 1 / 6, rel=1e-14)


def test_an_estimator_gets_what_its_setting_says_and_nothing_else():
    class Estimator:
        n_iter_, coef_, intercept_ = np.array([7]), np.zeros((1, 1)), np.zeros(1)

        def __init__(self, **options: object) -> None:
            asked.append(options)

        def fit(self, X, y) -> "Estimator":
            return self

    asked: list[dict[str, object]] = []
    data = Problem(np.ones((2, 1)), np.array([0, 1]))
    fit = estimator_fits(data, Estimator, C=1.0)
    fitted, _ = fit(solver="", tol=0.1, max_iter=3)
    fit(solver="saga", tol=0.1, max_iter=3)
    fit()
    assert asked == [{"C": 1.0, "tol": 0.1, "max_iter": 3}, {"C": 1.0, "solver": "saga", "tol": 0.1, "max_iter": 3},
                     {"C": 1.0}]  # fmt: skip
    assert isinstance(fitted, Fitted)
    assert (fitted.iterations, fitted.bound, float(fitted)) == (7, None, pytest.approx(np.log(2)))


def test_workers_reach_the_data_without_crossent():
    folder = Path(sys.modules[Problem.__module__].__file__).parent
    assert "crossent" not in (folder / "problems.py").read_text().split('"""', 2)[2]
