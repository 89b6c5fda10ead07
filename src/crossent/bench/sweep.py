"""Which fits a peer is asked for: the loosest tolerance of each of its solvers that is accurate enough.

An iterative solver takes about the same way whatever its tolerance is: tol says where it ends (and, for auto, where its
first phase on a part of the rows does). So a solver begins with the tightest tolerance, and max_iter grows until it
converges, is accurate enough, or would exceed the time limit. If that was not enough, a looser one is taken not to be
either; if it was, they are tried from the loosest on, up to the first that is.
Fits are remembered, so a sweep may be run again when somebody has found a lower objective.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from crossent.bench.wording import power_text

__all__ = ["AIM", "LIMIT_SECONDS", "TOLERANCES", "Fit", "Setting", "Sweep", "aim_at"]

AIM = 1e-6  # relative to the lowest objective found
LIMIT_SECONDS = 32.0  # for one fit
TOLERANCES = tuple(10.0**-digits for digits in range(2, 9))
_FIRST_ITERATIONS, _GROWTH = 4, 4
_MOST_ITERATIONS = 100_000
_LEAST_SHARE = 0.3  # of the mean time of an iteration, for the next
_WORTH_IT = 1.2  # growth of max_iter


class Setting(NamedTuple):
    """How an estimator is made; solver "" is its own choice."""

    solver: str
    tol: float
    max_iter: int

    @property
    def text(self) -> str:
        """As a table shows it.

        >>> Setting("lbfgs", 1e-4, 10).text, Setting("", 0.01, 10).text
        ('lbfgs, tol 1e-4', 'tol 1e-2')
        """
        return ", ".join(filter(None, (self.solver, f"tol {power_text(self.tol)}")))


class Fit(NamedTuple):
    """What came of a setting: seconds of the whole fit, the objective there, iterations, peak memory, proven gap."""

    setting: Setting
    seconds: float
    value: float
    iterations: int
    extra_bytes: int | None = None
    bound: float | None = None

    @property
    def ended(self) -> bool:
        """Whether it ended by its own rule."""
        return self.iterations < self.setting.max_iter


def aim_at(lowest: float) -> float:
    """The objective that is accurate enough; nothing is while none is known.

    >>> aim_at(2.0), aim_at(math.inf)
    (2.000002, -inf)
    """
    return lowest * (1 + AIM) if math.isfinite(lowest) else -math.inf


class Sweep:
    """The fits of one peer."""

    def __init__(self, fit: Callable[[Setting], Fit | None], solvers: Sequence[str], limit: float) -> None:
        """fit: runs one, None if nothing came of it; limit: seconds that a fit may take."""
        self._run_one, self._solvers, self._limit = fit, solvers, limit
        self._known: dict[Setting, Fit | None] = {}

    @property
    def fits(self) -> list[Fit]:
        """All that ended in numbers."""
        return [fit for fit in self._known.values() if fit is not None and math.isfinite(fit.value)]

    def run(self, target: float) -> None:
        """Looks for the fastest setting of every solver that reaches an objective of at most `target`."""
        limit = self._limit
        for solver in self._solvers:
            top = self._tightest(solver, target, limit)
            if top is not None and top.value <= target:
                self._loosest(solver, target, max(top.setting.max_iter, self._enough(solver)))
                fastest = self.best(target)
                limit = min(limit, 2 * fastest.seconds) if fastest else limit  # slower ones need not be finished

    def best(self, target: float) -> Fit | None:
        """The fastest fit that reached the target; one that max_iter cut only if no other did."""
        able = [fit for fit in self.fits if fit.value <= target]
        return min([fit for fit in able if fit.ended] or able, key=lambda fit: fit.seconds, default=None)

    def closest(self) -> Fit | None:
        """The fit with the lowest objective."""
        return min(self.fits, key=lambda fit: (fit.value, fit.seconds), default=None)

    def _tightest(self, solver: str, target: float, limit: float) -> Fit | None:
        made: list[Fit] = []
        most = _FIRST_ITERATIONS
        while True:
            fit = self._fit(Setting(solver, TOLERANCES[-1], most))
            if fit is None:
                return made[-1] if made else None
            made.append(fit)
            most = _more(made, limit)
            if fit.ended or fit.value <= target or most < _WORTH_IT * fit.setting.max_iter:
                return fit

    def _enough(self, solver: str) -> int:
        """The max_iter under which a fit of the solver ended by its own rule, if one did: looser ones then may too."""
        return max((fit.setting.max_iter for fit in self.fits if fit.setting.solver == solver and fit.ended), default=0)

    def _loosest(self, solver: str, target: float, most: int) -> None:
        for tol in TOLERANCES:
            fit = self._fit(Setting(solver, tol, most))
            if fit is None or fit.value <= target:
                return

    def _fit(self, setting: Setting) -> Fit | None:
        if setting not in self._known:
            self._known[setting] = self._run_one(setting)
        return self._known[setting]


def _more(made: Sequence[Fit], limit: float) -> int:
    """The iterations that fit into the limit, as far as can be told.

    One fit does not tell what an iteration costs. Two do by their difference, unless the first had to warm up.
    """
    last = made[-1]
    rate, most = last.seconds / max(1, last.iterations), _GROWTH * last.setting.max_iter
    if len(made) > 1:
        slope = (last.seconds - made[-2].seconds) / max(1, last.iterations - made[-2].iterations)
        rate, most = max(slope, _LEAST_SHARE * rate), _MOST_ITERATIONS
    return int(min(last.setting.max_iter + (limit - last.seconds) / max(rate, 1e-9), most))
