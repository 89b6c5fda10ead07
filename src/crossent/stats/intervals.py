"""An estimate with its standard error, and the intervals: Hall's for ratios, Wilson's for shares."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from crossent.core.options import coverage
from crossent.stats.quantiles import normal_quantile, t_quantile, t_tails

__all__ = ["TOO_FEW_EVENTS", "Estimate", "hall_interval", "wilson_estimate"]

TOO_FEW_EVENTS = "too few events: may be too short"
_STRAIGHT = 1e-9  # skewness below which nothing is bent


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error and interval; what cannot be estimated is None, and `why` says why.

    Attributes:
        value: the estimate (inf is a value); None if there are no rows.
        se: standard error.
        lower: lower end of the interval.
        upper: upper end of the interval.
        confidence: nominal coverage of the interval.
        n: rows, or clusters, behind the value.
        effective_n: (sum w)^2 / sum w^2.
        gamma: skewness of the influence values, which bends the interval.
        mark: a caveat to print beside the interval.
        why: why se and interval are None.
    """

    value: float | None
    se: float | None
    lower: float | None
    upper: float | None
    confidence: float
    n: int
    effective_n: float
    gamma: float | None = None
    mark: str | None = None
    why: str | None = None

    def scaled(self, factor: float) -> "Estimate":
        """The same estimate in another unit: value, standard error and interval times a positive factor.

        >>> Estimate(1.0, 0.5, 0.25, 2.0, 0.95, 10, 10.0).scaled(2.0).upper
        4.0
        """

        def times(x: float | None) -> float | None:
            return None if x is None else x * factor

        return replace(
            self, value=times(self.value), se=times(self.se), lower=times(self.lower), upper=times(self.upper)
        )

    def marked(self, mark: str) -> "Estimate":
        """The same estimate with one more caveat; an estimate without an interval needs none.

        >>> e = Estimate(1.0, 0.5, 0.0, 2.0, 0.95, 10, 10.0)
        >>> e.marked("few clusters").marked("few events").marked("few events").mark
        'few clusters; few events'
        """
        if self.se is None or (self.mark is not None and mark in self.mark.split("; ")):
            return self
        return replace(self, mark=mark if self.mark is None else f"{self.mark}; {mark}")

    def p_value(self, null: float) -> float | None:
        """The two-sided p-value of the hypothesis that the true value is `null`, from the T of Hall's interval.

            T = (value - null) / se;  p = P(|t| >= |g(T)|), t with n - 1 degrees of freedom
            g(T) = T + gamma T^2 / (3 sqrt n) + gamma^2 T^3 / (27 n) + gamma / (6 sqrt n)

        g undoes the h of `hall_interval`, so p < 1 - confidence exactly where `null` lies outside that interval (before
        it is cut at a smallest possible value).

        Args:
            null: the hypothetical value, in the unit of `value`.
        Returns: p in [0, 1]; None without an interval of Hall's kind.
        Source: Hall, J. R. Statist. Soc. B 54 (1992), 221-228.

        >>> Estimate(1.0, 0.5, 0.0, 2.0, 0.95, 10**9, 1e9, gamma=0.0).p_value(0.02) < 0.0501
        True
        """
        if self.value is None or self.se is None or self.gamma is None:
            return None
        return t_tails(_bent((self.value - null) / self.se, self.gamma, self.n), self.n - 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers by name."""
        return asdict(self)


def hall_interval(value: float, *, se: float, gamma: float, units: int, confidence: float) -> tuple[float, float]:
    """Hall's transformed t interval [value - se h(t), value - se h(-t)] for a skewed mean or ratio.

        h(x) = (3 sqrt(m) / gamma) [(1 + gamma (x / sqrt(m) - gamma / (6 m)))^(1/3) - 1]
        h(x) = x for gamma near 0

    Args:
        value: the estimate.
        se: its standard error, > 0.
        gamma: skewness of the influence values.
        units: m >= 2 rows or clusters; t is the t quantile with m - 1 degrees of freedom.
        confidence: coverage in (0, 1).
    Returns: lower and upper end.
    Source: Hall, J. R. Statist. Soc. B 54 (1992), 221-228.

    >>> hall_interval(1.0, se=0.1, gamma=0.0, units=10**9, confidence=0.95)[1] < 1.1961
    True
    """
    coverage(confidence)
    t = t_quantile(0.5 + confidence / 2, units - 1)
    return value - se * _unbent(t, gamma, units), value - se * _unbent(-t, gamma, units)


def _unbent(x: float, gamma: float, units: int) -> float:
    if abs(gamma) < _STRAIGHT:
        return x
    y = gamma * (x / math.sqrt(units) - gamma / (6 * units))
    root = math.expm1(math.log1p(y) / 3) if y > -1 else math.cbrt(1 + y) - 1
    return 3 * math.sqrt(units) / gamma * root


def _bent(x: float, gamma: float, units: int) -> float:
    """The inverse of `_unbent`."""
    if abs(gamma) < _STRAIGHT:
        return x
    bend = gamma / math.sqrt(units)
    return x + bend * (x * x / 3 + bend * x**3 / 27 + 1 / 6)


def wilson_estimate(share: float, *, n: int, effective_n: float, confidence: float) -> Estimate:
    """A share in [0, 1] with Wilson's score interval, which stays inside [0, 1] and is never empty.

    Args:
        share: the observed (weighted) share; of no rows any number.
        n: rows that the share is of (for precision those predicted as the class, for recall those of it).
        effective_n: (sum w)^2 / sum w^2 over these rows.
        confidence: coverage in (0, 1).
    Returns: an Estimate; without a value if there are no rows.
    Source: Wilson, J. Amer. Statist. Assoc. 22 (1927), 209-212.

    >>> e = wilson_estimate(1.0, n=10, effective_n=10.0, confidence=0.95)
    >>> round(e.lower, 4), e.upper, e.se
    (0.7225, 1.0, None)
    """
    z = normal_quantile(0.5 + confidence / 2)
    if n == 0:
        return Estimate(None, None, None, None, confidence, 0, 0.0, why="no rows")
    m = effective_n
    middle = (share + z * z / (2 * m)) / (1 + z * z / m)
    half = z / (1 + z * z / m) * math.sqrt(share * (1 - share) / m + z * z / (4 * m * m))
    se = math.sqrt(share * (1 - share) / m)
    return Estimate(
        value=share,
        se=se or None,
        lower=0.0 if share == 0 else max(0.0, middle - half),
        upper=1.0 if share == 1 else min(1.0, middle + half),
        confidence=confidence,
        n=n,
        effective_n=effective_n,
        why=None if se else "every row has the same outcome: no standard error (the interval is Wilson's)",
    )
