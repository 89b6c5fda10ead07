"""Fits: how soon each peer's objective is within 1e-6 of the lowest that anybody found, and where the others stood.

A fit is timed whole, from arrays, with its input checks. Every result is judged by the same float64 function.
Peers are asked one after the other for the settings of their sweep; the best of each then takes part in the rounds.
"""

import math
from collections.abc import Callable
from functools import partial
from time import sleep
from typing import Any

from crossent.bench.crew import Crew
from crossent.bench.plan import PAUSE_SECONDS, SLOW_SECONDS
from crossent.bench.results import Measurement
from crossent.bench.sweep import LIMIT_SECONDS, Fit, Setting, Sweep, aim_at
from crossent.bench.worker import Worker, WorkerFailure

__all__ = ["FitCrew"]

_QUICK_SECONDS = 1.0
_OVERTIME = 1.3  # iterations that grow slower: ended in the worker, without a result
_PATIENCE = 3.0  # what does not end there: the worker is ended


class FitCrew(Crew):
    """The workers of one case whose works are fits."""

    def prepare(self, status: Callable[[str], None]) -> None:
        """Starts all workers, which make the data; then sweeps, one at a time."""
        super().prepare(status)
        asked = [m for m in self.measurements if m.work == "fit" and not m.failure]
        sweeps = {m.peer: self._sweep(status, m) for m in asked}
        lowest = self._swept(sweeps)
        for m in asked:
            self._settle(m, sweeps[m.peer].best(aim_at(lowest)) or sweeps[m.peer].closest(), lowest)
        for m in self.measurements:
            if m.work == "fit_default" and not m.failure:
                self._settle(m, self._fit(status, m, None), lowest)

    def _check(self, worker: Worker, each: Measurement) -> None:
        """Fits are judged when all are known."""

    @property
    def _limit(self) -> float:
        return _QUICK_SECONDS if self._plan.quick else LIMIT_SECONDS

    def _sweep(self, status: Callable[[str], None], m: Measurement) -> Sweep:
        return Sweep(partial(self._fit, status, m), self._case.solvers[m.peer], self._limit)

    def _swept(self, sweeps: dict[str, Sweep]) -> float:
        """Runs all sweeps until nobody finds less; what a fit found that was cut short is no measure for others.

        Returns: the lowest objective.
        """
        best: Fit | None = None
        while True:
            before = best
            for sweep in sweeps.values():
                sweep.run(aim_at(best.value if best and best.ended else math.inf))
                found = [fit for fit in (best, sweep.closest()) if fit is not None]
                best = min(found, key=lambda fit: fit.value, default=None)
            if best == before:
                return best.value if best else math.inf

    def _fit(self, status: Callable[[str], None], m: Measurement, setting: Setting | None) -> Fit | None:
        """One fit; None if nothing came of it, with the reason in the measurement."""
        status(f"{m.peer}: {'default' if setting is None else f'{setting.text}, max_iter {setting.max_iter}'}")
        sleep(0.0 if self._plan.quick else PAUSE_SECONDS)
        try:
            reply: dict[str, Any] = self._workers[m.peer].ask(
                "fit", work=m.work, setting=setting._asdict() if setting else {}, seconds=_OVERTIME * self._limit,
                patience=_PATIENCE * self._limit + 30,
            )  # fmt: skip
        except WorkerFailure as problem:
            m.failure = str(problem)
            return None
        return Fit(setting or Setting("", math.nan, 0), **reply)

    def _settle(self, m: Measurement, fit: Fit | None, lowest: float) -> None:
        """What a measurement says of its chosen fit, which its worker will repeat."""
        if fit is None:
            return
        m.failure = ""  # of other settings
        m.value, m.extra_bytes, m.bound = fit.value, fit.extra_bytes, fit.bound
        m.wrong_by = None if fit.value <= aim_at(lowest) else fit.value / lowest - 1
        setting = {} if m.work == "fit_default" else fit.setting._asdict()
        m.setting = fit.setting.text if setting else "default"
        try:
            self._workers[m.peer].ask("settle", work=m.work, setting=setting)
        except WorkerFailure as problem:
            m.failure = str(problem)
        if fit.seconds > SLOW_SECONDS:
            m.seconds.append(fit.seconds)
