"""Conjugate gradients: the Newton step from products with the Hessian, as exact as wanted."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from crossent.learn.types import Floats

__all__ = ["Product", "Solve", "conjugate_gradients"]

FLAT = 1e-6  # curvature against the preconditioner's that is taken for rounding
Product = Callable[[Floats], Floats]


class Solve(NamedTuple):
    """A solution x of H x = b.

    `reduction` estimates b^T H^-1 b: that of x, and the rest by the preconditioner. `flat`: a direction with part of b
    along which H does not bend, if that was the end.
    """

    x: Floats
    reduction: float
    flat: Floats | None


def conjugate_gradients(
    product: Product, right: Floats, *, precondition: Product, accuracy: Callable[[float], float], most: int
) -> Solve:
    """Solve H x = b for a positive semi-definite H, from x = 0.

    Every iterate is a direction of descent for b the negative gradient. The iteration also ends where H does not bend
    along a search direction (only rounding leads there: b has no part in the kernel of a Hessian), and where it gets on
    too slowly: after j products, the last of which took e off the quadratic, once j e <= accuracy^2 times the whole.

    Args:
        product: v -> H v.
        right: b.
        precondition: v -> about H^-1 v, positive definite.
        accuracy: |residual| / |b| to stop at, both in the norm of the preconditioner, as a function of that |b|.
        most: number of products.
    Returns: Solve.
    Source: Nocedal and Wright, Numerical Optimization, algorithms 5.3 and 7.1; Nash and Sofer, Operations Research
        Letters 9 (1990).

    >>> H = np.array([[2.0, 0.0], [0.0, 4.0]])
    >>> options = {"precondition": lambda v: v, "accuracy": lambda size: 1e-9, "most": 5}
    >>> conjugate_gradients(lambda v: H @ v, np.array([2.0, 4.0]), **options).x.round(6).tolist()
    [1.0, 1.0]
    """
    x, residual = np.zeros_like(right), right.copy()
    search = precondition(residual)
    square = float(residual @ search)
    share = accuracy(float(np.sqrt(square))) ** 2
    enough, total = share * square, 0.0
    norm = square  # of the search direction, in the preconditioner's own metric, squared
    flat = None
    for step in range(most):
        image = product(search)
        bend = float(search @ image)
        if not bend > FLAT * norm:
            x, flat = search if step == 0 else x, search
            break
        length = square / bend
        x = x + length * search
        residual = residual - length * image
        steepest = precondition(residual)
        before, square = square, float(residual @ steepest)
        total += length * before
        if not square > enough or (step + 1) * length * before <= share * total:
            break
        ratio = square / before
        search, norm = steepest + ratio * search, square + ratio * ratio * norm
    return Solve(x, float(right @ x) + square, flat)
