"""fit_file: from a file of rows to a model that can be saved; what `crossent fit` calls."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from crossent.core.matrix import DenseMatrix
from crossent.core.text import canonical_text
from crossent.errors import LabelError
from crossent.learn.class_weight import (
    ClassWeight,
    check_class_weight,
    recordable,
    refuse_unknown_classes,
    weigh_classes,
)
from crossent.learn.encode import ClassCodes, Standardiser, choose_features, finite_matrix, fit_encoder
from crossent.learn.moments import standardised
from crossent.learn.solvers import SolverOptions, find_solver
from crossent.learn.store import SoftmaxModel
from crossent.learn.trace import OnStep, Solution
from crossent.learn.training import Training, check_fit_intercept, check_l1, check_l2, convergence_message, train
from crossent.learn.types import Codes, Floats
from crossent.rows.sources import Source
from crossent.wording import listed, quoted

__all__ = [
    "FileRows",
    "FitResult",
    "check_objective",
    "file_class_weights",
    "fit_file",
    "fit_result",
    "read_rows",
]


@dataclass(frozen=True, repr=False)
class FitResult:
    """A model fitted to a file, and what to tell about it.

    Attributes:
        model: the model, ready for `save_model` and `predict_file`; its options say how it was fitted, its
            trace has one entry per iteration.
        rows: number of rows fitted.
        class_counts: rows per class, in the order of `model.classes`.
        solution: the solver's steps, whether it converged, and why it stopped.
        warnings: what a person should hear: no convergence, constant columns, classes with a single row.
    """

    model: SoftmaxModel
    rows: int
    class_counts: tuple[int, ...]
    solution: Solution
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"FitResult({self.rows} rows, {len(self.model.features)} features, {len(self.classes)} classes: "
            f"{self.convergence})"
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in natural order."""
        return self.model.classes

    @property
    def solver(self) -> str:
        """Name of the solver."""
        return str(self.model.options["solver"])

    @property
    def l2(self) -> float:
        """The penalty used, on coefficients of standardised features."""
        return float(self.model.options["l2"])

    @property
    def trace(self) -> list[dict[str, Any]]:
        """Per iteration a dict with what `Step` has: loss (of the objective, in nats), gap where known, and more."""
        return self.model.trace

    @property
    def converged(self) -> bool:
        """Whether the stopping rule was met."""
        return self.solution.converged

    @property
    def iterations(self) -> int:
        """Iterations done."""
        return self.solution.iterations

    @property
    def loss(self) -> float:
        """Final value of the objective: mean cross-entropy plus penalty, in nats."""
        return self.solution.loss

    @property
    def convergence(self) -> str:
        """One line on how the solver ended, with advice if it did not converge."""
        return convergence_message(self.solver, self.solution)


class FileRows(NamedTuple):
    """The rows of a file: raw features [N, D], index of every row's class [N], and the names of both."""

    matrix: Floats
    codes: Codes
    classes: tuple[str, ...]
    features: tuple[str, ...]
    target: str


def fit_file(
    source: Source,
    *,
    target: str,
    drop: Sequence[str] = (),
    features: Sequence[str] | None = None,
    solver: str = "auto",
    l2: float | None = None,
    l1: float = 0.0,
    fit_intercept: bool = True,
    class_weight: ClassWeight = None,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    schedule: str | Callable[[int], float] = "constant",
    momentum: float = 0.9,
    seed: int = 0,
    max_iter: int = 1000,
    tol: float = 1e-6,
    on_step: OnStep | None = None,
) -> FitResult:
    """Fit a softmax model to the rows of a file.

    The objective is that of SoftmaxClassifier on standardised features: the penalty acts on coefficients per
    standard deviation. All options are checked before a row is read. Classes are the texts of the target
    column, in numerical order if all are numbers, otherwise in alphabetical order.

    Args:
        source: an open crossent.rows.Source.
        target: name of the column with the classes.
        drop: columns to leave out.
        features: columns to fit on, in this order; None for all number and boolean columns of the file.
        solver, l2, l1, fit_intercept, learning_rate, batch_size, schedule, momentum, seed, max_iter, tol: as in
            SoftmaxClassifier.
        class_weight: None, "balanced" or {class: weight > 0}.
        on_step: called with every `Step` and the parameters, for instance by a progress bar; a true result ends the
            fit.
    Returns: FitResult; that the solver did not converge is one of its warnings.
    Raises: OptionError, DataError (missing column, text among the features, empty or infinite cell, no rows),
        LabelError, WeightError.

    >>> import pyarrow as pa
    >>> from crossent.rows import from_table
    >>> result = fit_file(from_table(pa.table({"x": [0.0, 1.0, 2.0, 3.0], "y": ["a", "a", "b", "b"]})), target="y")
    >>> result.classes, result.class_counts, result.converged, round(result.loss, 4)
    (('a', 'b'), (2, 2), True, 0.4876)
    """
    options = SolverOptions(
        max_iter=max_iter, tol=tol, learning_rate=learning_rate, schedule=schedule, batch_size=batch_size,
        momentum=momentum, seed=seed, on_step=on_step,
    )  # fmt: skip
    find_solver(solver, options)
    check_objective(l2=l2, l1=l1, fit_intercept=fit_intercept, class_weight=class_weight)
    rows = read_rows(source, target=target, drop=drop, features=features)
    encoder = fit_encoder(rows.matrix)
    training = train(
        DenseMatrix(standardised(rows.matrix, encoder.center, encoder.scale, out=rows.matrix)),
        rows.codes,
        outputs=1 if len(rows.classes) == 2 else len(rows.classes),
        sample_weight=file_class_weights(class_weight, rows),
        l2=l2,
        l1=l1,
        fit_intercept=fit_intercept,
        solver=solver,
        options=options,
    )
    return fit_result(rows, encoder, training, solver=solver, options=options, class_weight=class_weight)


def check_objective(*, l2: Any, l1: Any, fit_intercept: Any, class_weight: ClassWeight) -> None:
    """Check what is to be minimised, before a row is read.

    Raises: OptionError, WeightError.
    """
    check_class_weight(class_weight)
    check_fit_intercept(fit_intercept)
    check_l1(l1)
    if l2 is not None:
        check_l2(l2)


def read_rows(
    source: Source, *, target: str, drop: Sequence[str] = (), features: Sequence[str] | None = None
) -> FileRows:
    """All rows of a file, classes in natural order.

    Raises: DataError, LabelError for a single class.
    """
    names = choose_features(source, target=target, drop=drop, features=features)
    parts: list[Floats] = []
    labels = ClassCodes(target)
    for block in source.blocks([*names, target]):
        parts.append(finite_matrix(block, names, droppable=True))
        labels.add(block)
    classes, codes = labels.finish()
    if len(classes) < 2:
        raise LabelError(
            f"{source.name}: column {quoted(target)} has only 1 class, {listed(classes)}, in {len(codes)} "
            f"rows; a classifier needs at least two. Check --target and how the rows were selected."
        )
    return FileRows(np.concatenate(parts), codes, classes, names, target)


def file_class_weights(class_weight: ClassWeight, rows: FileRows) -> Floats | None:
    """Row weights for class weights whose classes may be given as numbers or text.

    Raises: LabelError.
    """
    if isinstance(class_weight, Mapping):
        class_weight = {canonical_text(label): weight for label, weight in class_weight.items()}
    refuse_unknown_classes(class_weight, rows.classes)
    return weigh_classes(class_weight, rows.classes, rows.codes)


def fit_result(
    rows: FileRows,
    encoder: Standardiser,
    training: Training,
    *,
    solver: str,
    options: SolverOptions,
    class_weight: ClassWeight = None,
) -> FitResult:
    """What there is to keep and to tell of a fit to standardised rows."""
    solution = training.solution
    recorded: dict[str, Any] = {
        "solver": solver,
        "fit_intercept": training.objective.has_intercept,
        "max_iter": options.max_iter,
        "tol": options.tol,
        "l2": training.l2,
        "l1": training.objective.l1_strength,
        "converged": solution.converged,
        "reason": solution.reason,
    }
    if find_solver(solver).takes_rate:
        recorded |= {name: getattr(options, name) for name in ("learning_rate", "batch_size", "momentum", "seed")}
        recorded["schedule"] = options.schedule if isinstance(options.schedule, str) else "a function"
    if class_weight is not None:
        recorded["class_weight"] = recordable(class_weight)
    model = SoftmaxModel(
        coef=training.coef,
        intercept=training.intercept,
        classes=rows.classes,
        features=rows.features,
        center=encoder.center,
        scale=encoder.scale,
        target=rows.target,
        options=recorded,
        trace=solution.as_dicts(),
    )
    counts = tuple(np.bincount(rows.codes, minlength=len(rows.classes)).tolist())
    return FitResult(model, len(rows.codes), counts, solution, _warnings(solution, solver, model, counts, encoder))


def _warnings(
    solution: Solution, solver: str, model: SoftmaxModel, counts: Sequence[int], encoder: Standardiser
) -> tuple[str, ...]:
    """What a person should hear about a fit."""
    found: list[str] = []
    if not solution.converged:
        found.append(convergence_message(solver, solution))
    constant = [model.features[j] for j in np.flatnonzero(encoder.constant)]
    if constant:
        found.append(f"Constant columns carry no information; their coefficients are 0: {listed(constant)}.")
    single = [name for name, count in zip(model.classes, counts, strict=True) if count == 1]
    if single:
        found.append(f"Classes with a single row: {listed(single)}. Is {quoted(model.target)} a column of classes?")
    return tuple(found)
