"""newton: the minimum that independent code finds, in few iterations, on every kind of target and penalty."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from closeness import assert_close
from crossent.core.matrix import DenseMatrix
from crossent.errors import UnsupportedError
from crossent.family import Focal
from crossent.learn.linear_objective import LinearObjective
from crossent.learn.solvers import SolverOptions, minimise_newton, newton
from crossent.learn.training import train
from fit_problems import CASES, fitted, problem, with_1_and_2_threads

PATHS = ["factor", "products", "wide"]


@pytest.fixture(params=PATHS)
def path(request, monkeypatch):
    """Each way to a step: the factorised Hessian; products with the gram; products with its diagonal."""
    if request.param != "factor":
        monkeypatch.setattr(newton, "LARGEST_HESSIAN", 0)
        monkeypatch.setattr(newton, "LARGEST_HESSIAN_L1", 0)
    if request.param == "wide":
        monkeypatch.setattr(newton, "LARGEST_WIDTH", 0)
        monkeypatch.setattr("crossent.learn.solvers.preconditioner.LARGEST_WIDTH", 0)
    return request.param


@pytest.mark.parametrize("l2", [0.0, 0.02])
@pytest.mark.parametrize("case", CASES)
def test_minimum_of_a_smooth_objective(case, l2, path):
    of = problem(case, l2=l2)
    solution = fitted(minimise_newton, of, tol=1e-11)
    assert solution.converged, solution.reason
    assert solution.iterations <= 15
    assert solution.loss == pytest.approx(of.total(solution.point), rel=1e-13)
    assert of.least_subgradient(solution.point) <= 1e-6
    assert abs(solution.loss - of.minimum()) <= 1e-10


@pytest.mark.parametrize(("l1", "l2"), [(0.003, 0.0), (0.03, 0.02)])
@pytest.mark.parametrize("case", CASES)
def test_minimum_with_l1(case, l1, l2, path):
    of = problem(case, l2=l2, l1=l1)
    solution = fitted(minimise_newton, of, tol=1e-11)
    assert solution.converged, solution.reason
    assert solution.iterations <= 25
    assert solution.loss == pytest.approx(of.total(solution.point), rel=1e-13)
    assert of.least_subgradient(solution.point) <= 5e-6
    assert abs(solution.loss - of.minimum()) <= 1e-9


@pytest.mark.parametrize("classes", [2, 3])
def test_coefficients_are_those_of_scikit_learn(classes):
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 5))
    y = np.argmax(X[:, :classes] + random.gumbel(size=(200, classes)), axis=1)
    made = train(
        DenseMatrix(X), y, outputs=1 if classes == 2 else classes, l2=0.05, solver="newton",
        options=SolverOptions(tol=1e-20),
    )  # fmt: skip
    peer = LogisticRegression(C=1 / (0.05 * 200), solver="newton-cholesky", tol=1e-12).fit(X, y)
    assert_close(made.coef, peer.coef_, bound=1e-8)
    gap = peer.intercept_ - made.intercept
    assert_close(gap - gap.mean() * (classes > 2), np.zeros_like(gap), bound=1e-8)  # all logits may shift


def test_lasso_coefficients_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 8))
    y = (X[:, 0] - X[:, 1] + random.logistic(size=200) > 0).astype(np.int64)
    made = train(
        DenseMatrix(X), y, outputs=1, l2=0.0, l1=0.04, solver="newton", options=SolverOptions(tol=1e-12)
    )  # fmt: skip
    peer = LogisticRegression(C=1 / (0.04 * 200), l1_ratio=1.0, solver="saga", tol=1e-12, max_iter=20_000).fit(X, y)
    assert_close(made.coef, peer.coef_, bound=1e-7)
    assert np.array_equal(made.coef == 0, peer.coef_ == 0)
    assert 0 < np.count_nonzero(made.coef) < 8


@pytest.mark.parametrize("case", ["binary", "classes", "labels"])
def test_convergence_is_quadratic(case):
    of = problem(case, l2=0.02)
    norms = [step.gradient_norm for step in fitted(minimise_newton, of, tol=1e-13).steps]
    assert len(norms) <= 9
    for before, after in pairwise(norms):
        assert after <= 30 * before**2 + 1e-15 or before > 0.02


def test_all_zero_where_l1_outweighs_the_data():
    of = problem("classes", l1=10.0)
    solution = fitted(minimise_newton, of, tol=1e-10)
    assert np.all(solution.point[of.is_penalised] == 0)
    frequencies = of.Y.mean(axis=0)
    free = solution.point[~of.is_penalised]
    assert_close(np.exp(free) / np.exp(free).sum(), frequencies, bound=1e-8)


@pytest.mark.parametrize("case", ["classes", "labels"])
def test_more_l1_leaves_fewer_coefficients(case, path):
    counts = []
    for l1 in (0.0005, 0.01, 0.05, 0.2):
        of = problem(case, l1=l1)
        point = fitted(minimise_newton, of, tol=1e-11).point
        counts.append(int(np.count_nonzero(point[of.is_penalised])))
        # a column's coefficients of four classes can shift and leave F as it is: there 0 is not the only one
        is_tiny = (point != 0) & (np.abs(point) < 1e-7)
        assert case == "classes" or not is_tiny.any(), "zeros must be exact"
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def doubled(X):
    return np.column_stack([X, X[:, 0]])


def collinear(X):
    return np.column_stack([X, X[:, 0] - 3 * X[:, 1] + 2])


def constant(X):
    return np.column_stack([X, np.full(len(X), 5.0)])


def empty(X):
    return np.column_stack([X, np.zeros(len(X))])


@pytest.mark.parametrize("l1", [0.0, 0.01])
@pytest.mark.parametrize("case", ["binary", "classes"])
@pytest.mark.parametrize("change", [doubled, collinear, constant, empty])
def test_columns_that_add_nothing(change, case, l1, path):
    """Without l2 the Hessian is singular; the loss is that without the column, and coefficients stay small."""
    plain = problem(case, l1=l1)
    of = plain._replace(X=change(plain.X))
    solution = fitted(minimise_newton, of, tol=1e-9)
    assert solution.converged, solution.reason
    assert solution.loss <= plain.minimum() + 1e-8  # with l1 a collinear column may help
    assert abs(solution.loss - of.minimum()) <= 1e-8
    assert np.abs(solution.point).max() < 100


def test_a_constant_column_keeps_the_coefficient_0():
    random = np.random.default_rng(1)
    X = np.column_stack([random.normal(size=(80, 3)), np.full(80, 4.0)])
    y = np.arange(80) % 3
    made = train(DenseMatrix(X), y, outputs=3, l2=0.0, solver="newton", options=SolverOptions(tol=1e-9))
    assert made.solution.converged
    assert np.array_equal(made.coef[:, 3], np.zeros(3))


@pytest.mark.parametrize(("l1", "l2"), [(0.003, 0.0), (0.03, 0.0), (0.03, 0.02), (0.0, 0.02)])
@pytest.mark.parametrize("case", CASES)
def test_the_end_comes_as_soon_as_it_is_proven(case, l1, l2, path):
    for tol in (1e-4, 1e-8, 1e-11):
        solution = fitted(minimise_newton, problem(case, l1=l1, l2=l2), tol=tol, certify=True)
        assert solution.converged, solution.reason
        proven = [step.gap <= tol * max(step.loss, 1e-3) for step in solution.steps]
        assert proven.index(True) == len(proven) - 1


@pytest.mark.parametrize("l1", [0.0, 0.01])
@pytest.mark.parametrize("case", CASES)
def test_warm_start_at_the_minimum_takes_no_iteration(case, l1, path):
    of = problem(case, l1=l1)
    best = fitted(minimise_newton, of, tol=1e-11).point
    again = fitted(minimise_newton, of, start=best, tol=1e-9)
    assert again.converged
    assert again.iterations == 0
    assert np.array_equal(again.point, best)


@pytest.mark.parametrize("l1", [0.0, 0.01])
@pytest.mark.parametrize("case", ["binary", "classes", "labels"])
def test_far_starts_where_the_curvature_is_gone(case, l1, path):
    of = problem(case, l1=l1, l2=1e-3)
    start = 30 * np.random.default_rng(5).normal(size=of.size)
    solution = fitted(minimise_newton, of, start=start, tol=1e-9)
    assert solution.converged, solution.reason
    assert abs(solution.loss - of.minimum()) <= 1e-8
    assert np.all(np.diff([step.loss for step in solution.steps]) <= 1e-15)


@pytest.mark.parametrize("l1", [0.0, 0.01])
@pytest.mark.parametrize("case", ["binary", "classes", "labels"])
def test_number_of_threads_changes_no_bit(case, l1, path):
    of = problem(case, l1=l1, rows=14_000, columns=40)
    assert len(of.objective().matrix.slices(of.outputs)) > 1
    assert np.array_equal(*with_1_and_2_threads(lambda: fitted(minimise_newton, of, max_iter=3).point))


class Told:
    """A watch's ear: the decrements it was passed."""

    def __init__(self, monkeypatch):
        self.decrements = []
        after = newton.Watch.after

        def listening(watch, point, value, grad, *, decrement=np.nan):
            self.decrements.append(decrement)
            return after(watch, point, value, grad, decrement=decrement)

        monkeypatch.setattr(newton.Watch, "after", listening)


@pytest.mark.parametrize("l1", [0.0, 0.01])
def test_the_decrement_estimates_the_distance(l1, path, monkeypatch):
    told = Told(monkeypatch)
    of = problem("classes", l1=l1)
    solution = fitted(minimise_newton, of, tol=1e-11)
    distances = np.array([step.loss for step in solution.steps]) - of.minimum()
    near = (distances < 1e-2) & (distances > 1e-8)
    assert near.any()
    ratios = np.array(told.decrements)[near] / distances[near]
    assert np.all((ratios > 0.5) & (ratios < 2)), ratios


class Unread(DenseMatrix):
    """Features that nobody may look at."""

    def logits(self, *arguments):
        raise AssertionError("rows were read")


def test_a_loss_without_hessian_is_refused_before_any_work():
    objective = LinearObjective(Unread(np.eye(6)), np.arange(6) % 3, loss=Focal(), outputs=3)
    with pytest.raises(UnsupportedError, match=r"Focal.*lbfgs"):
        minimise_newton(objective, np.zeros(objective.size), SolverOptions())


def test_a_start_out_of_bounds_is_reported():
    of = problem("binary")
    solution = fitted(minimise_newton, of, start=np.full(of.size, np.inf))
    assert not solution.converged
    assert "starting point" in solution.reason
