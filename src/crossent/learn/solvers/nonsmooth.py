"""Steps of solvers for F = smooth + sum l1_j |x_j|: a place with all that is known of it, and the way down from it."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from crossent.learn.objective import Objective, nonsmooth_gradient, penalty_l1
from crossent.learn.solvers.line_search import DECREASE, MAX_PROBES, ROUNDING
from crossent.learn.types import Floats

__all__ = ["Place", "linear_change", "lower_place", "place_at"]


class Place(NamedTuple):
    """A point, value and gradient of the smooth part there, F, and the smallest subgradient of F."""

    point: Floats
    value: float
    grad: Floats
    loss: float
    slope: Floats

    @property
    def is_finite(self) -> bool:
        """Whether value and gradient are numbers to compute with."""
        return math.isfinite(self.value) and bool(np.isfinite(self.grad).all())


def place_at(objective: Objective, point: Floats) -> Place:
    """The objective at a point: one pass over the rows."""
    value, grad = objective.value_and_grad(point)
    loss = float(value) + penalty_l1(objective, point)
    return Place(point, float(value), grad, loss, nonsmooth_gradient(objective, point, grad))


def linear_change(l1: Floats, grad: Floats, start: Floats, target: Floats) -> float:
    """grad . (target - start) + sum l1 (|target| - |start|): the change of F if its smooth part were linear.

    Coordinate by coordinate, since near the minimum the two sums cancel each other: grad + l1 sign(x) is nearly 0.

    >>> linear_change(np.ones(2), np.array([-1.0, 0.5]), np.array([1.0, 1.0]), np.array([4.0, -1.0]))
    -1.0
    """
    move = target - start
    is_one_side = start * target >= 0
    kinked = grad * move + l1 * (np.abs(target) - np.abs(start))
    return float(np.sum(np.where(is_one_side, move * (grad + l1 * np.sign(start + target)), kinked)))


def lower_place(
    objective: Objective, here: Place, path: Callable[[float], tuple[Floats, float]], first: float = 1.0
) -> Place | None:
    """The first place with enough decrease on a path, for steps first, first / 2, first / 4, ...

    Near the minimum the decrease drowns in the rounding of F; there a smaller subgradient on the same level counts.

    Args:
        path: step > 0 -> the point and the change of F that a linear model promises, < 0.
    Returns: the place; None if there is none.
    """
    step, level = first, here.loss + ROUNDING * abs(here.loss)
    for _ in range(MAX_PROBES):
        point, promise = path(step)
        if not promise < 0:
            return None
        there = place_at(objective, point)
        if there.loss < here.loss and there.loss <= here.loss + DECREASE * promise:
            return there
        if there.loss <= level and _steepness(there) < _steepness(here):
            return there
        step *= 0.5 if math.isfinite(there.loss) else 0.1
    return None


def _steepness(place: Place) -> float:
    return float(np.max(np.abs(place.slope), initial=0.0))
