"""What every solver does after an iteration: note it, tell the listener, and ask whether that is the end.

The rule, the same for all: F - F* proven <= tol * max(F, 1e-3) by the objective's certificate. The certificate reads all
rows, so it is asked only when the gradient says that it may hold. Where no bound exists (no l2), the Newton decrement
takes its place; where the loss is not convex, the gradient.
"""

import math
import time
from typing import NamedTuple

import numpy as np

from crossent.learn.certificate import Certificate
from crossent.learn.objective import Objective
from crossent.learn.solvers.options import SolverOptions
from crossent.learn.trace import Solution, Step
from crossent.learn.types import Floats

__all__ = ["End", "Watch", "nonsmooth_gradient", "penalty_l1"]

LEAST_LOSS = 1e-3  # below it, tol is absolute
PATIENCE = 20


class End(NamedTuple):
    """Why a solver stops here."""

    converged: bool
    reason: str
    advice: str = ""


def penalty_l1(objective: Objective, point: Floats) -> float:
    """sum_j l1_j |x_j|."""
    return 0.0 if objective.l1 is None else float(objective.l1 @ np.abs(point))


def nonsmooth_gradient(objective: Objective, point: Floats, grad: Floats) -> Floats:
    """The subgradient of F that is smallest in each entry, from the gradient of the smooth part."""
    l1 = objective.l1
    if l1 is None:
        return grad
    at_zero = np.sign(grad) * np.maximum(np.abs(grad) - l1, 0)
    return np.where(point == 0, at_zero, grad + l1 * np.sign(point))


class Watch:
    """Follows one run of a solver; `after` each iteration, the starting point first, then `solution`."""

    def __init__(self, objective: Objective, options: SolverOptions, *, name: str) -> None:
        self.objective, self.options, self.name = objective, options, name
        self.steps: list[Step] = []
        self.certificate: Certificate | None = None
        self._start = time.perf_counter()
        self._passes = objective.passes
        self._best_value = self._best_norm = math.inf
        self._idle = 0
        self._asked_at = math.inf

    def after(self, point: Floats, value: float, grad: Floats, *, decrement: float = math.nan) -> End | None:
        """Note an iteration: the smooth part's value and gradient at the point, and half of g^T H^-1 g if known."""
        value = value + penalty_l1(self.objective, point)
        slope = nonsmooth_gradient(self.objective, point, grad)
        norm = float(np.max(np.abs(slope), initial=0.0))
        finite = math.isfinite(value) and math.isfinite(norm)
        end = self._verdict(point, value, grad, norm, decrement) if finite else None
        passes = self.objective.passes - self._passes
        gap = self.certificate.value if self.certificate and self.certificate.kind == "gap" else math.nan
        step = Step(len(self.steps), value, norm, passes, time.perf_counter() - self._start, gap)
        self.steps.append(step)
        told = self.options.on_step is not None and self.options.on_step(step, point)
        if not finite:
            return self._diverged()
        if end is None and told:
            return End(False, "a callback asked to stop", "Go on from here with warm_start=True.")
        if end is None and self._has_stalled(value, norm):
            return self.at_rounding()
        if end is None and step.iteration >= self.options.max_iter:
            return self._out_of_steps()
        return end

    def solution(self, point: Floats, end: End) -> Solution:
        """The result of the run."""
        return Solution(point, tuple(self.steps), end.converged, end.reason, end.advice, self.certificate)

    # The parts below are filled in by the certificate work: see tests/learn/solvers/test_watch.py.

    def _verdict(self, point: Floats, value: float, grad: Floats, norm: float, decrement: float) -> End | None:
        self.certificate = None
        target = self.options.tol * max(value, LEAST_LOSS)
        if norm == 0:
            return End(True, "the gradient is zero")
        if norm <= self.options.tol:
            return End(True, f"the largest gradient entry {norm:.3g} is within tol={self.options.tol:g}")
        if decrement <= target:
            return End(True, f"the estimated distance to the minimum {decrement:.3g} is within {target:.3g}")
        return None

    def _has_stalled(self, value: float, norm: float) -> bool:
        """Whether value and gradient have not improved for PATIENCE iterations: only rounding moves.

        Values well above the best one are too long a step that overshoots, not rounding.
        """
        is_better = value < self._best_value or norm < self._best_norm
        is_better = is_better or value > self._best_value + 1e-9 * abs(self._best_value)
        self._best_value, self._best_norm = min(value, self._best_value), min(norm, self._best_norm)
        self._idle = 0 if is_better else self._idle + 1
        return self._idle >= PATIENCE

    def _out_of_steps(self) -> End:
        first, last = self.steps[0], self.steps[-1]
        reason = (
            f"max_iter={self.options.max_iter} iterations are used up and the largest gradient entry is still "
            f"{last.gradient_norm:.3g} (tol={self.options.tol:g})"
        )
        if last.loss > first.loss:
            return End(False, f"{reason}; the loss rose from {first.loss:.6g} to {last.loss:.6g}", self._shorter())
        return End(False, reason, "Raise max_iter, raise tol if that is close enough for you, or raise l2.")

    def at_rounding(self) -> End:
        """The end of a solver that finds no lower point."""
        return End(
            False,
            f"float64 rounding hides any further decrease; the largest gradient entry is "
            f"{self.steps[-1].gradient_norm:.3g} (tol={self.options.tol:g})",
            "Raise tol to a value above that gradient, or standardise the features.",
        )

    def _diverged(self) -> End:
        if len(self.steps) == 1:
            return End(False, "the loss at the starting point is not finite", "Check the features for huge values.")
        return End(False, f"the loss overflowed in iteration {len(self.steps) - 1}: the steps are too long", self._shorter())

    def _shorter(self) -> str:
        rate = self.options.learning_rate
        now = "" if rate is None else f" (now {rate:g})"
        return f"Lower learning_rate{now}, standardise the features, or use solver='auto'."
