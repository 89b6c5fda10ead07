"""Gradient descent on all rows: the tutorials' steps, and steps that fit themselves."""

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from closeness import assert_close
from crossent.core.matrix import DenseMatrix
from crossent.learn.solvers import SolverOptions, minimise_gd
from crossent.learn.training import train
from toys import Function, quadratic, rosenbrock, toy


class TestGivenRate:
    @pytest.mark.parametrize("rate", [0.1, 0.05])
    def test_every_step_is_the_rate_times_the_gradient(self, rate):
        bends, start = np.array([1.0, 7.0]), np.array([3.0, -2.0])
        points = []
        options = SolverOptions(learning_rate=rate, max_iter=9, tol=0.0, on_step=lambda step, x: points.append(x))
        minimise_gd(quadratic(bends), start, options)
        wanted = [1 + (start - 1) * (1 - rate * bends) ** t for t in range(10)]
        assert_close(np.array(points), np.array(wanted), rtol=1e-13)

    def test_as_many_steps_as_asked_for_even_at_a_standstill(self):
        """A rate of 2 / L swings between two points for ever: neither F nor its gradient gets smaller."""
        options = SolverOptions(learning_rate=2.0, max_iter=500, tol=0.0)
        solution = minimise_gd(quadratic([1.0]), np.zeros(1), options)
        assert solution.iterations == 500
        assert "max_iter=500" in solution.reason

    def test_one_pass_a_step(self):
        function = quadratic([1.0, 2.0])
        solution = minimise_gd(function, np.zeros(2), SolverOptions(learning_rate=0.1, max_iter=7, tol=0.0))
        assert [step.passes for step in solution.steps] == [1, 2, 3, 4, 5, 6, 7, 8]

    def test_overflow_ends_at_the_last_finite_point(self):
        function = Function(1, lambda x: x[0] ** 2, lambda x: 2 * x)
        solution = minimise_gd(function, np.ones(1), SolverOptions(learning_rate=1e100, tol=0.0))
        assert np.isfinite(solution.point).all()
        assert abs(solution.point[0]) > 1e99
        assert "overflowed" in solution.reason
        assert "now 1e+100" in solution.advice

    def test_l1_is_a_threshold_of_rate_times_l1(self):
        l1 = np.array([0.3, 2.0])
        solution = minimise_gd(
            quadratic([1.0, 1.0], l1=l1), np.zeros(2), SolverOptions(learning_rate=0.5, max_iter=1, tol=0.0)
        )
        assert_close(solution.point, [0.5 - 0.5 * 0.3, 0.0], rtol=1e-15)


class TestFittingSteps:
    @pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
    @pytest.mark.parametrize("condition", [1.0, 1e2, 1e4])
    def test_on_a_quadratic_of_any_scale(self, condition, size):
        """Steps of 1 / L would need about 20 times the condition number."""
        function = quadratic(size * np.geomspace(1, condition, 30))
        solution = minimise_gd(function, np.zeros(30), SolverOptions(tol=1e-8 * size, max_iter=3000))
        assert solution.converged
        assert solution.iterations <= max(200, condition / 4)
        assert_close(solution.point, np.ones(30), bound=1e-7)

    def test_f_never_rises(self):
        solution = minimise_gd(rosenbrock(), np.array([-1.2, 1.0]), SolverOptions(tol=1e-6, max_iter=20_000))
        losses = np.array([step.loss for step in solution.steps])
        assert solution.converged
        assert (np.diff(losses) <= 1e-15 * losses[:-1]).all()
        assert_close(solution.point, [1, 1], bound=1e-5)

    def test_walls_are_stepped_back_from(self):
        """-log x is infinite for x <= 0, where the first steps land."""

        def value(x):
            return x[0] * 1000 - math.log(x[0]) if x[0] > 0 else math.inf

        function = Function(1, value, lambda x: 1000 - 1 / np.maximum(x, 1e-9))
        solution = minimise_gd(function, np.array([1.0]), SolverOptions())
        assert solution.converged
        assert solution.point[0] == pytest.approx(1e-3)

    def test_l1_on_a_quadratic(self):
        """The minimum of d (x - 1)^2 / 2 + l |x| is max(1 - l / d, 0)."""
        bends, l1 = np.array([1.0, 2.0, 3.0, 50.0]), np.array([0.5, 2.5, 3.0, 10.0])
        solution = minimise_gd(quadratic(bends, l1=l1), np.full(4, -3.0), SolverOptions(tol=1e-10))
        assert solution.converged
        assert_close(solution.point, np.maximum(1 - l1 / bends, 0), bound=1e-9)
        assert solution.point[1] == 0

    @pytest.mark.parametrize("size", [1e-200, 1e150])
    def test_extreme_sizes_of_the_function(self, size):
        """Squares of the gradient underflow or overflow; every warning is an error here."""
        function = Function(2, lambda x: size * np.sum((x - 1) ** 2), lambda x: 2 * size * (x - 1))
        solution = minimise_gd(function, np.array([0.0, 3.0]), SolverOptions(tol=0.0, max_iter=300))
        assert np.isfinite(solution.point).all()
        assert solution.loss <= solution.steps[0].loss

    def test_wrong_gradient_ends_with_a_reason(self):
        function = Function(2, lambda x: np.sum(x * x), lambda x: -2 * x)
        solution = minimise_gd(function, np.ones(2), SolverOptions())
        assert not solution.converged
        assert "rounding" in solution.reason

    def test_a_function_without_minimum_does_not_hang(self):
        function = Function(1, lambda x: -x[0], lambda x: -np.ones(1))
        assert not minimise_gd(function, np.zeros(1), SolverOptions(max_iter=200)).converged


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_against_scikit_learn(classes, ratio):
    """Ridge, elastic net and lasso at their optimum: the same coefficients, the same zeros."""
    X, y = toy(rows=120, width=6, classes=classes)
    X = X * [1.0, 5.0, 0.2, 1.0, 1.0, 3.0] + [0.0, 2.0, 0.0, 0.0, -1.0, 0.0]
    C = 0.05
    strength = 1 / (C * len(y))
    ours = train(
        DenseMatrix(X), y, outputs=1 if classes == 2 else classes, solver="gd",
        l2=(1 - ratio) * strength, l1=ratio * strength, options=SolverOptions(tol=1e-13, max_iter=20_000),
    )  # fmt: skip
    theirs = LogisticRegression(C=C, l1_ratio=ratio, solver="saga", tol=1e-12, max_iter=100_000).fit(X, y)
    assert_close(ours.coef, theirs.coef_, bound=1e-6)
    assert np.array_equal(ours.coef == 0, theirs.coef_ == 0)
    assert (ours.coef == 0).any() == (ratio > 0)
