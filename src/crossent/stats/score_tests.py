"""Tests of calibration that need no bins: the entropy gap (score test of temperature 1) and Spiegelhalter's."""

import math
from dataclasses import dataclass

from crossent.stats.quantiles import normal_tails
from crossent.wording import counted

__all__ = ["NOT_RELIABLE", "CalibrationTest", "entropy_gap_test", "spiegelhalter_test"]

NOT_RELIABLE = "not reliable: one row has over 10 % of the variance"


@dataclass(frozen=True)
class CalibrationTest:
    """A sum over rows that is 0 in the mean where predictions are calibrated.

    Attributes:
        value: the mean per row; for the entropy gap in nats, positive for over-confidence.
        z: the sum over its standard deviation under calibration; None if that is 0.
        p_value: two-sided, from the normal distribution.
        mark: a caveat ("not reliable: ..."), or None.
        why: why there is no z.
        left_out: rows that are not in the sum, because their loss is infinite or beyond 2^26 nats.
    """

    value: float | None
    z: float | None
    p_value: float | None
    mark: str | None = None
    why: str | None = None
    left_out: int = 0


def entropy_gap_test(
    *, gap: float, variance: float, weight: float, largest: float, left_out: int = 0
) -> CalibrationTest:
    """The score test of temperature 1: the loss l less the entropy H of its prediction, dL / dbeta at beta = 1.

        value = sum w (l - H) / sum w  [nat];  z = sum w (l - H) / sqrt(sum w^2 V),  V = sum_k p_k log^2 p_k - H^2

    A positive value is over-confidence. Zero is not calibration: p = 1/2 always gives 0.

    Args:
        gap: sum of w (l - H) over the rows.
        variance: sum of w^2 V, >= 0.
        weight: sum of w; 0 if there is no row.
        largest: the largest w^2 V of one row.
        left_out: rows with an infinite or huge loss, which are not in the sums. They are the most over-confident ones,
            so any of them is a caveat.
    Returns: a CalibrationTest.
    Source: Rao, Proc. Camb. Phil. Soc. 44 (1948), 50-57 (score test).

    >>> found = entropy_gap_test(gap=30.0, variance=225.0, weight=1000.0, largest=0.5)
    >>> found.value, found.z, round(found.p_value, 4)
    (0.03, 2.0, 0.0455)
    """
    return _standardised(gap, variance, weight, largest, left_out)


def spiegelhalter_test(*, excess: float, variance: float, weight: float, largest: float) -> CalibrationTest:
    """Spiegelhalter's test for K classes: the Brier score B less what it is under calibration, E.

        B = 1 - 2 p_y + sum_k p_k^2;  E = 1 - sum_k p_k^2;  V = 4 (sum_k p_k^3 - (sum_k p_k^2)^2)
        value = sum w (B - E) / sum w;  z = sum w (B - E) / sqrt(sum w^2 V)

    Args:
        excess: sum of w (B - E) over the rows.
        variance: sum of w^2 V, >= 0.
        weight: sum of w; 0 if there is no row.
        largest: the largest w^2 V of one row.
    Returns: a CalibrationTest; a positive value is over-confidence.
    Source: Spiegelhalter, Statistics in Medicine 5 (1986), 421-433.

    >>> found = spiegelhalter_test(excess=-10.0, variance=100.0, weight=1000.0, largest=20.0)
    >>> found.z, found.mark
    (-1.0, 'not reliable: one row has over 10 % of the variance')
    """
    return _standardised(excess, variance, weight, largest)


def _standardised(total: float, variance: float, weight: float, largest: float, left_out: int = 0) -> CalibrationTest:
    if weight == 0:
        why = "every row has an infinite or huge loss" if left_out else "no rows"
        return CalibrationTest(None, None, None, why=why, left_out=left_out)
    value = float(total / weight)
    if variance == 0:
        return CalibrationTest(
            value,
            None,
            None,
            why="no variance: every prediction is certain, or the same for all classes it allows",
            left_out=left_out,
        )
    z = float(total / math.sqrt(variance))
    marks = [NOT_RELIABLE] if largest > 0.1 * variance else []
    if left_out:
        marks.append(f"not reliable: {counted(left_out)} with an infinite or huge loss left out")
    return CalibrationTest(value, z, normal_tails(z), mark="; ".join(marks) or None, left_out=left_out)
