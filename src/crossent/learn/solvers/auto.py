"""auto: the quickest way for the problem at hand, with nothing to tune.

Many rows say the same many times over. So where there are far more rows than parameters of a logit, the first
iterations run on every so-many-th row; the rows of the whole are read for the last digits only. Then L-BFGS, whose
preconditioner makes it about Newton's method for one logit. With an l1 penalty proximal Newton steps for models whose
Hessian is cheap (on digits 9 iterations where OWL-QN takes hundreds), and OWL-QN for others.
"""

from dataclasses import replace

import numpy as np

from crossent.core.types import LossGrad
from crossent.learn.objective import Objective
from crossent.learn.solvers.lbfgs import minimise_lbfgs
from crossent.learn.solvers.newton import LARGEST_HESSIAN_L1, minimise_newton
from crossent.learn.solvers.options import SolverOptions
from crossent.learn.solvers.watch import Watch
from crossent.learn.trace import Solution
from crossent.learn.types import Floats

__all__ = ["minimise_auto"]

LEAST_ROWS = 1 << 14  # of the first iterations
ROWS_PER_PARAMETER = 64
FIRST_TOL, FIRST_ITERATIONS = 1e-4, 50


def minimise_auto(objective: Objective, start: Floats, options: SolverOptions) -> Solution:
    """Minimise by L-BFGS, begun on a part of the rows where there are plenty; small models with l1 by Newton steps.

    Args:
        objective: what to minimise.
        start: flat parameters.
        options: max_iter, tol, on_step.
    Returns: Solution; its first two steps are the start and where a part of the rows led to, if that is lower.
    """
    if objective.l1 is not None and objective.is_convex and objective.size <= LARGEST_HESSIAN_L1:
        return minimise_newton(objective, start, options)
    watch = Watch(objective, options, name="auto")
    few = _few_rows(objective, start, options)
    if few is None:
        return minimise_lbfgs(objective, start, options, watch=watch)
    value, grad = objective.value_and_grad(start)
    end = watch.after(start, float(value), grad)
    if end is not None:
        return watch.solution(start, end)
    first = replace(
        options, tol=max(options.tol, FIRST_TOL), max_iter=min(options.max_iter, FIRST_ITERATIONS), on_step=None
    )
    found = minimise_lbfgs(few, start, first).point
    objective.passes += few.passes * few.rows / objective.rows
    known = objective.value_and_grad(found)
    if not known.value < value:
        return minimise_lbfgs(objective, start, options, watch=watch, known=LossGrad(value, grad))
    return minimise_lbfgs(objective, found, options, watch=watch, known=known)


def _few_rows(objective: Objective, start: Floats, options: SolverOptions) -> Objective | None:
    """Every so-many-th row for the first iterations, where there are plenty and the start knows nothing yet."""
    width = objective.size // objective.outputs
    step = objective.rows // max(LEAST_ROWS, ROWS_PER_PARAMETER * width)
    if step < 2 or np.any(start) or not objective.is_convex or objective.l1 is not None or options.tol == 0:
        return None
    return objective.thinned(step)
