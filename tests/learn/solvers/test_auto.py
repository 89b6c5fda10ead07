"""auto: begins on a part of the rows where there are plenty, and never at the cost of the result."""

import numpy as np
import pytest

from closeness import assert_close
from crossent.core.matrix import DenseMatrix
from crossent.learn.solvers import SOLVERS, SolverOptions
from crossent.learn.solvers.auto import LEAST_ROWS
from crossent.learn.training import prepared


def many_rows(count=3 * LEAST_ROWS, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 3))
    y = (random.random(count) < 1 / (1 + np.exp(-(x @ [1.0, -0.5, 0.2]) - 0.3))).astype(np.int64)
    return x, y


def run(x, y, start=None, name="auto", **options):
    objective = prepared(DenseMatrix(x), y, outputs=1, l2=1e-4)
    first = np.zeros(objective.size) if start is None else start
    return SOLVERS[name].run(objective, first, SolverOptions(**options)), objective


def test_the_minimum_is_that_of_all_rows():
    x, y = many_rows()
    ours, _ = run(x, y, tol=1e-13)
    theirs, _ = run(x, y, name="newton", tol=1e-13)
    assert ours.converged
    assert_close(ours.point, theirs.point, bound=1e-6)


def test_the_first_step_is_the_start_and_the_second_is_lower():
    x, y = many_rows()
    solution, objective = run(x, y)
    assert solution.steps[0].loss == objective.value_and_grad(np.zeros(objective.size)).value
    assert solution.steps[1].loss < solution.steps[0].loss
    passes = [step.passes for step in solution.steps]
    assert passes == sorted(set(passes))


def test_fewer_passes_than_on_all_rows_alone():
    x, y = many_rows(30 * LEAST_ROWS)
    auto, _ = run(x, y)
    alone, _ = run(x, y, name="lbfgs")
    assert auto.steps[-1].passes < alone.steps[-1].passes


def test_rows_that_mislead_are_left_behind():
    """Every third row says the contrary of all others: what they lead to is higher than the start, and is dropped."""
    x, y = many_rows()
    y = (x[:, 0] > 0).astype(np.int64)
    y[::3] = 1 - y[::3]
    solution, _ = run(x, y, tol=1e-10)
    expected, _ = run(x, y, name="newton", tol=1e-10)
    losses = [step.loss for step in solution.steps]
    assert losses == sorted(losses, reverse=True)
    assert solution.loss == pytest.approx(expected.loss, rel=1e-9)


def test_a_start_that_knows_something_is_kept():
    x, y = many_rows()
    best, _ = run(x, y, tol=1e-10)
    again, _ = run(x, y, start=best.point, tol=1e-9)
    assert again.converged
    assert again.iterations == 0


def test_a_class_of_few_rows_is_not_lost():
    x, y = many_rows()
    y[:] = 0
    y[[1, 2, 4]] = 1  # none of them among every third row
    solution, _ = run(x, y)
    assert solution.converged


def test_callbacks_may_stop_at_the_start():
    x, y = many_rows()
    solution, _ = run(x, y, on_step=lambda step, point: True)
    assert solution.iterations == 0
    assert "callback" in solution.reason
