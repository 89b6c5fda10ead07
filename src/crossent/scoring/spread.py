"""Spread: the sums of a mean over rows, and of the units whose spread its interval rests on."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from crossent.core.types import ArrayLike
from crossent.errors import OptionError
from crossent.stats import Estimate, Flags, Float64, Int64, RatioSums, two_product
from crossent.stats.bootstrap import GroupSums
from crossent.stats.clusters import ClusterSums
from crossent.stats.identity import Identity, key_identity, row_identity

__all__ = ["Interval", "Spread", "Unit", "require_interval"]

Interval: TypeAlias = Literal["hall", "bootstrap"]
_UNITS = {"bootstrap": GroupSums, "clusters": ClusterSums}


def require_interval(ci: str) -> None:
    """Raises OptionError for an interval that there is not."""
    if ci not in ("hall", "bootstrap"):
        raise OptionError(f"ci is {ci!r}; it must be 'hall' or 'bootstrap'")


@dataclass(frozen=True, eq=False)
class Unit:
    """What the rows of a block are units of.

    Attributes:
        method: "hall" (every row by itself), "bootstrap" (hash groups of rows or clusters) or "clusters".
        identity: [n] identity of the row or of its cluster; None for "hall".
    """

    method: str
    identity: Identity | None = None

    @classmethod
    def of(cls, ci: Interval, *, cluster: ArrayLike | None, source: str, rows: Int64, kept: Int64) -> "Unit":
        """The units of one block.

        Args:
            ci: how intervals are formed.
            cluster: keys of the rows that were given, or None.
            source: file or table of the rows.
            rows: [n] their rows there.
            kept: [n] which of the rows that were given they are.
        Raises: DataError for a missing key; ShapeError for keys of another shape.
        """
        if cluster is not None:
            return cls("clusters" if ci == "hall" else ci, key_identity(cluster)[kept])
        return cls(ci, None if ci == "hall" else row_identity(source, rows))

    def rows(self, kept: Flags) -> "Unit":
        """Some of the rows."""
        return self if self.identity is None else Unit(self.method, self.identity[kept])


@dataclass(frozen=True, eq=False)
class Spread:
    """The sums of a weighted mean of rows; `+` adds rows.

    Attributes:
        rows: sums over rows.
        units: sums over clusters or hash groups; None if every row is a unit.

    >>> spread = Spread.of(np.array([1.0, 2.0, 4.0, 1.0]), unit=Unit("hall"))
    >>> spread.estimate(confidence=0.95).value
    2.0
    """

    rows: RatioSums
    units: GroupSums | ClusterSums | None

    @classmethod
    def of(
        cls, values: Float64, weight: Float64 | None = None, *, error: Float64 | None = None, unit: Unit
    ) -> "Spread":
        """The sums of one block.

        Args:
            values: [n] finite numbers.
            weight: [n] weights > 0; None is all ones.
            error: [n] part of the values below their last bit.
            unit: what the rows are units of.
        """
        if weight is None:
            a, a_error, b = values, error, np.ones(len(values))
        else:
            a, a_error = two_product(weight, values)
            a_error, b = a_error if error is None else a_error + weight * error, weight
        plain = weight is None and (error is None or not error.any())
        rows = RatioSums.of(values) if plain else RatioSums.of(a, b, a_error=a_error)
        if unit.identity is None:
            return cls(rows, None)
        return cls(rows, _UNITS[unit.method].of(unit.identity, a, b, a_error=a_error))

    def __add__(self, other: "Spread") -> "Spread":
        units = None if self.units is None or other.units is None else self.units + other.units
        return Spread(self.rows + other.rows, units)

    def estimate(self, *, confidence: float, floor: float | None = None) -> Estimate:
        """The mean with standard error and interval."""
        return (self.units or self.rows).estimate(confidence=confidence, floor=floor)
