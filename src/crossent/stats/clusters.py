"""ClusterSums: the standard error of a ratio whose rows come in clusters (documents, users) that are not independent.

The units are the clusters: a and b are summed exactly inside each, and the rest is RatioSums over clusters. Up to
100 000 keys are held; beyond that all keys are folded into 65 536 buckets by the top bits of their identity. A bucket
holds whole clusters, and buckets are as independent as clusters are, so the interval stays valid. Whether a state is
folded depends on the number of different keys in all of it and on nothing else: a state with more than the limit has
been folded however it was put together (each part of it with more was, and the last `+` sees the rest), one with fewer
never was, since no part of it has more keys. Folding is the same map for every part, so it may be done early or late.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from crossent.core.accumulate import ExactSum, Float64, Int64
from crossent.stats.identity import Identity, top_bits
from crossent.stats.intervals import Estimate
from crossent.stats.ratio import RatioSums

__all__ = ["FEW_CLUSTERS", "MOST_KEYS", "ClusterSums"]

_FEW = "fewer than 30 {unit}s: may be too short"
FEW_CLUSTERS = _FEW.format(unit="cluster")
MOST_KEYS = 100_000
_BUCKET_BITS = 16


@dataclass(frozen=True, eq=False)
class ClusterSums:
    """Exact sums of a and b per cluster for R = sum a / sum b with a cluster-robust interval; `+` adds rows.

    Attributes:
        keys: [m] sorted identities of the clusters; of buckets, numbered from 0, when folded.
        folded: whether clusters were folded into buckets.
        a: m groups: sum of a inside each.
        b: m groups: sum of b.

    >>> from crossent.stats.identity import key_identity
    >>> sums = ClusterSums.of(key_identity(["x", "y", "x"]), np.array([1.0, 4.0, 2.0]), np.ones(3))
    >>> e = (sums + sums).estimate()
    >>> sums.clusters, round(e.value, 6), round(e.se, 6)
    (2, 2.333333, 1.111111)
    """

    keys: Identity
    folded: bool
    a: ExactSum
    b: ExactSum
    grows: ClassVar[bool] = True  # for crossent.scoring.saved: its size depends on the rows

    def check(self) -> None:
        """Whether sums from elsewhere can be used.

        Raises: ValueError unless the keys rise, are as many as allowed, and have one sum each.
        """
        m, most = len(self.keys), 1 << _BUCKET_BITS if self.folded else MOST_KEYS
        if self.keys.ndim != 1 or m > most or np.any(self.keys[1:] <= self.keys[:-1]):
            raise ValueError(f"clusters have {m} keys that do not rise, or more than {most}")
        if self.folded and m and self.keys[-1] >= most:
            raise ValueError(f"buckets of clusters have numbers beyond {most}")
        if (self.a.group_count, self.b.group_count) != (m, m):
            raise ValueError(f"sums of clusters do not fit their {m} keys")

    @classmethod
    def of(cls, identity: Identity, a: Float64, b: Float64, *, a_error: Float64 | None = None) -> "ClusterSums":
        """The sums over one block of rows.

        Args:
            identity: [n] uint64 identity of every row's cluster, from `key_identity`.
            a: [n] finite numerators.
            b: [n] finite denominators >= 0.
            a_error: [n] part of a below its last bit, from `two_product`.
        Raises: NonFiniteError for infinities and NaN.
        """
        keys, place = np.unique(identity, return_inverse=True)

        def summed(*vectors: Float64) -> ExactSum:
            return ExactSum.of(*vectors, groups=place, group_count=len(keys))

        numerator = summed(a) if a_error is None else summed(a, a_error)
        return cls(keys, False, numerator, summed(b))._bounded()

    @property
    def clusters(self) -> int:
        """Number of clusters, or of buckets that hold any when folded."""
        return len(self.keys)

    def groups(self, bits: int) -> Int64:
        """Which of 2^bits groups, bits <= 16, every cluster belongs to, [clusters]; folding changes no group."""
        return top_bits(self.keys << np.uint64(64 - _BUCKET_BITS) if self.folded else self.keys, bits)

    def __add__(self, other: "ClusterSums") -> "ClusterSums":
        mine, theirs = self, other
        if mine.folded != theirs.folded:
            mine, theirs = mine._fold(), theirs._fold()
        keys = np.union1d(mine.keys, theirs.keys)
        left, right = (part._placed(np.searchsorted(keys, part.keys), keys) for part in (mine, theirs))
        return ClusterSums(keys, mine.folded, left.a + right.a, left.b + right.b)._bounded()

    def estimate(self, *, confidence: float = 0.95, floor: float | None = None, unit: str = "cluster") -> Estimate:
        """The ratio with cluster-robust standard error and Hall's interval; n and effective n count clusters.

            u_c = (A_c - R B_c) / sum B,  A_c and B_c the sums of a and b inside cluster c; then as `RatioSums.estimate`

        Args:
            confidence: coverage of the interval.
            floor: the smallest possible value, where the interval is cut (0 for losses).
            unit: what a cluster is called where an interval is missing or has a caveat.
        Returns: an Estimate, marked where there are fewer than 30 clusters.
        Raises: OptionError for a confidence outside (0, 1).
        Source: Liang & Zeger, Biometrika 73 (1986), 13-22; Hall, J. R. Statist. Soc. B 54 (1992), 221-228.
        """
        a, b = self.a.floats(), self.b.floats()
        below = (self.a + ExactSum.of(-a, groups=np.arange(len(a)), group_count=len(a))).floats()
        found = RatioSums.of(a, b, a_error=below).estimate(confidence=confidence, floor=floor, unit=unit)
        return found.marked(_FEW.format(unit=unit)) if self.clusters < 30 else found

    def _bounded(self) -> "ClusterSums":
        return self._fold() if len(self.keys) > MOST_KEYS else self

    def _fold(self) -> "ClusterSums":
        """Whole clusters added into buckets."""
        if self.folded:
            return self
        buckets, place = np.unique(top_bits(self.keys, _BUCKET_BITS), return_inverse=True)
        return replace(self._placed(place, buckets.astype(np.uint64)), folded=True)

    def _placed(self, place: Int64, keys: Identity) -> "ClusterSums":
        """The same sums under other keys: cluster c goes to keys[place[c]]."""
        return ClusterSums(keys, self.folded, self.a.merged(place, len(keys)), self.b.merged(place, len(keys)))
