"""What is done with row losses: means, weighted means, means over clusters, differences of two models.

Each design knows its true value and the skewness of its units from the moments of the losses alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from coverage_study.losses import LOSSES, Flags, Float64, Losses
from coverage_study.pairs import HEAVY_BOTH_WAYS, PAIRS
from crossent.stats import Estimate, Int64, RatioSums

__all__ = ["DESIGNS", "Design", "Sample", "clustered_rows"]

_WEIGHTS = ((0.7, 1.0, 1.0), (0.3, 4.0, 2.0))  # share of the rows, their weight, what their losses are multiplied by
_SIZES = np.arange(1, 10)  # rows of a cluster
_SHAPE = 4.0  # of the gamma distribution (mean 1) of what the losses of a cluster have in common
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


def _rare_rows(rare: Flags | None, units: int) -> Int64 | None:
    return None if rare is None else rare.reshape(-1, units).sum(axis=1)


def _skewness(second: float, third: float) -> float:
    return float(third / second**1.5)


def _plain(losses: Losses, *, name: str, floor: float | None = None) -> Design:
    """The mean of losses, or of differences."""
    m1, m2, m3 = losses.moments

    def sample(rng: np.random.Generator, units: int, replicates: int) -> Sample:
        values, rare = losses.draw(rng, units * replicates)
        groups = np.repeat(np.arange(replicates), units)
        sums = RatioSums.of(values, groups=groups, group_count=replicates)
        return Sample(sums.estimates(floor=floor), _rare_rows(rare, units))

    gamma = _skewness(m2 - m1**2, m3 - 3 * m1 * m2 + 2 * m1**3)
    return Design(name, losses.name, m1, gamma, losses.rare, _in_parts(sample))


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


def clustered_rows(losses: Losses, rng: np.random.Generator, clusters: int) -> tuple[Int64, Float64]:
    """The sizes of clusters, and the losses of their rows, cluster by cluster."""
    sizes = rng.choice(_SIZES, clusters)
    common = rng.gamma(_SHAPE, 1 / _SHAPE, clusters)
    return sizes, losses.draw(rng, int(sizes.sum()))[0] * np.repeat(common, sizes)


def _clustered(losses: Losses) -> Design:
    """Clusters of 1 to 9 rows with a common factor; units are clusters, summed here as ClusterSums would (a test)."""
    m1, m2, m3 = losses.moments

    def sample(rng: np.random.Generator, units: int, replicates: int) -> Sample:
        sizes, values = clustered_rows(losses, rng, units * replicates)
        sums = np.add.reduceat(values, np.cumsum(sizes) - sizes)
        groups = np.repeat(np.arange(replicates), units)
        both = RatioSums.of(sums, sizes.astype(float), groups=groups, group_count=replicates)
        return Sample(both.estimates(floor=0.0), None)

    s, k2, k3 = _SIZES.astype(float), m2 - m1**2, m3 - 3 * m1 * m2 + 2 * m1**3
    c2, c3 = (_SHAPE + 1) / _SHAPE, (_SHAPE + 1) * (_SHAPE + 2) / _SHAPE**2
    sum2, sum3 = s * k2 + (s * m1) ** 2, s * k3 + 3 * s**2 * k2 * m1 + (s * m1) ** 3
    second = np.mean(c2 * sum2 - (s * m1) ** 2)
    third = np.mean(c3 * sum3 - 3 * s * m1 * c2 * sum2 + 2 * (s * m1) ** 3)
    return Design("clustered", losses.name, m1, _skewness(second, third), None, _in_parts(sample))


_SEVERAL = ("exponential", "lognormal", "heavy5", "confident", "overconfident")
DESIGNS: dict[str, list[Design]] = {
    "plain": [_plain(each, name="plain", floor=0.0) for each in LOSSES.values()],
    "weighted": [_weighted(LOSSES[key]) for key in _SEVERAL],
    "clustered": [_clustered(LOSSES[key]) for key in _SEVERAL],
    "paired": [_plain(each, name="paired") for each in PAIRS.values()],
    "heavy": [_plain(each, name="paired, heavy both ways") for each in HEAVY_BOTH_WAYS.values()],
}
