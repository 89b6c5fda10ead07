"""Plain gradient descent, step by step as the tutorials write it: w <- w - learning_rate * gradient."""

import math

import numpy as np

from crossent.learn.objective import Objective
from crossent.learn.solvers.options import SolverOptions
from crossent.learn.trace import Solution, StepLog
from crossent.learn.types import Floats

__all__ = ["minimise_gd"]


def minimise_gd(objective: Objective, start: Floats, options: SolverOptions) -> Solution:
    """Minimise by `max_iter` steps against the gradient, all of the same rate.

        w <- w - learning_rate * grad F(w)

    Stops before `max_iter` only where the largest gradient entry is <= tol. With tol=0 that is a gradient of
    exactly zero, where every further step would change nothing.

    Args:
        objective: what to minimise.
        start: flat parameters.
        options: max_iter, tol, learning_rate, on_step.
    Returns: Solution; if the loss overflows, the last finite point.
    """
    point = previous = start
    log = StepLog(options.on_step)
    while True:
        value, grad = objective.value_and_grad(point)
        norm = float(np.max(np.abs(grad), initial=0.0))
        if not (math.isfinite(value) and math.isfinite(norm)):
            if not log.steps:
                log.add(float(value), norm)
            return _diverged(previous, log, options)
        log.add(float(value), norm)
        if norm <= options.tol:
            reason = f"the largest gradient entry {norm:.3g} is within tol={options.tol:g}"
            return Solution(point, tuple(log.steps), True, reason)
        if len(log.steps) > options.max_iter:
            return _out_of_steps(point, log, options)
        previous = point
        point = point - options.learning_rate * grad


def _out_of_steps(point: Floats, log: StepLog, options: SolverOptions) -> Solution:
    first, last = log.steps[0], log.steps[-1]
    reason = (
        f"max_iter={options.max_iter} iterations are used up and the largest gradient entry is still "
        f"{last.gradient_norm:.3g} (tol={options.tol:g})"
    )
    if last.loss > first.loss:
        reason += f"; the loss rose from {first.loss:.6g} to {last.loss:.6g}"
        advice = _shorter_steps(options)
    else:
        advice = (
            f"Raise max_iter or learning_rate (now {options.learning_rate:g}), standardise the features, "
            f"or use solver='lbfgs'."
        )
    return Solution(point, tuple(log.steps), False, reason, advice)


def _diverged(point: Floats, log: StepLog, options: SolverOptions) -> Solution:
    reason = f"the loss overflowed in iteration {len(log.steps)}: the steps are too long"
    return Solution(point, tuple(log.steps), False, reason, _shorter_steps(options))


def _shorter_steps(options: SolverOptions) -> str:
    rate = f"{options.learning_rate:g}"
    return f"Lower learning_rate (now {rate}), standardise the features, or use solver='lbfgs'."
