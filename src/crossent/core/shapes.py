"""The shapes of the family: a row's loss as a function f(log p) of the target's probability, with its derivatives.

    kind   parameters        f           slope s = -df/dl      curvature c = d2f/dl2
    log    a                 a L         a                     0
    focal  a, b = gamma >= 0 a u^b L     a u^(b-1) (u + b p L) a b u^(b-1) p (2 - L + (b-1) (p/u) L)
    poly   a, b >= -a        a L + b u   a + b p               -b p
    power  0 < b = q <= 1    (1 - p^b)/b p^b                   -b p^b

with l = log p, L = -l, u = 1 - p; f >= 0, s >= 0. Callers give L, u and p each without cancellation. A class that is
ruled out has p = 0, u = 1, L = inf, and p L = 0; a certain one has p = 1, u = L = 0, u^b L = 0, and slope 0 if b > 0.
Error: value and slope 16 u (1 + b) relative with focal's exponent b, else 16 u; curvature 16 u (1 + b) of its terms.
"""

from math import log
from typing import Any, Literal, NamedTuple, TypeAlias

__all__ = ["KINDS", "Kind", "Shape"]

Array = Any
Kind: TypeAlias = Literal["log", "focal", "poly", "power"]
KINDS: tuple[Kind, ...] = ("log", "focal", "poly", "power")

# 1/3, 1/5, ...: atanh(t) = t + t^3/3 + t^5/5 + ...; 18 terms reach 2^-60 for |t| <= 1/3, that is u <= 1/2
_ATANH_TAIL = tuple(1.0 / (2 * n + 3) for n in range(18))


class Shape(NamedTuple):
    """One shape: its kind and two numbers, as the head of this file has them.

    >>> import numpy as np
    >>> round(float(Shape("focal", 1.0, 2.0).value(np, np.log(2.0), 0.5, 0.5)), 6)
    0.173287
    """

    kind: Kind = "log"
    a: float = 1.0
    b: float = 0.0

    @property
    def code(self) -> int:
        """The number of the kind, for native code."""
        return KINDS.index(self.kind)

    def value(self, xp: Any, L: Array, u: Array, p: Array) -> Array:
        """f."""
        a, b = self.a, self.b
        if self.kind == "focal":
            return a * _positive_power(xp, u, b) * L if a else 0.0 * u
        if self.kind == "power":
            small = b * L < float(xp.finfo(L.dtype).eps) / 4  # where b L may leave the normal numbers
            return xp.where(small, L, -xp.expm1(-b * L) / b)
        if self.kind == "poly" and b < 0:
            rest = -b * _beyond_first(xp, L, u)
            return (a + b) * L + rest if a + b else rest
        return (a * L if a else 0.0 * u) + (b * u if self.kind == "poly" else 0.0)

    def slope(self, xp: Any, L: Array, u: Array, p: Array) -> Array:
        """s."""
        a, b = self.a, self.b
        if self.kind == "focal":
            return a * _positive_power(xp, u, b) * (1 + b * _over(xp, _p_times(xp, L, p), u))
        if self.kind == "power":
            return _small_power(xp, L, p, b)
        if self.kind == "poly":
            return a + b * p if b >= 0 else (a + b) - b * u
        return a + 0.0 * u

    def slope_by_p(self, xp: Any, weight: Array, L: Array, u: Array, p: Array) -> Array:
        """weight s / p = -weight df/dp; inf at p = 0 unless f stays finite there with a finite slope."""
        a, b = self.a, self.b
        if self.kind == "power":
            known = xp.where(p > 0, p, 1.0)
            at_0 = xp.where(weight > 0, float("inf"), 0.0) if b < 1 else weight
            return xp.where(p > 0, weight * (known**b / known), at_0)
        if self.kind == "poly" and b >= 0:
            return weight * a / p + weight * b if a else weight * b + 0.0 * u
        return weight * self.slope(xp, L, u, p) / p if a else 0.0 * u

    def curvature(self, xp: Any, L: Array, u: Array, p: Array) -> Array:
        """c; 0 at u = 0, where focal's may be infinite for b < 1."""
        if self.kind == "focal":
            return _over(xp, _positive_power(xp, u, self.b), u) * self._bend(xp, L, u, p)
        if self.kind == "power":
            return -self.b * _small_power(xp, L, p, self.b)
        return -self.b * p if self.kind == "poly" else 0.0 * u

    def curvature_u2(self, xp: Any, L: Array, u: Array, p: Array) -> Array:
        """c u^2, which stays finite where u^(b-1) does not; as a row's second derivatives need it."""
        if self.kind == "focal":
            return _positive_power(xp, u, self.b) * u * self._bend(xp, L, u, p)
        return self.curvature(xp, L, u, p) * u * u

    def _bend(self, xp: Any, L: Array, u: Array, p: Array) -> Array:
        """a b p (2 - L + (b-1) (p/u) L) of the focal shape."""
        pL = _p_times(xp, L, p)
        return self.a * self.b * (2 * p - pL + (self.b - 1) * p * _over(xp, pL, u))


def _p_times(xp: Any, L: Array, p: Array) -> Array:
    """p L, 0 where p is."""
    return p * xp.where(p > 0, L, 0.0)


def _over(xp: Any, x: Array, u: Array) -> Array:
    """x / u, x where u = 0: it is 0 there too."""
    return x / xp.where(u > 0, u, 1.0)


def _positive_power(xp: Any, u: Array, b: float) -> Array:
    """u^b with 0^b = 0, but 0^0 = 1; its derivative stays finite at 0."""
    return xp.where(u > 0, xp.where(u > 0, u, 1.0) ** b, 0.0 if b else 1.0)


def _small_power(xp: Any, L: Array, p: Array, b: float) -> Array:
    """p^b; from L where p has underflowed, long before p^b does: exp(-L / 2^k)^(2^k b), with exact factors 2^k."""
    tiny = float(xp.finfo(p.dtype).tiny)
    normal, finite = p >= tiny, xp.isfinite(L)
    far = xp.where(finite, L, 0.0)
    k = xp.ceil(xp.log2(xp.where(normal, 1.0, far / -log(tiny) + 1.0)))
    root = xp.exp(-far / 2.0**k)
    return xp.where(normal, xp.where(normal, p, 1.0) ** b, xp.where(finite, root ** (b * 2.0**k), 0.0))


def _beyond_first(xp: Any, L: Array, u: Array) -> Array:
    """L - u = 2 t^2 / (1 + t) + 2 t (t^2/3 + t^4/5 + ...), t = u / (2 - u), since L = 2 atanh(t)."""
    near = u < 0.5
    t = xp.where(near, u / (2 - u), 0.0)
    square = t * t
    tail = 0.0 * t
    for coefficient in reversed(_ATANH_TAIL):
        tail = tail * square + coefficient
    series = 2 * square / (1 + t) + 2 * t * square * tail
    return xp.where(near, series, L - u)
