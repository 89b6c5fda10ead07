"""What is known of the distance to the minimum: a bound where there is one, and what else can be said where not."""

from typing import Literal, NamedTuple

__all__ = ["Certificate"]


class Certificate(NamedTuple):
    """How far the objective can be above its minimum F*.

    Attributes:
        kind: "gap": F - F* <= value, proven by a dual point up to rounding (some 1e-16); "radius": no bound in general,
            but F - F(any model within distance R) <= R * value, distances in coefficients and intercepts for features
            as given; "stationarity": the loss is not convex, value is the norm of the gradient in the parameters.
        value: >= 0, in nats (for "gap").
        decrement: half the squared Newton decrement, an estimate of F - F*; NaN if not known.
    """

    kind: Literal["gap", "radius", "stationarity"]
    value: float
    decrement: float = float("nan")
