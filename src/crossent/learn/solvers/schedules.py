"""How a given learning rate falls from pass to pass."""

import math
import numbers
from collections.abc import Callable
from typing import Any

from crossent.errors import OptionError
from crossent.learn.solvers.options import SCHEDULES, SolverOptions

__all__ = ["factor_of"]

_FACTORS: dict[str, Callable[[int, int], float]] = {
    "constant": lambda t, T: 1.0,
    "inverse": lambda t, T: 1 / (1 + t),
    "sqrt": lambda t, T: 1 / math.sqrt(1 + t),
    "step": lambda t, T: 0.1 ** (3 * t // T),
    "cosine": lambda t, T: (1 + math.cos(math.pi * t / T)) / 2,
}
assert tuple(_FACTORS) == SCHEDULES


def factor_of(options: SolverOptions, t: int) -> float:
    """What the learning rate is multiplied by in a pass (for gd: in a step).

        constant: 1    inverse: 1 / (1 + t)    sqrt: 1 / sqrt(1 + t)    step: 0.1^floor(3 t / T)
        cosine: (1 + cos(pi t / T)) / 2

    Args:
        options: schedule, and max_iter for T.
        t: number of the pass, from 0 to T - 1.
    Returns: a factor >= 0.
    Raises: OptionError where the schedule is a function and returns anything else.

    >>> [factor_of(SolverOptions(learning_rate=1.0, schedule="step", max_iter=6), t) for t in (0, 1, 2)]
    [1.0, 1.0, 0.1]
    """
    if not callable(options.schedule):
        return _FACTORS[options.schedule](t, options.max_iter)
    factor: Any = options.schedule(t)
    is_number = isinstance(factor, numbers.Real) and not isinstance(factor, bool)
    if not is_number or not math.isfinite(factor) or factor < 0:
        raise OptionError(f"schedule({t}) returned {factor!r}; it must return a finite number >= 0.")
    return float(factor)
