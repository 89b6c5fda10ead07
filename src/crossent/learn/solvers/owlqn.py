"""OWL-QN: L-BFGS for an objective with l1, which keeps every step within an orthant, where |x| is linear.

The direction comes from the secants of the smooth part and the smallest subgradient of F; entries that do not descend
are dropped, and a coordinate that would change its sign stops at exactly 0.
"""

import math

import numpy as np

from crossent.learn.objective import Objective
from crossent.learn.solvers.nonsmooth import Place, lower_place, place_at
from crossent.learn.solvers.options import SolverOptions
from crossent.learn.solvers.secants import Secants
from crossent.learn.solvers.watch import Watch
from crossent.learn.trace import Solution
from crossent.learn.types import Floats

__all__ = ["minimise_owlqn"]

MEMORY = 20


def minimise_owlqn(
    objective: Objective, start: Floats, options: SolverOptions, *, watch: Watch | None = None
) -> Solution:
    """Minimise smooth + sum_j l1_j |x_j| by orthant-wise L-BFGS.

    Args:
        objective: what to minimise, with `l1`.
        start: flat parameters with a finite value.
        options: max_iter, tol, on_step.
        watch: of a run that began before; None for its own.
    Returns: Solution; parameters that the penalty holds at 0 are exactly 0.
    Source: Andrew and Gao, Scalable training of L1-regularized log-linear models, ICML 2007.
    """
    secants = Secants(MEMORY)
    watch = watch or Watch(objective, options, name="lbfgs")
    here = place_at(objective, start)
    while True:
        end = watch.after(here.point, here.value, here.grad)
        if end is not None:
            return watch.solution(here.point, end)
        there = _next_place(objective, here, secants)
        if there is None:
            return watch.solution(here.point, watch.at_rounding())
        secants.remember(there.point - here.point, there.grad - here.grad)
        here = there


def _next_place(objective: Objective, here: Place, secants: Secants) -> Place | None:
    """A lower place along the quasi-Newton direction, or along the subgradient, or None."""
    while True:
        direction = -secants.times(here.slope)
        direction[direction * here.slope >= 0] = 0
        length = 1.0 if secants else 1.0 / max(1.0, math.sqrt(float(here.slope @ here.slope)))
        found = lower_place(objective, here, _OrthantPath(objective, here, direction).at, length)
        if found is not None or not secants:
            return found
        secants.forget()


class _OrthantPath:
    """A line from a place that is projected onto the orthant which the place and its subgradient point into."""

    def __init__(self, objective: Objective, here: Place, direction: Floats) -> None:
        self._here, self._direction = here, direction
        self._orthant = np.where(here.point == 0, -np.sign(here.slope), np.sign(here.point))
        l1 = objective.l1
        self._is_free = np.ones(objective.size, bool) if l1 is None else l1 == 0

    def at(self, step: float) -> tuple[Floats, float]:
        """The point after a step, and the change of F that the subgradient promises."""
        point = self._here.point + step * self._direction
        point[(np.sign(point) != self._orthant) & ~self._is_free] = 0
        return point, float(self._here.slope @ (point - self._here.point))
