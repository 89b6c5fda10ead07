"""Spread: the sums of a mean over rows, and of the clusters or groups of rows that its interval rests on."""

from dataclasses import dataclass

import numpy as np

from crossent.scoring.layout import Layout
from crossent.stats import Estimate, Float64, RatioSums, two_product
from crossent.stats.bootstrap import GroupSums
from crossent.stats.clusters import ClusterSums
from crossent.stats.identity import Identity

__all__ = ["Spread", "method_of"]


def method_of(layout: Layout) -> str:
    """How intervals are formed: "hall", "bootstrap" (of rows, or of whole clusters) or "clusters".

    >>> method_of(Layout(("cat", "dog"), cluster=True))
    'clusters'
    """
    return "clusters" if layout.cluster and layout.ci == "hall" else layout.ci


@dataclass(frozen=True, eq=False)
class Spread:
    """The sums of a weighted mean of rows; `+` adds rows.

    Attributes:
        rows: sums over rows.
        clusters: sums over clusters, if the interval rests on them.
        groups: sums over hash groups of rows or clusters, if the interval is a bootstrap.

    >>> spread = Spread.of(np.array([1.0, 2.0, 4.0, 1.0]))
    >>> (spread + spread).estimate(confidence=0.95).value
    2.0
    """

    rows: RatioSums
    clusters: ClusterSums | None = None
    groups: GroupSums | None = None

    @classmethod
    def of(
        cls,
        values: Float64,
        weight: Float64 | None = None,
        *,
        error: Float64 | None = None,
        method: str = "hall",
        identity: Identity | None = None,
    ) -> "Spread":
        """The sums of one block.

        Args:
            values: [n] finite numbers.
            weight: [n] weights > 0; None is all ones.
            error: [n] part of the values below their last bit.
            method: as `method_of` says.
            identity: [n] identity of the row or its cluster; None for "hall".
        """
        if weight is None:
            a, a_error, b = values, error, np.ones(len(values))
        else:
            a, a_error = two_product(weight, values)
            a_error, b = a_error if error is None else a_error + weight * error, weight
        plain = weight is None and (error is None or not error.any())
        rows = RatioSums.of(values) if plain else RatioSums.of(a, b, a_error=a_error)
        if identity is None:
            return cls(rows)
        if method == "clusters":
            return cls(rows, clusters=ClusterSums.of(identity, a, b, a_error=a_error))
        return cls(rows, groups=GroupSums.of(identity, a, b, a_error=a_error))

    def __add__(self, other: "Spread") -> "Spread":
        clusters = self.clusters + other.clusters if self.clusters and other.clusters else None
        groups = self.groups + other.groups if self.groups and other.groups else None
        return Spread(self.rows + other.rows, clusters, groups)

    def estimate(self, *, confidence: float, floor: float | None = None) -> Estimate:
        """The mean with standard error and interval."""
        return (self.clusters or self.groups or self.rows).estimate(confidence=confidence, floor=floor)
