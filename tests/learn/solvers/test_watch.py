"""The stopping rule: what it promises holds by SciPy's minimum, it reads rows rarely, and it says why a run ended."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.datasets import load_iris

from crossent import BinaryCrossEntropy, CrossEntropy, Focal
from crossent.core.matrix import DenseMatrix
from crossent.core.types import LossGrad
from crossent.errors import OptionError
from crossent.learn.certificate import Certificate
from crossent.learn.linear_objective import LinearObjective
from crossent.learn.solvers import SolverOptions
from crossent.learn.solvers.gd import minimise_gd
from crossent.learn.solvers.watch import Watch
from toys import toy


def linear(X, y, **options):
    K = len(np.unique(y))
    loss = BinaryCrossEntropy() if K == 2 else CrossEntropy()
    return LinearObjective(DenseMatrix(X), y, **{"loss": loss, "outputs": 1 if K == 2 else K, **options})


def newton(objective, options, *, tells=False, ridge=1e-10):
    """Newton's method without any safeguard; with `tells`, its decrement goes to the watch."""
    watch, point = Watch(objective, options, name="newton"), np.zeros(objective.size)
    while True:
        value, grad = objective.value_and_grad(point)
        step = np.linalg.solve(objective.hessian(point) + ridge * np.eye(len(point)), grad)
        end = watch.after(point, value, grad, decrement=0.5 * grad @ step if tells else math.nan)
        if end is not None:
            return watch.solution(point, end)
        point = point - step


def proximal(objective, options, *, rate=1.0):
    """Proximal gradient descent, the textbook method with l1."""
    watch, point = Watch(objective, options, name="proximal"), np.zeros(objective.size)
    while True:
        value, grad = objective.value_and_grad(point)
        end = watch.after(point, value, grad)
        if end is not None:
            return watch.solution(point, end)
        moved = point - rate * grad
        point = np.sign(moved) * np.maximum(np.abs(moved) - rate * objective.l1, 0)


def lowest(X, y, *, l2, l1=0.0):
    """The minimum of F for K classes, by SciPy on an objective of its own."""
    K, D = len(np.unique(y)), X.shape[1]
    penalised = np.tile(np.append(np.ones(D), 0.0), K)

    def value(flat):
        W = flat.reshape(K, D + 1)
        log_p = log_softmax(X @ W[:, :D].T + W[:, D], axis=1)
        slope = (np.exp(log_p) - np.eye(K)[y]) / len(y)
        grad = np.column_stack([slope.T @ X, slope.sum(axis=0)]).reshape(-1) + l2 * penalised * flat
        return -np.mean(log_p[np.arange(len(y)), y]) + l2 / 2 * np.sum(penalised * flat**2), grad

    def split(both):
        size = len(both) // 2
        smooth, grad = value(both[:size] - both[size:])
        weights = l1 * penalised
        return smooth + weights @ (both[:size] + both[size:]), np.r_[grad + weights, weights - grad]

    options = {"ftol": 0.0, "gtol": 1e-12, "maxcor": 50, "maxiter": 10_000, "maxfun": 100_000}
    start = np.zeros(2 * K * (D + 1))
    return minimize(split, start, jac=True, bounds=[(0, None)] * len(start), method="L-BFGS-B", options=options).fun


@dataclass
class Toy:
    """An objective that is nothing but a function; `told` counts its certificates."""

    value: Any
    grad: Any
    size: int = 1
    is_convex: bool = False
    bound: Any = None
    l1: Any = None
    penalty: float = 0.0
    passes: float = 0.0
    asked: list = field(default_factory=list)

    @property
    def l2(self):
        return np.full(self.size, self.penalty)

    def value_and_grad(self, point):
        self.passes += 1
        with np.errstate(over="ignore", invalid="ignore"):
            return LossGrad(float(self.value(point)), self.grad(point))

    def bound_estimate(self, grad):
        return float(grad @ grad) / (2 * self.penalty)

    def certificate(self, point):
        self.asked.append(point.copy())
        return Certificate("gap", self.bound(point))


def parabola(**options):
    return Toy(lambda x: 1 + 0.5 * x @ x, lambda x: x, penalty=1.0, **options)


# -- with a penalty ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("l2", [1.0, 1e-2, 1e-4])
def test_stops_within_tol_of_the_minimum_and_not_much_later(l2, tol):
    X, y = toy()
    solution = newton(linear(X, y, l2=l2), SolverOptions(tol=tol))
    best = lowest(X, y, l2=l2)
    assert solution.converged
    gap = solution.certificate.value
    assert solution.loss - best <= gap + 1e-14
    assert gap <= tol * solution.loss
    assert solution.reason == f"F is within {gap:.2g} of the minimum"
    assert solution.steps[-1].gap == gap
    assert solution.iterations == 0 or solution.steps[-2].loss - best > 0.01 * tol * best


def test_stops_with_l1():
    X, y = toy()
    objective = linear(X, y, l1=0.02)
    solution = proximal(objective, SolverOptions(tol=1e-6, max_iter=5000))
    assert solution.converged
    assert solution.certificate.kind == "gap"
    assert -1e-12 <= solution.loss - lowest(X, y, l2=0.0, l1=0.02) <= solution.certificate.value <= 1e-6 * solution.loss
    assert sum(not math.isnan(step.gap) for step in solution.steps) < 20


def test_stops_with_an_elastic_net():
    X, y = toy()
    objective = linear(X, y, l1=0.02, l2=0.05)
    solution = proximal(objective, SolverOptions(tol=1e-6, max_iter=5000))
    assert solution.converged
    assert (
        -1e-12 <= solution.loss - lowest(X, y, l2=0.05, l1=0.02) <= solution.certificate.value <= 1e-6 * solution.loss
    )


def test_small_losses_are_held_to_an_absolute_tolerance():
    objective = Toy(lambda x: 1e-9 + 0.5 * x @ x, lambda x: x, is_convex=True, penalty=1.0, bound=lambda x: 0.5 * x @ x)
    solution = minimise_gd(objective, np.ones(1), SolverOptions(tol=1e-4, learning_rate=0.5))
    assert solution.converged
    assert 1e-9 < solution.certificate.value <= 1e-4 * 1e-3


def test_the_certificate_is_asked_when_the_gradient_says_that_it_may_hold():
    objective = parabola(is_convex=True, bound=lambda x: 0.5 * x @ x)
    solution = minimise_gd(objective, np.ones(1), SolverOptions(tol=1e-8, learning_rate=0.1))
    assert solution.converged
    assert len(objective.asked) <= 3
    assert np.sum(~np.isnan([step.gap for step in solution.steps])) == len(objective.asked)


def test_the_certificate_is_asked_again_after_a_while_if_the_gradient_told_nothing():
    """Such as the intercept's part, which the estimate leaves out."""
    bounds = iter([1.0, 0.5, 0.0])
    objective = parabola(is_convex=True, bound=lambda x: next(bounds))
    watch = Watch(objective, SolverOptions(), name="toy")
    ends = [watch.after(np.full(1, 1e-9), 1.0, np.full(1, 1e-9)) for _ in range(21)]
    assert [end is not None for end in ends] == [False] * 20 + [True]
    assert len(objective.asked) == 3


def test_certify_fills_every_gap():
    X, y = toy()
    best = lowest(X, y, l2=0.1)
    solution = minimise_gd(linear(X, y, l2=0.1), np.zeros(15), SolverOptions(certify=True, learning_rate=1.0))
    assert solution.converged
    assert all(step.loss - best <= step.gap + 1e-14 for step in solution.steps)
    with pytest.raises(OptionError, match="certify is 1"):
        SolverOptions(certify=1)


@pytest.mark.parametrize("reason", ["max_iter=3 iterations are used up", "a callback asked to stop"])
def test_an_early_end_has_its_certificate_and_quotes_it(reason):
    X, y = toy()
    listener = (lambda step, point: step.iteration == 3) if "callback" in reason else None
    options = SolverOptions(max_iter=100 if listener else 3, on_step=listener)
    solution = minimise_gd(linear(X, y, l2=0.1), np.zeros(15), options)
    assert not solution.converged
    assert solution.iterations == 3
    gap = solution.certificate.value
    assert 0 < solution.loss - lowest(X, y, l2=0.1) <= gap
    assert solution.steps[-1].gap == gap
    target = 1e-6 * solution.loss
    assert solution.reason == f"{reason}; F is within {gap:.2g} of the minimum (tol=1e-06 asks for {target:.2g})"


def test_an_end_by_rounding_counts_if_the_bound_holds():
    X, y = toy()
    objective = linear(X, y, l2=0.1)
    watch = Watch(objective, SolverOptions(), name="toy")
    point = newton(objective, SolverOptions(tol=1e-12)).point
    watch.after(np.zeros(15), 1.0, np.ones(15))
    watch.steps.append(watch.steps[0]._replace(loss=objective.value_and_grad(point).value))
    solution = watch.solution(point, watch.at_rounding())
    assert solution.converged
    assert "rounding" in solution.reason


def test_tol_0_goes_on_to_the_last_digit():
    X, y = toy()
    solution = minimise_gd(linear(X, y, l2=0.1), np.zeros(15), SolverOptions(tol=0.0, max_iter=500))
    assert 20 < solution.iterations < 500
    assert not solution.converged
    assert "rounding" in solution.reason
    assert solution.certificate.value < 1e-16
    assert np.isnan([step.gap for step in solution.steps[:-1]]).all()


def test_a_diverged_run_has_the_certificate_of_the_point_that_it_returns():
    X, y = toy()
    objective = linear(1e3 * X, y, l2=1e3)
    solution = minimise_gd(objective, np.zeros(15), SolverOptions(learning_rate=1e4, tol=0.0))
    assert not solution.converged
    assert "overflowed" in solution.reason
    assert solution.certificate == objective.certificate(solution.point)


# -- without a penalty ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tells", [True, False])
def test_without_a_penalty_the_decrement_decides(tells):
    X, y = toy()
    solution = newton(linear(X, y), SolverOptions(), tells=tells)
    assert solution.converged
    assert "estimated distance" in solution.reason
    assert solution.certificate.kind == "radius"
    assert solution.loss - lowest(X, y, l2=0.0) <= 1e-6 * solution.loss


def test_without_a_penalty_and_a_cheap_hessian_the_gradient_decides(monkeypatch):
    monkeypatch.setattr("crossent.learn.duality._LARGEST_HESSIAN", 0)
    X, y = toy()
    solution = newton(linear(X, y), SolverOptions())
    assert solution.converged
    assert "no model within" in solution.reason
    assert solution.loss - lowest(X, y, l2=0.0) <= 1e-6 * solution.loss
    assert math.isnan(solution.certificate.decrement)


def test_the_certificate_has_the_solvers_decrement_where_it_has_none_of_its_own(monkeypatch):
    monkeypatch.setattr("crossent.learn.duality._LARGEST_HESSIAN", 0)
    X, y = toy()
    solution = newton(linear(X, y), SolverOptions(max_iter=4, tol=0.0), tells=True)
    left = solution.loss - lowest(X, y, l2=0.0)
    assert left > 1e-6
    assert solution.certificate.decrement == pytest.approx(left, rel=0.1)
    assert f"F is an estimated {solution.certificate.decrement:.2g} from its minimum" in solution.reason


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("solve", ["newton", "gd"])
def test_separable_rows_are_said_so(solve, classes):
    X = np.array([[-3.0, 0.1], [-2.0, -0.2], [0.0, 2.0], [0.3, 3.0], [2.0, 0.1], [4.0, 0.0]])
    y = np.array([0, 0, 1, 1, 2, 2]) % classes if classes == 3 else np.array([0, 0, 1, 1, 1, 1])
    objective, options = linear(X, y), SolverOptions(max_iter=200)
    solution = (
        newton(objective, options) if solve == "newton" else minimise_gd(objective, np.zeros(objective.size), options)
    )
    assert not solution.converged
    assert solution.reason == "separable: infimum 0, no finite optimum; set l2"
    assert "l2=None" in solution.advice
    assert solution.iterations <= 40
    assert objective.is_separated(solution.point)


def test_separable_rows_are_said_so_at_the_end_of_a_tutorial():
    X, y = np.array([[-1.0], [1.0]]), np.array([0, 1])
    solution = minimise_gd(linear(X, y), np.zeros(2), SolverOptions(tol=0.0, max_iter=30))
    assert solution.iterations == 30
    assert solution.reason == "max_iter=30 iterations are used up; separable: infimum 0, no finite optimum; set l2"


def in_part(rng):
    """Rows of a dummy variable all belong to one class: the dummy's coefficient has no finite optimum."""
    X = rng.normal(size=(200, 2))
    y = (X[:, 0] + rng.logistic(size=200) > 0).astype(int)
    y[X[:, 1] > 1] = 1
    X[:, 1] = X[:, 1] > 1
    return X, y


@pytest.mark.parametrize("seed", range(5))
def test_classes_that_are_separable_in_part_have_no_finite_optimum(seed):
    solution = newton(linear(*in_part(np.random.default_rng(seed))), SolverOptions())
    assert not solution.converged
    assert "no finite optimum found" in solution.reason
    assert "l2" in solution.advice


def test_iris_has_no_finite_optimum():
    """One of its species is separable from the others."""
    X, y = load_iris(return_X_y=True)
    solution = newton(linear(X - X.mean(axis=0), y), SolverOptions())
    assert "no finite optimum found" in solution.reason


@pytest.mark.parametrize("spread", [1.0, 0.1, 1e-2])
@pytest.mark.parametrize("seed", range(5))
def test_a_finite_optimum_is_not_taken_for_an_endless_way(seed, spread):
    X, y = toy(seed=seed, rows=200, classes=2)
    X[:, 1] = X[:, 0] + spread * X[:, 1]  # columns that are nearly the same
    solution = newton(linear(X, y), SolverOptions())
    assert solution.converged


@pytest.mark.parametrize("steps", [10, 100, 1000])
def test_slow_steps_are_not_taken_for_an_endless_way(steps):
    X, y = toy()
    solution = minimise_gd(linear(X, y), np.zeros(15), SolverOptions(max_iter=steps, learning_rate=0.1))
    assert solution.reason.startswith(f"max_iter={steps} iterations are used up; F is an estimated")
    assert solution.loss - lowest(X, y, l2=0.0) == pytest.approx(solution.certificate.decrement, rel=1)


class Falling(Toy):
    """1 + exp(start - x) without a penalty: the loss flattens as x grows."""

    def certificate(self, point):
        return Certificate("radius", 0.0)

    def is_separated(self, point):
        return False


@pytest.mark.parametrize(("start", "is_endless"), [(0.0, True), (-40.0, False)])
def test_only_a_model_that_grows_is_endless(start, is_endless):
    """The same way down, away from 0 and towards it."""
    objective = Falling(lambda x: 1 + math.exp(start - x[0]), lambda x: -np.exp(start - x), is_convex=True)
    watch = Watch(objective, SolverOptions(tol=0.0), name="toy")
    for x in np.linspace(start + 10, start + 20, 11):
        point = np.array([x])
        watch.after(point, *objective.value_and_grad(point))
    assert ("no finite optimum" in watch.solution(point, watch.at_rounding()).reason) == is_endless


# -- not convex, and not even a model ---------------------------------------------------------------------------------


def test_a_loss_that_is_not_convex_stops_at_a_small_gradient_and_says_so():
    X, y = toy()
    objective = LinearObjective(DenseMatrix(X), y, loss=Focal(), outputs=3, l2=0.1)
    solution = minimise_gd(objective, np.zeros(15), SolverOptions(learning_rate=1.0))
    assert solution.converged
    assert "not convex" in solution.reason
    assert solution.gradient_norm <= 1e-6
    assert solution.certificate == objective.certificate(solution.point)
    assert solution.certificate.kind == "stationarity"


def test_a_function_without_certificate():
    solution = minimise_gd(parabola(), np.ones(1), SolverOptions(tol=1e-4))
    assert solution.converged
    assert solution.gradient_norm <= 1e-4
    assert solution.certificate == Certificate("stationarity", pytest.approx(solution.gradient_norm))
    short = minimise_gd(parabola(), np.ones(1), SolverOptions(learning_rate=0.1, max_iter=2))
    said = "the gradient's norm is 0.81 (the loss is not convex, so no bound is known)"
    assert short.reason == f"max_iter=2 iterations are used up; {said}"


@pytest.mark.parametrize("is_convex", [True, False])
@pytest.mark.parametrize("tol", [0.0, 1e-6])
def test_a_gradient_of_zero_always_ends(is_convex, tol):
    objective = parabola(is_convex=is_convex, bound=lambda x: 0.0)
    solution = minimise_gd(objective, np.zeros(1), SolverOptions(tol=tol))
    assert solution.converged
    assert solution.iterations == 0
    assert solution.reason.startswith("the gradient is zero")


def test_a_start_that_is_not_finite():
    solution = minimise_gd(Toy(lambda x: math.inf, lambda x: x * math.nan), np.zeros(1), SolverOptions())
    assert solution.reason == "the loss at the starting point is not finite"
    assert solution.certificate.value == math.inf


def test_steps_that_are_too_long_are_not_called_rounding():
    """They jump to and fro, higher than the start; others settle down after such a time."""
    solution = minimise_gd(parabola(), np.ones(1), SolverOptions(learning_rate=2.0 + 1e-6, max_iter=300))
    assert not solution.converged
    assert solution.iterations == 300
    assert "the loss rose from 1.5 to" in solution.reason
    assert "Lower learning_rate" in solution.advice
