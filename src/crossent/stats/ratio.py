"""RatioSums: the exact sums behind every ratio of sums, its standard error and its interval.

Log loss is a = w l, b = w; a difference of two models is a = w d. The sums of a^i b^j for 1 <= i + j <= 3
are all that the interval needs. Each row's powers are formed once as a value and its error (about 104 bits),
then added exactly: merging in any order gives the same bits, and equal losses give a variance of zero and not
rounding noise.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from crossent.core.accumulate import ExactSum, Float64, Int64
from crossent.core.powers import POWERS, ratio_sums
from crossent.stats.intervals import TOO_FEW_EVENTS, Estimate, hall_interval

__all__ = ["RatioSums"]

_NO_VARIANCE = 2.0**-90  # of sum a^2: a spread below 2^-45 of the size is rounding of the losses themselves


@dataclass(frozen=True, eq=False)
class RatioSums:
    """Exact sums of a^i b^j over units, per group, for R = sum a / sum b and its interval; `+` adds units.

    Attributes:
        units: [groups] int64, the number of rows or clusters.
        beyond: [groups] int64, those too large to square and cube in float64; they leave no standard error.
        sums: one ExactSum for each of a, b, aa, ab, bb, aaa, aab, abb, bbb.

    >>> r = RatioSums.of(np.array([1.0, 2.0, 4.0, 1.0])).estimate()
    >>> r.value, round(r.se, 6)
    (2.0, 0.707107)
    """

    units: Int64
    beyond: Int64
    sums: tuple[ExactSum, ...]

    @classmethod
    def of(
        cls,
        a: Float64,
        b: Float64 | None = None,
        *,
        a_error: Float64 | None = None,
        groups: Int64 | None = None,
        group_count: int = 1,
    ) -> "RatioSums":
        """The sums over one block of units.

        Args:
            a: [n] finite numerators.
            b: [n] finite denominators; None is all ones (R is the mean), which costs half.
            a_error: [n] part of a below its last bit, from `two_product`.
            groups: [n] group of every unit; None puts all into group 0.
            group_count: number of groups.
        Returns: the sums, with a standard error as long as |a| and |b| are at most 2^330.
        Raises: NonFiniteError for infinities and NaN.
        """
        if b is None and a_error is not None:
            b = np.ones(len(a))
        return cls(*ratio_sums(a, a_error, b, groups=groups, group_count=group_count))

    @classmethod
    def weighted(
        cls,
        values: Float64,
        weight: Float64 | None = None,
        *,
        groups: Int64 | None = None,
        group_count: int = 1,
    ) -> "RatioSums":
        """The sums for a weighted mean: a = w v with its rounding error, b = w."""
        if weight is None:
            return cls.of(values, groups=groups, group_count=group_count)
        return cls(*ratio_sums(values, None, weight, product=True, groups=groups, group_count=group_count))

    def __add__(self, other: "RatioSums") -> "RatioSums":
        sums = tuple(x + y for x, y in zip(self.sums, other.sums, strict=True))
        return RatioSums(self.units + other.units, self.beyond + other.beyond, sums)

    def check(self) -> None:
        """Whether sums from elsewhere can be used.

        Raises: ValueError unless there are nine sums of as many groups as units, and 0 <= beyond <= units <= 2^53.
        """
        shape = (len(self.units),)
        groups = [s.group_count for s in self.sums]
        if self.units.shape != shape or self.beyond.shape != shape or groups != [len(self.units)] * len(POWERS):
            raise ValueError("sums of ratios are of different numbers of groups")
        if np.any((self.beyond < 0) | (self.beyond > self.units) | (self.units > 1 << 53)):
            raise ValueError("sums of ratios have counts that cannot be")

    def total(self) -> "RatioSums":
        """The sums over all groups, as one group."""
        units, beyond = self.units.sum(keepdims=True), self.beyond.sum(keepdims=True)
        return RatioSums(units, beyond, tuple(s.total() for s in self.sums))

    def estimate(self, *, confidence: float = 0.95, floor: float | None = None, unit: str = "row") -> Estimate:
        """The ratio of the first group with standard error and Hall's interval."""
        return self.estimates(confidence=confidence, floor=floor, unit=unit)[0]

    def estimates(self, *, confidence: float = 0.95, floor: float | None = None, unit: str = "row") -> list[Estimate]:
        """The ratio of every group.

            u = (a - R b) / sum b;  SE^2 = m / (m - 1) sum u^2;  gamma = sqrt(m) sum u^3 / (sum u^2)^1.5

        Args:
            confidence: coverage of the interval.
            floor: the smallest possible value, where the interval is cut (0 for losses).
            unit: what a row is called where there is no interval.
        Returns: one Estimate a group.
        Raises: OptionError for a confidence outside (0, 1).
        Source: Hall, J. R. Statist. Soc. B 54 (1992), 221-228.
        """
        rows = zip(*(s.fractions() for s in self.sums), strict=True)
        return [
            _estimate(int(m), int(big), row, confidence, floor, unit)
            for m, big, row in zip(self.units, self.beyond, rows, strict=True)
        ]


def _estimate(
    m: int, beyond: int, sums: tuple[Fraction, ...], confidence: float, floor: float | None, unit: str
) -> Estimate:
    a, b, aa, ab, bb, aaa, aab, abb, bbb = sums
    effective_n = float(b * b / bb) if bb else 0.0

    def bare(value: float | None, why: str) -> Estimate:
        return Estimate(value, None, None, None, confidence, m, effective_n, why=why)

    if m == 0 or b == 0:
        return bare(None, f"no {unit}s")
    ratio = a / b
    value = float(ratio)
    if m == 1:
        return bare(value, f"one {unit}: its spread cannot be seen")
    if beyond:
        return bare(value, f"{beyond} {unit}s are larger than 2^330: no standard error")
    square = aa - 2 * ratio * ab + ratio * ratio * bb
    if square <= _NO_VARIANCE * aa:
        return bare(value, f"no variance among the {unit}s: not estimable")
    cube = aaa - 3 * ratio * aab + 3 * ratio * ratio * abb - ratio**3 * bbb
    # sum u^3 / (sum u^2)^1.5 has no unit, so sum b drops out; the square root is taken of an exact fraction
    gamma = math.sqrt(float(m * cube * cube / square**3)) * (1 if cube > 0 else -1)
    se = math.sqrt(float(Fraction(m, m - 1) * square / b**2))
    lower, upper = hall_interval(value, se=se, gamma=gamma, units=m, confidence=confidence)
    if floor is not None:
        lower, upper = max(lower, floor), max(upper, floor)
    mark = TOO_FEW_EVENTS if abs(gamma) / math.sqrt(m) > 0.5 else None
    return Estimate(value, se, lower, upper, confidence, m, effective_n, gamma=gamma, mark=mark)
