"""Exact, order-free sums of float64, so that tallies merged in any order agree to the bit.

A double is an integer multiple of 2^-1074, so a sum of doubles is an integer too. It is held in signed
32-bit digits (limbs) in int64, one row of limbs per group, only over the window of exponents that occurred
(native/exact_sum.hpp adds). Adding is adding integers: associative and commutative to the bit. The limbs of equal sums
are equal: digits are carried, and limbs that say nothing are cut off at both ends.
Source: Neal, Fast exact summation using small and large superaccumulators, arXiv:1505.05571 (2015).
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from crossent import _native
from crossent.errors import NonFiniteError

__all__ = [
    "ExactSum",
    "Float64",
    "Int64",
    "Reach",
    "octave_cells",
    "product_reach",
    "reach_of",
    "two_product",
    "window_of",
]

Float64: TypeAlias = npt.NDArray[np.float64]
Int64: TypeAlias = npt.NDArray[np.int64]

_BITS = 32
_UNIT_EXPONENT = 1074  # limb 0 counts units of 2^-1074, the smallest double
_ZERO_LOW = _UNIT_EXPONENT // _BITS  # where a sum of 0 has its limb
_MOST_LIMBS = 72  # sums below 2^1229
_MASK = (1 << _BITS) - 1
_MANTISSA = 53  # bits of a double
_LARGEST = 1024  # doubles are below 2^1024
_ROOM = 2  # limbs above those that a double falls on: 2^64 terms find room
_SPLITTER = 134217729.0  # 2^27 + 1

Reach: TypeAlias = tuple[int, int] | None


def two_product(x: Float64, y: Float64) -> tuple[Float64, Float64]:
    """The rounded product and its exact rounding error: x y = p + e.

    Args:
        x: [n] doubles below 2^990 in size.
        y: [n] doubles below 2^990 in size.
    Returns: p = fl(x y) and e, both [n] float64; exact unless e is subnormal.
    Source: Dekker, Numer. Math. 18 (1971), 224-242.

    >>> p, e = two_product(np.array([0.1]), np.array([0.1]))
    >>> Fraction(0.1) ** 2 == Fraction(float(p[0])) + Fraction(float(e[0]))
    True
    """
    p = x * y
    t = _SPLITTER * x
    xh = t - (t - x)
    xl = x - xh
    t = _SPLITTER * y
    yh = t - (t - y)
    yl = y - yh
    return p, ((xh * yh - p) + xh * yl + xl * yh) + xl * yl


@dataclass(frozen=True, eq=False)
class ExactSum:
    """Exact sums of float64, one per group; `+` adds group by group without rounding.

    Attributes:
        low: index of the first limb held; limb i counts units of 2^(32 i - 1074).
        limbs: [groups, L] int64 digits; all but the last are in 0..2^32 - 1, the last carries the sign. Of all
            windows that hold every group they are the narrowest.

    >>> a, b = ExactSum.of(np.array([1e16, 1.0])), ExactSum.of(np.array([-1e16, 1e-30]))
    >>> (a + b).floats().tolist(), (a + b) == (b + a)
    ([1.0], True)
    """

    low: int
    limbs: Int64

    @classmethod
    def zeros(cls, group_count: int = 1) -> "ExactSum":
        """Sums of nothing."""
        return cls(_ZERO_LOW, np.zeros((group_count, 1), np.int64))

    @classmethod
    def of(cls, *vectors: Float64, groups: Int64 | None = None, group_count: int = 1) -> "ExactSum":
        """The sum over all vectors, per group.

        Args:
            vectors: [n] finite float64 each (several when a term comes as value and error).
            groups: [n] group of every row, 0..group_count - 1; None puts all rows into group 0.
            group_count: number of groups.
        Raises: NonFiniteError for infinities and NaN.
        """
        columns = [np.ascontiguousarray(v, np.float64) for v in vectors]
        return cls._added([(c, None, reach_of(c)) for c in columns], groups, group_count)

    @classmethod
    def of_products(cls, x: Float64, y: Float64, *, groups: Int64 | None = None, group_count: int = 1) -> "ExactSum":
        """The sum of x y per group: what `of(*two_product(x, y))` is, formed in one pass.

        Args:
            x, y: [n] float64 whose products are finite.
            groups, group_count: as for `of`.
        Raises: NonFiniteError for infinities and NaN.
        """
        x, y = np.ascontiguousarray(x, np.float64), np.ascontiguousarray(y, np.float64)
        return cls._added([(x, y, product_reach(x, y))], groups, group_count)

    @classmethod
    def of_counts(cls, counts: npt.ArrayLike) -> "ExactSum":
        """Whole numbers as exact sums, one per group.

        >>> ExactSum.of_counts([3, 5]).floats().tolist()
        [3.0, 5.0]
        """
        column = np.asarray(counts, dtype=np.int64).reshape(-1)
        keep = _BITS - _UNIT_EXPONENT % _BITS  # 1 is 2^(32 - keep) in units of its limb
        digits = [(column & ((1 << keep) - 1)) << (_BITS - keep), (column >> keep) & _MASK, column >> (keep + _BITS)]
        return cls.trimmed(_ZERO_LOW, np.stack(digits, axis=1))

    @classmethod
    def trimmed(cls, low: int, limbs: Int64) -> "ExactSum":
        """Sums of carried digits without the limbs that say nothing."""
        limbs = np.ascontiguousarray(limbs)
        first, end = _native.exact_trim(limbs)
        if first == end:
            return cls.zeros(len(limbs))
        if (first, end) == (0, limbs.shape[1]):
            return cls(low, limbs)
        kept = limbs[:, first:end].copy()
        kept[:, -1] = kept[:, -1].astype(np.int32)  # the last digit carries the sign
        return cls(low + first, kept)

    @classmethod
    def _added(
        cls, columns: list[tuple[Float64, Float64 | None, Reach]], groups: Int64 | None, group_count: int
    ) -> "ExactSum":
        reaches = [reach for _, _, reach in columns if reach is not None]
        if not reaches:
            return cls.zeros(group_count)
        low, width = window_of(min(r[0] for r in reaches), max(r[1] for r in reaches))
        place = None if groups is None else np.ascontiguousarray(groups, np.int64)
        limbs = np.zeros((group_count, width), np.int64)
        for values, times, _ in columns:
            _native.exact_rows(values, times, place, limbs, low)
        return cls.trimmed(low, limbs)

    @property
    def group_count(self) -> int:
        """Number of groups."""
        return len(self.limbs)

    def __add__(self, other: "ExactSum") -> "ExactSum":
        return _sum_of(((self, None), (other, None)), self.group_count)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExactSum) and self.low == other.low and np.array_equal(self.limbs, other.limbs)

    __hash__ = None  # type: ignore[assignment]  # arrays inside: equal but not hashable

    def check(self) -> None:
        """Whether sums from elsewhere can be used.

        Raises: ValueError unless the limbs are those that `trimmed` gives, of exponents that sums of float64 have.
        """
        shape = self.limbs.shape
        if len(shape) != 2 or not shape[1] or not 0 <= self.low <= self.low + shape[1] <= _MOST_LIMBS:
            raise ValueError(f"an exact sum has limbs {self.low}.. of shape {shape}")
        digits, last = self.limbs[:, :-1], self.limbs[:, -1]
        if np.any((digits < 0) | (digits > _MASK)) or np.any((last < -(1 << 31)) | (last >= 1 << 31)):
            raise ValueError("an exact sum has digits outside 0..2^32 - 1")
        if self.trimmed(self.low, self.limbs) != self:
            raise ValueError("an exact sum has limbs that say nothing")

    def total(self) -> "ExactSum":
        """The sum over all groups, as one group."""
        return self.merged(np.zeros(self.group_count, np.int64), 1)

    def taken(self, groups: slice) -> "ExactSum":
        """The sums of some of the groups."""
        return self.trimmed(self.low, self.limbs[groups])

    def merged(self, groups: Int64, group_count: int) -> "ExactSum":
        """Groups added into fewer, coarser ones: group g becomes groups[g]."""
        return _sum_of(((self, np.ascontiguousarray(groups, np.int64)),), group_count)

    def fractions(self) -> list[Fraction]:
        """The exact values, one per group."""
        shift, width = _BITS * self.low - _UNIT_EXPONENT, 4 * self.limbs.shape[1]
        digits = self.limbs.astype("<u4").tobytes()  # the last one too: two's complement
        numbers = (
            int.from_bytes(digits[at : at + width], "little", signed=True) for at in range(0, len(digits), width)
        )
        return [Fraction(n << shift) if shift >= 0 else Fraction(n, 1 << -shift) for n in numbers]

    def floats(self) -> Float64:
        """The values rounded once, to nearest and ties to even, [groups] float64."""
        values = np.empty(self.group_count)
        _native.exact_floats(np.ascontiguousarray(self.limbs), self.low, values)
        return values


def reach_of(values: Float64) -> Reach:
    """Two powers of two: the numbers are multiples of 2^lowest and below 2^highest in size; None if all are 0.

    Raises: NonFiniteError for infinities and NaN.

    >>> reach_of(np.array([1.0, 0.0, 3.0]))
    (-52, 2)
    """
    low, high, bad = _native.exact_reach(values)
    if bad >= 0:
        raise NonFiniteError(f"value {bad} is not finite; an exact sum needs finite values")
    return None if low < 0 else (low - _UNIT_EXPONENT, high - _UNIT_EXPONENT + _MANTISSA)


def product_reach(x: Float64, y: Float64) -> Reach:
    """The same of the products x y.

    Raises: NonFiniteError if one is not finite.
    """
    first, second = reach_of(x), reach_of(y)
    if first is None or second is None:
        return None
    if first[1] + second[1] > _LARGEST:
        with np.errstate(over="ignore"):
            reach_of(x * y)
    return first[0] + second[0], first[1] + second[1]


def octave_cells(numbers: Float64, edges: Float64, per_octave: int) -> Int64:
    """The cell of the size of every number: cell c is [edges[c], edges[c + 1]).

    Args:
        numbers: [n] float64.
        edges: [m + 1] rising from 0 to inf; those between split each octave into `per_octave` equal ratios, and the
            first of them is a power of two.
        per_octave: 1..64.
    Returns: [n] int64 in 0..m - 1.

    >>> octave_cells(np.array([0.3, 1.0, 7.9]), np.array([0.0, 1.0, 2.0, 4.0, np.inf]), 1).tolist()
    [0, 1, 3]
    """
    cells = np.empty(len(numbers), np.int64)
    _native.octave_cells(np.ascontiguousarray(numbers, np.float64), edges, per_octave, cells)
    return cells


def window_of(lowest: int, highest: int) -> tuple[int, int]:
    """The first limb and the number of limbs for sums of multiples of 2^lowest below 2^highest.

    A double's last bit may stand up to 52 places below the number that it is a multiple of, as in 1.0.
    """
    top = max(min(highest, _LARGEST) + 1 - _MANTISSA + _UNIT_EXPONENT, 0) // _BITS
    bottom = min(max(lowest - _MANTISSA + 1 + _UNIT_EXPONENT, 0) // _BITS, top)
    return bottom, top - bottom + 3 + _ROOM


def _sum_of(terms: tuple[tuple[ExactSum, Int64 | None], ...], group_count: int) -> ExactSum:
    """The sum of terms (sums, group of each of their groups)."""
    low = min(s.low for s, _ in terms)
    high = max(s.low + s.limbs.shape[1] for s, _ in terms)
    limbs = np.zeros((group_count, high - low + _ROOM), np.int64)
    for sums, groups in terms:
        _native.exact_add(np.ascontiguousarray(sums.limbs), sums.low, 1, groups, limbs, low)
    return ExactSum.trimmed(low, limbs)
