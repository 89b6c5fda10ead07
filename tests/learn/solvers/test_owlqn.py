"""lbfgs with l1 (OWL-QN): the conditions of a minimum, in a gradient written anew, and exact zeros."""

from fractions import Fraction

import numpy as np
import pytest

from crossent.family import Focal
from crossent.learn.linear_objective import LinearObjective
from crossent.learn.solvers import SolverOptions, minimise_lbfgs
from crossent.learn.solvers.nonsmooth import linear_change, lower_place, place_at
from fit_problems import CASES, fitted, problem, with_1_and_2_threads


@pytest.mark.parametrize("l2", [0.0, 0.02])
@pytest.mark.parametrize("l1", [0.003, 0.03])
@pytest.mark.parametrize("case", CASES)
def test_minimum(case, l1, l2):
    of = problem(case, l2=l2, l1=l1)
    solution = fitted(minimise_lbfgs, of, tol=1e-13 if l2 else 1e-11, max_iter=3000)
    assert solution.converged, solution.reason
    assert solution.loss == pytest.approx(of.total(solution.point), rel=1e-13)
    assert of.least_subgradient(solution.point) <= 2e-7  # with l2 the gap is about its square, else in proportion to it
    assert abs(solution.loss - of.minimum()) <= 1e-9
    assert np.all(np.diff([step.loss for step in solution.steps]) <= 1e-15)


@pytest.mark.parametrize(("l1", "l2"), [(0.003, 0.0), (0.03, 0.0), (0.03, 0.02)])
@pytest.mark.parametrize("case", CASES)
def test_the_end_comes_when_it_is_proven_or_soon_after(case, l1, l2):
    for tol in (1e-4, 1e-8, 1e-11):
        of = problem(case, l1=l1, l2=l2)
        solution = fitted(minimise_lbfgs, of, tol=tol, certify=True)
        assert solution.converged, solution.reason
        proven = [step.gap <= tol * max(step.loss, 1e-3) for step in solution.steps]
        assert proven[-1]
        assert proven.index(True) >= len(proven) - 30
        assert solution.loss - of.minimum() <= tol * max(solution.loss, 1e-3)


def test_more_l1_leaves_fewer_coefficients_and_exact_zeros():
    counts = []
    for l1 in (0.0005, 0.01, 0.05, 0.2, 10.0):
        of = problem("classes", l1=l1)
        point = fitted(minimise_lbfgs, of, tol=1e-8, max_iter=3000).point
        counts.append(int(np.count_nonzero(point[of.is_penalised])))
        assert not np.any((point != 0) & (np.abs(point) < 1e-7)), "zeros must be exact"
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-2] > counts[-1] == 0


def test_collinear_and_constant_columns():
    plain = problem("classes", l1=0.01)
    X = np.column_stack([plain.X, plain.X[:, 0] - plain.X[:, 1], np.full(len(plain.X), 3.0)])
    of = plain._replace(X=X)
    solution = fitted(minimise_lbfgs, of, tol=1e-8, max_iter=5000)
    assert solution.converged, solution.reason
    assert abs(solution.loss - of.minimum()) <= 1e-9
    assert np.all(solution.point.reshape(4, -1)[:, 7] == 0)  # the intercept is free and does the same


def test_warm_start_at_the_minimum_takes_no_iteration():
    of = problem("binary", l1=0.01)
    best = fitted(minimise_lbfgs, of, tol=1e-9, max_iter=3000).point
    again = fitted(minimise_lbfgs, of, start=best, tol=1e-8)
    assert again.iterations == 0
    assert np.array_equal(again.point, best)


def test_a_loss_that_is_not_convex_descends_to_a_stationary_point():
    of = problem("classes", l1=0.003)
    objective = LinearObjective(of.objective().matrix, of.targets, loss=Focal(), outputs=4, l1=0.003)
    solution = minimise_lbfgs(objective, np.zeros(of.size), SolverOptions(tol=1e-7, max_iter=3000))
    assert solution.converged, solution.reason
    assert np.any(solution.point[of.is_penalised] == 0)


def test_number_of_threads_changes_no_bit():
    of = problem("classes", l1=0.003, rows=14_000, columns=40)
    assert len(of.objective().matrix.slices(of.outputs)) > 1
    assert np.array_equal(*with_1_and_2_threads(lambda: fitted(minimise_lbfgs, of, max_iter=20).point))


def test_a_path_uphill_finds_nothing():
    of = problem("binary", l1=0.01)
    objective = of.objective()
    here = place_at(objective, np.zeros(of.size))
    assert lower_place(objective, here, lambda step: (step * here.slope, -step)) is None
    assert lower_place(objective, here, lambda step: (here.point, 0.0)) is None


def test_the_linear_change_keeps_its_digits_where_gradient_and_penalty_cancel():
    random = np.random.default_rng(0)
    x = np.append(random.normal(size=20), [0.0, 0.0, 0.5])
    l1 = np.full(23, 0.3)
    grad = -l1 * np.sign(x) * (1 + 2.0**-45 * random.normal(size=23))
    target = x * (1 + 1e-3 * random.normal(size=23)) + np.append(np.zeros(20), [0.1, -0.1, -1.0])
    parts = [[Fraction(v) for v in a.tolist()] for a in (l1, grad, x, target)]
    for moving in (slice(0, 20), slice(None)):
        exact = sum(g * (t - o) + c * (abs(t) - abs(o)) for c, g, o, t in list(zip(*parts, strict=True))[moving])
        found = linear_change(*(a[moving] for a in (l1, grad, x, target)))
        assert found == pytest.approx(float(exact), rel=1e-9)
