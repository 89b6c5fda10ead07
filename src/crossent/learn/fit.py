"""fit_file: from a file of rows to a model that can be saved; what `crossent fit` calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossent.core.matrix import DenseMatrix
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
from crossent.learn.training import Training, check_fit_intercept, check_l2, convergence_message, train
from crossent.learn.types import Codes, Floats
from crossent.rows.columns import canonical_text
from crossent.rows.sources import Source
from crossent.wording import listed, quoted

__all__ = ["FitResult", "fit_file"]


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
        """Per iteration a dict with iteration, loss (of the objective, in nats) and gradient_norm."""
        return self.model.trace

    @property
    def converged(self) -> bool:
        """Whether the largest gradient entry came down to tol."""
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


def fit_file(
    source: Source,
    *,
    target: str,
    drop: Sequence[str] = (),
    features: Sequence[str] | None = None,
    solver: str = "lbfgs",
    l2: float | None = None,
    fit_intercept: bool = True,
    class_weight: ClassWeight = None,
    learning_rate: float | None = None,
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
        solver, l2, fit_intercept, learning_rate, max_iter, tol: as in SoftmaxClassifier.
        class_weight: None, "balanced" or {class: weight > 0}.
        on_step: called with every Step (iteration, loss, gradient_norm), for instance by a progress bar.
    Returns: FitResult; that the solver did not converge is one of its warnings.
    Raises: OptionError, DataError (missing column, text among the features, empty or infinite cell, no rows),
        LabelError, WeightError.

    >>> import pyarrow as pa
    >>> from crossent.rows import from_table
    >>> result = fit_file(from_table(pa.table({"x": [0.0, 1.0, 2.0, 3.0], "y": ["a", "a", "b", "b"]})), target="y")
    >>> result.classes, result.class_counts, result.converged, round(result.loss, 4)
    (('a', 'b'), (2, 2), True, 0.4876)
    """
    options = SolverOptions(max_iter=max_iter, tol=tol, learning_rate=learning_rate, on_step=on_step)
    find_solver(solver)
    check_class_weight(class_weight)
    check_fit_intercept(fit_intercept)
    if l2 is not None:
        check_l2(l2)
    names = choose_features(source, target=target, drop=drop, features=features)
    matrix, classes, codes = _read(source, names, target)
    weights = _class_weights(class_weight, classes, codes)
    encoder = fit_encoder(matrix)
    training = train(
        DenseMatrix(standardised(matrix, encoder.center, encoder.scale, out=matrix)),
        codes,
        outputs=1 if len(classes) == 2 else len(classes),
        sample_weight=weights,
        l2=l2,
        fit_intercept=fit_intercept,
        solver=solver,
        options=options,
    )
    recorded: dict[str, Any] = {
        "solver": solver,
        "fit_intercept": fit_intercept,
        "max_iter": max_iter,
        "tol": tol,
    }
    if find_solver(solver).takes_rate:
        recorded["learning_rate"] = learning_rate
    if class_weight is not None:
        recorded["class_weight"] = recordable(class_weight)
    model = _model(training, encoder, classes=classes, features=names, target=target, options=recorded)
    counts = tuple(np.bincount(codes, minlength=len(classes)).tolist())
    warnings = _warnings(training.solution, solver, model, counts, encoder)
    return FitResult(model, len(codes), counts, training.solution, warnings)


def _read(source: Source, features: Sequence[str], target: str) -> tuple[Floats, tuple[str, ...], Codes]:
    """All rows: raw features [N, D], class names in natural order, class indices [N].

    Raises: DataError, LabelError for a single class.
    """
    parts: list[Floats] = []
    labels = ClassCodes(target)
    for block in source.blocks([*features, target]):
        parts.append(finite_matrix(block, features, droppable=True))
        labels.add(block)
    classes, codes = labels.finish()
    if len(classes) < 2:
        raise LabelError(
            f"{source.name}: column {quoted(target)} has only 1 class, {listed(classes)}, in {len(codes)} "
            f"rows; a classifier needs at least two. Check --target and how the rows were selected."
        )
    return np.concatenate(parts), classes, codes


def _class_weights(class_weight: ClassWeight, classes: Sequence[str], codes: Codes) -> Floats | None:
    """Row weights for class weights whose classes may be given as numbers or text."""
    if isinstance(class_weight, Mapping):
        class_weight = {canonical_text(label): weight for label, weight in class_weight.items()}
    refuse_unknown_classes(class_weight, classes)
    return weigh_classes(class_weight, classes, codes)


def _model(
    training: Training,
    encoder: Standardiser,
    *,
    classes: tuple[str, ...],
    features: tuple[str, ...],
    target: str,
    options: Mapping[str, Any],
) -> SoftmaxModel:
    solution = training.solution
    return SoftmaxModel(
        coef=training.coef,
        intercept=training.intercept,
        classes=classes,
        features=features,
        center=encoder.center,
        scale=encoder.scale,
        target=target,
        options={**options, "l2": training.l2, "converged": solution.converged, "reason": solution.reason},
        trace=solution.as_dicts(),
    )


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
