"""Skewed losses whose mean, variance and skewness are known without a single draw: formulas and quadrature.

Classifiers draw the truth from the probability that they should give; their losses are crossent's own.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import numpy.typing as npt

import crossent as ce

__all__ = ["LOSSES", "Draw", "Flags", "Float64", "Losses", "draw_truth", "logit_mean", "normal_nodes", "sigmoid"]

Float64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Draw = tuple[Float64, Flags | None]
_BASE_RATE = 0.01
_NODES = 40_001  # of the trapezoidal rule, which is exact to rounding for these smooth integrands


@dataclass(frozen=True)
class Losses:
    """A distribution of row losses.

    name: for the tables; draw: (generator, n) -> [n] losses, and [n] whether the row is of the rarer class or None;
    moments: E l, E l^2, E l^3; rare: share of the rarer class, None where there are no classes.
    """

    name: str
    draw: Callable[[np.random.Generator, int], Draw]
    moments: tuple[float, float, float]
    rare: float | None = None


# ---------------------------------------------------------------- formulas


def _exponential() -> Losses:
    return Losses("exponential", lambda rng, n: (rng.exponential(1.0, n), None), (1.0, 2.0, 6.0))


def _gamma() -> Losses:
    """Skewness 2 / sqrt(shape) = 3.5."""
    k = (2 / 3.5) ** 2
    moments = (k, k * (k + 1), k * (k + 1) * (k + 2))
    return Losses("gamma, skewness 3.5", lambda rng, n: (rng.gamma(k, 1.0, n), None), moments)


def _lognormal() -> Losses:
    first, second, third = (math.exp(r * r / 2) for r in (1, 2, 3))
    return Losses("lognormal, sigma 1", lambda rng, n: (rng.lognormal(0.0, 1.0, n), None), (first, second, third))


def _mixture(share: float) -> Losses:
    """Exponential losses, and a share of rows whose losses are 50 times larger."""
    small, large = 0.1, 5.0

    def draw(rng: np.random.Generator, n: int) -> Draw:
        return rng.exponential(1.0, n) * np.where(rng.random(n) < share, large, small), None

    first, second, third = (math.factorial(r) * ((1 - share) * small**r + share * large**r) for r in (1, 2, 3))
    return Losses(f"{100 * share:g} % heavy rows", draw, (first, second, third))


# ---------------------------------------------------------------- classifiers


def normal_nodes(mean: float, spread: float, count: int = _NODES) -> tuple[Float64, Float64]:
    """Nodes and weights of an expectation over a normal distribution: the mean alone if its spread is 0."""
    if spread == 0:
        return np.array([mean]), np.ones(1)
    x = np.linspace(-12.0, 12.0, count)
    density = np.exp(-x * x / 2)
    return mean + spread * x, density / density.sum()


def draw_truth(rng: np.random.Generator, n: int, mean: float, spread: float) -> tuple[Float64, Flags]:
    """Normal logits, and the truth drawn from them."""
    z = rng.normal(mean, spread, n)
    return z, rng.random(n) < sigmoid(z)


def sigmoid(z: Float64) -> Float64:
    return 0.5 + 0.5 * np.tanh(z / 2)


@cache
def logit_mean(share: float, spread: float) -> float:
    """The mean of normal logits under which a class has this share, by bisection."""
    low, high = -50.0, 50.0
    for _ in range(80):
        middle = (low + high) / 2
        z, weight = normal_nodes(middle, spread)
        low, high = (middle, high) if weight @ sigmoid(z) < share else (low, middle)
    return middle


def _classifier(name: str, mean: float, spread: float, confidence: float) -> Losses:
    """Two classes: the true logit is normal, the one that is given is `confidence` times it."""

    def draw(rng: np.random.Generator, n: int) -> Draw:
        z, truth = draw_truth(rng, n, mean, spread)
        losses = ce.binary_cross_entropy(truth.astype(np.int64), logits=confidence * z, reduction="none")
        return losses, truth

    z, weight = normal_nodes(mean, spread)
    p = sigmoid(z)
    hit, miss = np.logaddexp(0.0, -confidence * z), np.logaddexp(0.0, confidence * z)
    first, second, third = (float(weight @ (p * hit**r + (1 - p) * miss**r)) for r in (1, 2, 3))
    return Losses(name, draw, (first, second, third), float(weight @ p))


def _constant() -> Losses:
    """p = the base rate for every row."""
    p = _BASE_RATE

    def draw(rng: np.random.Generator, n: int) -> Draw:
        truth = rng.random(n) < p
        return ce.binary_cross_entropy(truth.astype(np.int64), probs=np.full(n, p), reduction="none"), truth

    first, second, third = (p * (-math.log(p)) ** r + (1 - p) * (-math.log1p(-p)) ** r for r in (1, 2, 3))
    return Losses("base rate 1 %, p = 0.01", draw, (first, second, third), p)


_MADE: dict[str, Callable[[], Losses]] = {
    "exponential": _exponential,
    "gamma": _gamma,
    "lognormal": _lognormal,
    "heavy5": partial(_mixture, 0.05),
    "heavy1": partial(_mixture, 0.01),
    "confident": partial(_classifier, "confident classifier", 0.0, 4.0, 1.0),
    "overconfident": partial(_classifier, "classifier twice too confident", 0.0, 2.0, 2.0),
    "base rate": _constant,
    "rare": lambda: _classifier("base rate 1 %, classifier", logit_mean(_BASE_RATE, 2.0), 2.0, 1.0),
}
LOSSES: dict[str, Losses] = {key: make() for key, make in _MADE.items()}
