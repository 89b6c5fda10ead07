"""Several solvers on one objective from one start: the curve of each, and what is known of the minimum.

A solver tells its parameters after every iteration. They are kept, fewer of them where they would take much memory, and
the certificate and the held-out loss are computed from them when the solver has ended; the time that keeping them takes
is subtracted. So passes and seconds are those of the solver alone.
"""

import math
import numbers
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from crossent.core.matrix import Matrix
from crossent.core.types import NDArray
from crossent.errors import DataError, LabelError, OptionError, ShapeError, UnsupportedError
from crossent.learn.checks import feature_matrix, feature_names, finite_moments
from crossent.learn.class_weight import ClassWeight, check_class_weight
from crossent.learn.curves import SolverComparison, SolverCurve, lower_bound
from crossent.learn.labels import read_truth
from crossent.learn.linear_objective import LinearObjective
from crossent.learn.loss_choice import check_loss, is_independent
from crossent.learn.prepare import Problem, prepare
from crossent.learn.solvers import SolverOptions, find_solver
from crossent.learn.trace import OnStep, Step
from crossent.learn.training import Training, check_fit_intercept, check_l1, check_l2, train
from crossent.learn.types import AnyLoss, Codes, Floats
from crossent.losses import BinaryCrossEntropy, CrossEntropy

__all__ = [
    "HeldOut",
    "check_held_out",
    "compare_on",
    "compare_solvers",
    "held_out_rows",
    "solver_names",
]

MOST_POINTS = 200
MEMORY = 2**28  # bytes for the points of one solver


class HeldOut(NamedTuple):
    """Rows that no solver sees: features, targets, weights [n] or None, and the loss they are fitted with."""

    matrix: Matrix
    targets: NDArray
    weight: Floats | None
    fitted_with: AnyLoss

    def loss(self, coef: Floats, intercept: Floats) -> float:
        """Mean log loss of a model; NaN if it overflows."""
        with np.errstate(over="ignore", invalid="ignore"):
            z = self.matrix.logits(coef, intercept)
            z = z / getattr(self.fitted_with, "temperature", 1.0)
        if not np.isfinite(z).all():
            return math.nan
        plain = BinaryCrossEntropy() if is_independent(self.fitted_with) else CrossEntropy()
        flat = z[:, 0] if self.targets.ndim == 1 and z.shape[1] == 1 else z
        return float(plain(self.targets, logits=flat, sample_weight=self.weight))


def compare_solvers(
    X: Any,
    y: Any,
    *,
    solvers: Sequence[str],
    held_out: float | tuple[Any, Any] = 0.2,
    loss: AnyLoss | None = None,
    sample_weight: Any = None,
    class_weight: ClassWeight = None,
    l2: float | None = None,
    l1: float = 0.0,
    fit_intercept: bool = True,
    options: SolverOptions | None = None,
    start: tuple[Any, Any] | None = None,
    keep_points: bool = False,
) -> SolverComparison:
    """Run several solvers from the same start on the objective of SoftmaxClassifier, and keep the curve of each.

        F = sum_i w_i l_i / sum_i w_i + l2 / 2 * sum_kj coef_kj^2 + l1 * sum_kj |coef_kj|          [nat]

    Args:
        X, y, loss, sample_weight, class_weight, fit_intercept: as in SoftmaxClassifier. Rows held out keep the weights
            that these give them.
        solvers: names of solvers; each runs once.
        held_out: share of the rows to hold out, in [0, 1), of which every class keeps a row to fit; or (X, y) of such
            rows with labels.
        l2: penalty >= 0; None means 1 over the weight of the rows fitted.
        l1: penalty >= 0.
        options: SolverOptions for all of them; its seed also draws the rows held out.
        start: coefficients and intercepts to start from, shaped as coef_ and intercept_; None for 0.
        keep_points: whether the curves have their points, for `crossent.plots.loss_surface`.
    Returns: SolverComparison.
    Raises: OptionError, and what SoftmaxClassifier says of its rows.

    >>> found = compare_solvers([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1], solvers=["gd", "lbfgs"], held_out=0)
    >>> [(curve.solver, round(float(curve.loss[0]), 6)) for curve in found.curves]
    [('gd', 0.693147), ('lbfgs', 0.693147)]
    """
    options = options or SolverOptions()
    names = solver_names(solvers)
    check_loss(loss)
    check_class_weight(class_weight)
    if l2 is not None:
        check_l2(l2)
    if not isinstance(held_out, tuple | list):
        check_held_out(held_out)
    whole = prepare(X, y, sample_weight, loss=loss, class_weight=class_weight)
    problem, held = _parted(whole, held_out, options.seed)
    return compare_on(
        problem, held, names, l2=l2, l1=check_l1(l1), fit_intercept=check_fit_intercept(fit_intercept),
        options=options, start=start, keep_points=keep_points,
    )[0]  # fmt: skip


def compare_on(
    problem: Problem,
    held: HeldOut | None,
    solvers: Sequence[str],
    *,
    l2: float | None,
    l1: float,
    fit_intercept: bool,
    options: SolverOptions,
    start: tuple[Any, Any] | None = None,
    keep_points: bool = False,
) -> tuple[SolverComparison, str, Training]:
    """`compare_solvers` on rows and options that are checked; also the solver that ended lowest, and its fit."""
    strength = problem.strength(l2)
    first = None if start is None else _checked_start(problem, *start)
    curves: list[SolverCurve] = []
    fits: list[tuple[str, Training]] = []
    for name in solvers:
        recorder = _Recorder(options.on_step)
        training = train(
            problem.matrix, problem.targets, outputs=problem.outputs, loss=problem.loss, sample_weight=problem.weight,
            l2=problem.penalty_factor * strength, l1=l1, fit_intercept=fit_intercept, solver=name,
            options=replace(options, on_step=recorder), start=first, moments=problem.moments,
        )  # fmt: skip
        curve = recorder.curve(name, training, held)
        curves.append(curve if keep_points else replace(curve, points=None))
        fits.append((name, training))
    solver, best = min(fits, key=lambda fit: _final(fit[1]))
    bound, is_proven = lower_bound(curves)
    out = 0 if held is None else held.matrix.rows
    comparison = SolverComparison(tuple(curves), bound, problem.matrix.rows, out, is_proven, strength, l1)
    return comparison, solver, best


def _checked_start(problem: Problem, coef: Any, intercept: Any) -> tuple[Floats, Floats]:
    """A start for the logits that are fitted, from one for the classifier."""
    given = np.asarray(coef, dtype=np.float64), np.asarray(intercept, dtype=np.float64)
    outputs = 1 if problem.has_pair else problem.outputs
    wanted = (outputs, problem.matrix.columns), (outputs,)
    if (given[0].shape, given[1].shape) != wanted:
        raise ShapeError(
            f"start has shapes {given[0].shape} and {given[1].shape}; coefficients and intercepts need {wanted[0]} and "
            f"{wanted[1]}, as coef_ and intercept_ of a classifier have them."
        )
    return problem.start(problem.classes, *given)


class _Recorder:
    """The listener of one run: every step, and points; every second one goes when they have become too many."""

    def __init__(self, told: OnStep | None) -> None:
        self._told, self._every, self._away = told, 1, 0.0
        self.steps: list[Step] = []
        self.points: dict[int, Floats] = {}

    def __call__(self, step: Step, point: Floats) -> object:
        arrived = time.perf_counter()
        self.steps.append(step._replace(seconds=step.seconds - self._away))
        self._keep(len(self.steps) - 1, point)
        answer = None if self._told is None else self._told(step, point)
        self._away += time.perf_counter() - arrived
        return answer

    def _keep(self, place: int, point: Floats) -> None:
        """The point, until the next one comes or longer."""
        most = max(2, min(MOST_POINTS, MEMORY // point.nbytes))
        self.points[place] = point.copy()
        self._drop(place - 1, most)
        if len(self.points) > most:
            self._every *= 2
            for old in [old for old in self.points if old != place]:
                self._drop(old, most)

    def _drop(self, place: int, most: int) -> None:
        """Forget a point that is not among the first, which a logarithmic axis shows best, nor in step."""
        if place >= most // 4 and place % self._every:
            del self.points[place]

    def curve(self, solver: str, training: Training, held: HeldOut | None) -> SolverCurve:
        """The curve, with what its points tell."""
        objective = training.objective
        gap, heldout = np.full((2, len(self.steps)), np.nan)
        models = []
        for place, point in self.points.items():
            coef, intercept = objective.coefficients(point)
            models.append(np.column_stack([coef, intercept]) if objective.has_intercept else coef)
            if np.isfinite(models[-1]).all():
                gap[place] = _proven_gap(objective, point)
                heldout[place] = math.nan if held is None else held.loss(coef, intercept)
        passes, seconds, loss = (
            np.array([getattr(s, name) for s in self.steps]) for name in ("passes", "seconds", "loss")
        )
        solution = training.solution
        return SolverCurve(
            solver, passes, seconds, loss, gap, heldout, solution.converged, solution.reason, np.array(models)
        )


def _proven_gap(objective: LinearObjective, point: Floats) -> float:
    certificate = objective.certificate(point)
    return certificate.value if certificate.kind == "gap" else math.nan


def _final(training: Training) -> float:
    loss = training.solution.loss
    return loss if math.isfinite(loss) else math.inf


def solver_names(solvers: Sequence[str]) -> list[str]:
    """The names without repetitions.

    Raises: OptionError for none, or an unknown one.
    """
    names = list(dict.fromkeys([solvers] if isinstance(solvers, str) else solvers))
    if not names:
        raise OptionError("No solver is named; name at least one, for instance gd,lbfgs.")
    for name in names:
        find_solver(name)
    return names


def check_held_out(share: Any) -> None:
    """Raises OptionError unless it is a share of the rows that leaves some."""
    if isinstance(share, bool) or not isinstance(share, numbers.Real) or not 0 <= float(share) < 1:
        raise OptionError(f"held_out is {share!r}; it must be a number >= 0 and < 1, for instance 0.2, or (X, y).")


def held_out_rows(codes: Codes, share: float, seed: int) -> NDArray:
    """Indices of the rows to hold out, drawn at random, in order; every class keeps a row.

    Raises: DataError if so small a share of so few rows is no row.
    """
    order = np.random.default_rng(seed).permutation(len(codes))
    _, first = np.unique(codes[order], return_index=True)
    drawn = np.delete(order, first)[: round(share * len(codes))]
    if share and not drawn.size:
        raise DataError(
            f"held_out={share:g} of {len(codes)} rows with {len(first)} classes leaves no row to hold out. "
            "Raise it, or set it to 0."
        )
    return np.sort(drawn)


def _parted(whole: Problem, held_out: Any, seed: int) -> tuple[Problem, HeldOut | None]:
    """The rows to fit, and those held out."""
    if isinstance(held_out, tuple | list):
        return whole, _given(whole, held_out)
    has_labels = whole.targets.ndim == 1 and whole.targets.dtype.kind in "iu"
    codes = whole.targets if has_labels else np.zeros(len(whole.targets), dtype=np.int64)
    index = held_out_rows(codes, held_out, seed)
    if not index.size:
        return whole, None
    rest = np.delete(np.arange(len(codes)), index)
    (matrix, weight), (out, out_weight) = (
        (whole.matrix.take(rows), None if whole.weight is None else whole.weight[rows]) for rows in (rest, index)
    )
    fitted = replace(whole, matrix=matrix, moments=matrix.moments(weight), targets=whole.targets[rest], weight=weight)
    return fitted, HeldOut(out, whole.targets[index], out_weight, whole.loss)


def _given(whole: Problem, held_out: Sequence[Any]) -> HeldOut:
    """Checked rows to hold out."""
    if len(held_out) != 2:
        raise OptionError(f"held_out has {len(held_out)} parts; give a share of the rows, or (X, y).")
    matrix = feature_matrix(held_out[0], names=feature_names(held_out[0]), owner="y", width=whole.matrix.columns)
    finite_moments(matrix, None, names=whole.names)
    labels = read_truth(held_out[1], rows=matrix.rows, shape=(matrix.rows, matrix.columns)).values
    if labels.ndim != 1 or whole.targets.ndim != 1 or whole.targets.dtype.kind == "f":
        raise UnsupportedError("held_out=(X, y) needs one label per row in both; hold out a share of the rows instead.")
    known = {label: code for code, label in enumerate(whole.classes.tolist())}
    unseen = sorted({str(label) for label in labels.tolist() if label not in known})
    if unseen:
        raise LabelError(
            f"held_out has the label {unseen[0]}, which y does not have. Its classes are "
            f"{', '.join(map(repr, list(known)[:8]))}. Leave such rows out."
        )
    codes = np.array([known[label] for label in labels.tolist()], dtype=np.int64)
    return HeldOut(matrix, codes, None, whole.loss)
