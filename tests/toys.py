"""Small problems for tests of learning: classes whose optimum is finite and away from the start; plain functions."""

import math

import numpy as np

from crossent.core.types import LossGrad
from crossent.errors import UnsupportedError
from crossent.learn.certificate import Certificate

__all__ = ["Function", "quadratic", "rosenbrock", "toy"]


def toy(rows=60, width=4, classes=3, seed=0):
    """Features [rows, width] and labels 0..classes-1 of overlapping classes, every class present."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, width))
    centers = random.normal(size=(classes, width))
    y = np.argmax(X @ centers.T + random.gumbel(size=(rows, classes)), axis=1)
    assert len(np.unique(y)) == classes
    return X, y


class Function:
    """An `Objective` from two plain functions, without rows; `passes` counts its evaluations."""

    outputs, rows, is_convex = 1, 1, False

    def __init__(self, size, value, grad, *, l1=None):
        self.size, self.l1, self.l2, self.passes = size, l1, np.zeros(size), 0.0
        self._value, self._grad = value, grad

    def value_and_grad(self, point):
        self.passes += 1
        with np.errstate(over="ignore", invalid="ignore"):
            return LossGrad(float(self._value(point)), self._grad(point))

    def hvp(self, point):
        raise UnsupportedError("a plain function has no Hessian here.")

    gram = gram_diagonal = hessian = hvp

    def certificate(self, point):
        return Certificate("stationarity", float(np.max(np.abs(self._grad(point)))))

    def bound_estimate(self, grad):
        return math.inf

    def is_separated(self, point):
        return False

    def thinned(self, step):
        return self

    def batches(self, size, rng):
        yield self


def quadratic(diagonal, *, l1=None):
    """sum_j d_j (x_j - 1)^2 / 2."""
    diagonal = np.asarray(diagonal, dtype=float)
    size = len(diagonal)
    return Function(size, lambda x: 0.5 * np.sum(diagonal * (x - 1) ** 2), lambda x: diagonal * (x - 1), l1=l1)


def rosenbrock():
    """A curved valley to its minimum 0 at (1, 1)."""
    return Function(
        2,
        lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2,
        lambda x: np.array([-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)]),
    )
