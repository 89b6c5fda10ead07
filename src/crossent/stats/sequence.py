"""Confidence sequences: intervals that may be looked at as often as one likes while rows still come in."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from crossent.core.options import coverage, whole_number
from crossent.stats.intervals import Estimate

__all__ = ["FIRST_LOOK", "Look", "best_ratio", "confidence_sequence"]

FIRST_LOOK = 100  # the sequence is asymptotic: no statement from fewer rows


@dataclass(frozen=True)
class Look:
    """One look at a value whose rows still come in; asymptotically valid at every look.

    Attributes:
        n: rows, or clusters, so far.
        value: the estimate so far; None if there are no rows.
        lower: lower end; None where no statement is made.
        upper: upper end.
        confidence: nominal coverage of all looks together.
        expect_n: the number of rows at which the sequence is tightest.
        why: why there is no interval.
    """

    n: int
    value: float | None
    lower: float | None
    upper: float | None
    confidence: float
    expect_n: int
    why: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers by name."""
        return asdict(self)


def confidence_sequence(estimate: Estimate, *, expect_n: int, confidence: float = 0.95) -> Look:
    """The asymptotic confidence sequence at the rows seen so far, asymptotically valid at every look.

        value -/+ s sqrt(2 (n r^2 + 1) / (n^2 r^2) log(sqrt(n r^2 + 1) / alpha)),  s = SE sqrt(n)

    The chance that any look from 100 rows on misses the true value is about alpha = 1 - confidence; so one may look
    after every row and stop when one likes.

    Args:
        estimate: the value with its standard error, from the sums of all rows so far.
        expect_n: the number of rows at which the sequence shall be tightest, >= 100; r is tuned to it. To be chosen
            before the first look.
        confidence: coverage of all looks together, in (0, 1).
    Returns: a Look; without an interval before 100 rows, or where the standard error cannot be estimated.
    Raises: OptionError for other options.
    Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, Time-uniform central limit theory and asymptotic confidence
        sequences, Annals of Statistics 52 (2024), theorem 2.2.

    >>> e = Estimate(0.4, 0.01, 0.38, 0.42, 0.95, 2500, 2500.0)
    >>> look = confidence_sequence(e, expect_n=2500)
    >>> round(look.lower, 4), round(look.upper, 4)
    (0.3696, 0.4304)
    """
    r = best_ratio(expect_n, confidence=confidence)

    def look(lower: float | None, upper: float | None, why: str | None) -> Look:
        return Look(estimate.n, estimate.value, lower, upper, confidence, expect_n, why)

    if estimate.value is None or estimate.se is None:
        return look(None, None, estimate.why)
    if estimate.n < FIRST_LOOK:
        return look(None, None, f"no statement before n = {FIRST_LOOK}")
    x = estimate.n * r * r
    half = estimate.se * math.sqrt(2 * (x + 1) / x * (0.5 * math.log1p(x) - math.log(1 - confidence)))
    return look(estimate.value - half, estimate.value + half, None)


def best_ratio(expect_n: int, *, confidence: float) -> float:
    """The r at which the confidence sequence is tightest at n = expect_n.

        r = sqrt(x / expect_n),  x + 1 = y > 1 the larger root of y - log y = 1 - 2 log alpha

    Args:
        expect_n: rows, >= 100.
        confidence: 1 - alpha, in (0, 1).
    Raises: OptionError for other values.
    Source: as `confidence_sequence`, on tuning the mixture: y = -W(-alpha^2 / e), W Lambert's lower branch.

    >>> round(best_ratio(1000, confidence=0.95), 5)
    0.09062
    """
    coverage(confidence)
    text = f"a whole number of rows >= {FIRST_LOOK} (no statement is made before)"
    expect_n = whole_number("expect_n", expect_n, low=FIRST_LOOK, text=text)
    right = 1.0 - 2.0 * math.log(1.0 - confidence)
    y = right + math.log(right) + 1.0
    for _ in range(50):  # Newton from above on a convex function: falls to the root
        y -= (y - math.log(y) - right) / (1.0 - 1.0 / y)
    return math.sqrt((y - 1.0) / expect_n)
