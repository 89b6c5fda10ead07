"""What solvers have done: the curve of each, and what all of them together say of the minimum."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossent.learn.solvers.watch import LEAST_LOSS
from crossent.learn.types import Floats

__all__ = ["SHARES", "SolverComparison", "SolverCurve", "lower_bound", "lowest_loss"]

SHARES = (1e-2, 1e-4, 1e-6)  # how near to the best, relative to the loss, a table tells the time for


@dataclass(frozen=True, eq=False)
class SolverCurve:
    """What one solver did, an entry per iteration; entry 0 is the start.

    Attributes:
        solver: its name.
        passes: how often all rows had been read.
        seconds: since the solver's start.
        loss: F with its penalties on the rows fitted, in nats.
        gap: the proven bound on F - F*; NaN where there is none, or where the parameters were not kept.
        heldout: weighted mean log loss of the rows held out, in nats; NaN where there are none, or as for `gap`.
        converged, reason: whether the stopping rule was met, and what stopped the solver.
        points: [n, outputs, D (+ 1)] coefficients, the intercept last, of the n iterations kept; None unless asked.
    """

    solver: str
    passes: Floats
    seconds: Floats
    loss: Floats
    gap: Floats
    heldout: Floats
    converged: bool
    reason: str
    points: Floats | None = None

    @property
    def iterations(self) -> int:
        """Iterations done."""
        return len(self.loss) - 1

    def as_dict(self) -> dict[str, Any]:
        """The curve as plain lists, without the points."""
        lists = {name: getattr(self, name).tolist() for name in ("passes", "seconds", "loss", "gap", "heldout")}
        return {"solver": self.solver, "converged": self.converged, "reason": self.reason, **lists}


@dataclass(frozen=True, eq=False)
class SolverComparison:
    """Curves of several solvers on the same rows.

    Attributes:
        curves: one per solver, in the order asked.
        best: the largest F - gap, a proven lower bound of the minimum; without any gap the lowest F found.
        is_proven: which of the two.
        rows, heldout_rows: how many were fitted, how many held out.
        l2, l1: the penalties.
    """

    curves: tuple[SolverCurve, ...]
    best: float
    rows: int
    heldout_rows: int
    is_proven: bool = False
    l2: float = 0.0
    l1: float = 0.0

    @property
    def lowest(self) -> float:
        """The lowest F found; inf if no solver found a finite one."""
        return lowest_loss(self.curves)

    def seconds_to(self, curve: SolverCurve, share: float) -> float:
        """When a solver first came within a share of the best; NaN if never.

        F - best <= share * max(lowest F, 1e-3)
        """
        near = np.flatnonzero(curve.loss - self.best <= share * max(self.lowest, LEAST_LOSS))
        return float(curve.seconds[near[0]]) if near.size else math.nan

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, lists and texts."""
        facts = {name: getattr(self, name) for name in ("rows", "heldout_rows", "l2", "l1", "best", "is_proven")}
        curves = [
            {**curve.as_dict(), "seconds_to": {f"{share:g}": self.seconds_to(curve, share) for share in SHARES}}
            for curve in self.curves
        ]
        return {**facts, "curves": curves}


def lowest_loss(curves: Sequence[SolverCurve]) -> float:
    """The lowest F of all; inf if none is finite."""
    losses = np.concatenate([curve.loss for curve in curves])
    return float(np.min(losses[np.isfinite(losses)], initial=math.inf))


def lower_bound(curves: Sequence[SolverCurve]) -> tuple[float, bool]:
    """What F cannot go below, and whether that is proven; a cross-entropy is never below 0."""
    bounds = np.concatenate([curve.loss - curve.gap for curve in curves])
    bounds, lowest = bounds[np.isfinite(bounds)], lowest_loss(curves)
    return (min(max(0.0, float(bounds.max())), lowest), True) if bounds.size else (lowest, False)
