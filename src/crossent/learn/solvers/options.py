"""The options that all solvers share, checked once."""

import math
import numbers
from dataclasses import dataclass
from typing import Any

from crossent.errors import OptionError
from crossent.learn.trace import OnStep

__all__ = ["SolverOptions"]


@dataclass(frozen=True)
class SolverOptions:
    """When to stop, how far to step, whom to tell.

    Args:
        max_iter: most iterations, >= 1.
        tol: a solver has converged when the largest absolute gradient entry is <= tol; >= 0.
        learning_rate: step length of gradient descent, > 0; solvers with a line search do not use it.
        on_step: called with each Step, or None.

    Raises: OptionError.

    >>> SolverOptions(max_iter=10).tol
    1e-06
    """

    max_iter: int = 1000
    tol: float = 1e-6
    learning_rate: float = 0.1
    on_step: OnStep | None = None

    def __post_init__(self) -> None:
        if not _is_whole_number(self.max_iter) or self.max_iter < 1:
            raise OptionError(f"max_iter is {self.max_iter!r}; it must be a whole number >= 1.")
        if not _is_finite_number(self.tol) or self.tol < 0:
            raise OptionError(f"tol is {self.tol!r}; it must be a finite number >= 0, for instance 1e-6.")
        if not _is_finite_number(self.learning_rate) or self.learning_rate <= 0:
            raise OptionError(
                f"learning_rate is {self.learning_rate!r}; it must be a finite number > 0, for instance 0.1."
            )


def _is_whole_number(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_finite_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, numbers.Real) and math.isfinite(value)
