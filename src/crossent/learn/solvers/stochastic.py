"""Descent by mini-batches: every pass over the rows, in an order of its own, is one iteration.

After each pass F and its gradient are computed on all rows, for the trace and the stopping rule: a second pass, counted
as such. A given learning rate is followed to the letter, on the raw coefficients, as training loops do. Without one
the solver tunes itself: a pass after which F has not fallen is undone and the rate halved, otherwise the rate grows a
little. So F never rises, and as the rate shrinks the noise of the batches does.
"""

import math

import numpy as np

from crossent.learn.objective import Objective
from crossent.learn.solvers.descent import Place, descend, place_at, stepped
from crossent.learn.solvers.options import SolverOptions
from crossent.learn.solvers.rules import RULES, State, at_rest, new_state
from crossent.learn.solvers.schedules import factor_of
from crossent.learn.trace import Solution
from crossent.learn.types import Floats

__all__ = ["minimise_stochastic"]

_BATCH = 256
_BATCHES = 16
_GROW, _SHRINK = 1.1, 0.5


def minimise_stochastic(objective: Objective, start: Floats, options: SolverOptions, *, rule: str) -> Solution:
    """Minimise by an update rule on mini-batches drawn without replacement.

    Args:
        objective: what to minimise.
        start: flat parameters.
        options: max_iter passes, tol, learning_rate and schedule, batch_size (None: a 16th of the rows, between 16 and
            256), momentum, seed, on_step.
        rule: its name in `RULES`.
    Returns: Solution at the end of the last pass, which is the lowest where the solver tunes itself; if the loss
        overflows, at the end of the pass before. The same seed gives the same bits for any number of threads.
    Raises: OptionError: what the schedule says.
    """
    passes = _Passes(objective, options, rule)
    tunes_itself = options.learning_rate is None
    advance = passes.lower if tunes_itself else passes.next
    return descend(objective, start, options, advance, name=rule, falls=tunes_itself)


class _Passes:
    """Passes over the rows, and what is kept from one to the next."""

    def __init__(self, objective: Objective, options: SolverOptions, name: str) -> None:
        self._objective, self._options = objective, options
        rule = RULES[name]
        self._update = rule.update(options.momentum)
        self._rate = rule.rate if options.learning_rate is None else options.learning_rate
        rows = objective.rows
        self._size = options.batch_size or min(_BATCH, max(16, math.ceil(rows / _BATCHES)))
        self._state = new_state(objective.size)
        self._order = np.random.default_rng(options.seed)

    def next(self, here: Place, iteration: int) -> Place:
        """The place after a pass at the given rate."""
        there, self._state = self._after_pass(here, self._rate * factor_of(self._options, iteration))
        return there

    def lower(self, here: Place, iteration: int) -> Place:
        """The place after a pass if F is lower there; otherwise the same place, to be left more slowly."""
        there, state = self._after_pass(here, self._rate)
        if there.is_finite and there.loss < here.loss:
            self._state = state
            self._rate *= _GROW
            return there
        self._rate *= _SHRINK
        self._state = at_rest(self._state)
        return here

    def _after_pass(self, here: Place, rate: float) -> tuple[Place, State]:
        point, state, l1 = here.point, self._state, self._objective.l1
        with np.errstate(over="ignore", invalid="ignore"):
            for batch in self._objective.batches(self._size, self._order):
                state, direction, unit = self._update(state, batch.value_and_grad(point).grad)
                point = stepped(point, direction, rate, l1, unit)
        return place_at(self._objective, point), state
