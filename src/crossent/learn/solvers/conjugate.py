"""Conjugate gradients: the Newton step from products with the Hessian, as exact as wanted."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from crossent.learn.types import Floats

__all__ = ["Product", "Solve", "conjugate_gradients"]

Product = Callable[[Floats], Floats]


class Solve(NamedTuple):
    """A solution x of H x = b.

    `residual` is b - H x; `reduction` estimates b^T H^-1 b: that of x, and the rest by the preconditioner.
    """

    x: Floats
    residual: Floats
    reduction: float


def conjugate_gradients(
    product: Product, right: Floats, *, precondition: Product, accuracy: Callable[[float], float], most: int
) -> Solve:
    """Solve H x = b for a positive semi-definite H, from x = 0.

    Every iterate is a direction of descent for b the negative gradient. Where H does not bend along a search direction
    (only rounding brings it there: b has no part in the kernel of a Hessian), the iteration ends.

    Args:
        product: v -> H v.
        right: b.
        precondition: v -> about H^-1 v, positive definite.
        accuracy: |residual| / |b| to stop at, both in the norm of the preconditioner, as a function of that |b|.
        most: number of products.
    Returns: Solve.
    Source: Nocedal and Wright, Numerical Optimization, algorithms 5.3 and 7.1.

    >>> H = np.array([[2.0, 0.0], [0.0, 4.0]])
    >>> options = {"precondition": lambda v: v, "accuracy": lambda size: 1e-9, "most": 5}
    >>> conjugate_gradients(lambda v: H @ v, np.array([2.0, 4.0]), **options).x
    array([1., 1.])
    """
    x, residual = np.zeros_like(right), right.copy()
    search = precondition(residual)
    square = float(residual @ search)
    enough = accuracy(float(np.sqrt(square))) ** 2 * square
    for step in range(most):
        image = product(search)
        bend = float(search @ image)
        if not bend > 0:
            if step == 0:
                x = search
            break
        length = square / bend
        x = x + length * search
        residual = residual - length * image
        steepest = precondition(residual)
        before, square = square, float(residual @ steepest)
        if not square > enough:
            break
        search = steepest + (square / before) * search
    return Solve(x, residual, float(right @ x) + square)
