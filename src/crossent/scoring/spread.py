"""Spread: the sums of a mean over rows, and of the clusters or groups of rows that its interval rests on."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from crossent.scoring.adding import sum_of_fields
from crossent.scoring.layout import Layout
from crossent.stats import Estimate, Float64, Int64, RatioSums, two_product
from crossent.stats.bootstrap import GROUPS, GroupSums, bootstrap_of_clusters
from crossent.stats.clusters import ClusterSums
from crossent.stats.identity import Identity

__all__ = ["Spread"]


@dataclass(frozen=True, eq=False)
class Spread:
    """The sums of a weighted mean of rows; `+` adds rows.

    Attributes:
        rows: sums over rows, in one group or more.
        clusters: sums over clusters, where rows come in clusters.
        groups: sums over hash groups of rows, where the interval is a bootstrap of rows.

    >>> layout = Layout(("cat", "dog"))
    >>> spread = Spread.of(np.array([1.0, 2.0, 4.0, 1.0]), None, layout)
    >>> (spread + spread).estimate(layout, confidence=0.95).value
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
        places: Int64 | None = None,
        place_count: int = 1,
    ) -> "Spread":
        """The sums of one block.

        Args:
            values: [n] finite numbers.
            weight: [n] weights > 0; None is all ones.
            layout: says how the interval is formed.
            error: [n] part of the values below their last bit.
            identity: [n] identity of the row or its cluster; None for an interval over rows.
            places: [n] group of `rows` that every row is in, 0..place_count - 1; None puts all into one.
            place_count: number of these groups.
        """
        error = None if error is None or not error.any() else error
        if weight is None:
            a, a_error, b = values, error, np.ones(len(values))
        else:
            a, a_error = two_product(weight, values)
            a_error, b = a_error if error is None else a_error + weight * error, weight
        if error is None:
            rows = RatioSums.weighted(values, weight, groups=places, group_count=place_count)
        else:
            rows = RatioSums.of(a, b, a_error=a_error, groups=places, group_count=place_count)
        if identity is None:
            return cls(rows)
        if layout.cluster:
            return cls(rows, clusters=ClusterSums.of(identity, a, b, a_error=a_error))
        return cls(rows, groups=GroupSums.of(identity, a, b, a_error=a_error))

    def __add__(self, other: "Spread") -> "Spread":
        return sum_of_fields(self, other)

    def check(self) -> None:
        """Whether sums from elsewhere can be used.

        Raises: ValueError for other than 1024 groups of rows.
        """
        if self.groups is not None and len(self.groups.sums.units) != GROUPS:
            raise ValueError(f"a spread has {len(self.groups.sums.units)} groups, not {GROUPS}")

    def fits(self, layout: Layout) -> bool:
        """Whether it holds the units of the interval that the layout asks for."""
        held = (self.clusters is not None, self.groups is not None)
        return held == (layout.cluster, layout.ci == "bootstrap" and not layout.cluster)

    def estimate(self, layout: Layout, *, confidence: float, seed: int = 0, floor: float | None = None) -> Estimate:
        """The mean over all rows with standard error and interval."""
        coverage: dict[str, Any] = {"confidence": confidence, "floor": floor}
        if self.groups is not None:
            return self.groups.estimate(**coverage, seed=seed)
        if self.clusters is None:
            return self.rows.total().estimate(**coverage)
        if layout.ci == "bootstrap":
            return bootstrap_of_clusters(self.clusters, **coverage, seed=seed)
        return self.clusters.estimate(**coverage)
