"""L-BFGS: the quasi-Newton method for many parameters; needs no learning rate.

Each iteration steps along -H g, where H approximates the inverse Hessian from the last MEMORY steps s and
gradient changes y (two-loop recursion: Nocedal and Wright, Numerical Optimization, algorithm 7.4). The line
search keeps s . y > 0. Where a search finds nothing, the memory is forgotten once and the gradient itself is
tried: only if that fails as well has rounding put an end to the descent.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from crossent.learn.objective import Objective
from crossent.learn.solvers.line_search import Probe, wolfe_step
from crossent.learn.solvers.options import SolverOptions
from crossent.learn.solvers.watch import Watch
from crossent.learn.trace import Solution
from crossent.learn.types import Floats

__all__ = ["minimise_lbfgs"]

MEMORY = 20


class _Pair(NamedTuple):
    """A step, the change of the gradient over it, and their product."""

    step: Floats
    change: Floats
    product: float


def minimise_lbfgs(objective: Objective, start: Floats, options: SolverOptions) -> Solution:
    """Minimise a smooth function by L-BFGS with a strong Wolfe line search.

    Args:
        objective: what to minimise; an infinite value marks a point as out of bounds.
        start: flat parameters with a finite value.
        options: max_iter, tol, on_step.
    Returns: Solution; its losses never rise by more than the rounding of the value.
    Source: Liu and Nocedal, Mathematical Programming 45 (1989), 503-528.
    """
    pairs: deque[_Pair] = deque(maxlen=MEMORY)
    watch = Watch(objective, options, name="lbfgs")
    value, grad = objective.value_and_grad(start)
    here = Probe(0.0, float(value), 0.0, start, grad)
    while True:
        end = watch.after(here.point, here.value, here.grad)
        if end is not None:
            return watch.solution(here.point, end)
        there = _next_probe(objective, here, pairs)
        if there is None:
            return watch.solution(here.point, watch.at_rounding())
        _remember(pairs, here, there)
        here = there


def _next_probe(objective: Objective, here: Probe, pairs: deque[_Pair]) -> Probe | None:
    """A better point along the quasi-Newton direction, or along the gradient, or None."""
    while True:
        direction = -_times_inverse_hessian(here.grad, pairs)
        slope = float(here.grad @ direction)
        if math.isfinite(slope) and slope < 0:
            length = 1.0 if pairs else min(1.0, 1.0 / math.sqrt(float(here.grad @ here.grad)))
            found = wolfe_step(_along(objective, here, direction), here._replace(step=0.0, slope=slope), length)
            if found is not None:
                return found
        if not pairs:
            return None
        pairs.clear()


def _along(objective: Objective, here: Probe, direction: Floats) -> Callable[[float], Probe]:
    """The objective along a line, as a function of the step length."""

    def evaluate(step: float) -> Probe:
        point = here.point + step * direction
        value, grad = objective.value_and_grad(point)
        return Probe(step, float(value), float(grad @ direction), point, grad)

    return evaluate


def _times_inverse_hessian(grad: Floats, pairs: deque[_Pair]) -> Floats:
    """H grad by the two-loop recursion; the gradient itself while the memory is empty."""
    vector = grad.copy()
    if not pairs:
        return vector
    shares: list[float] = []
    for pair in reversed(pairs):
        share = float(pair.step @ vector) / pair.product
        vector -= share * pair.change
        shares.append(share)
    newest = pairs[-1]
    vector *= newest.product / float(newest.change @ newest.change)
    for pair, share in zip(pairs, reversed(shares), strict=True):
        vector += (share - float(pair.change @ vector) / pair.product) * pair.step
    return vector


def _remember(pairs: deque[_Pair], here: Probe, there: Probe) -> None:
    """Add the step just made, unless rounding has eaten its curvature."""
    step, change = there.point - here.point, there.grad - here.grad
    product = float(step @ change)
    if product > 2.0**-52 * math.sqrt(float(step @ step) * float(change @ change)):
        pairs.append(_Pair(step, change, product))
