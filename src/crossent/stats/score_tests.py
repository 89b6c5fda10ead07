"""Tests of calibration that need no bins: the entropy gap (score test of temperature 1) and Spiegelhalter's."""

from dataclasses import dataclass

__all__ = ["CalibrationTest"]


@dataclass(frozen=True)
class CalibrationTest:
    """A sum over rows that is 0 in the mean where predictions are calibrated.

    Attributes:
        value: the mean per row; for the entropy gap in nats, positive for over-confidence.
        z: the sum over its standard deviation under calibration; None if that is 0.
        p_value: two-sided, from the normal distribution.
        mark: a caveat ("not reliable: ..."), or None.
        why: why there is no z.
    """

    value: float | None
    z: float | None
    p_value: float | None
    mark: str | None = None
    why: str | None = None
