"""The temperature that fits best, from sums of the loss and its two derivatives at nine inverse temperatures."""

import math
from dataclasses import dataclass

__all__ = ["BETAS", "Temperature", "TemperatureDecomposition"]

# Inverse temperatures from 1/8 to 8, closest around 1; squares of one another but for a factor sqrt(2), so that a
# kernel needs two exponentials a class for all nine.
BETAS = (0.125, 0.25, 0.5, math.sqrt(0.5), 1.0, math.sqrt(2.0), 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Temperature:
    """The temperature T that minimises the log loss of p^(1/T) / sum p^(1/T).

    Attributes:
        value: T; above 1 the predictions are over-confident.
        se: its standard error, from the curvature; None at an end of the range.
        loss: mean log loss at T, over the rows that were used.
        gain: what T saves against T = 1, over the same rows.
        beyond: "above 8" or "below 1/8" where the best T lies outside the range, else None.
        rows: rows used.
        left_out: rows with an infinite loss, or one beyond 2^26 nats.
    """

    value: float
    se: float | None
    loss: float
    gain: float
    beyond: str | None
    rows: int
    left_out: int


@dataclass(frozen=True)
class TemperatureDecomposition:
    """loss = miscalibration - knowledge + unc for more than two classes, in nats; a lower bound of miscalibration.

    Attributes:
        loss: mean log loss of the rows with a finite loss.
        miscalibration: loss - loss(T): what a temperature would gain, a lower bound.
        knowledge: unc - loss(T): what the predictions know beyond the class shares.
        unc: entropy of the class shares of these rows.
    """

    loss: float
    miscalibration: float
    knowledge: float
    unc: float
