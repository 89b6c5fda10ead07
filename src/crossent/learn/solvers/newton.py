"""Newton's method: few iterations, each with the curvature of all rows.

Small models form the Hessian and factorise it; for others conjugate gradients take products with it and stop early far
from the minimum (truncated Newton), preconditioned by the gram. Both are one path: the factor of the whole Hessian is
just a preconditioner so good that one or two products make the step exact, also where its ridge is felt. A Hessian is
singular along what the model cannot tell apart (one number added to all logits, collinear columns); the gradient has no
part there, so neither has the step, beyond rounding.

With l1 the step goes to the minimum of the quadratic model with the penalty (`proximal`).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from crossent.learn.objective import Objective
from crossent.learn.solvers.conjugate import Product, conjugate_gradients
from crossent.learn.solvers.nonsmooth import Place, linear_change, lower_place, place_at
from crossent.learn.solvers.options import SolverOptions
from crossent.learn.solvers.preconditioner import LARGEST_WIDTH, Preconditioner, floored, inverse_root
from crossent.learn.solvers.proximal import BlockFaces, Faces, Quadratic, soft_threshold
from crossent.learn.solvers.watch import LEAST_LOSS, Watch
from crossent.learn.trace import Solution
from crossent.learn.types import Floats

__all__ = ["minimise_newton"]

LARGEST_HESSIAN = 300  # parameters of a model whose Hessian is formed; above it a few products cost less
LARGEST_HESSIAN_L1 = 1000  # the same with l1, where a step takes hundreds of products
MOST_PRODUCTS = 250


def minimise_newton(objective: Objective, start: Floats, options: SolverOptions) -> Solution:
    """Minimise a convex function by Newton steps with a line search.

        x <- x - t H^-1 g,   H the Hessian and g the gradient of F at x, t = 1, 1/2, 1/4, ... until F falls enough

    Args:
        objective: what to minimise, with its Hessian; `l1` may be set.
        start: flat parameters with a finite value.
        options: max_iter, tol, on_step.
    Returns: Solution; its losses never rise by more than the rounding of the value, and parameters that an l1 penalty
        holds at 0 are exactly 0.
    Raises: UnsupportedError for a loss without a convex Hessian, before any work.
    Source: Nocedal and Wright, Numerical Optimization, algorithm 7.1; Lee, Sun and Saunders, SIAM J. Optim. 24 (2014).
    """
    if not objective.is_convex:
        objective.hvp(start)  # raises, and says what is missing
    model = _SmoothModel(objective) if objective.l1 is None else _PenalisedModel(objective)
    watch = Watch(objective, options, name="newton")
    here = place_at(objective, start)
    while True:
        move = None if _is_decided_without(objective, here, options.tol) else model.move(here)
        end = watch.after(here.point, here.value, here.grad, decrement=math.nan if move is None else move.decrement)
        if end is not None:
            return watch.solution(here.point, end)
        there = _next_place(objective, here, move or model.move(here))
        if there is None:
            return watch.solution(here.point, watch.at_rounding())
        here = there


def _is_decided_without(objective: Objective, here: Place, tol: float) -> bool:
    """Whether the watch will most likely stop here without the Newton decrement, which costs as much as a step."""
    if not math.isfinite(here.loss) or not here.slope.any():
        return True
    return objective.bound_estimate(here.grad) <= tol * max(here.loss, LEAST_LOSS)


class _Move(NamedTuple):
    """Where to go, the change of F that a linear model promises up to there (< 0), and an estimate of F - F*."""

    target: Floats
    promise: float
    decrement: float


def _next_place(objective: Objective, here: Place, move: _Move) -> Place | None:
    """A lower place on the way to the target; where rounding has spoilt that, along the gradient; or None."""
    l1 = np.zeros_like(here.point) if objective.l1 is None else objective.l1

    def towards(step: float) -> tuple[Floats, float]:
        point = move.target if step == 1 else here.point + step * (move.target - here.point)
        return point, step * move.promise

    def downhill(step: float) -> tuple[Floats, float]:
        point = soft_threshold(here.point - step * here.grad, step * l1)
        return point, linear_change(l1, here.grad, here.point, point)

    return lower_place(objective, here, towards) or lower_place(objective, here, downhill)


def _early(size: float) -> float:
    """What may remain of a gradient of that size: much far from the minimum, less and less near it."""
    return min(0.3, math.sqrt(size))


def _exact(size: float) -> float:
    """The same where a product or two are exact."""
    return 1e-6


def _near(size: float) -> float:
    """The same where products cost less than the Hessian."""
    return min(0.03, math.sqrt(size))


class _SmoothModel:
    """Newton steps of a smooth objective."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._preconditioner: Preconditioner | None = None
        self._loss = math.inf  # where that was made

    def move(self, here: Place) -> _Move:
        product, precondition, accuracy = self._parts(here)
        found = conjugate_gradients(
            product, -here.grad, precondition=precondition, accuracy=accuracy, most=MOST_PRODUCTS
        )
        return _Move(here.point + found.x, float(here.grad @ found.x), found.reduction / 2)

    def _parts(self, here: Place) -> tuple[Product, Product, Callable[[float], float]]:
        if self._objective.size <= LARGEST_HESSIAN:
            hessian = self._objective.hessian(here.point)
            root = inverse_root(hessian.copy())
            return hessian.__matmul__, lambda v: root.T @ (root @ v), _exact
        if self._preconditioner is None or here.loss <= self._loss / 2:  # it costs as much as several products
            self._preconditioner, self._loss = Preconditioner.at(self._objective, here.point), here.loss
        return self._objective.hvp(here.point), self._preconditioner.times, _early


class _PenalisedModel:
    """Proximal Newton steps of an objective with l1."""

    def __init__(self, objective: Objective) -> None:
        assert objective.l1 is not None
        self._objective, self._l1 = objective, objective.l1

    def move(self, here: Place) -> _Move:
        product, diagonal, faces, accuracy = self._parts(here)
        quadratic = Quadratic(
            self._objective, start=here.point, grad=here.grad, product=product, diagonal=diagonal, faces=faces
        )
        target, decrement = quadratic.minimum(accuracy)
        return _Move(target, linear_change(self._l1, here.grad, here.point, target), decrement)

    def _parts(self, here: Place) -> tuple[Product, Floats, Faces, Callable[[float], float]]:
        objective = self._objective
        if objective.size <= LARGEST_HESSIAN_L1:
            hessian = objective.hessian(here.point)
            return hessian.__matmul__, floored(hessian.diagonal()), BlockFaces(hessian), _near
        product = objective.hvp(here.point)
        if objective.size // objective.outputs <= LARGEST_WIDTH:
            gram = objective.gram(here.point)
            return product, np.tile(floored(gram.diagonal()), objective.outputs), BlockFaces(gram), _early
        diagonal = np.tile(floored(objective.gram_diagonal(here.point)), objective.outputs)
        return product, diagonal, lambda free: lambda v: v / diagonal, _early
