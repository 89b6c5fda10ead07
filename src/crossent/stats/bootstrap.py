"""GroupSums: the bootstrap of a ratio from one pass, by resampling 1024 groups of rows.

A row's group is the top bits of its identity, so every split of the rows fills the same groups. Rows that come in
clusters are resampled by groups of whole clusters, and all else that an estimate says (n, gamma, marks) is then that of
its clusters. A replicate draws as many groups as hold rows, with replacement. The interval is
the studentised bootstrap (bootstrap-t), which like Hall's is right to the second order for skewed losses. Of 1000
samples of 30 (100) log-normal losses it held the mean in 91 % (93 %), Hall's in 92 % (94 %), BCa in 88 % (93 %) and
the percentile interval in 88 % (92 %).
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from crossent.core.accumulate import Float64
from crossent.core.options import seed_number, whole_number
from crossent.stats.clusters import ClusterSums
from crossent.stats.identity import Identity, top_bits
from crossent.stats.intervals import Estimate
from crossent.stats.ratio import RatioSums

__all__ = ["GROUPS", "GroupSums", "bootstrap_of_clusters"]

_GROUP_BITS = 10
GROUPS = 2**_GROUP_BITS


@dataclass(frozen=True, eq=False)
class GroupSums:
    """RatioSums in 1024 groups of rows, for R = sum a / sum b with a bootstrap interval; `+` adds rows.

    Attributes:
        sums: RatioSums of 1024 groups.

    >>> from crossent.stats.identity import row_identity
    >>> losses = np.random.default_rng(0).exponential(size=4000)
    >>> groups = GroupSums.of(row_identity("a.csv", np.arange(4000)), losses, np.ones(4000))
    >>> e = groups.estimate(floor=0.0)
    >>> round(e.value, 6), round(e.se, 4), f"{losses.std() / 4000**0.5:.4f}"
    (1.019326, 0.016, '0.0163')
    """

    sums: RatioSums

    @classmethod
    def of(cls, identity: Identity, a: Float64, b: Float64, *, a_error: Float64 | None = None) -> "GroupSums":
        """The sums over one block of rows.

        Args:
            identity: [n] uint64 identity of every row.
            a: [n] finite numerators.
            b: [n] finite denominators >= 0.
            a_error: [n] part of a below its last bit, from `two_product`.
        Raises: NonFiniteError for infinities and NaN.
        """
        groups = top_bits(identity, _GROUP_BITS)
        return cls(RatioSums.of(a, b, a_error=a_error, groups=groups, group_count=GROUPS))

    def __add__(self, other: "GroupSums") -> "GroupSums":
        return GroupSums(self.sums + other.sums)

    def estimate(
        self, *, confidence: float = 0.95, floor: float | None = None, replicates: int = 2000, seed: int = 0
    ) -> Estimate:
        """The ratio with the standard deviation of its replicates and the bootstrap-t interval.

            replicate: R* = sum k_g A_g / sum k_g B_g,  k multinomial over the G groups that hold rows
            SE = sqrt(G / (G - 1)) sd(R*);  T* = (R* - R) / SE*,  SE* = sqrt(G / (G - 1) sum k (A - R* B)^2) / sum k B
            interval = [R - S q(upper), R - S q(lower)],  q the quantiles of T*, S as SE* with all k = 1

        Args:
            confidence: coverage of the interval.
            floor: the smallest possible value, where the interval is cut (0 for losses).
            replicates: number of replicates, at least 100.
            seed: of the draws; the same seed draws the same groups for every estimate with as many groups.
        Returns: an Estimate; its `p_value` is Hall's with this standard error.
        Raises: OptionError for other values.
        Source: Hall, The bootstrap and Edgeworth expansion (1992), section 3.2.
        """
        filled = np.flatnonzero(self.sums.units)
        a, b = (self.sums.sums[k].floats()[filled] for k in (0, 1))
        rows = self.sums.total().estimate(confidence=confidence)
        return _bootstrapped(rows, a, b, floor=floor, replicates=replicates, seed=seed, unit="row")


def bootstrap_of_clusters(
    clusters: ClusterSums,
    *,
    confidence: float = 0.95,
    floor: float | None = None,
    replicates: int = 2000,
    seed: int = 0,
) -> Estimate:
    """The ratio of clustered rows, as `GroupSums.estimate` with a cluster for a row.

    Args:
        clusters: the sums; a cluster's group is the top bits of its identity.
        confidence, floor, replicates, seed: as for `GroupSums.estimate`.
    Returns: an Estimate whose n counts clusters, marked where there are fewer than 30.
    Raises: OptionError for other values.
    Source: Hall, The bootstrap and Edgeworth expansion (1992), section 3.2.

    >>> from crossent.stats.identity import key_identity
    >>> losses = np.random.default_rng(0).exponential(size=4000)
    >>> e = bootstrap_of_clusters(ClusterSums.of(key_identity(np.arange(4000) // 10), losses, np.ones(4000)), floor=0.0)
    >>> round(e.value, 6), e.n
    (1.019326, 400)
    """
    filled, place = np.unique(clusters.groups(_GROUP_BITS), return_inverse=True)
    a, b = (sums.merged(place, len(filled)).floats() for sums in (clusters.a, clusters.b))
    found = clusters.estimate(confidence=confidence)
    return _bootstrapped(found, a, b, floor=floor, replicates=replicates, seed=seed, unit="cluster")


def _bootstrapped(
    found: Estimate, a: Float64, b: Float64, *, floor: float | None, replicates: int, seed: int, unit: str
) -> Estimate:
    """An estimate with the bootstrap's standard error and interval from the sums of the groups, [G] each."""
    text = "a whole number >= 100 (for the quantiles), for example 2000,"
    replicates, seed = whole_number("replicates", replicates, low=100, text=text), seed_number(seed)
    if found.value is None or found.se is None:
        return found
    resampled = _resampled(a - found.value * b, b, _draws(len(a), replicates, seed))
    levels = [0.5 + found.confidence / 2, 0.5 - found.confidence / 2]
    t = np.quantile(resampled.t, levels, method="inverted_cdf")
    if not np.isfinite(t).all():
        why = f"resampled groups of {unit}s have no spread: too few events for the bootstrap"
        return replace(found, se=None, lower=None, upper=None, gamma=None, mark=None, why=why)
    ends = found.value - resampled.spread * t
    lower, upper = (float(end) if floor is None else max(float(end), floor) for end in ends)
    return replace(found, se=resampled.se, lower=lower, upper=upper)


class _Resampled(NamedTuple):
    se: float  # standard deviation of the replicates
    spread: float  # S
    t: Float64  # T* of every replicate, inf where SE* is 0


def _resampled(d: Float64, b: Float64, draws: Float64) -> _Resampled:
    """The replicates of a ratio; d = A - R B, so that R* - R = sum k d / sum k B without cancellation."""
    below = draws @ b
    draws, below = draws[below > 0], below[below > 0]  # nothing but b = 0 is no replicate
    shift = (draws @ d) / below
    inflation = len(d) / max(len(d) - 1, 1)
    square = draws @ (d * d) - 2 * shift * (draws @ (d * b)) + shift**2 * (draws @ (b * b))
    spread = np.sqrt(inflation * (d @ d)) / b.sum()
    spreads = np.sqrt(inflation * np.maximum(square, 0.0)) / below
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(spreads > 1e-9 * spread, shift / spreads, np.copysign(np.inf, shift))
    return _Resampled(float(np.std(shift, ddof=1) * np.sqrt(inflation)), float(spread), t)


@lru_cache(maxsize=2)
def _draws(groups: int, replicates: int, seed: int) -> Float64:
    """[replicates, groups] how often each replicate draws each group; kept, since many estimates share it."""
    rng = np.random.Generator(np.random.PCG64(seed))
    chosen = rng.integers(0, groups, (replicates, groups)) + groups * np.arange(replicates)[:, None]
    counts: Float64 = np.bincount(chosen.ravel(), minlength=replicates * groups).astype(np.float64)
    return counts.reshape(replicates, groups)
