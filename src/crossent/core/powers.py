"""Exact sums of the powers a^i b^j of rows, formed and added in one native pass: what ratios of sums need.

Each power is formed once as a value and its error (about 104 bits) from the row alone, then added exactly, so that any
order gives the same bits. Beyond 2^330 a number's cube would overflow: such rows are counted, and left out of the
powers above the first.
"""

from typing import NamedTuple

import numpy as np

from crossent import _native
from crossent.core.accumulate import ExactSum, Float64, Int64, Reach, product_reach, reach_of, window_of

__all__ = ["POWERS", "ratio_sums"]

POWERS = ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3))
_PLAIN = ((1, 0), (2, 0), (3, 0))  # enough where b = 1
_CUBED = 331  # powers are formed of numbers below 2^331


class PowerSums(NamedTuple):
    """Rows, rows beyond 2^330, and exact sums of a^i b^j for each of POWERS, per group."""

    units: Int64
    beyond: Int64
    sums: tuple[ExactSum, ...]


def ratio_sums(
    a: Float64,
    a_error: Float64 | None,
    b: Float64 | None,
    *,
    product: bool = False,
    groups: Int64 | None = None,
    group_count: int = 1,
) -> PowerSums:
    """The sums of a^i b^j for 1 <= i + j <= 3.

    Args:
        a: [n] finite numerators.
        a_error: [n] part of a below its last bit, or None; needs b.
        b: [n] finite denominators; None is all ones.
        product: the numerators are the products a b.
        groups: [n] group of every row; None puts all into group 0.
        group_count: number of groups.
    Raises: NonFiniteError for infinities and NaN.

    >>> ratio_sums(np.array([1.0, 3.0]), None, None).sums[2].floats().tolist()
    [10.0]
    """
    a, a_error, b = np.ascontiguousarray(a, np.float64), _column(a_error), _column(b)
    of_a = product_reach(a, b) if product and b is not None else _wider(reach_of(a), _reach(a_error))
    windows = _windows(of_a, None if b is None else reach_of(b), _PLAIN if b is None else POWERS)
    digits = np.zeros((group_count, int(windows[:, 1].sum())), np.int64)
    units, beyond = np.zeros(group_count, np.int64), np.zeros(group_count, np.int64)
    place = None if groups is None else np.ascontiguousarray(groups, np.int64)
    _native.exact_ratio(a, a_error, b, product, place, windows, digits, units, beyond)
    ends = np.cumsum(windows[:, 1])
    sums = {
        power: ExactSum.trimmed(int(low), digits[:, end - width : end])
        for power, (low, width), end in zip(POWERS, windows, ends, strict=True)
        if width
    }
    if b is None:
        sums[0, 1] = sums[0, 2] = sums[0, 3] = ExactSum.of_counts(units)
        sums[1, 1] = sums[1, 2] = sums[1, 0]
        sums[2, 1] = sums[2, 0]
    return PowerSums(units, beyond, tuple(sums[power] for power in POWERS))


def _column(values: Float64 | None) -> Float64 | None:
    return None if values is None else np.ascontiguousarray(values, np.float64)


def _reach(values: Float64 | None) -> Reach:
    return None if values is None else reach_of(values)


def _wider(first: Reach, second: Reach) -> Reach:
    """The reach of sums of numbers of both."""
    if first is None or second is None:
        return first or second
    return min(first[0], second[0]), max(first[1], second[1]) + 1


def _windows(of_a: Reach, of_b: Reach, formed: tuple[tuple[int, int], ...]) -> Int64:
    """First limb and number of limbs of each of POWERS, [9, 2]; none of those that are not formed."""
    (low_a, high_a), (low_b, high_b) = of_a or (0, 0), of_b or (0, 0)
    windows = np.zeros((len(POWERS), 2), np.int64)
    for k, (i, j) in enumerate(POWERS):
        if (i, j) in formed:
            highest = (high_a, high_b) if i + j == 1 else (min(high_a, _CUBED), min(high_b, _CUBED))
            windows[k] = window_of(i * low_a + j * low_b, i * highest[0] + j * highest[1] + 2)
    return windows
