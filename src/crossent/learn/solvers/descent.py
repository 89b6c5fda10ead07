"""What the gradient descent family shares: the loop around one step (or one pass), and the step with its l1 part."""

from collections.abc import Callable
from itertools import count

import numpy as np

from crossent.learn.objective import Objective
from crossent.learn.solvers.nonsmooth import Place, place_at
from crossent.learn.solvers.options import SolverOptions
from crossent.learn.solvers.watch import Watch
from crossent.learn.trace import Solution
from crossent.learn.types import Floats

__all__ = ["descend", "stepped"]


def stepped(point: Floats, direction: Floats, rate: float, l1: Floats | None, unit: Floats | float = 1.0) -> Floats:
    """The proximal step: soft(x - rate * direction, rate * unit * l1), soft(v, h) = sign(v) max(|v| - h, 0).

    It minimises direction . x' + |x' - x|^2 / (2 rate) + unit * sum_j l1_j |x'_j| over x', each coordinate with a rate
    of its own where `direction` and `unit` are in proportion to it. Exact zeros are +0.

    >>> stepped(np.array([1.0, 0.1]), np.array([2.0, 0.0]), 0.25, np.array([1.0, 1.0])).tolist()
    [0.25, 0.0]
    """
    with np.errstate(over="ignore", invalid="ignore"):  # the objective answers infinity with infinity
        moved: Floats = point - rate * direction
        if l1 is None:
            return moved
        threshold = rate * unit * l1
        return moved - np.clip(moved, -threshold, threshold)


def descend(
    objective: Objective,
    start: Floats,
    options: SolverOptions,
    advance: Callable[[Place, int], Place | None],
    *,
    name: str,
    falls: bool,
) -> Solution:
    """Go from place to place until the watch says that it is enough.

    Args:
        objective, start, options: of the solver.
        advance: (place, iteration) -> the next place; None where there is no lower one.
        name: of the solver.
        falls: whether to end at a standstill of F; otherwise all max_iter iterations are made.
    Returns: Solution at the last place; if F overflows there, at the one before.
    """
    watch = Watch(objective, options, name=name, falls=falls)
    here = last = place_at(objective, start)
    for iteration in count():
        end = watch.after(here.point, here.value, here.grad)
        if end is not None:
            return watch.solution(here.point if here.is_finite else last.point, end)
        there = advance(here, iteration)
        if there is None:
            return watch.solution(here.point, watch.at_rounding())
        last, here = here, there
    raise AssertionError
