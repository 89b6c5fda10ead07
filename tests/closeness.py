"""One comparison for every test: errors in units in the last place of the exact value; NaN never passes.

`ulp(x)` is the spacing of the dtype of `actual` at the exact value x, so 2^-149 throughout float32's
subnormal range.
"""

from typing import Any

import mpmath
import numpy as np

from wide import Wide

__all__ = ["assert_close", "errors_in_ulps", "ulp_of", "worst_of_bound", "worst_ulps"]

# stored mantissa bits, smallest and largest exponent of a normal number
_FORMATS = {
    "float16": (10, -14, 15),
    "bfloat16": (7, -126, 127),
    "float32": (23, -126, 127),
    "float64": (52, -1022, 1023),
}


def assert_close(
    actual: Any,
    desired: Any,
    *,
    ulps: float | None = None,
    of: Any = None,
    bound: Any = None,
    rtol: float | None = None,
    dtype: Any = None,
    label: str = "",
) -> None:
    """Fail unless every element of `actual` is close to the exact `desired`, where close is exactly one of

        ulps=n        |actual - desired| <= n ulp(desired)
        ulps=n, of=x  |actual - desired| <= n ulp(x)         x an array, for elements that cancel by nature
        bound=b       |actual - desired| <= b                b a number or an array
        rtol=r        |actual - desired| <= r |desired|

    Args:
        actual: floats: array, scalar or nested list. Its dtype sets the ulp (a Python float is float64).
        desired: exact values: mpmath numbers, fractions, floats or `Wide`; same shape as `actual`.
        dtype: the dtype that `actual` must have, if given.
    A NaN in `actual` fails always; infinity equals infinity of the same sign only (or an exact value that
    rounds to it).
    """
    __tracebackhide__ = True
    if sum(option is not None for option in (ulps, bound, rtol)) != 1 or (of is not None and ulps is None):
        raise TypeError("assert_close takes exactly one of ulps= (with of= if wanted), bound=, rtol=")
    got = _floats(actual)
    if dtype is not None and got.dtype != np.dtype(dtype):
        raise AssertionError(f"{label or 'actual'} has dtype {got.dtype}, not {np.dtype(dtype)}")
    exact = Wide.of(desired)
    if ulps is not None:
        errors, allowed, unit = _errors(got, exact, of, label), ulps, "ulp"
    elif bound is not None:
        errors, allowed, unit = _errors(got, exact, None, label, unit=Wide.of(bound)), 1.0, "times the bound"
    else:
        errors = _errors(got, exact, None, label, unit=exact.scaled(mpmath.mpf(rtol)))
        allowed, unit = 1.0, "times the relative tolerance"
    bad = ~(errors <= allowed)
    if np.any(bad):
        raise AssertionError(_message(got, exact, errors, bad, f"> {allowed:g} {unit}", label))


def worst_ulps(actual: Any, desired: Any, *, of: Any = None) -> float:
    """The largest error in ulp; inf where a NaN or a wrong infinity stands; 0 for no element."""
    return float(np.max(errors_in_ulps(actual, desired, of=of), initial=0.0))


def worst_of_bound(actual: Any, desired: Any, bound: Any) -> float:
    """The largest error as a share of its own bound: 1 is just allowed; inf and 0 as in `worst_ulps`."""
    return float(np.max(_errors(_floats(actual), Wide.of(desired), None, "", unit=Wide.of(bound)), initial=0.0))


def errors_in_ulps(actual: Any, desired: Any, *, of: Any = None) -> Any:
    """The error of every element in ulp(desired), or in ulp(of); same rules as `assert_close`."""
    return _errors(_floats(actual), Wide.of(desired), of, "")


def ulp_of(values: Any, dtype: Any) -> Any:
    """The spacing of `dtype` at exact values, as float64 (0 where that underflows: below 2^-1074)."""
    bits, smallest, _ = _FORMATS[np.dtype(dtype).name]
    with np.errstate(invalid="ignore"):  # infinities have some spacing
        return np.ldexp(1.0, _ulp_exponent(Wide.of(values), bits, smallest))


def _floats(actual: Any) -> Any:
    got = np.asarray(actual)
    if got.dtype.name not in _FORMATS:
        raise AssertionError(f"actual has dtype {got.dtype}; expected one of {', '.join(_FORMATS)}")
    return got


def _ulp_exponent(exact: Wide, bits: int, smallest: int) -> Any:
    """log2 of the spacing at each value; a value just below a power of two belongs to the finer binade."""
    below = (np.abs(exact.hi) == 0.5) & (exact.hi * exact.lo < 0)
    return (np.maximum(exact.exp - 1 - below, smallest) - bits).astype(np.int32)


def _errors(got: Any, exact: Wide, of: Any, label: str, unit: Wide | None = None) -> Any:
    """|got - exact| in ulp(of), ulp(exact) or `unit`; scaled by a power of two: nothing underflows."""
    if got.shape != exact.shape:
        raise AssertionError(f"{label or 'actual'} has shape {got.shape}, desired has {exact.shape}")
    if np.isnan(exact.hi).any():
        raise ValueError("desired has a NaN: the oracle must give a number for every element")
    bits, smallest, largest = _FORMATS[got.dtype.name]
    with np.errstate(all="ignore"):
        value = got.astype(np.float64)
        mantissa, shift = np.frexp(value)
        scale = np.maximum(np.where(value == 0, exact.exp, shift), exact.exp)
        down = np.clip(exact.exp - scale, -4000, 0).astype(np.int32)
        difference = np.ldexp(mantissa, np.clip(shift - scale, -4000, 0).astype(np.int32))
        difference = np.abs((difference - np.ldexp(exact.hi, down)) - np.ldexp(exact.lo, down))
        if unit is None:
            exponent = _ulp_exponent(exact if of is None else Wide.of(of), bits, smallest)
            spacing = np.ldexp(1.0, np.clip(exponent - scale, -4000, 4000).astype(np.int32))
        else:
            spacing = np.ldexp(np.abs(unit.hi + unit.lo), np.clip(unit.exp - scale, -4000, 4000).astype(np.int32))
        errors = np.where(difference == 0, 0.0, difference / spacing)
        rounds_to_inf = np.isinf(exact.hi) | _beyond(exact, largest, bits)
        same_inf = np.isinf(value) & rounds_to_inf & (np.sign(value) == np.sign(exact.hi))
        errors = np.where(np.isinf(value) | np.isinf(exact.hi), np.where(same_inf, 0.0, np.inf), errors)
        return np.where(np.isnan(value) | np.isnan(errors), np.inf, errors)


def _beyond(exact: Wide, largest: int, bits: int) -> Any:
    """Whether a finite exact value rounds to infinity: |x| >= 2^(largest + 1) - half a spacing."""
    half_below_top = 1.0 - 2.0 ** -(bits + 2)
    high = np.abs(exact.hi)
    at_edge = (exact.exp == largest + 1) & (
        (high > half_below_top) | ((high == half_below_top) & (exact.hi * exact.lo >= 0))
    )
    return (exact.exp > largest + 1) | at_edge


def _message(got: Any, exact: Wide, errors: Any, bad: Any, rule: str, label: str) -> str:
    """Where the worst element stands, what it is, what it should be."""
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(np.where(bad, errors, -1.0))), got.shape))
    here = exact[index]
    if np.isfinite(here.hi):
        with mpmath.workprec(120):
            wanted = mpmath.nstr(mpmath.ldexp(mpmath.mpf(float(here.hi)) + float(here.lo), int(here.exp)), 25)
    else:
        wanted = str(float(here.hi))
    place = f"[{', '.join(map(str, index))}]" if index else ""
    return (
        f"{label or 'actual'}{place} = {got[index]!r}, exactly {wanted}: off by "
        f"{float(errors[index]):.4g} {rule}; {int(bad.sum())} of {got.size} elements are off ({got.dtype})"
    )
