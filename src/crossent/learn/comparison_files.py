"""compare_file: several solvers on the rows of a file; what `crossent fit --compare` calls."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossent.core.matrix import DenseMatrix
from crossent.learn.class_weight import ClassWeight
from crossent.learn.comparison import HeldOut, check_held_out, compare_on, held_out_rows, solver_names
from crossent.learn.curves import SolverComparison
from crossent.learn.encode import fit_encoder
from crossent.learn.fit import FitResult, check_objective, file_class_weights, fit_result, read_rows
from crossent.learn.moments import standardised
from crossent.learn.prepare import Problem
from crossent.learn.solvers import SolverOptions
from crossent.losses import BinaryCrossEntropy, CrossEntropy
from crossent.rows.sources import Source

__all__ = ["FileComparison", "compare_file"]


@dataclass(frozen=True)
class FileComparison:
    """Solvers compared on a file.

    Attributes:
        comparison: the curves.
        fit: the model with the lowest F, fitted to all rows but those held out.
    """

    comparison: SolverComparison
    fit: FitResult


def compare_file(
    source: Source,
    *,
    target: str,
    solvers: Sequence[str],
    held_out: float = 0.2,
    drop: Sequence[str] = (),
    features: Sequence[str] | None = None,
    l2: float | None = None,
    l1: float = 0.0,
    fit_intercept: bool = True,
    class_weight: ClassWeight = None,
    options: SolverOptions | None = None,
) -> FileComparison:
    """Run several solvers on the objective of `fit_file`, each from 0.

    Features are standardised by the rows fitted. All options are checked before a row is read.

    Args:
        source, target, drop, features, l2, l1, fit_intercept, class_weight: as in fit_file.
        solvers, held_out, options: as in compare_solvers.
    Returns: FileComparison.
    Raises: OptionError, DataError, LabelError, WeightError, UnsupportedError.

    >>> import pyarrow as pa
    >>> from crossent.rows import from_table
    >>> table = pa.table({"x": [0.0, 1.0, 2.0, 3.0, 4.0], "y": ["a", "a", "b", "b", "b"]})
    >>> found = compare_file(from_table(table), target="y", solvers=["gd", "lbfgs"], held_out=0.2)
    >>> found.comparison.rows, found.comparison.heldout_rows, found.fit.converged
    (4, 1, True)
    """
    options = options or SolverOptions()
    names = solver_names(solvers)
    check_held_out(held_out)
    check_objective(l2=l2, l1=l1, fit_intercept=fit_intercept, class_weight=class_weight)
    whole = read_rows(source, target=target, drop=drop, features=features)
    weight = file_class_weights(class_weight, whole)
    index = held_out_rows(whole.codes, held_out, options.seed)
    rows = whole._replace(matrix=np.delete(whole.matrix, index, axis=0), codes=np.delete(whole.codes, index))
    encoder = fit_encoder(rows.matrix)
    matrix = DenseMatrix(standardised(rows.matrix, encoder.center, encoder.scale, out=rows.matrix))
    K = len(rows.classes)
    kept = None if weight is None else np.delete(weight, index)
    outputs, loss = (1, BinaryCrossEntropy()) if K == 2 else (K, CrossEntropy())
    classes = np.array(rows.classes)
    problem = Problem(matrix, matrix.moments(kept), None, rows.codes, classes, outputs, loss, kept)
    held = None
    if index.size:
        out = DenseMatrix(standardised(whole.matrix[index], encoder.center, encoder.scale))
        held = HeldOut(out, whole.codes[index], None if weight is None else weight[index], problem.loss)
    comparison, solver, training = compare_on(
        problem, held, names, l2=l2, l1=l1, fit_intercept=fit_intercept, options=options
    )
    fit = fit_result(rows, encoder, training, solver=solver, options=options, class_weight=class_weight)
    return FileComparison(comparison, fit)
