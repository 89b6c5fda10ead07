"""Descent by mini-batches: every pass over the rows, in an order of its own, is one iteration.

After each pass F and its gradient are computed on all rows, for the trace and the stopping rule: a second pass, counted
as such. A given learning rate is followed to the letter, on the raw coefficients, as training loops do. Without one the
solver tunes itself: the rate grows by 1.3 after a pass in which F fell and halves after one in which it rose, so that
it shrinks where the noise of the batches decides; a pass that leads above the start or to twice the F is undone,
and the next one sets out without momentum at a quarter of the rate.
"""

import math

import numpy as np

from crossent.learn.objective import Objective
from crossent.learn.solvers.descent import descend, stepped
from crossent.learn.solvers.nonsmooth import Place, place_at
from crossent.learn.solvers.options import SolverOptions
from crossent.learn.solvers.rules import RULES, State, at_rest, new_state
from crossent.learn.solvers.schedules import factor_of
from crossent.learn.trace import Solution
from crossent.learn.types import Floats

__all__ = ["minimise_stochastic"]

_LEAST_BATCH, _BATCH, _BATCHES = 16, 256, 16
_GROW, _SHRINK, _RETREAT = 1.3, 0.5, 0.25


def minimise_stochastic(objective: Objective, start: Floats, options: SolverOptions, *, rule: str) -> Solution:
    """Minimise by an update rule on mini-batches drawn without replacement.

    Args:
        objective: what to minimise.
        start: flat parameters.
        options: max_iter passes, tol, learning_rate and schedule, batch_size (None: a 16th of the rows, between 16 and
            256), momentum, seed, on_step.
        rule: its name in `RULES`.
    Returns: Solution at the end of the last pass; if the loss overflows, at the end of the pass before. The same seed
        gives the same bits for any number of threads.
    Raises: OptionError: what the schedule says.
    """
    passes = _Passes(objective, options, rule)
    advance = passes.tuned if options.learning_rate is None else passes.given
    return descend(objective, start, options, advance, name=rule, falls=False)


class _Passes:
    """Passes over the rows, and what is kept from one to the next."""

    def __init__(self, objective: Objective, options: SolverOptions, name: str) -> None:
        self._objective, self._options = objective, options
        rule = RULES[name]
        self._update = rule.update(options.momentum)
        self._rate = rule.rate if options.learning_rate is None else options.learning_rate
        self._size = options.batch_size or min(_BATCH, max(_LEAST_BATCH, math.ceil(objective.rows / _BATCHES)))
        self._state = new_state(objective.size)
        self._order = np.random.default_rng(options.seed)
        self._first_loss = math.inf

    def given(self, here: Place, iteration: int) -> Place:
        """The place after a pass at the scheduled rate."""
        there, self._state = self._after_pass(here, self._rate * factor_of(self._options, iteration), even=False)
        return there

    def tuned(self, here: Place, iteration: int) -> Place:
        """The place after a pass at the solver's own rate; the same place if that one is far too high."""
        if iteration == 0:
            self._first_loss = here.loss
        there, state = self._after_pass(here, self._rate, even=True)
        too_high = min(self._first_loss, here.loss + abs(here.loss))
        if not there.is_finite or there.loss > too_high:
            self._rate *= _RETREAT
            self._state = at_rest(self._state)
            return here
        self._rate *= _GROW if there.loss < here.loss else _SHRINK
        self._state = state
        return there

    def _after_pass(self, here: Place, rate: float, *, even: bool) -> tuple[Place, State]:
        """`even`: every row counts the same, so that the short batch makes a shorter step; then short steps add up to
        one against the whole gradient, whatever the order. Otherwise every batch makes a whole step, as training loops
        do."""
        point, state, l1 = here.point, self._state, self._objective.l1
        with np.errstate(over="ignore", invalid="ignore"):
            for batch in self._objective.batches(self._size, self._order):
                state, direction, unit = self._update(state, batch.value_and_grad(point).grad)
                own_rate = rate * batch.rows / self._size if even else rate
                point = stepped(point, direction, own_rate, l1, unit)
        return place_at(self._objective, point), state
