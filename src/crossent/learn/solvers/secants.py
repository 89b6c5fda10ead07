"""The memory of quasi-Newton methods: the last steps s and gradient changes y, as an inverse Hessian.

Two-loop recursion: Nocedal and Wright, Numerical Optimization, algorithm 7.4.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from crossent.learn.types import Floats

__all__ = ["Pair", "Secants"]

_LEAST_SQUARE = 1e-200  # of a change of the gradient: below it, products with the change may vanish


class Pair(NamedTuple):
    """A step, the change of the gradient over it, and their product."""

    step: Floats
    change: Floats
    product: float


class Secants:
    """The last `memory` pairs; false while there are none."""

    def __init__(self, memory: int) -> None:
        self._pairs: deque[Pair] = deque(maxlen=memory)

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def newest(self) -> Pair:
        """The last pair."""
        return self._pairs[-1]

    def forget(self) -> None:
        """Drop all pairs."""
        self._pairs.clear()

    def remember(self, step: Floats, change: Floats) -> None:
        """Add the step just made, unless rounding has eaten its curvature, or underflow may do so."""
        product, square = float(step @ change), float(change @ change)
        if square > _LEAST_SQUARE and product > 2.0**-52 * math.sqrt(float(step @ step) * square):
            self._pairs.append(Pair(step, change, product))

    def times(self, grad: Floats, first: Callable[[Floats], Floats] | None = None) -> Floats:
        """The inverse Hessian times a gradient; `first` is the one before any pair (None: a multiple of 1).

        >>> import numpy as np
        >>> Secants(5).times(np.array([3.0]))
        array([3.])
        """
        vector = grad.copy()
        shares: list[float] = []
        for pair in reversed(self._pairs):
            share = float(pair.step @ vector) / pair.product
            vector -= share * pair.change
            shares.append(share)
        if first is not None:
            vector = first(vector)
        elif self._pairs:
            newest = self._pairs[-1]
            vector *= newest.product / float(newest.change @ newest.change)
        for pair, share in zip(self._pairs, reversed(shares), strict=True):
            vector += (share - float(pair.change @ vector) / pair.product) * pair.step
        return vector
