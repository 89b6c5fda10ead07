"""Expected calibration error over bins of equal mass: the debiased square, and the naive value beside its null."""

from dataclasses import dataclass

__all__ = ["CalibrationError"]


@dataclass(frozen=True)
class CalibrationError:
    """Binned calibration error of one event.

    Attributes:
        bins: number of bins that were formed.
        debiased_square: sum n_b / n [(y_b - p_b)^2 - y_b (1 - y_b) / (n_b - 1)]; may be negative.
        naive: sum n_b / n |y_b - p_b|, which is positive under calibration too.
        naive_null: mean of naive over labels redrawn from the probabilities.
        naive_null_upper: 95 % quantile of the same.
        p_value: share of redraws with a naive value at least as large.
    """

    bins: int
    debiased_square: float
    naive: float
    naive_null: float
    naive_null_upper: float
    p_value: float
