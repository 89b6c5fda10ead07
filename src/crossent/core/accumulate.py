"""Exact, order-free sums of float64, so that tallies merged in any order agree to the bit.

A double is an integer multiple of 2^-1074, so a sum of doubles is an integer too. It is held in signed
32-bit digits (limbs) in int64, one row of limbs per group, only over the window of exponents that occurred.
Adding is adding integers: associative and commutative to the bit. A block costs a dozen array passes and no
loop over rows.
Source: Neal, Fast exact summation using small and large superaccumulators, arXiv:1505.05571 (2015).
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from crossent.errors import NonFiniteError

__all__ = ["ExactSum", "Float64", "Int64", "two_product"]

Float64: TypeAlias = npt.NDArray[np.float64]
Int64: TypeAlias = npt.NDArray[np.int64]

_BITS = 32
_MASK = np.uint64(0xFFFFFFFF)
_UNIT_EXPONENT = 1074  # limb 0 counts units of 2^-1074, the smallest double
_MOST_LIMBS = 72  # sums below 2^1229
_CHUNK = 1 << 20  # 2^20 parts below 2^32 add up below 2^53: exact in bincount's float64
_SPLITTER = 134217729.0  # 2^27 + 1


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
        limbs: [groups, L] int64 digits; all but the last are in 0..2^32 - 1, the last carries the sign.

    >>> a, b = ExactSum.of(np.array([1e16, 1.0])), ExactSum.of(np.array([-1e16, 1e-30]))
    >>> (a + b).floats().tolist(), (a + b) == (b + a)
    ([1.0], True)
    """

    low: int
    limbs: Int64

    @classmethod
    def zeros(cls, group_count: int = 1) -> "ExactSum":
        """Sums of nothing."""
        return cls(_UNIT_EXPONENT // _BITS, np.zeros((group_count, 1), np.int64))

    @classmethod
    def of(cls, *vectors: Float64, groups: Int64 | None = None, group_count: int = 1) -> "ExactSum":
        """The sum over all vectors, per group.

        Args:
            vectors: [n] finite float64 each (several when a term comes as value and error).
            groups: [n] group of every row, 0..group_count - 1; None puts all rows into group 0.
            group_count: number of groups.
        Raises: NonFiniteError for infinities and NaN.
        """
        total = cls.zeros(group_count)
        for vector in vectors:
            values = np.ascontiguousarray(vector, dtype=np.float64)
            for start in range(0, len(values), _CHUNK):
                rows = slice(start, start + _CHUNK)
                total = total + _sum_chunk(values[rows], None if groups is None else groups[rows], group_count)
        return total

    @classmethod
    def of_counts(cls, counts: npt.ArrayLike) -> "ExactSum":
        """Whole numbers as exact sums, one per group.

        >>> ExactSum.of_counts([3, 5]).floats().tolist()
        [3.0, 5.0]
        """
        column = np.asarray(counts, dtype=np.int64).reshape(-1)
        low, shift = divmod(_UNIT_EXPONENT, _BITS)  # 1 is 2^shift in units of limb `low`
        keep = _BITS - shift
        digits = [(column & ((1 << keep) - 1)) << shift, column >> keep]
        return cls(low, _carried(np.stack(digits, axis=1)))

    @property
    def group_count(self) -> int:
        """Number of groups."""
        return len(self.limbs)

    def __add__(self, other: "ExactSum") -> "ExactSum":
        low = min(self.low, other.low)
        high = max(self.low + self.limbs.shape[1], other.low + other.limbs.shape[1])
        limbs = np.zeros((self.group_count, high - low), np.int64)
        for part in (self, other):
            limbs[:, part.low - low : part.low - low + part.limbs.shape[1]] += part.limbs
        return ExactSum(low, _carried(limbs))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExactSum) or other.group_count != self.group_count:
            return False
        negated = ExactSum(other.low, -other.limbs)
        return not np.any((self + negated).limbs)

    __hash__ = None  # type: ignore[assignment]  # arrays inside: equal but not hashable

    def check(self) -> None:
        """Whether sums from elsewhere can be used.

        Raises: ValueError unless the digits are in their ranges and the exponents those of sums of float64.
        """
        shape, last = self.limbs.shape, self.limbs[:, -1:]
        if len(shape) != 2 or not shape[1] or not 0 <= self.low <= self.low + shape[1] <= _MOST_LIMBS:
            raise ValueError(f"an exact sum has limbs {self.low}.. of shape {shape}")
        digits = self.limbs[:, :-1]
        if np.any((digits < 0) | (digits >> _BITS > 0)) or np.any((last < -(1 << 31)) | (last >= 1 << 31)):
            raise ValueError("an exact sum has digits outside 0..2^32 - 1")

    def scaled(self, count: int) -> "ExactSum":
        """Every sum times a whole number, exactly: what `count` equal parts add up to.

        Args:
            count: 1..2^53.

        >>> ExactSum.of(np.array([0.1])).scaled(3) == ExactSum.of(np.array([0.1, 0.1, 0.1]))
        True
        """
        power, total = self, ExactSum.zeros(self.group_count)
        for digit in range(3):  # 18 bits at a time: digits of 32 bits times these stay below 2^63
            piece = (count >> (18 * digit)) & 0x3FFFF
            total = total + ExactSum(power.low, _carried(power.limbs * piece))
            power = ExactSum(power.low, _carried(power.limbs << 18))
        return total

    def total(self) -> "ExactSum":
        """The sum over all groups, as one group."""
        return ExactSum(self.low, _carried(self.limbs.sum(axis=0, keepdims=True)))

    def merged(self, groups: Int64, group_count: int) -> "ExactSum":
        """Groups added into fewer, coarser ones: group g becomes groups[g]."""
        limbs = np.zeros((group_count, self.limbs.shape[1]), np.int64)
        np.add.at(limbs, groups, self.limbs)
        return ExactSum(self.low, _carried(limbs))

    def fractions(self) -> list[Fraction]:
        """The exact values, one per group."""
        shift = _BITS * self.low - _UNIT_EXPONENT
        scale = Fraction(2) ** shift
        return [sum(int(d) << (_BITS * k) for k, d in enumerate(row)) * scale for row in self.limbs.tolist()]

    def floats(self) -> Float64:
        """The values rounded once, [groups] float64."""
        return np.array([float(f) for f in self.fractions()], dtype=np.float64)


def _sum_chunk(values: Float64, groups: Int64 | None, group_count: int) -> ExactSum:
    """Exact sums of at most 2^20 values, cut into three 32-bit parts that bincount adds without rounding."""
    bits = values.view(np.uint64)
    exponent = ((bits >> np.uint64(52)) & np.uint64(0x7FF)).astype(np.int64)
    if np.any(exponent == 0x7FF):
        raise NonFiniteError(
            f"value {int(np.argmax(exponent == 0x7FF))} is not finite; an exact sum needs finite values"
        )
    kept = np.flatnonzero(values)
    if len(kept) < len(values):
        bits, exponent = bits[kept], exponent[kept]
        groups = None if groups is None else groups[kept]
    if not len(kept):
        return ExactSum.zeros(group_count)
    mantissa = bits & np.uint64((1 << 52) - 1)
    mantissa |= (exponent > 0).astype(np.uint64) << np.uint64(52)
    position = np.maximum(exponent, 1) - 1
    limb, shift = position >> 5, (position & 31).astype(np.uint64)
    low, width = int(limb.min()), int(limb.max() - limb.min()) + 4
    index = limb - low if groups is None else groups * width + (limb - low)
    sign = 1.0 - 2.0 * (bits >> np.uint64(63)).astype(np.float64)
    back = np.uint64(_BITS) - shift
    parts = ((mantissa << shift) & _MASK, (mantissa >> back) & _MASK, (mantissa >> np.uint64(_BITS)) >> back)
    limbs = np.zeros(group_count * width, np.int64)
    for offset, part in enumerate(parts):
        weights = part.astype(np.float64) * sign
        limbs += np.bincount(index + offset, weights=weights, minlength=limbs.size).astype(np.int64)
    return ExactSum(low, _carried(limbs.reshape(group_count, width)))


def _carried(limbs: Int64) -> Int64:
    """The same numbers with every digit but the last in 0..2^32 - 1; one digit more when the last is full."""
    for k in range(limbs.shape[1] - 1):
        carry = limbs[:, k] >> _BITS
        limbs[:, k] -= carry << _BITS
        limbs[:, k + 1] += carry
    last = limbs[:, -1:]
    if np.any(np.abs(last) >= 1 << 31):
        carry = last >> _BITS
        return np.concatenate([limbs[:, :-1], last - (carry << _BITS), carry], axis=1)
    return limbs
