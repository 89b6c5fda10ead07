"""Plain gradient descent, step by step as the tutorials write it: w <- w - learning_rate * gradient."""

import math

import numpy as np

from crossent.learn.objective import Objective
from crossent.learn.solvers.options import SolverOptions
from crossent.learn.solvers.watch import Watch
from crossent.learn.trace import Solution
from crossent.learn.types import Floats

__all__ = ["minimise_gd"]

_RATE = 0.1


def minimise_gd(objective: Objective, start: Floats, options: SolverOptions) -> Solution:
    """Minimise by steps against the gradient, all of the same rate.

        w <- w - learning_rate * grad F(w)

    Args:
        objective: what to minimise.
        start: flat parameters.
        options: max_iter, tol, learning_rate, on_step.
    Returns: Solution; if the loss overflows, the last finite point.
    """
    rate = _RATE if options.learning_rate is None else options.learning_rate
    watch = Watch(objective, options, name="gd")
    point = previous = start
    while True:
        value, grad = objective.value_and_grad(point)
        end = watch.after(point, float(value), grad)
        if end is not None:
            finite = math.isfinite(value) and bool(np.isfinite(grad).all())
            return watch.solution(point if finite else previous, end)
        previous = point
        point = point - rate * grad
