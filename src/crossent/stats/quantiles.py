"""Quantiles of the normal and Student's t distribution, so that scoring needs no SciPy at run time.

Degrees of freedom are whole numbers here, so the t distribution has a finite series of positive terms
(Abramowitz and Stegun 26.7.3 and 26.7.4); from 1000 degrees on the expansion in 1 / df is exact to double
precision.
"""

import math
from statistics import NormalDist

import numpy as np

from crossent.errors import OptionError

__all__ = ["normal_quantile", "t_quantile"]

_EXPANSION_FROM = 1000


def normal_quantile(probability: float) -> float:
    """x with P(Z <= x) = probability for a standard normal Z.

    >>> round(normal_quantile(0.975), 6)
    1.959964
    """
    _require_open_unit(probability)
    return NormalDist().inv_cdf(probability)


def t_quantile(probability: float, df: int) -> float:
    """x with P(T <= x) = probability for Student's t with `df` degrees of freedom; relative error < 1e-10.

    Args:
        probability: in (0, 1).
        df: whole number >= 1.
    Raises: OptionError outside these ranges.

    >>> round(t_quantile(0.975, 9), 6)
    2.262157
    """
    _require_open_unit(probability)
    if df < 1:
        raise OptionError(f"df is {df}; a t distribution needs at least 1 degree of freedom")
    if probability == 0.5:
        return 0.0
    if probability < 0.5:
        return -t_quantile(1.0 - probability, df)
    if df == 1:
        return 1.0 / math.tan(math.pi * (1.0 - probability))
    if df >= _EXPANSION_FROM:
        return _expansion(normal_quantile(probability), df)
    return _solve(2.0 * probability - 1.0, df)


def _require_open_unit(probability: float) -> None:
    if not 0.0 < probability < 1.0:
        raise OptionError(f"probability is {probability}; a quantile needs a number between 0 and 1, both excluded")


def _expansion(x: float, df: int) -> float:
    """Abramowitz and Stegun 26.7.5."""
    terms = (
        x * (x**2 + 1) / 4,
        x * (5 * x**4 + 16 * x**2 + 3) / 96,
        x * (3 * x**6 + 19 * x**4 + 17 * x**2 - 15) / 384,
        x * (79 * x**8 + 776 * x**6 + 1482 * x**4 - 1920 * x**2 - 945) / 92160,
    )
    return x + sum(term / float(df) ** (k + 1) for k, term in enumerate(terms))


def _solve(inside: float, df: int) -> float:
    """The angle whose two-sided probability is `inside`, by bisection and Newton; t = sqrt(df) tan(angle)."""
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = 0.5 * (low + high)
        if _two_sided(middle, df) < inside:
            low = middle
        else:
            high = middle
    return math.sqrt(df) * math.tan(0.5 * (low + high))


def _two_sided(angle: float, df: int) -> float:
    """P(|T| <= sqrt(df) tan(angle)): a finite sum of positive terms."""
    sine, cosine = math.sin(angle), math.cos(angle)
    if df % 2:
        k = np.arange(1, (df - 1) // 2)
        ratios = np.concatenate([[cosine], cosine**2 * (2 * k) / (2 * k + 1)])
        return float(2 / math.pi * (angle + sine * np.cumprod(ratios).sum()))
    k = np.arange(1, df // 2)
    ratios = np.concatenate([[1.0], cosine**2 * (2 * k - 1) / (2 * k)])
    return float(sine * np.cumprod(ratios).sum())
