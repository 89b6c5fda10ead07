"""Differences of the losses of two models on the same rows, whose mean, variance and skewness are known as well."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import crossent as ce
from coverage_study.losses import LOSSES, Draw, Float64, Losses, draw_truth, normal_nodes, sigmoid

__all__ = ["HEAVY_BOTH_WAYS", "PAIRS"]

_LEAST, _MOST = 0.8, 2.0  # what A's loss is multiplied by to be B's
_WORSE, _SIGMA = 1.05, 0.5  # the same, lognormal: mean and sigma


def _times(losses: Losses, name: str, factor: Callable[[np.random.Generator, int], Float64], v: Float64) -> Losses:
    """B's loss is A's times an independent factor with E factor^r = v[r - 1]."""
    m1, m2, m3 = losses.moments
    v1, v2, v3 = (float(each) for each in v)

    def draw(rng: np.random.Generator, n: int) -> Draw:
        first, rare = losses.draw(rng, n)
        return first * (factor(rng, n) - 1.0), rare

    moments = (m1 * (v1 - 1), m2 * (v2 - 2 * v1 + 1), m3 * (v3 - 3 * v2 + 3 * v1 - 1))
    return Losses(f"{losses.name}, {name}", draw, moments, losses.rare)


def _uniform(losses: Losses) -> Losses:
    r = np.arange(1, 4)
    v = (_MOST ** (r + 1) - _LEAST ** (r + 1)) / ((r + 1) * (_MOST - _LEAST))
    return _times(losses, f"times {_LEAST:g} to {_MOST:g}", lambda rng, n: rng.uniform(_LEAST, _MOST, n), v)


def _lognormal(losses: Losses) -> Losses:
    """Rows of large loss differ much, either way."""
    r = np.arange(1, 4)
    v = _WORSE**r * np.exp(r * (r - 1) * _SIGMA**2 / 2)
    middle = np.log(_WORSE) - _SIGMA**2 / 2
    return _times(losses, "times lognormal", lambda rng, n: rng.lognormal(middle, _SIGMA, n), v)


@dataclass(frozen=True)
class _Rival:
    """Two classifiers of the same rows: true logits s are normal; A gives a s, B gives b (s + noise)."""

    name: str
    spread: float
    a: float
    b: float
    noise: float

    def draw(self, rng: np.random.Generator, n: int) -> Draw:
        s, truth = draw_truth(rng, n, 0.0, self.spread)
        seen = s + self.noise * rng.standard_normal(n)
        first, second = (
            ce.binary_cross_entropy(truth.astype(np.int64), logits=z, reduction="none")
            for z in (self.a * s, self.b * seen)
        )
        return second - first, truth

    def losses(self) -> Losses:
        """With moments by quadrature over s and the noise."""
        (s, weight), (noise, chance) = normal_nodes(0.0, self.spread, 1001), normal_nodes(0.0, self.noise, 101)
        p, moments = sigmoid(s), np.zeros(3)
        for e, share in zip(noise, chance, strict=True):
            for side, sign in ((p, -1.0), (1 - p, 1.0)):
                d = np.logaddexp(0.0, sign * self.b * (s + e)) - np.logaddexp(0.0, sign * self.a * s)
                moments += [share * float((weight * side) @ d**r) for r in (1, 2, 3)]
        return Losses(self.name, self.draw, (moments[0], moments[1], moments[2]), 0.5)


PAIRS: dict[str, Losses] = {
    **{key: _uniform(LOSSES[key]) for key in ("exponential", "lognormal", "heavy5")},
    "noisy": _Rival("confident classifier, logits with noise of sd 1", 4.0, 1.0, 1.0, 1.0).losses(),
    "noisier": _Rival("classifier twice too confident, noise of sd 1", 2.0, 2.0, 2.0, 1.0).losses(),
    "cooled": _Rival("confident classifier, temperature 1.2", 4.0, 1.0, 1 / 1.2, 0.0).losses(),
}
HEAVY_BOTH_WAYS: dict[str, Losses] = {key: _lognormal(LOSSES[key]) for key in ("exponential", "overconfident")}
