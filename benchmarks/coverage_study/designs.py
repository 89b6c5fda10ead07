"""What is done with row losses: means, weighted means, means over clusters, differences of two models.

Each design knows its true value and the skewness of its units from the moments of the losses alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from coverage_study.losses import LOSSES, Float64, Losses
from crossent.stats import Estimate, Int64, RatioSums
from crossent.stats.clusters import ClusterSums
from crossent.stats.identity import key_identity

__all__ = ["DESIGNS", "Design", "Sample", "design_of"]

_WEIGHTS = ((0.7, 1.0, 1.0), (0.3, 4.0, 2.0))  # share of the rows, their weight, what their losses are multiplied by
_SIZES = np.arange(1, 10)  # rows of a cluster
_SHAPE = 4.0  # of the gamma distribution (mean 1) of what the losses of a cluster have in common
_WORSE, _SIGMA = 1.05, 0.5  # model B's loss is A's times a lognormal factor: its mean, its sigma
_ROWS = 1 << 20  # drawn at a time


@dataclass(frozen=True)
class Sample:
    """The estimates of some replicates, and how many rows of the rarer class each had; None without classes."""

    estimates: Sequence[Estimate]
    rare: Int64 | None


@dataclass(frozen=True)
class Design:
    """One kind of mean of one kind of loss.

    name, losses: for the tables; truth: what is estimated; gamma: skewness of a unit; rare: share of the rarer class;
    sample: (generator, units, replicates) -> Sample.
    """

    name: str
    losses: str
    truth: float
    gamma: float
    rare: float | None
    sample: Callable[[np.random.Generator, int, int], Sample]


def _in_parts(
    part: Callable[[np.random.Generator, int, int], Sample],
) -> Callable[[np.random.Generator, int, int], Sample]:
    """The same a few replicates at a time."""

    def whole(rng: np.random.Generator, units: int, replicates: int) -> Sample:
        step = max(1, _ROWS // units)
        parts = [part(rng, units, min(step, replicates - k)) for k in range(0, replicates, step)]
        rare = [each.rare for each in parts if each.rare is not None]
        return Sample([e for each in parts for e in each.estimates], np.concatenate(rare) if rare else None)

    return whole


def _rare_rows(rare: npt.NDArray[np.bool_] | None, units: int) -> Int64 | None:
    return None if rare is None else rare.reshape(-1, units).sum(axis=1)


def _skewness(second: float, third: float) -> float:
    return third / second**1.5


def _plain(losses: Losses) -> Design:
    m1, m2, m3 = losses.moments

    def sample(rng: np.random.Generator, units: int, replicates: int) -> Sample:
        values, rare = losses.draw(rng, units * replicates)
        groups = np.repeat(np.arange(replicates), units)
        sums = RatioSums.of(values, groups=groups, group_count=replicates)
        return Sample(sums.estimates(floor=0.0), _rare_rows(rare, units))

    gamma = _skewness(m2 - m1**2, m3 - 3 * m1 * m2 + 2 * m1**3)
    return Design("plain", losses.name, m1, gamma, losses.rare, _in_parts(sample))


def _weighted(losses: Losses) -> Design:
    """Rows that weigh more have larger losses, so that numerator and denominator move together."""
    m1, m2, m3 = losses.moments
    share, weight, factor = np.array(_WEIGHTS).T

    def sample(rng: np.random.Generator, units: int, replicates: int) -> Sample:
        values, rare = losses.draw(rng, units * replicates)
        kind = (rng.random(len(values)) < share[1]).astype(np.int64)
        groups = np.repeat(np.arange(replicates), units)
        sums = RatioSums.weighted(factor[kind] * values, weight[kind], groups=groups, group_count=replicates)
        return Sample(sums.estimates(floor=0.0), _rare_rows(rare, units))

    truth = m1 * float(share @ (weight * factor)) / float(share @ weight)
    x1, x2, x3 = factor * m1, factor**2 * m2, factor**3 * m3
    second = share @ (weight**2 * (x2 - 2 * truth * x1 + truth**2))
    third = share @ (weight**3 * (x3 - 3 * truth * x2 + 3 * truth**2 * x1 - truth**3))
    return Design("weighted", losses.name, truth, _skewness(second, third), losses.rare, _in_parts(sample))


def _clustered(losses: Losses) -> Design:
    """Clusters of 1 to 9 rows with a common factor; units are clusters."""
    m1, m2, m3 = losses.moments

    def one(rng: np.random.Generator, units: int) -> Estimate:
        sizes = rng.choice(_SIZES, units)
        key = np.repeat(np.arange(units), sizes)
        values = losses.draw(rng, len(key))[0] * rng.gamma(_SHAPE, 1 / _SHAPE, units)[key]
        return ClusterSums.of(key_identity(key), values, np.ones(len(key))).estimate(floor=0.0)

    def sample(rng: np.random.Generator, units: int, replicates: int) -> Sample:
        return Sample([one(rng, units) for _ in range(replicates)], None)

    s, k2, k3 = _SIZES.astype(float), m2 - m1**2, m3 - 3 * m1 * m2 + 2 * m1**3
    c2, c3 = (_SHAPE + 1) / _SHAPE, (_SHAPE + 1) * (_SHAPE + 2) / _SHAPE**2
    sum2, sum3 = s * k2 + (s * m1) ** 2, s * k3 + 3 * s**2 * k2 * m1 + (s * m1) ** 3
    second = np.mean(c2 * sum2 - (s * m1) ** 2)
    third = np.mean(c3 * sum3 - 3 * s * m1 * c2 * sum2 + 2 * (s * m1) ** 3)
    return Design("clustered", losses.name, m1, _skewness(second, third), None, sample)


def _paired(losses: Losses) -> Design:
    """Differences of two models on the same rows."""
    m1, m2, m3 = losses.moments

    def sample(rng: np.random.Generator, units: int, replicates: int) -> Sample:
        first, rare = losses.draw(rng, units * replicates)
        second = first * rng.lognormal(np.log(_WORSE) - _SIGMA**2 / 2, _SIGMA, len(first))
        groups = np.repeat(np.arange(replicates), units)
        sums = RatioSums.of(second - first, groups=groups, group_count=replicates)
        return Sample(sums.estimates(), _rare_rows(rare, units))

    v1, v2, v3 = (_WORSE**r * np.exp(r * (r - 1) * _SIGMA**2 / 2) for r in (1, 2, 3))
    d1, d2, d3 = m1 * (v1 - 1), m2 * (v2 - 2 * v1 + 1), m3 * (v3 - 3 * v2 + 3 * v1 - 1)
    gamma = _skewness(d2 - d1**2, d3 - 3 * d1 * d2 + 2 * d1**3)
    return Design("paired", losses.name, d1, gamma, losses.rare, _in_parts(sample))


_MAKERS = {"plain": _plain, "weighted": _weighted, "clustered": _clustered, "paired": _paired}
_SEVERAL = ("exponential", "lognormal", "heavy5", "confident", "overconfident")
DESIGNS: dict[str, tuple[str, ...]] = {name: tuple(LOSSES) if name == "plain" else _SEVERAL for name in _MAKERS}


def design_of(name: str, losses: str) -> Design:
    """A design by the names in DESIGNS and LOSSES."""
    made = _MAKERS[name](LOSSES[losses])
    return replace(made, truth=float(made.truth), gamma=float(made.gamma))
