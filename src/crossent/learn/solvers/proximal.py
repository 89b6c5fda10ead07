"""The minimum of a quadratic with l1: what a proximal Newton step aims at.

    q(x) = g^T d + d^T H d / 2 + sum_j l1_j |x_j|,   d = x - start

Two kinds of steps alternate: a proximal gradient step, which decides which coordinates are 0, and conjugate gradients
on the others with their signs held, which go the long way. Both take the best length along their line, so q never
rises; H is needed in products only.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crossent.learn.objective import Objective, nonsmooth_gradient
from crossent.learn.solvers.conjugate import Product, conjugate_gradients
from crossent.learn.solvers.nonsmooth import linear_change
from crossent.learn.solvers.preconditioner import inverse_root
from crossent.learn.types import Floats

__all__ = ["BlockFaces", "Faces", "Quadratic", "soft_threshold"]

Faces = Callable[[npt.NDArray[np.bool_]], Product]

ROUNDS = 100
MOST_PRODUCTS = 250
FACE_ACCURACY = 0.3


def soft_threshold(x: Floats, limit: Floats) -> Floats:
    """sign(x) max(|x| - limit, 0)."""
    return np.asarray(np.sign(x) * np.maximum(np.abs(x) - limit, 0))


class BlockFaces:
    """The inverse of a matrix that stands for every logit's block of H (or for H itself), among some coordinates."""

    def __init__(self, matrix: Floats) -> None:
        self._matrix = matrix

    def __call__(self, free: npt.NDArray[np.bool_]) -> Product:
        width = len(self._matrix)
        parts = [np.flatnonzero(of_logit) for of_logit in free.reshape(-1, width)]
        roots = [inverse_root(self._matrix[np.ix_(part, part)]) for part in parts]

        def times(v: Floats) -> Floats:
            table = np.zeros((len(parts), width))
            for row, of_logit, part, root in zip(table, v.reshape(-1, width), parts, roots, strict=True):
                row[part] = root.T @ (root @ of_logit[part])
            return table.reshape(-1)

        return times


class _Spot(NamedTuple):
    """A point and the gradient of the smooth part of q there."""

    x: Floats
    slope: Floats


class Quadratic:
    """q of an objective around a point.

    Args:
        objective: gives l1.
        start: the point.
        grad: g, of the smooth part.
        product: v -> H v.
        diagonal: about that of H, > 0: the metric of the proximal steps.
        faces: which coordinates may move [size] -> about the inverse of H among them, as a product.
    """

    def __init__(
        self, objective: Objective, *, start: Floats, grad: Floats, product: Product, diagonal: Floats, faces: Faces
    ) -> None:
        assert objective.l1 is not None
        self._objective, self._l1 = objective, objective.l1
        self._first = _Spot(start, grad)
        self._product, self._diagonal, self._faces = product, diagonal, faces
        self._stiffness = 1.0  # of H over the diagonal along the last proximal step

    def minimum(self, accuracy: Callable[[float], float]) -> tuple[Floats, float]:
        """About the minimum of q, and how far below q(start) it is, the estimate of what is missing included.

        Args:
            accuracy: share of the smallest subgradient at the start that may remain, both in the metric, as a function
                of that subgradient's norm.
        """
        spot = self._first
        remaining = self._steepness(spot)
        share = accuracy(math.sqrt(remaining)) ** 2
        enough, before, drop = share * remaining, -math.inf, 0.0
        for _ in range(ROUNDS):
            if remaining <= enough or drop - before <= share * drop:
                break
            spot = self._along_face(self._proximal(spot))
            remaining = self._steepness(spot)
            before, drop = drop, self._drop(spot)
        return np.where(self._thresholded(spot) == 0, 0.0, spot.x), drop + remaining / 2

    def _drop(self, spot: _Spot) -> float:
        """How far q is below its start."""
        first = self._first
        return -linear_change(self._l1, (first.slope + spot.slope) / 2, first.x, spot.x)

    def _steepness(self, spot: _Spot) -> float:
        """The square of the smallest subgradient of q, in the metric."""
        smallest = nonsmooth_gradient(self._objective, spot.x, spot.slope)
        return float(np.sum(smallest * smallest / self._diagonal))

    def _thresholded(self, spot: _Spot) -> Floats:
        """The proximal gradient step: 0 also where a coordinate is no further from 0 than it is from its minimum."""
        metric = self._stiffness * self._diagonal
        return soft_threshold(spot.x - spot.slope / metric, self._l1 / metric)

    def _proximal(self, spot: _Spot) -> _Spot:
        target = self._thresholded(spot)
        move = target - spot.x
        image = self._product(move)
        length = float(move @ (self._diagonal * move))
        if length > 0:
            self._stiffness = min(max(float(move @ image) / length, 1e-3), 1e3)
        return self._towards(spot, target, image)

    def _along_face(self, spot: _Spot) -> _Spot:
        """Minimise over the coordinates that are not 0; those that would change their sign stop at 0."""
        sign = np.sign(spot.x)
        free = (sign != 0) | (self._l1 == 0)
        if not free.any():
            return spot
        downhill = np.where(free, -(spot.slope + self._l1 * sign), 0.0)
        found = conjugate_gradients(
            lambda v: np.where(free, self._product(v), 0.0),
            downhill,
            precondition=self._faces(free),
            accuracy=lambda _: FACE_ACCURACY,
            most=MOST_PRODUCTS,
        )
        target = spot.x + found.x
        target[(np.sign(target) != sign) & (self._l1 > 0)] = 0
        there = self._towards(spot, target, self._product(target - spot.x))
        return there if found.flat is None else self._to_edge(there, found.flat)

    def _to_edge(self, spot: _Spot, flat: Floats) -> _Spot:
        """Go where H does not bend and only the penalty counts, until a first coordinate is 0 (columns collinear)."""
        flat = np.where((spot.x != 0) | (self._l1 == 0), flat, 0.0)
        lengths = np.full_like(flat, np.inf)
        shrinking = (flat * spot.x < 0) & (self._l1 > 0)
        lengths[shrinking] = -spot.x[shrinking] / flat[shrinking]
        first = int(np.argmin(lengths))
        if not math.isfinite(lengths[first]):
            return spot
        target = spot.x + lengths[first] * flat
        target[first] = 0
        return self._towards(spot, target, self._product(target - spot.x))

    def _towards(self, spot: _Spot, target: Floats, image: Floats) -> _Spot:
        """The best point that convexity of the penalty promises on the line to a target; image = H (target - x)."""
        move = target - spot.x
        promise = linear_change(self._l1, spot.slope, spot.x, target)
        if not promise < 0:
            return spot
        bend = float(move @ image)
        if bend <= -promise:
            return _Spot(target, spot.slope + image)
        share = -promise / bend
        return _Spot(spot.x + share * move, spot.slope + share * image)
