"""Spread: the sums of a mean over rows, and of the clusters or groups of rows that its interval rests on."""

from dataclasses import dataclass

import numpy as np

from crossent.scoring.layout import Layout
from crossent.stats import Estimate, Float64, RatioSums, two_product
from crossent.stats.bootstrap import GROUPS, GroupSums
from crossent.stats.clusters import ClusterSums
from crossent.stats.identity import Identity

__all__ = ["Spread"]


@dataclass(frozen=True, eq=False)
class Spread:
    """The sums of a weighted mean of rows; `+` adds rows.

    Attributes:
        rows: sums over rows.
        clusters: sums over clusters, where the interval is over clusters.
        groups: sums over hash groups of rows or clusters, where the interval is a bootstrap.

    >>> spread = Spread.of(np.array([1.0, 2.0, 4.0, 1.0]), None, Layout(("cat", "dog")))
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
        weight: Float64 | None,
        layout: Layout,
        *,
        error: Float64 | None = None,
        identity: Identity | None = None,
    ) -> "Spread":
        """The sums of one block.

        Args:
            values: [n] finite numbers.
            weight: [n] weights > 0; None is all ones.
            layout: says how the interval is formed.
            error: [n] part of the values below their last bit.
            identity: [n] identity of the row or its cluster; None for an interval over rows.
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
        if layout.ci == "bootstrap":
            return cls(rows, groups=GroupSums.of(identity, a, b, a_error=a_error))
        return cls(rows, clusters=ClusterSums.of(identity, a, b, a_error=a_error))

    def __add__(self, other: "Spread") -> "Spread":
        clusters = None if self.clusters is None or other.clusters is None else self.clusters + other.clusters
        groups = None if self.groups is None or other.groups is None else self.groups + other.groups
        return Spread(self.rows + other.rows, clusters, groups)

    def check(self) -> None:
        """Whether sums from elsewhere can be used.

        Raises: ValueError unless there is one group of rows, and at most one kind of units that are no rows.
        """
        if len(self.rows.units) != 1 or (self.clusters is not None and self.groups is not None):
            raise ValueError("a spread has several means, or clusters and groups at once")
        if self.groups is not None and len(self.groups.sums.units) != GROUPS:
            raise ValueError(f"a spread has {len(self.groups.sums.units)} groups, not {GROUPS}")

    @property
    def method(self) -> str:
        """How the interval is formed, as `Layout.method` names it."""
        if self.groups is not None:
            return "bootstrap"
        return "hall" if self.clusters is None else "clusters"

    def estimate(self, *, confidence: float, seed: int = 0, floor: float | None = None) -> Estimate:
        """The mean with standard error and interval."""
        if self.groups is not None:
            return self.groups.estimate(confidence=confidence, floor=floor, seed=seed)
        return (self.clusters or self.rows).estimate(confidence=confidence, floor=floor)
