"""The normal and Student's t distribution and their quantiles, so that scoring needs no SciPy at run time.

Degrees of freedom are whole numbers here, so the middle of the t distribution has a finite series of positive terms
(Abramowitz and Stegun 26.7.3 and 26.7.4) and its tails an infinite one; from 1000 degrees on expansions in 1 / df are
exact to double precision. Tails are found as such, never as 1 - (nearly 1), so that small p-values keep their digits.
"""

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from crossent.errors import OptionError

__all__ = ["normal_cdf", "normal_quantile", "normal_tails", "t_cdf", "t_quantile", "t_tails"]

_EXPANSION_FROM = 1000


def normal_cdf(x: float) -> float:
    """P(Z <= x) for a standard normal Z.

    >>> round(normal_cdf(1.959964), 6)
    0.975
    """
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def normal_tails(x: float) -> float:
    """P(|Z| >= |x|) for a standard normal Z: the two-sided p-value.

    >>> round(normal_tails(-1.959964), 6)
    0.05
    """
    return math.erfc(abs(x) / math.sqrt(2.0))


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
    _require_freedom(df)
    if probability == 0.5:
        return 0.0
    if probability < 0.5:
        return -t_quantile(1.0 - probability, df)
    if df == 1:
        return 1.0 / math.tan(math.pi * (1.0 - probability))
    if df >= _EXPANSION_FROM:
        return _expansion(normal_quantile(probability), df)
    return _solve(2.0 * probability - 1.0, df)


def t_cdf(x: float, df: int) -> float:
    """P(T <= x) for Student's t with `df` degrees of freedom; error as of `t_tails`.

    Args:
        x: any number.
        df: whole number >= 1.
    Raises: OptionError for df < 1.

    >>> round(t_cdf(2.262157, 9), 6)
    0.975
    """
    half = 0.5 * t_tails(x, df)
    return half if x < 0 else 1.0 - half


def t_tails(x: float, df: int) -> float:
    """P(|T| >= |x|) for Student's t with `df` degrees of freedom: the two-sided p-value.

    Relative error < 1e-10 down to 1e-60, and < 1e-6 below that.

    Args:
        x: any number.
        df: whole number >= 1.
    Raises: OptionError for df < 1.

    >>> round(t_tails(-2.262157, 9), 6)
    0.05
    """
    _require_freedom(df)
    if math.isinf(x * x):
        return 0.0
    if df >= _EXPANSION_FROM:
        return normal_tails(_normal_score(abs(x), df))
    if x * x < 1.0:
        return 1.0 - _two_sided(math.atan(abs(x) / math.sqrt(df)), df)
    return _tail_series(abs(x), df)


def _require_freedom(df: int) -> None:
    if df < 1:
        raise OptionError(f"df is {df}; a t distribution needs at least 1 degree of freedom")


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


@lru_cache(maxsize=4096)  # thousands of segments have few different sizes
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
    if df == 1:
        return 2 / math.pi * angle
    sine, cosine = math.sin(angle), math.cos(angle)
    if df % 2:
        k = np.arange(1, (df - 1) // 2)
        ratios = np.concatenate([[cosine], cosine**2 * (2 * k) / (2 * k + 1)])
        return float(2 / math.pi * (angle + sine * np.cumprod(ratios).sum()))
    k = np.arange(1, df // 2)
    ratios = np.concatenate([[1.0], cosine**2 * (2 * k - 1) / (2 * k)])
    return float(sine * np.cumprod(ratios).sum())


def _normal_score(x: float, df: int) -> float:
    """The z >= 0 whose normal tails are the t tails of x (Hill, Algorithm 395, Comm. ACM 13 (1970), 617-619)."""
    a = df - 0.5
    b = 48.0 * a * a
    y = a * math.log1p(x * x / df)
    bend = (((-0.4 * y - 3.3) * y - 24.0) * y - 85.5) / (0.8 * y * y + 100.0 + b)
    return ((bend + y + 3.0) / b + 1.0) * math.sqrt(y)


def _tail_series(x: float, df: int) -> float:
    """P(|T| >= x >= 1): the hypergeometric series of the incomplete beta I_c(df / 2, 1 / 2), c = df / (df + x^2)."""
    a, log_c = df / 2, -math.log1p(x * x / df)
    k = np.arange(int(-40.0 / log_c) + 2)
    series = 1.0 + float(np.cumprod((a + 0.5 + k) / (a + 1.0 + k) * math.exp(log_c)).sum())
    sine = 1.0 / math.sqrt(1.0 + df / (x * x))
    log_beta = math.lgamma(a) + math.lgamma(0.5) - math.lgamma(a + 0.5)
    return math.exp(a * log_c - log_beta) * sine / a * series
