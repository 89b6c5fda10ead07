"""A SolverComparison to look at: a table for a terminal, and JSON."""

import math

from crossent.learn.curves import SHARES, SolverComparison, SolverCurve
from crossent.report.json import json_text
from crossent.report.wording import number
from crossent.wording import aligned, counted

__all__ = ["SCHEMA", "comparison_to_json", "comparison_to_text"]

SCHEMA = "crossent.comparison/1"


def comparison_to_text(comparison: SolverComparison) -> str:
    """The table for a terminal, a solver a line; below it what the minimum is and why each solver stopped.

    Args:
        comparison: a SolverComparison.
    Returns: lines of text, ending in a newline.

    >>> from crossent.learn.comparison import compare_solvers
    >>> found = compare_solvers([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1], solvers=["lbfgs"], held_out=0)
    >>> comparison_to_text(found).split()[:3]
    ['solver', 'iterations', 'passes']
    """
    heads = ("solver", "iterations", "passes", "seconds", *(f"to {share:.0e}" for share in SHARES))
    rows = [(*heads, "loss", "gap", "held-out loss")]
    rows += [_row(comparison, curve) for curve in comparison.curves]
    reasons = [
        f"{curve.solver} {'converged' if curve.converged else 'did not converge'}: {curve.reason}."
        for curve in comparison.curves
    ]
    return "\n\n".join([aligned(rows, left=1), _legend(comparison), "\n".join(reasons)]) + "\n"


def comparison_to_json(comparison: SolverComparison) -> str:
    """The whole comparison as standard JSON; numbers read back to the same bits, what is not known is null.

    Args:
        comparison: a SolverComparison.
    Returns: text, ending in a newline.

    >>> from crossent.learn.comparison import compare_solvers
    >>> found = compare_solvers([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1], solvers=["lbfgs"], held_out=0)
    >>> comparison_to_json(found).split('"')[3]
    'crossent.comparison/1'
    """
    return json_text({"schema": SCHEMA, **comparison.as_dict()})


def _row(comparison: SolverComparison, curve: SolverCurve) -> tuple[str, ...]:
    near = (_known(comparison.seconds_to(curve, share)) for share in SHARES)
    return (
        curve.solver,
        f"{curve.iterations:,}",
        _known(curve.passes[-1], digits=4),
        _known(curve.seconds[-1]),
        *near,
        _known(curve.loss[-1], digits=7),
        _known(curve.gap[-1]),
        _known(curve.heldout[-1], digits=5),
    )


def _known(x: float, *, digits: int = 3) -> str:
    """A number, a dash for NaN."""
    return number(None if math.isnan(x) else float(x), digits=digits)


def _legend(comparison: SolverComparison) -> str:
    """What the columns mean."""
    known = f"Lowest loss {number(comparison.lowest, digits=9)} nat"
    if comparison.is_proven:
        known += f", proven to be within {number(comparison.lowest - comparison.best, digits=2)} of the minimum."
    else:
        known += ": nothing is proven of the minimum, which may lie lower."
    held = f", {counted(comparison.heldout_rows)} held out" if comparison.heldout_rows else ""
    return (
        f"{known} l2 {number(comparison.l2)}, l1 {number(comparison.l1)}; {counted(comparison.rows)} fitted{held}.\n"
        "Seconds to 1e-02: until the loss was within that share of the minimum. A dash: never, or not known."
    )
