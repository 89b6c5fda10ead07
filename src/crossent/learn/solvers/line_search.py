"""Finding a step length along a descent direction that a quasi-Newton update can use.

A bracket [low, high] with low descending and high too far (or rising) is narrowed until the strong Wolfe
conditions hold: enough decrease, and a slope at most CURVATURE times the first. Near the optimum the decrease
drowns in the rounding of the value while the slope is still accurate, so a step whose value is level up to
rounding counts as decreasing when its slope says so ("approximate Wolfe": Hager and Zhang, SIAM J. Optim. 16
(2005)).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from crossent.learn.types import Floats

__all__ = ["Probe", "wolfe_step"]

DECREASE = 1e-4
CURVATURE = 0.9
MAX_PROBES = 60
ROUNDING = 8 * 2.0**-53


class Probe(NamedTuple):
    """The objective at one step length: value, slope along the direction, point and gradient."""

    step: float
    value: float
    slope: float
    point: Floats
    grad: Floats

    @property
    def is_finite(self) -> bool:
        """Whether value and slope are numbers to compute with."""
        return math.isfinite(self.value) and math.isfinite(self.slope)


def wolfe_step(evaluate: Callable[[float], Probe], start: Probe, first: float) -> Probe | None:
    """A probe that satisfies the strong Wolfe conditions.

        f(t) <= f(0) + 1e-4 t f'(0)   and   |f'(t)| <= 0.9 |f'(0)|

    Args:
        evaluate: step length -> Probe; an infinite or NaN value marks a step as too long.
        start: the probe at step 0, slope < 0.
        first: the step length to try first, > 0.
    Returns: the probe; failing that the best one with enough decrease; None if there is none.
    """
    low, high, step = start, None, first
    for _ in range(MAX_PROBES):
        probe = evaluate(step)
        if _is_too_far(start, probe) or probe.slope > -CURVATURE * start.slope:
            high = probe
        elif probe.slope < CURVATURE * start.slope:
            low = probe
        else:
            return probe
        step = _expanded(start, low) if high is None else _interpolated(low, high)
        if step == low.step or (high is not None and step == high.step) or math.isinf(step):
            break
    return low if low.step > 0 else None


def _is_too_far(start: Probe, probe: Probe) -> bool:
    """Whether the value decreased too little, allowing for the rounding of the value."""
    if not probe.is_finite:
        return True
    if probe.value <= start.value + DECREASE * probe.step * start.slope:
        return False
    is_level = probe.value <= start.value + ROUNDING * abs(start.value)
    return not (is_level and probe.slope <= (2 * DECREASE - 1) * start.slope)


def _expanded(start: Probe, low: Probe) -> float:
    """A longer step: where the slope would vanish if it were linear, within 2 to 10 times the last."""
    ratio = start.slope / (start.slope - low.slope) if low.slope > start.slope else 10.0
    return low.step * min(max(ratio, 2.0), 10.0)


def _interpolated(low: Probe, high: Probe) -> float:
    """A step inside the bracket: minimum of the cubic through both ends, kept away from the ends."""
    width = high.step - low.step
    if not high.is_finite:
        return low.step + 0.1 * width
    share = _cubic_minimum(low, high, width)
    return low.step + width * min(max(share, 0.1), 0.9)


def _cubic_minimum(low: Probe, high: Probe, width: float) -> float:
    """Where in the bracket, as a share of its width, the interpolating cubic is lowest; 0.5 if nowhere."""
    rise = high.value - low.value
    if abs(rise) <= 100 * ROUNDING * abs(low.value):
        return -low.slope / (high.slope - low.slope) if high.slope > low.slope else 0.5
    bend = low.slope + high.slope - 3 * rise / width
    square = bend * bend - low.slope * high.slope
    if not (math.isfinite(square) and square >= 0):
        return 0.5
    root = math.sqrt(square)
    divisor = high.slope - low.slope + 2 * root
    return 1 - (high.slope + root - bend) / divisor if divisor > 0 else 0.5
