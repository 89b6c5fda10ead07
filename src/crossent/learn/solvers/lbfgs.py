"""L-BFGS: the quasi-Newton method for many parameters; needs no learning rate.

Each iteration steps along -H g, where H approximates the inverse Hessian from the last MEMORY steps s and
gradient changes y. The line search keeps s . y > 0. Where a search finds nothing, the memory is forgotten once and the
gradient itself is tried: only if that fails as well has rounding put an end to the descent.
"""

import math
from collections.abc import Callable

from crossent.learn.objective import Objective
from crossent.learn.solvers.line_search import Probe, wolfe_step
from crossent.learn.solvers.options import SolverOptions
from crossent.learn.solvers.owlqn import minimise_owlqn
from crossent.learn.solvers.secants import Secants
from crossent.learn.solvers.watch import Watch
from crossent.learn.trace import Solution
from crossent.learn.types import Floats

__all__ = ["minimise_lbfgs"]

MEMORY = 20


def minimise_lbfgs(objective: Objective, start: Floats, options: SolverOptions) -> Solution:
    """Minimise a smooth function by L-BFGS with a strong Wolfe line search.

    Args:
        objective: what to minimise; an infinite value marks a point as out of bounds.
        start: flat parameters with a finite value.
        options: max_iter, tol, on_step.
    Returns: Solution; its losses never rise by more than the rounding of the value. With l1 that of `owlqn`.
    Source: Liu and Nocedal, Mathematical Programming 45 (1989), 503-528.
    """
    if objective.l1 is not None:
        return minimise_owlqn(objective, start, options)
    secants = Secants(MEMORY)
    watch = Watch(objective, options, name="lbfgs")
    value, grad = objective.value_and_grad(start)
    here = Probe(0.0, float(value), 0.0, start, grad)
    while True:
        end = watch.after(here.point, here.value, here.grad)
        if end is not None:
            return watch.solution(here.point, end)
        there = _next_probe(objective, here, secants)
        if there is None:
            return watch.solution(here.point, watch.at_rounding())
        secants.remember(there.point - here.point, there.grad - here.grad)
        here = there


def _next_probe(objective: Objective, here: Probe, secants: Secants) -> Probe | None:
    """A better point along the quasi-Newton direction, or along the gradient, or None."""
    while True:
        direction = -secants.times(here.grad)
        slope = float(here.grad @ direction)
        if math.isfinite(slope) and slope < 0:
            length = 1.0 if secants else min(1.0, 1.0 / math.sqrt(float(here.grad @ here.grad)))
            found = wolfe_step(_along(objective, here, direction), here._replace(step=0.0, slope=slope), length)
            if found is not None:
                return found
        if not secants:
            return None
        secants.forget()


def _along(objective: Objective, here: Probe, direction: Floats) -> Callable[[float], Probe]:
    """The objective along a line, as a function of the step length."""

    def evaluate(step: float) -> Probe:
        point = here.point + step * direction
        value, grad = objective.value_and_grad(point)
        return Probe(step, float(value), float(grad @ direction), point, grad)

    return evaluate
