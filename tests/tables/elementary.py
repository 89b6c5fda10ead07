"""exp, log1p and log of native/elementary.hpp asked directly: every float32 of their range, and many float64.

The judge of up to 2^31 floats is NumPy's float64 function, correct to a few ulp of float64, so to 1e-8 ulp of float32.
The judge of float64 is mpmath. exp is for differences from a maximum, so its range is d <= 0; log1p's is x >= 0.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from crossent import _native  # type: ignore[attr-defined]  # built, not written
from isas import ISAS, using_isa
from tables.question import Question
from wide import Wide

__all__ = ["FUNCTIONS", "Function", "ask", "elementary_questions", "sweep"]

mp = mpmath.mp
CHUNK = 1 << 13  # stays in cache


@dataclass(frozen=True)
class Function:
    """What elementary.hpp promises: `exact(x, e)` within `ulps` for x from low to high, by dtype.

    Functions that take NaN and -inf have all patterns from low's sign on in their sweep. float32's own exp and log1p
    are swept without a gap; logarithms in float64, which round correctly to float32, in steps of 17.
    """

    exact: Callable[[Any, Any], Any]
    fast: Callable[[Any], Any]
    ulps: float
    low: dict[str, float]
    high: dict[str, float]
    takes_e: bool = False
    takes_nan: bool = False
    step: int = 1  # of the sweep

    @property
    def dtypes(self) -> tuple[str, ...]:
        """What it is made for."""
        return tuple(self.low)

    def patterns(self) -> tuple[int, int]:
        """The first and the last float32 of the range, as integers; from +0 up or from -0 down."""
        low, high = ((x.get("float32", x["float64"])) for x in (self.low, self.high))
        if low < 0:
            return 1 << 31, (1 << 32) - 1 if self.takes_nan else _pattern(low)
        return _pattern(low), _pattern(min(high, float(np.finfo(np.float32).max)))


def _pattern(x: float) -> int:
    """The bits of the float32 next above, in size, to x."""
    single = np.float32(x)
    return int((single if float(single) >= x or x < 0 else np.nextafter(single, np.float32(np.inf))).view(np.uint32))


def _exp(low: dict[str, float], **more: bool) -> Function:
    return Function(lambda x, e: mp.exp(x + e), np.exp, 1.1, low, {"float32": 0.0, "float64": 0.0}, **more)


def _log1p(ulps: float, high: dict[str, float], **more: bool) -> Function:
    return Function(lambda x, e: mp.log1p(x + e), np.log1p, ulps, dict.fromkeys(high, 0.0), high, **more)


_NORMAL = {"float32": -87.0, "float64": -708.0}
_MOST = {"float64": 1.7e308}

# The functions that _native.elementary_names() names.
FUNCTIONS: dict[str, Function] = {
    "exp_or_zero": _exp(_NORMAL, takes_e=True, takes_nan=True),
    "exp_scaled": _exp({"float32": -174.0, "float64": -1416.0}, takes_e=True, takes_nan=True),
    "exp_normal": _exp(_NORMAL),
    "log1p_pair": _log1p(1.0, {"float64": 1e300}, takes_e=True),
    "log1p_short": _log1p(1.0, {"float32": 2.0**20, "float64": 2.0**20}, takes_e=True),
    "log1p_unit": _log1p(1.8, {"float32": 1.0, "float64": 1.0}),
    "log_normal": Function(lambda x, e: mp.log(x), np.log, 1.0, {"float64": 2.3e-308}, _MOST, step=17),
    "minus_log_below": Function(
        lambda x, e: -mp.log(x), lambda x: -np.log(x), 1.0, {"float64": 5e-324}, _MOST, step=17
    ),
    "split_rest": Function(
        lambda x, e: -mp.log1p(-x), lambda x: -np.log1p(-x), 1.5, {"float64": 0.0}, {"float64": 1 - 2.0**-53}, step=17
    ),
}


def ask(name: str, x: Any, e: Any = None, *, one_by_one: bool = False) -> Any:
    """The native function on an array."""
    out = np.empty_like(x)
    _native.elementary(name, x, np.zeros_like(x) if e is None else e, out, one_by_one)
    return out


def samples(name: str, dtype: str, count: int) -> tuple[Any, Any]:
    """x over the range, dense near 0 and 1 and at its ends, over all exponents; e up to half an ulp of x."""
    f = FUNCTIONS[name]
    rng = np.random.default_rng([71, len(name), len(dtype)])
    low, high = f.low[dtype], f.high[dtype]
    if low < 0:
        x = [rng.uniform(low, 0, count), -rng.uniform(0, 2, count), -(10.0 ** rng.uniform(-40, 1, count))]
        x += [-np.log(2) / 2 * np.arange(1, count // 4), [0.0, -0.0]]
    else:
        powers = 10.0 ** rng.uniform(np.log10(max(low, 1e-320)), np.log10(high), count)
        near_1 = 1 + rng.normal(size=count) * 2.0 ** -rng.integers(1, 52, count)
        x = [powers, rng.uniform(0, 1, count), rng.uniform(1, 4, count), near_1]
        x += [2.0 ** np.arange(-60, 60) * np.sqrt(2), [1.0, np.nextafter(1, 0), np.nextafter(1, 2)]]
    found = np.concatenate([*x, [low, high, np.nextafter(low, high), np.nextafter(high, low)]]).astype(dtype)
    found = found[(found >= low) & (found <= high)]
    e = rng.uniform(-0.5, 0.5, found.size).astype(dtype) * np.spacing(np.abs(found))
    e[(rng.random(found.size) < 0.3) | (found == 0)] = 0
    return found, e if f.takes_e else np.zeros_like(e)


def elementary_questions(count: int) -> Iterator[Question]:
    """Samples of every function against mpmath, with the correction term."""
    for name, f in FUNCTIONS.items():
        for dtype in f.dtypes:
            x, e = samples(name, dtype, count)
            with mp.workprec(200):
                pairs = zip(x.tolist(), e.tolist(), strict=True)
                exact = Wide.of(np.array([f.exact(mpmath.mpf(a), mpmath.mpf(b)) for a, b in pairs], dtype=object))
            yield Question(name, dtype, lambda name=name, x=x, e=e: ask(name, x, e), exact, f.ulps)


# ---------------------------------------------------------------- every float32


def sweep(name: str, part: int, parts: int) -> dict[str, float]:
    """The worst error in ulp of float32 over one of `parts` parts of the range, by instruction set.

    Functions in float64 only are given float32 numbers, and their result is rounded to float32.
    """
    f = FUNCTIONS[name]
    first, last = f.patterns()
    size = (last + 1 - first + parts - 1) // parts
    end = min(first + (part + 1) * size, last + 1)
    worst = dict.fromkeys(ISAS, 0.0)
    for start in range(first + part * size, end, CHUNK * f.step):
        patterns = np.arange(start, min(start + CHUNK * f.step, end), f.step, dtype=np.uint32)
        for isa, error in _chunk(name, f, patterns.view(np.float32)).items():
            worst[isa] = max(worst[isa], error)
    return worst


def _per_ulp(exact: Any) -> Any:
    """1 over the spacing of float32 at float64 numbers that lie in its range."""
    exponents = exact.view(np.uint64) & np.uint64(0x7FF << 52)
    np.maximum(exponents, np.uint64((1023 - 126) << 52), out=exponents)
    return (np.uint64((2 * 1023 + 23) << 52) - exponents).view(np.float64)


def _exact(name: str, f: Function, wide: Any) -> Any:
    exact = f.fast(wide)
    return np.where(wide < _NORMAL["float32"], 0.0, exact) if name == "exp_or_zero" else exact  # as it says


def _chunk(name: str, f: Function, x: Any) -> dict[str, float]:
    """The worst error of each instruction set; where sets agree to the bit, it is computed once.

    All functions here are monotonic: where the ends of the chunk differ by a millionth of an ulp and the results do
    not differ at all, the ends stand for what lies between.
    """
    with np.errstate(all="ignore"):
        wide = x.astype(np.float64)
        ends = _exact(name, f, wide[[0, -1]])
        flat = bool(np.isfinite(ends).all() and abs(ends[1] - ends[0]) * _per_ulp(ends).max() < 1e-6)
    given = x if "float32" in f.dtypes else wide
    no_e = np.zeros_like(given)
    seen: list[tuple[Any, float]] = []
    worst = {}
    exact = None
    for isa in ISAS:
        with using_isa(isa), np.errstate(all="ignore"):
            got = ask(name, given, no_e).astype(np.float32, copy=False)
        bits = got.view(np.uint32)
        again = [error for other, error in seen if np.array_equal(other, bits)]
        if not again and flat and (bits == bits[0]).all():
            again = [_largest(got[[0, -1]], ends)]
        elif not again:
            with np.errstate(all="ignore"):
                exact = _exact(name, f, wide) if exact is None else exact
            again = [_largest(got, exact)]
        worst[isa] = again[0]
        seen.append((bits, again[0]))
    return worst


def _largest(got: Any, exact: Any) -> float:
    """The largest error in ulp of float32; infinities and NaN must be the same."""
    with np.errstate(all="ignore"):
        errors = np.abs(got - exact) * _per_ulp(exact)
    known = np.isfinite(exact)
    if not known.all():
        same = np.where(np.isnan(exact), np.isnan(got), got == exact)
        errors = np.where(known, errors, np.where(same, 0.0, np.inf))
    top = float(errors.max())
    return np.inf if np.isnan(top) else top
