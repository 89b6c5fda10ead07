"""What every solver does after an iteration: note it, tell the listener, and ask whether that is the end.

The rule, the same for all: F - F* proven <= tol * max(F, 1e-3) by the objective's certificate. The certificate reads
all rows, so it is asked only when an estimate from the gradient says that it may hold, and then again when the estimate
has halved or WAIT iterations have gone by (the estimate knows nothing of the intercept).

Without l2 and l1 nothing can be proven. There the estimate of the distance, half the squared Newton decrement, takes
the place of the bound; where that is dear as well, the gradient times the size of the model: by convexity no model
within that distance is lower by more. A minimum may not exist then:

    every row strictly right    the infimum is 0; seen by a look at the logits whenever F has halved, and every WAIT
                                iterations
    a growing model             as it went of late it could go on twice as far, and F would stay: the norm grows while
                                the loss has flattened. Looked at once, at the end

Where the loss is not convex the gradient decides, and the words say what that means. tol = 0 goes on to
the last digit. Whatever ends a run, its Solution has the certificate of its point.
"""

import math
import time
from typing import NamedTuple

import numpy as np

from crossent.learn.certificate import Certificate
from crossent.learn.objective import Objective, nonsmooth_gradient, penalty_l1
from crossent.learn.solvers.options import SolverOptions
from crossent.learn.trace import Solution, Step
from crossent.learn.types import Floats

__all__ = ["End", "Watch"]

LEAST_LOSS = 1e-3  # below it, tol is absolute
PATIENCE = 20
LEVEL = 1e-9  # of the loss: more than rounding
WAIT = 10
GROWTH = 0.05  # of the model's norm
SPACING = 1.4  # between the iterations that are remembered: 1, 2, 3, 5, 7, 10, ...
FLAT = 1e-5  # of the loss
SETTLED = 1e-2  # of the loss: falls by more are no sign that it has flattened
SECOND_ORDER = ("auto", "lbfgs", "newton")

_SEPARABLE = "separable: infimum 0, no finite optimum; set l2"
_SET_L2 = "Any l2 > 0 makes the optimum finite; l2=None is 1/N."


class End(NamedTuple):
    """Why a solver stops here."""

    converged: bool
    reason: str
    advice: str = ""


class _Anchor(NamedTuple):
    """An earlier iteration, to see which way the model goes."""

    iteration: int
    value: float
    point: Floats


class Watch:
    """Follows one run of a solver; `after` each iteration, the starting point first, then `solution`.

    `falls`: whether the solver lowers F, so that a standstill means rounding. Steps of a given length need not.
    """

    def __init__(self, objective: Objective, options: SolverOptions, *, name: str, falls: bool = True) -> None:
        self.objective, self.options, self.name, self.falls = objective, options, name, falls
        self.steps: list[Step] = []
        self.certificate: Certificate | None = None  # of the last point, if it was asked for
        self._start = time.perf_counter()
        self._passes = objective.passes
        self._best_value = self._best_norm = math.inf
        self._idle = 0
        self._asked_at, self._asked_estimate = 0, math.inf
        self._looked_at_value = math.inf
        self._anchors: list[_Anchor] = []  # the last three
        self._certified: Floats = np.zeros(0)
        self._decrement = math.nan  # what the solver last gave
        self.is_convex = objective.is_convex
        self.is_free = self.is_convex and objective.l1 is None and not np.any(objective.l2)

    # -- after an iteration -------------------------------------------------------------------------------------------

    def after(self, point: Floats, value: float, grad: Floats, *, decrement: float = math.nan) -> End | None:
        """Note an iteration: the smooth part's value and gradient at the point, and half of g^T H^-1 g if known."""
        value = value + penalty_l1(self.objective, point)
        slope = nonsmooth_gradient(self.objective, point, grad)
        norm = float(np.max(np.abs(slope), initial=0.0))
        finite = math.isfinite(value) and math.isfinite(norm)
        self.certificate = None
        self._decrement = decrement
        end = self._verdict(point, value, slope, decrement) if finite else None
        if finite and self.options.certify and self.is_convex and not self.is_free:
            self._certify(point)
        passes = self.objective.passes - self._passes
        step = Step(len(self.steps), value, norm, passes, time.perf_counter() - self._start, self._gap())
        self.steps.append(step)
        told = self.options.on_step is not None and self.options.on_step(step, point)
        if not finite:
            return self._diverged()
        if self.is_free and (not self._anchors or step.iteration >= SPACING * self._anchors[-1].iteration):
            self._anchors = [*self._anchors[-2:], _Anchor(step.iteration, value, point.copy())]
        if end is None and told:
            return End(False, "a callback asked to stop", "Go on from here with warm_start=True.")
        if end is None and self.falls and self._has_stalled(value, norm):
            return self.at_rounding()
        if end is None and step.iteration >= self.options.max_iter:
            return self._out_of_steps()
        return end

    def _verdict(self, point: Floats, value: float, slope: Floats, decrement: float) -> End | None:
        norm, tol = float(np.max(np.abs(slope), initial=0.0)), self.options.tol
        if not self.is_convex:
            return self._stationary(norm) if norm <= tol else None
        if norm == 0:
            return End(True, "the gradient is zero")
        if tol == 0:
            return None
        target = self._target(value)
        if self.is_free:
            return self._verdict_free(point, value, slope, decrement)
        is_asked = self._is_worth_asking(self._estimate(point, value, slope), 2 * target)
        if is_asked and self._certify(point).value <= target:
            return End(True, self._quoted())
        return None

    def _verdict_free(self, point: Floats, value: float, slope: Floats, decrement: float) -> End | None:
        """The rule without a penalty."""
        target = self._target(value)
        if not self.steps:
            self._looked_at_value = value
        elif value <= self._looked_at_value / 2 or len(self.steps) % WAIT == 0:
            self._looked_at_value = value
            if self.objective.is_separated(point):
                return End(False, _SEPARABLE, _SET_L2)
        square = float(slope @ slope)
        if not self._is_worth_asking(square if math.isnan(decrement) else max(square, decrement), target):
            return None
        if math.isnan(decrement):
            decrement = self._certify(point).decrement
        if math.isnan(decrement):
            size = max(1.0, float(np.linalg.norm(point)))
            distance = size * math.sqrt(square)
            around = f"within {size:.3g} of this one (in the solver's parameters)"
            reason = f"no model {around} is lower by more than {distance:.3g}"
        else:
            distance = decrement
            reason = f"the estimated distance of F to its minimum is {distance:.3g}"
        return End(True, reason) if distance <= target else None

    def _target(self, value: float) -> float:
        return self.options.tol * max(value, LEAST_LOSS)

    def _estimate(self, point: Floats, value: float, slope: Floats) -> float:
        """About what the certificate would say."""
        l1 = self.objective.l1
        estimate = self.objective.bound_estimate(slope)
        if l1 is None or math.isfinite(estimate):
            return estimate
        bound = l1 > 0
        excess = float(np.max(np.abs(slope[bound]) / l1[bound], initial=0.0))
        share = excess / (1 + excess)  # of the way to y: costs as much of the penalty, and of the loss its square
        return share * penalty_l1(self.objective, point) + share * share * value + float(slope[~bound] @ slope[~bound])

    def _is_worth_asking(self, estimate: float, enough: float) -> bool:
        is_news = estimate <= self._asked_estimate / 2 or len(self.steps) >= self._asked_at + WAIT
        if not (estimate <= enough and is_news):
            return False
        self._asked_at, self._asked_estimate = len(self.steps), estimate
        return True

    def _has_stalled(self, value: float, norm: float) -> bool:
        """Whether value and gradient have not improved for PATIENCE iterations, and only rounding moves.

        Not so if the value is above its best: gradient descent with long steps may yet settle down.
        """
        is_better = value < self._best_value or norm < self._best_norm
        self._best_value, self._best_norm = min(value, self._best_value), min(norm, self._best_norm)
        self._idle = 0 if is_better else self._idle + 1
        return self._idle >= PATIENCE and value - self._best_value <= LEVEL * abs(self._best_value)

    # -- the certificate ----------------------------------------------------------------------------------------------

    def _certify(self, point: Floats) -> Certificate:
        """The certificate of the point, computed once."""
        if self.certificate is None or not np.array_equal(point, self._certified):
            if self.is_convex:
                self.certificate = self.objective.certificate(point)
            else:
                grad = nonsmooth_gradient(self.objective, point, self.objective.value_and_grad(point).grad)
                self.certificate = Certificate("stationarity", float(np.nan_to_num(np.linalg.norm(grad), nan=math.inf)))
            self._certified = point.copy()
        return self.certificate

    def _gap(self) -> float:
        return self.certificate.value if self.certificate and self.certificate.kind == "gap" else math.nan

    def _quoted(self) -> str:
        """What the certificate says, in words that can end a sentence."""
        certificate = self.certificate
        assert certificate is not None
        if certificate.kind == "gap":
            return f"F is within {certificate.value:.2g} of the minimum"
        if certificate.kind == "stationarity":
            return f"the gradient's norm is {certificate.value:.2g} (the loss is not convex, so no bound is known)"
        if math.isnan(certificate.decrement):
            return f"F is lower by at most {certificate.value:.2g} R in any model within distance R"
        return f"F is an estimated {certificate.decrement:.2g} from its minimum"

    # -- the end ------------------------------------------------------------------------------------------------------

    def solution(self, point: Floats, end: End) -> Solution:
        """The result of the run."""
        certificate, last = self._certify(point), self.steps[-1]
        if certificate.kind == "radius" and math.isnan(certificate.decrement):
            self.certificate = certificate = certificate._replace(decrement=self._decrement)
        if math.isfinite(last.loss):
            if certificate.kind == "gap" and math.isnan(last.gap):
                self.steps[-1] = last._replace(gap=certificate.value)
            end = self._explained(point, end, certificate)
        return Solution(point, tuple(self.steps), end.converged, end.reason, end.advice, certificate)

    def _explained(self, point: Floats, end: End, certificate: Certificate) -> End:
        """The end with what is known of the distance: it may be small enough after all, or there is no minimum."""
        value = self.steps[-1].loss
        endless = self._endless(point, value) if self.is_free else None
        if endless is not None:
            is_all = end.converged or end.reason == endless.reason
            return endless if is_all else endless._replace(reason=f"{end.reason}; {endless.reason}")
        if end.converged:
            return end
        reason = f"{end.reason}; {self._quoted()}"
        if certificate.kind != "gap":
            return end._replace(reason=reason)
        target = self._target(value)
        if certificate.value <= target:
            return End(True, reason)
        return end._replace(reason=f"{reason} (tol={self.options.tol:g} asks for {target:.2g})")

    def _endless(self, point: Floats, value: float) -> End | None:
        """That there is no minimum, if so."""
        if self.objective.is_separated(point):
            return End(False, _SEPARABLE, _SET_L2)
        if self._grows(point, value):
            reason = "no finite optimum found: the model grows while the loss has flattened"
            return End(False, reason, f"Classes may be separable in part. {_SET_L2}")
        return None

    def _grows(self, point: Floats, value: float) -> bool:
        """Whether the way of late, gone on twice as far, makes the model larger and the loss hardly better or worse.

        Around a minimum it would rise by about 4 times what it fell.
        """
        size = max(value, LEAST_LOSS)
        flat = max(FLAT, 4 * self.options.tol) * size
        for anchor in self._anchors:
            change, fall = 2 * (point - anchor.point), anchor.value - value
            is_growth = change @ point > 0 and np.linalg.norm(change) >= GROWTH * np.linalg.norm(point)
            if is_growth and fall <= SETTLED * size:
                rise = self.objective.value_and_grad(point + change).value - value
                if -flat <= rise <= 0.1 * fall:
                    return True
        return False

    def _out_of_steps(self) -> End:
        first, last = self.steps[0], self.steps[-1]
        reason = f"max_iter={self.options.max_iter} iterations are used up"
        if last.loss > first.loss:
            return End(False, f"{reason} and the loss rose from {first.loss:.6g} to {last.loss:.6g}", self._shorter())
        ways = "Raise max_iter, raise tol if that is close enough for you, or raise l2"
        return End(False, reason, f"{ways}." if self.name in SECOND_ORDER else f"{ways}; solver='auto' needs fewer.")

    def at_rounding(self) -> End:
        """The end of a solver that finds no lower point."""
        return End(
            False, "float64 rounding hides any further decrease",
            "Raise tol if that is close enough for you, or standardise the features.",
        )  # fmt: skip

    def _stationary(self, norm: float) -> End:
        size = (
            "the gradient is zero"
            if norm == 0
            else f"the largest gradient entry {norm:.3g} is within tol={self.options.tol:g}"
        )
        return End(True, f"{size}; the loss is not convex, so this need not be its lowest point")

    def _diverged(self) -> End:
        if len(self.steps) == 1:
            return End(False, "the loss at the starting point is not finite", "Check the features for huge values.")
        reason = f"the loss overflowed in iteration {len(self.steps) - 1}: the steps are too long"
        return End(False, reason, self._shorter())

    def _shorter(self) -> str:
        rate = self.options.learning_rate
        now = "" if rate is None else f" (now {rate:g})"
        return f"Lower learning_rate{now}, standardise the features, or use solver='auto'."
