"""Smooth calibration error: residuals smoothed by a reflected Gaussian kernel whose width equals the error."""

from dataclasses import dataclass

__all__ = ["SmoothCalibrationError"]


@dataclass(frozen=True)
class SmoothCalibrationError:
    """Smooth ECE of one event.

    Attributes:
        value: smECE at the width sigma where smECE_sigma = sigma.
        null: mean of the same over labels redrawn from the probabilities.
        null_upper: 95 % quantile of the same.
        p_value: share of redraws with a value at least as large.
    """

    value: float
    null: float
    null_upper: float
    p_value: float
