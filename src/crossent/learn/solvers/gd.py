"""Gradient descent on all rows: as tutorials write it with a given learning rate, or with steps that fit themselves.

Without a learning rate an iteration first tries Barzilai and Borwein's length s.y / y.y, for the last step s and the
change y of the gradient over it. Until F falls by at least _SHARE |s|^2 / (2 rate), the step is halved: as often as it
takes to be shorter than twice the length at which F would be lowest, s.s / s.y of the step that failed. (That length
itself leads into a zigzag.) So F falls in every iteration, and nothing has to be known: a step of 1 / L falls enough.
"""

import math

import numpy as np

from crossent.learn.objective import Objective
from crossent.learn.solvers.descent import descend, stepped
from crossent.learn.solvers.line_search import ROUNDING
from crossent.learn.solvers.nonsmooth import Place, place_at
from crossent.learn.solvers.options import SolverOptions
from crossent.learn.solvers.schedules import factor_of
from crossent.learn.trace import Solution
from crossent.learn.types import Floats

__all__ = ["minimise_gd"]

_SHARE = 1e-4
_TRIALS = 60
_LONGEST = 1e12


def minimise_gd(objective: Objective, start: Floats, options: SolverOptions) -> Solution:
    """Minimise by steps against the gradient of all rows.

        w <- soft(w - rate * grad(w), rate * l1)          without l1: w <- w - rate * grad(w)

    Args:
        objective: what to minimise.
        start: flat parameters.
        options: max_iter, tol, learning_rate and schedule, on_step.
    Returns: Solution at the last point; if the loss overflows, at the one before.
    Raises: OptionError: what the schedule says.
    Source: Barzilai and Borwein, IMA J. Numer. Anal. 8 (1988), 141-148; with l1: Wright, Nowak and Figueiredo, IEEE
        Trans. Signal Process. 57 (2009), 2479-2493 (SpaRSA, monotone).
    """
    if options.learning_rate is None:
        return descend(objective, start, options, _Fitting(objective).advance, name="gd", falls=True)
    given = options.learning_rate

    def advance(here: Place, iteration: int) -> Place:
        rate = given * factor_of(options, iteration)
        return place_at(objective, stepped(here.point, here.grad, rate, objective.l1))

    ought_to_fall = options.tol > 0 and options.schedule == "constant"  # with tol=0 every step asked for is made
    return descend(objective, start, options, advance, name="gd", falls=ought_to_fall)


class _Fitting:
    """Steps whose lengths follow the curvature that the last one met."""

    def __init__(self, objective: Objective) -> None:
        self._objective, self._rate = objective, 1.0

    def advance(self, here: Place, iteration: int) -> Place | None:
        """A lower place; None if there is none that rounding shows."""
        for _ in range(_TRIALS):
            rate = self._rate
            there = place_at(self._objective, stepped(here.point, here.grad, rate, self._objective.l1))
            with np.errstate(over="ignore", invalid="ignore"):
                step, change = there.point - here.point, there.grad - here.grad
                square, bend, changed = float(step @ step), float(step @ change), float(change @ change)
            fall = _SHARE * square / (2 * rate)
            if there.is_finite and there.loss <= here.loss - fall + ROUNDING * abs(here.loss):
                self._rate = min(bend / changed if bend > 0 and changed > 0 else 2 * rate, _LONGEST)
                return there
            is_known = there.is_finite and square > 0
            self._rate = rate / 2 ** _halvings(rate * bend / (1.9 * square) if is_known else math.inf)
        return None


def _halvings(ratio: float) -> int:
    """How often to halve what is `ratio` times too long, at least once; 4 times where that is not known."""
    if not math.isfinite(ratio):
        return 4
    return min(max(1, math.ceil(math.log2(ratio))), 60) if ratio > 0 else 1
