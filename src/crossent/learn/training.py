"""From checked arrays to a fitted linear model: the step that the estimator and `fit_file` share."""

import math
import numbers
import warnings
from typing import Any, NamedTuple

import numpy as np

from crossent.errors import ConvergenceWarning, DataError, OptionError
from crossent.learn.moments import moments
from crossent.learn.objective import LinearObjective, Scaling
from crossent.learn.solvers import SolverOptions, find_solver
from crossent.learn.trace import Solution
from crossent.learn.types import Codes, Floats

__all__ = [
    "Training",
    "check_fit_intercept",
    "check_l2",
    "convergence_message",
    "train",
    "warn_unless_converged",
]

LARGEST_FEATURE = 1e100


class Training(NamedTuple):
    """A fitted linear model: coefficients [1 or K, D], intercepts [1 or K], the l2 used, how it was found."""

    coef: Floats
    intercept: Floats
    l2: float
    solution: Solution


def train(
    features: Floats,
    codes: Codes,
    *,
    classes: int,
    sample_weight: Floats | None = None,
    l2: float | None = None,
    fit_intercept: bool = True,
    solver: str = "lbfgs",
    options: SolverOptions | None = None,
) -> Training:
    """Minimise the weighted mean cross-entropy plus l2 / 2 times the squared coefficients.

    Args:
        features: [N, D] finite float64.
        codes: [N] class indices; every class occurs.
        classes: number of classes.
        sample_weight: [N] weights > 0, or None.
        l2: penalty; None means 1/N, where N is the sum of the weights.
        fit_intercept, solver, options: as in SoftmaxClassifier.
    Returns: Training.
    Raises: OptionError, DataError.
    """
    chosen = find_solver(solver)
    total = float(len(features) if sample_weight is None else sample_weight.sum())
    strength = 1.0 / total if l2 is None else check_l2(l2)
    _refuse_huge(features)
    scaling = None
    if chosen.rescales:
        scaling = _even_scaling(features, sample_weight, classes=classes, l2=strength, centred=fit_intercept)
    objective = LinearObjective(
        features,
        codes,
        classes=classes,
        l2=strength,
        sample_weight=sample_weight,
        fit_intercept=fit_intercept,
        scaling=scaling,
    )
    solution = chosen.run(objective, np.zeros(objective.size), options or SolverOptions())
    coef, intercept = objective.coefficients(solution.point)
    return Training(coef, intercept, strength, solution)


def _even_scaling(features: Floats, sample_weight: Floats | None, *, classes: int, l2: float, centred: bool) -> Scaling:
    """Parameters along which the objective bends about equally: h (spread^2 + l2 / h), h at equal odds."""
    center, spread = moments(features, sample_weight=sample_weight, centred=centred)
    bend = 0.25 if classes == 2 else (1 - 1 / classes) / classes
    scale = np.hypot(spread, math.sqrt(l2 / bend))
    scale[scale == 0] = np.inf  # a constant column without penalty: its coefficient stays exactly 0
    return Scaling(center, scale)


def check_l2(l2: Any) -> float:
    """A penalty as a float.

    Raises: OptionError unless it is a finite number >= 0.
    """
    is_number = isinstance(l2, numbers.Real) and not isinstance(l2, bool)
    if not is_number or not math.isfinite(l2) or l2 < 0:
        raise OptionError(f"l2 is {l2!r}; it must be a finite number >= 0, or None for 1/N.")
    return float(l2)


def check_fit_intercept(fit_intercept: Any) -> bool:
    """Whether to fit an intercept.

    Raises: OptionError unless it is True or False.
    """
    if isinstance(fit_intercept, bool | np.bool_):
        return bool(fit_intercept)
    raise OptionError(f"fit_intercept is {fit_intercept!r}; it must be True or False.")


def _refuse_huge(features: Floats) -> None:
    """Refuse values whose squares would overflow."""
    largest = np.maximum(features.max(axis=0), -features.min(axis=0))
    column = int(np.argmax(largest))
    if largest[column] > LARGEST_FEATURE:
        raise DataError(
            f"Feature column {column} has values as large as {largest[column]:.3g}; beyond "
            f"{LARGEST_FEATURE:g} sums of squares overflow. Divide that column by a constant."
        )


def convergence_message(solver: str, solution: Solution) -> str:
    """One line on how the solver ended, with advice where it did not converge.

    >>> from crossent.learn.trace import Step
    >>> convergence_message("gd", Solution(np.zeros(1), (Step(0, 0.5, 0.0),), True, "the gradient is zero"))
    'gd converged after 0 iterations: the gradient is zero.'
    """
    verb = "converged" if solution.converged else "did not converge"
    line = f"{solver} {verb} after {solution.iterations} iterations: {solution.reason}."
    return line if solution.converged else f"{line} {solution.advice}"


def warn_unless_converged(solver: str, solution: Solution, *, stacklevel: int = 3) -> None:
    """Issue a ConvergenceWarning with reason and advice if the solver did not converge."""
    if not solution.converged:
        warnings.warn(convergence_message(solver, solution), ConvergenceWarning, stacklevel=stacklevel)
