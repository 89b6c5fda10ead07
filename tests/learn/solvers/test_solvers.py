"""Solvers on functions with known minima; they see nothing but value_and_grad."""

import math

import numpy as np
import pytest

from closeness import assert_close
from crossent.core.types import LossGrad
from crossent.errors import OptionError
from crossent.learn.solvers import SOLVERS, SolverOptions, find_solver, minimise_gd, minimise_lbfgs
from crossent.learn.solvers.line_search import CURVATURE, DECREASE, Probe, wolfe_step


class Function:
    """An objective from two plain functions, counting its evaluations."""

    def __init__(self, size, value, grad):
        self.size, self._value, self._grad, self.calls = size, value, grad, 0
        self.passes, self.is_convex, self.l1, self.outputs = 0.0, False, None, 1

    def value_and_grad(self, point):
        self.calls += 1
        with np.errstate(over="ignore", invalid="ignore"):
            return LossGrad(float(self._value(point)), self._grad(point))


def quadratic(diagonal):
    return Function(len(diagonal), lambda x: 0.5 * np.sum(diagonal * (x - 1) ** 2), lambda x: diagonal * (x - 1))


def rosenbrock():
    return Function(
        2,
        lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2,
        lambda x: np.array([-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)]),
    )


@pytest.mark.parametrize("condition", [1.0, 1e2, 1e4])
def test_lbfgs_on_a_quadratic(condition):
    function = quadratic(np.geomspace(1, condition, 30))
    solution = minimise_lbfgs(function, np.zeros(30), SolverOptions(tol=1e-7, max_iter=2000))
    assert solution.converged
    assert_close(solution.point, np.ones(30), bound=1e-7)
    assert np.all(np.diff([step.loss for step in solution.steps]) <= 0)


def test_lbfgs_on_rosenbrock():
    solution = minimise_lbfgs(rosenbrock(), np.array([-1.2, 1.0]), SolverOptions(tol=1e-9))
    assert solution.converged
    assert solution.iterations < 60
    assert_close(solution.point, [1, 1], bound=1e-8)


def test_lbfgs_shortens_steps_that_overflow():
    function = Function(1, lambda x: np.exp(x[0]) - 800 * x[0], lambda x: np.exp(x) - 800)
    solution = minimise_lbfgs(function, np.array([-500.0]), SolverOptions())
    assert solution.converged
    assert solution.point[0] == pytest.approx(math.log(800))


def test_lbfgs_steps_back_from_infinite_values():
    """-log x is infinite for x <= 0, where the first steps may well land."""

    def value(x):
        return x[0] * 1000 - math.log(x[0]) if x[0] > 0 else math.inf

    function = Function(1, value, lambda x: 1000 - 1 / np.maximum(x, 1e-9))
    solution = minimise_lbfgs(function, np.array([1.0]), SolverOptions())
    assert solution.converged
    assert solution.point[0] == pytest.approx(1e-3)


@pytest.mark.parametrize("solve", [minimise_lbfgs, minimise_gd])
def test_start_at_the_minimum(solve):
    solution = solve(quadratic(np.ones(3)), np.ones(3), SolverOptions())
    assert solution.converged
    assert solution.iterations == 0
    assert solution.gradient_norm == 0


@pytest.mark.parametrize("solve", [minimise_lbfgs, minimise_gd])
def test_start_that_is_not_finite_is_reported(solve):
    function = Function(1, lambda x: math.inf, lambda x: np.array([math.nan]))
    solution = solve(function, np.zeros(1), SolverOptions())
    assert not solution.converged
    assert solution.advice


@pytest.mark.parametrize("solve", [minimise_lbfgs, minimise_gd])
def test_the_start_is_left_alone_and_steps_are_told(solve):
    start, seen = np.zeros(4), []
    options = SolverOptions(max_iter=5, tol=0.0, on_step=lambda step, point: seen.append(step))
    solution = solve(quadratic(np.arange(1.0, 5.0)), start, options)
    assert np.array_equal(start, np.zeros(4))
    assert tuple(seen) == solution.steps
    assert [step.iteration for step in seen] == list(range(len(seen)))
    assert not solution.converged
    assert "max_iter=5" in solution.reason


def test_wrong_gradient_ends_with_a_reason():
    """The gradient points uphill: no step decreases the value."""
    function = Function(2, lambda x: np.sum(x * x), lambda x: -2 * x)
    solution = minimise_lbfgs(function, np.ones(2), SolverOptions())
    assert not solution.converged
    assert "rounding" in solution.reason


def test_a_function_without_minimum_does_not_hang():
    solution = minimise_lbfgs(
        Function(1, lambda x: -x[0], lambda x: -np.ones(1)), np.zeros(1), SolverOptions(max_iter=50)
    )
    assert not solution.converged


@pytest.mark.parametrize("first", [1e-6, 1e-2, 1.0, 30.0, 1e6])
@pytest.mark.parametrize(
    ("value", "slope"),
    [
        (lambda t: (t - 1) ** 2, lambda t: 2 * (t - 1)),
        (lambda t: math.exp(min(t, 700.0)) - 3 * t, lambda t: math.exp(min(t, 700.0)) - 3),
        (
            lambda t: math.log1p(math.exp(-5 * t)) + 0.01 * t,
            lambda t: -5 / (1 + math.exp(min(5 * t, 700))) + 0.01,
        ),
    ],
    ids=["parabola", "exponential", "logistic"],
)
def test_line_search_satisfies_the_strong_wolfe_conditions(value, slope, first):
    nothing = np.zeros(0)

    def evaluate(step):
        return Probe(step, value(step), slope(step), nothing, nothing)

    start = evaluate(0.0)
    probe = wolfe_step(evaluate, start, first)
    assert probe is not None
    assert probe.value <= start.value + DECREASE * probe.step * start.slope
    assert abs(probe.slope) <= CURVATURE * abs(start.slope)


def test_registry():
    assert set(SOLVERS) == {"gd", "lbfgs"}
    with pytest.raises(OptionError, match="'gd'"):
        find_solver("newton")
