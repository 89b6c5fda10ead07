"""The path of penalties: which ones, their losses on held-out rows, fold by fold, and which of them is chosen.

Along the path the penalty falls from one that leaves little of the model, and each fit starts where the last one ended.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from crossent.errors import OptionError
from crossent.learn.class_weight import ClassWeight, weigh_classes
from crossent.learn.folds import Fold
from crossent.learn.linear_objective import LinearObjective
from crossent.learn.solvers import SolverOptions
from crossent.learn.trace import Solution
from crossent.learn.training import check_l2, prepared, train
from crossent.learn.training_rows import TrainingRows
from crossent.learn.types import Floats
from crossent.losses import BinaryCrossEntropy, CrossEntropy

__all__ = ["RULES", "Path", "PathFit", "check_l2s", "check_rule", "choose", "follow", "penalties"]

RULES = ("best", "one_se")
_FAINT = 0.01  # what the largest penalty leaves of the logits, as their root mean square
_SPAN = 1e-7  # smallest by largest penalty


class Path(NamedTuple):
    """How every fit of a path is made: as in `SoftmaxClassifier`, with the penalties [L] l2, falling."""

    l2s: Floats
    solver: str
    options: SolverOptions
    fit_intercept: bool
    class_weight: ClassWeight
    l1: float = 0.0


class PathFit(NamedTuple):
    """A path on one fold: losses [L] of the held-out rows, and the solver's result at each penalty."""

    losses: Floats
    solutions: tuple[Solution, ...]


def check_l2s(l2s: Any) -> int | Floats:
    """A number of penalties, or the penalties [L] themselves, falling and each once.

    Raises: OptionError.

    >>> check_l2s([0.1, 1, 0.01]).tolist()
    [1.0, 0.1, 0.01]
    """
    if isinstance(l2s, int | np.integer) and not isinstance(l2s, bool) and l2s >= 1:
        return int(l2s)
    if isinstance(l2s, str) or not isinstance(l2s, Iterable):
        raise OptionError(f"l2s is {l2s!r}; it must be a number of penalties >= 1, or the penalties >= 0 themselves.")
    values = np.array([check_l2(each) for each in l2s])
    if values.size == 0:
        raise OptionError("l2s is empty; give at least one penalty >= 0, or a number of them, for instance 20.")
    return np.unique(values)[::-1]


def check_rule(rule: Any) -> None:
    """Raises: OptionError for an unknown rule."""
    if rule not in RULES:
        raise OptionError(f"rule is {rule!r}; it must be 'best' or 'one_se'.")


def penalties(rows: TrainingRows, count: int, *, weight: Floats | None, fit_intercept: bool) -> Floats:
    """Penalties [count] for these rows, falling evenly on a logarithmic scale.

    A large penalty l2 leaves of the coefficients -G / l2, with G the gradient at the model of no features. The largest
    is the one that leaves logits of root mean square 0.01. The smallest is 10^-7 of that for features of even scale, in
    units of the median scale: so it suits columns that a few large ones would hide. If G is 0, the largest is 1.

    Args:
        rows: to be fitted. weight: their weights, with those of the classes, or None.
        count: >= 1. fit_intercept: whether the model of no features has the class shares, or equal odds.
    """
    objective = prepared(
        rows.matrix, rows.codes, outputs=rows.outputs, sample_weight=weight, l2=0.0, fit_intercept=fit_intercept
    )
    shares = np.log(np.bincount(rows.codes, weights=weight) / objective.mass)
    odds = shares[1:] - shares[0] if rows.outputs == 1 else shares
    empty = np.zeros((rows.outputs, rows.matrix.columns))
    point = objective.parameters(empty, odds) if fit_intercept else np.zeros(objective.size)
    grad = np.asarray(objective.value_and_grad(point).grad).reshape(rows.outputs, -1)
    if fit_intercept:
        grad[:, -1] = 0

    def reach(vector: Floats) -> float:
        logits = objective.logits(vector.reshape(-1))
        spread = logits - np.average(logits, axis=0, weights=weight) if fit_intercept else logits
        return float(np.sqrt(np.average((spread**2).mean(axis=1), weights=weight)))

    varies = np.isfinite(objective.scale)
    square = np.append(np.where(varies, objective.scale, 0.0) ** 2, 1.0)[: grad.shape[1]]
    largest = reach(grad * square) / _FAINT
    if not largest > 0:
        return np.geomspace(1.0, _SPAN, count)
    evenly = reach(grad) / _FAINT * float(np.median(objective.scale[varies])) ** 2
    return np.geomspace(largest, _SPAN * min(largest, evenly), count)


def follow(rows: TrainingRows, fold: Fold, path: Path) -> PathFit:
    """Fit the training rows of a fold at each penalty in turn, and measure each model on the rows held out.

    The loss of the held-out rows is their mean cross-entropy with their sample weights; class weights are of the
    training only.
    """
    codes, classes = rows.codes[fold.train], rows.classes.tolist()
    sample_weight = None if rows.weight is None else rows.weight[fold.train]
    weight = weigh_classes(path.class_weight, classes, codes, sample_weight=sample_weight)
    matrix = rows.matrix.take(fold.train)
    loss = BinaryCrossEntropy() if rows.outputs == 1 else CrossEntropy()
    held_out = LinearObjective(
        rows.matrix.take(fold.test), rows.codes[fold.test], loss=loss, outputs=rows.outputs,
        sample_weight=None if rows.weight is None else rows.weight[fold.test],
    )  # fmt: skip
    start, losses, solutions = None, [], []
    for l2 in path.l2s:
        fitted = train(
            matrix, codes, outputs=rows.outputs, sample_weight=weight, l2=float(l2), l1=path.l1,
            fit_intercept=path.fit_intercept, solver=path.solver, options=path.options, start=start,
        )  # fmt: skip
        start = fitted.coef, fitted.intercept
        losses.append(float(held_out.value_and_grad(held_out.parameters(*start)).value))
        solutions.append(fitted.solution)
    return PathFit(np.array(losses), tuple(solutions))


def choose(mean: Floats, error: Floats, rule: str) -> int:
    """Which of the penalties, falling, is chosen from the mean losses [L] and their standard errors [L].

    "best" takes the lowest mean, "one_se" the largest penalty whose mean is within one standard error of it; of ties
    the largest penalty. Where the best one's mean or error is not finite, "one_se" takes it too: nothing can be told.
    Source: Breiman, Friedman, Olshen and Stone, Classification and Regression Trees (1984), section 3.4.3.

    >>> mean, error = np.array([0.9, 0.5, 0.4, 0.6]), np.array([0.1, 0.1, 0.15, 0.1])
    >>> choose(mean, error, "best"), choose(mean, error, "one_se")
    (2, 1)
    """
    best = int(np.argmin(mean))
    limit = mean[best] + error[best]
    if rule == "best" or not np.isfinite(limit):
        return best
    return int(np.argmax(mean <= limit))
