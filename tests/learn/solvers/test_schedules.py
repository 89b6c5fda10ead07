"""Schedules of the learning rate: their values, and that they apply pass by pass."""

import math

import numpy as np
import pytest

from closeness import assert_close
from crossent.errors import OptionError
from crossent.learn.solvers import SOLVERS, SolverOptions, minimise_gd
from crossent.learn.solvers.options import SCHEDULES
from crossent.learn.solvers.schedules import factor_of
from toys import quadratic

VALUES = {
    "constant": [1, 1, 1, 1, 1, 1],
    "inverse": [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6],
    "sqrt": [1, 1 / math.sqrt(2), 1 / math.sqrt(3), 1 / 2, 1 / math.sqrt(5), 1 / math.sqrt(6)],
    "step": [1, 1, 0.1, 0.1, 0.01, 0.01],
    "cosine": [1, (2 + math.sqrt(3)) / 4, 3 / 4, 1 / 2, 1 / 4, (2 - math.sqrt(3)) / 4],
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_values(name):
    options = SolverOptions(learning_rate=1.0, schedule=name, max_iter=6)
    assert_close([factor_of(options, t) for t in range(6)], VALUES[name], rtol=1e-14)


def test_step_falls_after_each_third_also_where_three_does_not_divide():
    options = SolverOptions(learning_rate=1.0, schedule="step", max_iter=10)
    assert [round(-math.log10(factor_of(options, t))) for t in range(10)] == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_function_is_called_with_the_number_of_the_pass():
    seen = []
    options = SolverOptions(learning_rate=0.1, schedule=lambda t: seen.append(t) or 0.5, max_iter=4, tol=0.0)
    minimise_gd(quadratic([1.0, 2.0]), np.zeros(2), options)
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["gd", "sgd"])
@pytest.mark.parametrize("schedule", ["inverse", lambda t: 1 / (1 + t)], ids=["word", "function"])
def test_a_pass_is_one_step_of_the_scheduled_rate(name, schedule):
    """On a function without rows a pass is one step: 0 -> 0.5 -> 0.5 + 0.25 * 0.5 by hand."""
    options = SolverOptions(learning_rate=0.5, schedule=schedule, max_iter=2, tol=0.0)
    solution = SOLVERS[name].run(quadratic([1.0]), np.zeros(1), options)
    assert_close(solution.point, [0.5 + 0.25 * 0.5], rtol=1e-15)


@pytest.mark.parametrize("factor", [-0.5, math.nan, math.inf, None, "1", True, 1j])
def test_a_function_that_returns_something_else(factor):
    options = SolverOptions(learning_rate=0.1, schedule=lambda t: factor)
    with pytest.raises(OptionError, match=r"schedule\(0\) returned"):
        factor_of(options, 0)


def test_unknown_names_are_answered_with_the_list():
    with pytest.raises(OptionError, match=r"'inverse', 'sqrt'.*Did you mean 'cosine'"):
        SolverOptions(learning_rate=0.1, schedule="cosin")


@pytest.mark.parametrize("schedule", ["cosine", lambda t: 1.0])
def test_a_schedule_needs_a_rate_to_lower(schedule):
    with pytest.raises(OptionError, match="Pass learning_rate="):
        SolverOptions(schedule=schedule)
