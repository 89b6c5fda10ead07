"""Several solvers on one objective from one start: the curve of each, and what is known of the minimum.

A solver tells its parameters after every iteration. They are kept, fewer of them where they would take much memory, and
the certificate and the held-out loss are computed from them when the solver has ended; the time that keeping them takes
is subtracted. So passes and seconds are those of the solver alone.
"""

import math
import numbers
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from crossent.core.matrix import DenseMatrix
from crossent.core.types import NDArray
from crossent.errors import DataError, LabelError, OptionError
from crossent.learn.checks import feature_matrix, feature_names, label_column, row_weights
from crossent.learn.class_weight import ClassWeight, check_class_weight, refuse_unknown_classes, weigh_classes
from crossent.learn.classifier import _coded as coded
from crossent.learn.inference import linear_logits
from crossent.learn.linear_objective import LinearObjective, plain_loss
from crossent.learn.solvers import SolverOptions, find_solver
from crossent.learn.solvers.watch import LEAST_LOSS
from crossent.learn.trace import OnStep, Step
from crossent.learn.training import Training, check_fit_intercept, check_l1, check_l2, train
from crossent.learn.types import Codes, Floats

__all__ = [
    "SHARES",
    "HeldOut",
    "Rows",
    "SolverComparison",
    "SolverCurve",
    "check_held_out",
    "compare_rows",
    "compare_solvers",
    "held_out_rows",
    "solver_names",
]

SHARES = (1e-2, 1e-4, 1e-6)  # how near to the best, relative to the loss, a table tells the time for
MOST_POINTS = 200
MEMORY = 2**28  # bytes for the points of one solver


@dataclass(frozen=True, eq=False)
class SolverCurve:
    """What one solver did, an entry per iteration; entry 0 is the start.

    Attributes:
        solver: its name.
        passes: how often all rows had been read.
        seconds: since the solver's start.
        loss: F with its penalties on the rows fitted, in nats.
        gap: the proven bound on F - F*; NaN where there is none, or where the parameters were not kept.
        heldout: mean log loss of the rows held out, in nats; NaN where there are none, or as for `gap`.
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
        return _lowest(self.curves)

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


class HeldOut(NamedTuple):
    """Rows that no solver sees: features [n, D], class indices [n], weights [n] or None."""

    features: Floats
    codes: Codes
    weight: Floats | None = None

    def loss(self, coef: Floats, intercept: Floats) -> float:
        """Mean log loss of a model; NaN if it overflows."""
        with np.errstate(over="ignore", invalid="ignore"):
            z = linear_logits(self.features, coef, intercept)
        if not np.isfinite(z).all():
            return math.nan
        loss = plain_loss(2 if len(coef) == 1 else len(coef))
        return float(loss(self.codes, logits=z, sample_weight=self.weight))


class Rows(NamedTuple):
    """Rows to fit: features [N, D], class indices [N], number of classes, weights [N] or None; and rows held out."""

    features: Floats
    codes: Codes
    classes: int
    weight: Floats | None
    held: HeldOut | None


def compare_solvers(
    X: Any,
    y: Any,
    *,
    solvers: Sequence[str],
    held_out: float | tuple[Any, Any] = 0.2,
    sample_weight: Any = None,
    class_weight: ClassWeight = None,
    l2: float | None = None,
    l1: float = 0.0,
    fit_intercept: bool = True,
    options: SolverOptions | None = None,
    start: tuple[Floats, Floats] | None = None,
    keep_points: bool = False,
) -> SolverComparison:
    """Run several solvers from the same start on the objective of SoftmaxClassifier, and keep the curve of each.

        F = sum_i w_i l_i / sum_i w_i + l2 / 2 * sum_kj coef_kj^2 + l1 * sum_kj |coef_kj|          [nat]

    Args:
        X: [N, D] finite features.
        y: [N] labels.
        solvers: names of solvers; each runs once.
        held_out: share of the rows to hold out, in [0, 1); or (X, y) of such rows. Every class keeps a row to fit.
        sample_weight: [N] weights >= 0, or None; they count in the held-out loss too.
        class_weight: None, "balanced" or {class: weight > 0}, for the rows fitted.
        l2: penalty >= 0; None means 1 over the weight of the rows fitted. l1: penalty >= 0.
        fit_intercept: whether the logits have an intercept.
        options: SolverOptions for all of them; its seed also draws the rows held out.
        start: coefficients and intercepts to start from; None for 0.
        keep_points: whether the curves have their points, for `crossent.plots.loss_surface`.
    Returns: SolverComparison.
    Raises: OptionError, DataError, LabelError, WeightError, ShapeError, DtypeError, NonFiniteError, UnsupportedError.

    >>> found = compare_solvers([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1], solvers=["gd", "lbfgs"], held_out=0)
    >>> [(curve.solver, round(float(curve.loss[0]), 6)) for curve in found.curves]
    [('gd', 0.693147), ('lbfgs', 0.693147)]
    """
    options = options or SolverOptions()
    names = solver_names(solvers)
    check_class_weight(class_weight)
    l2 = None if l2 is None else check_l2(l2)
    l1, fit_intercept = check_l1(l1), check_fit_intercept(fit_intercept)
    if not isinstance(held_out, tuple | list):
        check_held_out(held_out)
    features = feature_matrix(X, names=feature_names(X))
    labels, _ = label_column(y, rows=len(features), shape=features.shape)
    weight = row_weights(sample_weight, rows=len(features))
    refuse_unknown_classes(class_weight, labels.tolist())
    if weight is not None and not weight.all():
        features, labels, weight = features[weight > 0], labels[weight > 0], weight[weight > 0]
    classes, codes = coded(labels)
    fitted, held = _parted(features, codes, weight, held_out, classes, options.seed)
    counted = weigh_classes(class_weight, classes.tolist(), fitted.codes, sample_weight=fitted.weight)
    rows = Rows(fitted.features, fitted.codes, len(classes), counted, held)
    return compare_rows(
        rows, names, l2=l2, l1=l1, fit_intercept=fit_intercept, options=options, start=start, keep_points=keep_points
    )[0]


def compare_rows(
    rows: Rows,
    solvers: Sequence[str],
    *,
    l2: float | None = None,
    l1: float = 0.0,
    fit_intercept: bool = True,
    options: SolverOptions,
    start: tuple[Floats, Floats] | None = None,
    keep_points: bool = False,
) -> tuple[SolverComparison, str, Training]:
    """`compare_solvers` on rows and options that are checked; also the solver that ended lowest, and its fit."""
    curves: list[SolverCurve] = []
    fits: list[tuple[str, Training]] = []
    for name in solvers:
        recorder = _Recorder(options.on_step)
        training = train(
            DenseMatrix(rows.features), rows.codes, outputs=1 if rows.classes == 2 else rows.classes,
            sample_weight=rows.weight, l2=l2, l1=l1, fit_intercept=fit_intercept, solver=name,
            options=replace(options, on_step=recorder), start=start,
        )  # fmt: skip
        curve = recorder.curve(name, training, rows.held)
        curves.append(curve if keep_points else replace(curve, points=None))
        fits.append((name, training))
    solver, best = min(fits, key=lambda fit: _final(fit[1]))
    bound, is_proven = _lower_bound(curves)
    held = 0 if rows.held is None else len(rows.held.codes)
    comparison = SolverComparison(tuple(curves), bound, len(rows.codes), held, is_proven, best.l2, l1)
    return comparison, solver, best


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
    try:
        certificate = objective.certificate(point)
    except NotImplementedError:
        return math.nan
    return certificate.value if certificate.kind == "gap" else math.nan


def _final(training: Training) -> float:
    loss = training.solution.loss
    return loss if math.isfinite(loss) else math.inf


def _lowest(curves: Sequence[SolverCurve]) -> float:
    losses = np.concatenate([curve.loss for curve in curves])
    return float(np.min(losses[np.isfinite(losses)], initial=math.inf))


def _lower_bound(curves: Sequence[SolverCurve]) -> tuple[float, bool]:
    """What F cannot go below, and whether that is proven; a cross-entropy is never below 0."""
    bounds = np.concatenate([curve.loss - curve.gap for curve in curves])
    bounds, lowest = bounds[np.isfinite(bounds)], _lowest(curves)
    return (min(max(0.0, float(bounds.max())), lowest), True) if bounds.size else (lowest, False)


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


def _parted(
    features: Floats, codes: Codes, weight: Floats | None, held_out: Any, classes: NDArray, seed: int
) -> tuple[HeldOut, HeldOut | None]:
    """The rows to fit, and those held out."""
    whole = HeldOut(features, codes, weight)
    if isinstance(held_out, tuple | list):
        return whole, _given(held_out, classes, features.shape[1])
    index = held_out_rows(codes, held_out, seed)
    if not index.size:
        return whole, None
    rest = np.delete(np.arange(len(codes)), index)
    fitted, held = (HeldOut(features[i], codes[i], None if weight is None else weight[i]) for i in (rest, index))
    return fitted, held


def _given(held_out: Sequence[Any], classes: NDArray, width: int) -> HeldOut:
    """Checked rows to hold out."""
    if len(held_out) != 2:
        raise OptionError(f"held_out has {len(held_out)} parts; give a share of the rows, or (X, y).")
    X, y = held_out
    features = feature_matrix(X, names=feature_names(X), owner="the objective", width=width)
    labels, _ = label_column(y, rows=len(features), shape=features.shape)
    known = {label: code for code, label in enumerate(classes.tolist())}
    unseen = sorted({str(label) for label in labels.tolist() if label not in known})
    if unseen:
        raise LabelError(
            f"held_out has the label {unseen[0]}, which y does not have. Its classes are "
            f"{', '.join(map(repr, list(known)[:8]))}. Leave such rows out."
        )
    return HeldOut(features, np.array([known[label] for label in labels.tolist()], dtype=np.int64))
