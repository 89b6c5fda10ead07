"""What a solver sees: a function of flat parameters with its derivatives, and never a row.

So a solver that serves rows in memory (`linear_objective.LinearObjective`) may serve rows on disk or on other machines.

    F(x) = smooth(x) + sum_j l1_j |x_j|

`point.reshape(outputs, -1)` has one row of parameters for each logit; the last one is the intercept if there is one.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from crossent.core.types import LossGrad
from crossent.learn.certificate import Certificate
from crossent.learn.types import Floats

__all__ = ["Objective", "nonsmooth_gradient", "penalty_l1"]


class Objective(Protocol):
    """F of a linear model; all derivatives are those of its smooth part."""

    passes: float  # how often the rows were read so far

    @property
    def size(self) -> int:
        """Number of parameters."""

    @property
    def outputs(self) -> int:
        """Number of logits."""

    @property
    def rows(self) -> int:
        """Number of rows of weight > 0."""

    @property
    def is_convex(self) -> bool:
        """Whether every minimum is the global one. Then there are `hvp`, `gram`, `hessian` and a certificate."""

    @property
    def l1(self) -> Floats | None:
        """[size] factors >= 0 of the |x_j|; None: F is smooth."""

    @property
    def l2(self) -> Floats:
        """[size] factors >= 0: smooth contains sum_j l2_j x_j^2 / 2."""

    def value_and_grad(self, point: Floats) -> LossGrad:
        """The smooth part and its gradient [size]; value inf where the point is out of bounds."""

    def hvp(self, point: Floats) -> Callable[[Floats], Floats]:
        """The product of the Hessian at a point with a vector, as a function of the vector.

        Raises: UnsupportedError where the loss has no Hessian here.
        """

    def gram(self, point: Floats) -> Floats:
        """[width, width], width = size / outputs: about every logit's block of the Hessian; positive semi-definite.

            sum_i c_i u_i u_i^T / mass + penalty,   c_i the mean over the logits of row i's curvature at the point

        It may be taken from a part of the rows that tells as much (see `LinearObjective._enough_rows`).
        Raises: UnsupportedError where the loss has no Hessian here.
        """

    def gram_diagonal(self, point: Floats) -> Floats:
        """The diagonal of `gram` [width], for models too wide for a matrix."""

    def hessian(self, point: Floats) -> Floats:
        """The whole Hessian [size, size].

        Raises: UnsupportedError where the loss has no Hessian here.
        """

    def certificate(self, point: Floats) -> Certificate:
        """How far F(point) can be from its minimum."""

    def bound_estimate(self, grad: Floats) -> float:
        """About what `certificate` would say, from F's smallest subgradient alone; inf where l2 is 0."""

    def is_separated(self, point: Floats) -> bool:
        """Whether every row is strictly right, so that without a penalty the infimum is 0 and not reached."""

    def thinned(self, step: int) -> "Objective | None":
        """The same objective on every step-th row: a start for the whole; None if a class would have no rows left."""

    def batches(self, size: int, rng: np.random.Generator) -> Iterator["Objective"]:
        """The rows in random order, `size` at a time, each batch an objective of its own with the same penalty."""


def penalty_l1(objective: Objective, point: Floats) -> float:
    """sum_j l1_j |x_j|."""
    return 0.0 if objective.l1 is None else float(objective.l1 @ np.abs(point))


def nonsmooth_gradient(objective: Objective, point: Floats, grad: Floats) -> Floats:
    """The subgradient of F that is smallest in each entry, from the gradient of the smooth part."""
    l1 = objective.l1
    if l1 is None:
        return grad
    at_zero = np.sign(grad) * np.maximum(np.abs(grad) - l1, 0)
    return np.where(point == 0, at_zero, grad + l1 * np.sign(point))
