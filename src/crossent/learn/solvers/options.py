"""The options that all solvers share, checked once."""

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from crossent.errors import OptionError
from crossent.learn.trace import OnStep
from crossent.wording import did_you_mean, listed

__all__ = ["SCHEDULES", "SolverOptions"]

SCHEDULES = ("constant", "inverse", "sqrt", "step", "cosine")


@dataclass(frozen=True)
class SolverOptions:
    """When to stop, how far to step, whom to tell.

    Args:
        max_iter: most iterations, >= 1; for solvers that take mini-batches an iteration is a pass over all rows.
        tol: a solver has converged when F - F* is proven to be <= tol * max(F, 1e-3); where nothing can be proven
            (no l2, or a loss that is not convex) when the estimate or the gradient says so. 0 goes on to the last
            digit.
        learning_rate: step length of the gradient descent family, > 0; None: the solver finds it as it goes.
        schedule: how the learning rate falls from pass to pass: "constant", "inverse" (1 / (1 + t)), "sqrt"
            (1 / sqrt(1 + t)), "step" (a tenth after each third of max_iter), "cosine" (to 0 at max_iter), or a function
            of the pass number t = 0, 1, ... that returns a factor >= 0. It takes a learning_rate.
        batch_size: rows of a mini-batch, >= 1; None: a 16th of all, but between 16 and 256.
        momentum: of "momentum" and "nesterov", in [0, 1).
        seed: of the order of mini-batches, a whole number >= 0.
        certify: whether the certificate is computed in every iteration, so that every Step has its gap: for learning
            curves; otherwise only where it may end the fit.
        on_step: called with each Step and the parameters, or None; a true result ends the fit.

    Raises: OptionError.

    >>> SolverOptions(max_iter=10).tol
    1e-06
    """

    max_iter: int = 1000
    tol: float = 1e-6
    learning_rate: float | None = None
    schedule: str | Callable[[int], float] = "constant"
    batch_size: int | None = None
    momentum: float = 0.9
    seed: int = 0
    certify: bool = False
    on_step: OnStep | None = None

    def __post_init__(self) -> None:
        if not _is_whole_number(self.max_iter) or self.max_iter < 1:
            raise OptionError(f"max_iter is {self.max_iter!r}; it must be a whole number >= 1.")
        if not _is_finite_number(self.tol) or self.tol < 0:
            raise OptionError(f"tol is {self.tol!r}; it must be a finite number >= 0, for instance 1e-6.")
        rate = self.learning_rate
        if rate is not None and (not _is_finite_number(rate) or rate <= 0):
            raise OptionError(f"learning_rate is {rate!r}; it must be a finite number > 0, for instance 0.1, or None.")
        if self.batch_size is not None and (not _is_whole_number(self.batch_size) or self.batch_size < 1):
            raise OptionError(f"batch_size is {self.batch_size!r}; it must be a whole number >= 1, or None.")
        if not _is_finite_number(self.momentum) or not 0 <= self.momentum < 1:
            raise OptionError(f"momentum is {self.momentum!r}; it must be a number >= 0 and < 1, for instance 0.9.")
        if not _is_whole_number(self.seed) or self.seed < 0:
            raise OptionError(f"seed is {self.seed!r}; it must be a whole number >= 0.")
        if not isinstance(self.certify, bool):
            raise OptionError(f"certify is {self.certify!r}; it must be True or False.")
        if not callable(self.schedule) and self.schedule not in SCHEDULES:
            raise OptionError(
                f"schedule is {self.schedule!r}; it must be one of {listed(SCHEDULES)}, or a function of the pass "
                f"number.{did_you_mean(str(self.schedule), SCHEDULES)}"
            )
        if rate is None and self.schedule != "constant":
            raise OptionError(
                f"schedule is {self.schedule!r}, but there is no learning_rate for it to lower: a solver that finds "
                "its own rate also finds when to lower it. Pass learning_rate=, or leave schedule='constant'."
            )


def _is_whole_number(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_finite_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, numbers.Real) and math.isfinite(value)
