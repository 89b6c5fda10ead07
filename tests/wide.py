"""Arrays of numbers with 106 bits and an unbounded exponent, which exact values are kept in for comparison.

A number is (hi + lo) 2^exp with 1/2 <= |hi| < 1 and |lo| <= ulp(hi)/2, each part a NumPy array. mpmath
numbers and fractions convert to it (their first 106 bits), and `exp` makes the exponentials of a long row
quickly enough for K = 262 144. Nothing here is shared with crossent: the oracle must not inherit a mistake of
the code that it judges.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import factorial
from typing import Any

import mpmath
import numpy as np

__all__ = ["Wide", "add", "exp", "multiply", "two_product", "two_sum"]

FAR = 1 << 20  # exponents beyond +-2^20 are the same as zero or infinity for any float
MIN_EXPONENT = -FAR


def two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """The rounded sum and its exact rounding error."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def two_product(a: Any, b: Any) -> tuple[Any, Any]:
    """The rounded product and its exact rounding error (Dekker's splitting; |a|, |b| < 2^900)."""
    p = a * b
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


def _split(a: Any) -> tuple[Any, Any]:
    c = 134217729.0 * a  # 2^27 + 1
    high = c - (c - a)
    return high, a - high


def add(a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any]:
    """The sum of two pairs, to about 2^-104 relative to the larger one."""
    s, e = two_sum(a[0], b[0])
    t, f = two_sum(a[1], b[1])
    s, e = two_sum(s, e + t)
    return two_sum(s, e + f)


def multiply(a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any]:
    """The product of two pairs, to about 2^-102 relative."""
    p, e = two_product(a[0], b[0])
    return two_sum(p, e + (a[0] * b[1] + a[1] * b[0]))


def _pair(x: Fraction) -> tuple[float, float]:
    high = float(x)
    return high, float(x - Fraction(high))


def _log2_parts() -> tuple[float, float, float]:
    with mpmath.workprec(300):
        first = float(mpmath.ln(2))
        second = float(mpmath.ln(2) - first)
        return first, second, float(mpmath.ln(2) - first - second)


_LOG2 = _log2_parts()
_TAYLOR = [_pair(Fraction(1, factorial(n))) for n in range(1, 14)]


@dataclass(frozen=True)
class Wide:
    """An array of numbers (hi + lo) 2^exp; infinities stand in hi."""

    hi: Any
    lo: Any
    exp: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return tuple(np.shape(self.hi))

    @classmethod
    def normalised(cls, hi: Any, lo: Any, exp: Any = 0) -> "Wide":
        """The same numbers with 1/2 <= |hi| < 1 (0 stays 0 with the smallest exponent)."""
        hi, lo = two_sum(np.asarray(hi, np.float64), np.asarray(lo, np.float64))
        lo = np.where(np.isfinite(hi), lo, 0.0)
        mantissa, shift = np.frexp(hi)
        exponent = np.where(hi == 0, MIN_EXPONENT, shift + np.asarray(exp, np.int64))
        return cls(mantissa, np.ldexp(lo, -shift), np.maximum(exponent, MIN_EXPONENT))

    @classmethod
    def of(cls, values: Any) -> "Wide":
        """Floats, mpmath numbers, fractions, or nested lists or arrays of them."""
        if isinstance(values, Wide):
            return values
        array = values if isinstance(values, np.ndarray) else np.array(values, dtype=object)
        if array.dtype != object:
            with np.errstate(invalid="ignore"):
                return cls.normalised(array.astype(np.float64), np.zeros(array.shape))
        parts = [_parts(x) for x in array.ravel()]
        columns = np.array(parts, dtype=np.float64).reshape(-1, 3).T
        hi, lo, exp = (c.reshape(array.shape) for c in columns)
        return cls(hi, lo, exp.astype(np.int64))

    @classmethod
    def stack(cls, rows: Iterable["Wide"]) -> "Wide":
        """Rows of equal shape as one array with a new first axis."""
        rows = list(rows)
        return cls(*(np.stack([getattr(r, part) for r in rows]) for part in ("hi", "lo", "exp")))

    def __getitem__(self, index: Any) -> "Wide":
        return Wide(self.hi[index], self.lo[index], self.exp[index])

    def scaled(self, factor: Any) -> "Wide":
        """Times one mpmath number."""
        by = Wide.of(np.array(factor, dtype=object))
        with np.errstate(invalid="ignore"):  # infinities give NaN, which is close to nothing
            hi, lo = multiply((self.hi, self.lo), (by.hi, by.lo))
            return Wide.normalised(hi, lo, self.exp + by.exp)

    def to_float(self) -> Any:
        """The nearest float64 of each number (one rounding, apart from subnormal results)."""
        return np.ldexp(self.hi + self.lo, np.clip(self.exp, -4000, 4000).astype(np.int32))

    def to_mpf(self) -> Any:
        """The numbers as an object array of mpmath numbers."""
        flat = zip(np.ravel(self.hi), np.ravel(self.lo), np.ravel(self.exp), strict=True)
        with mpmath.workprec(300):
            out = np.empty(np.size(self.hi), dtype=object)
            for i, (h, low, e) in enumerate(flat):
                out[i] = mpmath.ldexp(mpmath.mpf(float(h)) + float(low), int(e))
        return out.reshape(self.shape)


def _parts(x: Any) -> tuple[float, float, int]:
    """The parts of one number of any kind."""
    if isinstance(x, Fraction):
        with mpmath.workprec(300):
            x = mpmath.mpf(x.numerator) / x.denominator
    x = mpmath.mpf(x if isinstance(x, mpmath.mpf | int) else float(x))
    if mpmath.isnan(x) or mpmath.isinf(x):
        return float(x), 0.0, 0
    sign, man, exp, bits = x._mpf_
    if man == 0 or exp + bits < MIN_EXPONENT:
        return 0.0, 0.0, MIN_EXPONENT
    if exp + bits > FAR:
        return (-np.inf if sign else np.inf), 0.0, 0
    with mpmath.workprec(300):
        mantissa = mpmath.ldexp(mpmath.mpf(int(man)), -bits) * (-1 if sign else 1)
        high = float(mantissa)
        low = float(mantissa - high)
    if abs(high) == 1.0:
        return high / 2, low / 2, exp + bits + 1
    return high, low, exp + bits


def exp(hi: Any, lo: Any) -> Wide:
    """exp(hi + lo) of float64 pairs, to about 2^-92 relative; below exp(-600 000) it is 0."""
    hi, lo = np.asarray(hi, np.float64), np.asarray(lo, np.float64)
    far = hi < -6e5
    hi, lo = np.where(far, 0.0, hi), np.where(far, 0.0, lo)
    k = np.rint(hi / _LOG2[0])
    r = (hi, lo)
    for part in _LOG2[:2]:
        p, e = two_product(k, part)
        r = add(r, (-p, -e))
    r = add(r, (-k * _LOG2[2], np.zeros_like(k)))
    y = (r[0] / 512, r[1] / 512)
    total: tuple[Any, Any] = (np.full_like(k, _TAYLOR[-1][0]), np.full_like(k, _TAYLOR[-1][1]))
    for coefficient in reversed(_TAYLOR[:-1]):
        total = add(multiply(total, y), coefficient)
    total = multiply(total, y)  # expm1(r / 512)
    for _ in range(9):  # (1 + t)^2 - 1 = 2 t + t^2
        total = add((2 * total[0], 2 * total[1]), multiply(total, total))
    value = add((np.ones_like(k), np.zeros_like(k)), total)
    result = Wide.normalised(*value, k.astype(np.int64))
    return Wide(
        np.where(far, 0.0, result.hi),
        np.where(far, 0.0, result.lo),
        np.where(far, MIN_EXPONENT, result.exp),
    )
