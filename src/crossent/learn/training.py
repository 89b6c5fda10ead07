"""From checked arrays to a fitted linear model: the step that the estimator and `fit_file` share."""

import math
import numbers
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from crossent.core.matrix import Matrix
from crossent.core.matrix.matrix import ColumnMoments
from crossent.core.types import NDArray
from crossent.errors import ConvergenceWarning, DataError, OptionError
from crossent.learn.linear_objective import LinearObjective
from crossent.learn.solvers import SolverOptions, find_solver
from crossent.learn.trace import Solution
from crossent.learn.types import AnyLoss, Floats
from crossent.losses import BinaryCrossEntropy, CrossEntropy

__all__ = [
    "Training",
    "check_fit_intercept",
    "check_l1",
    "check_l2",
    "convergence_message",
    "prepared",
    "train",
    "warn_unless_converged",
]

LARGEST_FEATURE = 1e100


class Training(NamedTuple):
    """A fitted linear model: coefficients [outputs, D], intercepts [outputs], the l2 used, how it was found."""

    coef: Floats
    intercept: Floats
    l2: float
    solution: Solution
    objective: LinearObjective


def train(
    matrix: Matrix,
    targets: NDArray,
    *,
    outputs: int,
    loss: AnyLoss | None = None,
    sample_weight: Floats | None = None,
    l2: float | None = None,
    l1: float = 0.0,
    fit_intercept: bool = True,
    solver: str = "auto",
    options: SolverOptions | None = None,
    start: tuple[Floats, Floats] | None = None,
    moments: ColumnMoments | None = None,
    on_start: Callable[[LinearObjective], object] | None = None,
) -> Training:
    """Minimise the weighted mean loss plus l2 / 2 times the squared coefficients plus l1 times their sizes.

    Args:
        matrix: N rows of D finite features.
        targets: what the loss takes: indices [N] or distributions [N, K]; labels [N] or [N, L].
        outputs: number of logits; 1 with class indices 0 and 1 is the logit of the second.
        loss: of logits; None for plain cross-entropy.
        sample_weight: [N] weights > 0, or None.
        l2: penalty; None means 1/N, where N is the sum of the weights.
        l1, fit_intercept, solver, options: as in SoftmaxClassifier.
        start: coefficients and intercepts to start from, for features as given; None for 0.
        moments: of the matrix with these weights, if known already.
        on_start: called with the objective before the first step, so that a listener to the steps knows what their
            parameters mean.
    Returns: Training.
    Raises: OptionError, DataError, LabelError, UnsupportedError.
    """
    chosen, options = find_solver(solver), options or SolverOptions()
    objective = prepared(
        matrix, targets, outputs=outputs, loss=loss, sample_weight=sample_weight, l2=l2, l1=l1,
        fit_intercept=fit_intercept, rescales=chosen.rescales or options.learning_rate is None, moments=moments,
    )  # fmt: skip
    if on_start is not None:
        on_start(objective)
    first = np.zeros(objective.size) if start is None else objective.parameters(*start)
    solution = chosen.run(objective, first, options)
    coef, intercept = objective.coefficients(solution.point)
    return Training(coef, intercept, objective.l2_strength, solution, objective)


def prepared(
    matrix: Matrix,
    targets: NDArray,
    *,
    outputs: int,
    loss: AnyLoss | None = None,
    sample_weight: Floats | None = None,
    l2: float | None = None,
    l1: float = 0.0,
    fit_intercept: bool = True,
    rescales: bool = True,
    moments: ColumnMoments | None = None,
) -> LinearObjective:
    """The objective that `train` minimises, with its arguments; `rescales`: in parameters of even steepness."""
    total = float(matrix.rows if sample_weight is None else sample_weight.sum())
    strength = 1.0 / total if l2 is None else check_l2(l2)
    moments = matrix.moments(sample_weight) if moments is None else moments
    _refuse_huge(moments.largest)
    center = scale = None
    if rescales:
        center = moments.mean if fit_intercept and matrix.can_centre else None
        scale = _even_scale(moments, centred=center is not None, outputs=outputs, l2=strength)
    chosen_loss = loss or (BinaryCrossEntropy() if outputs == 1 else CrossEntropy())
    return LinearObjective(
        matrix.centred(center), targets, loss=chosen_loss, outputs=outputs, l2=strength, l1=check_l1(l1),
        sample_weight=sample_weight, fit_intercept=fit_intercept, scale=scale,
    )  # fmt: skip


def _even_scale(moments: ColumnMoments, *, centred: bool, outputs: int, l2: float) -> Floats:
    """Parameters along which the objective bends about equally: h (spread^2 + l2 / h), h at equal odds."""
    spread = moments.spread if centred else np.hypot(moments.spread, moments.mean)
    bend = 0.25 if outputs == 1 else (1 - 1 / outputs) / outputs
    scale = np.hypot(spread, math.sqrt(l2 / bend))
    scale[scale == 0] = np.inf  # a constant column without penalty: its coefficient stays exactly 0
    return scale


def check_l2(l2: Any) -> float:
    """A penalty as a float.

    Raises: OptionError unless it is a finite number >= 0.
    """
    is_number = isinstance(l2, numbers.Real) and not isinstance(l2, bool)
    if not is_number or not math.isfinite(l2) or l2 < 0:
        raise OptionError(f"l2 is {l2!r}; it must be a finite number >= 0, or None for 1/N.")
    return float(l2)


def check_l1(l1: Any) -> float:
    """A penalty as a float.

    Raises: OptionError unless it is a finite number >= 0.
    """
    is_number = isinstance(l1, numbers.Real) and not isinstance(l1, bool)
    if not is_number or not math.isfinite(l1) or l1 < 0:
        raise OptionError(f"l1 is {l1!r}; it must be a finite number >= 0.")
    return float(l1)


def check_fit_intercept(fit_intercept: Any) -> bool:
    """Whether to fit an intercept.

    Raises: OptionError unless it is True or False.
    """
    if isinstance(fit_intercept, bool | np.bool_):
        return bool(fit_intercept)
    raise OptionError(f"fit_intercept is {fit_intercept!r}; it must be True or False.")


def _refuse_huge(largest: Floats) -> None:
    """Refuse values whose squares would overflow."""
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
